"""Errors in OpenAI's own shape, so that OpenAI's clients raise the exceptions that their users already catch.

Shape and types: https://platform.openai.com/docs/guides/error-codes (read 2026-11): `{"error": {"message", "type",
"param", "code"}}`.
"""

import math

import msgspec

from tidegate.gateway.call import JSON_HEADER, Reply
from tidegate.kernel import errors

__all__ = ["error_body", "error_event", "error_reply", "error_status"]

QUOTA = "insufficient_quota"
_TABLE: tuple[tuple[type[errors.TidegateError], int, str], ...] = (
    (errors.TooLarge, 413, "invalid_request_error"),
    (errors.Invalid, 400, "invalid_request_error"),
    (errors.Unauthenticated, 401, "authentication_error"),
    (errors.Forbidden, 403, "permission_error"),
    (errors.NotFound, 404, "invalid_request_error"),
    (errors.Conflict, 409, "invalid_request_error"),
    (errors.Refused, 429, "rate_limit_error"),
    (errors.ProviderTimeout, 504, "upstream_error"),
    (errors.ProviderFailed, 502, "upstream_error"),
    (errors.Unavailable, 503, "service_unavailable"),
)


def _kind(error: errors.TidegateError) -> tuple[int, str]:
    for cls, status, kind in _TABLE:
        if isinstance(error, cls):
            return status, kind
    return 500, "server_error"


def error_status(error: errors.TidegateError) -> int:
    """The HTTP status of an error."""
    return _kind(error)[0]


def error_body(error: errors.TidegateError) -> bytes:
    """The JSON body of an error: message and mend together, since OpenAI's clients show the message alone."""
    kind = QUOTA if isinstance(error, errors.Refused) and error.code == QUOTA else _kind(error)[1]
    return msgspec.json.encode(
        {"error": {"message": str(error), "type": kind, "param": error.param, "code": error.code}}
    )


def error_event(error: errors.TidegateError) -> bytes:
    """The error as one server-sent event: what a stream that fails after its first byte ends with, never followed by
    [DONE].
    """
    return b"data: " + error_body(error) + b"\n\n"


def error_reply(error: errors.TidegateError) -> Reply:
    """The error as a whole reply, with Retry-After where waiting helps."""
    headers = [JSON_HEADER]
    if isinstance(error, errors.Refused):
        if error.retry_after_s is None:
            headers.append((b"x-should-retry", b"false"))
        else:
            headers.append((b"retry-after", str(math.ceil(error.retry_after_s)).encode()))
    if isinstance(error, errors.Unavailable):
        headers.append((b"retry-after", b"1"))
    return Reply(error_status(error), headers, error_body(error))
