"""Errors in OpenAI's shape, as a table that clients rely on."""

import json

import pytest

from tidegate.gateway.openai_errors import error_body, error_event, error_reply, error_status
from tidegate.kernel import errors
from tidegate.kernel.errors import TidegateError

TABLE = [
    (errors.Invalid("m"), 400, "invalid_request_error", "invalid_request"),
    (errors.InvalidVariables("m"), 400, "invalid_request_error", "invalid_variables"),
    (errors.TooLarge("m"), 413, "invalid_request_error", "request_too_large"),
    (errors.Unauthenticated("m"), 401, "authentication_error", "invalid_api_key"),
    (errors.Forbidden("m"), 403, "permission_error", "permission_denied"),
    (errors.NotFound("model", "m"), 404, "invalid_request_error", "model_not_found"),
    (errors.Conflict("m"), 409, "invalid_request_error", "conflict"),
    (errors.Refused("m"), 429, "rate_limit_error", "rate_limit_exceeded"),
    (errors.Refused("m", code="insufficient_quota"), 429, "insufficient_quota", "insufficient_quota"),
    (errors.ProviderFailed("m"), 502, "upstream_error", "provider_error"),
    (errors.ProviderUnreachable("m"), 502, "upstream_error", "provider_unreachable"),
    (errors.ProviderTimeout("m"), 504, "upstream_error", "provider_timeout"),
    (errors.Unavailable("m"), 503, "service_unavailable", "unavailable"),
    (TidegateError("m"), 500, "server_error", "internal_error"),
]


@pytest.mark.parametrize(("error", "status", "kind", "code"), TABLE, ids=lambda v: type(v).__name__)
def test_every_error_has_its_status_and_its_body(error: TidegateError, status: int, kind: str, code: str) -> None:
    reply = error_reply(error)
    assert (error_status(error), reply.status) == (status, status)
    body = json.loads(reply.body)
    assert list(body) == ["error"]
    assert body["error"] == {"message": str(error), "type": kind, "param": None, "code": code}
    assert (b"content-type", b"application/json") in reply.headers


def test_the_bytes_are_openais() -> None:
    error = errors.Invalid("The field `n` is wrong.", mend="Mend it.", param="n", code="invalid_type")
    assert error_body(error) == (
        b'{"error":{"message":"The field `n` is wrong. Mend it.","type":"invalid_request_error",'
        b'"param":"n","code":"invalid_type"}}'
    )


def test_an_event_is_never_followed_by_done() -> None:
    event = error_event(errors.ProviderFailed("Broke."))
    assert event.startswith(b'data: {"error":')
    assert event.endswith(b"}\n\n")
    assert event.count(b"\n\n") == 1


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (errors.Refused("m", retry_after_s=0.2), {b"retry-after": b"1"}),
        (errors.Refused("m", retry_after_s=30.0), {b"retry-after": b"30"}),
        (errors.Refused("m"), {b"x-should-retry": b"false"}),
        (errors.Unavailable("m"), {b"retry-after": b"1"}),
        (errors.Invalid("m"), {}),
        (errors.ProviderFailed("m"), {}),
    ],
)
def test_whether_to_try_again_is_told(error: TidegateError, headers: dict[bytes, bytes]) -> None:
    told = dict(error_reply(error).headers)
    told.pop(b"content-type")
    assert told == headers
