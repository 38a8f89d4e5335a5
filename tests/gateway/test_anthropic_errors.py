"""Errors in Anthropic's shape, as a table that clients rely on."""

import json

import anthropic
import msgspec
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.support.gateway import RunningGateway
from tests.support.scene import Start, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tidegate.gateway.anthropic_errors import error_event, error_reply, translated
from tidegate.gateway.call import Reply
from tidegate.gateway.openai_errors import error_status
from tidegate.kernel import errors
from tidegate.kernel.errors import TidegateError
from tidegate.live.snapshot import LimitRule

TABLE = [
    (errors.Invalid("m"), 400, "invalid_request_error"),
    (errors.TooLarge("m"), 413, "request_too_large"),
    (errors.Unauthenticated("m"), 401, "authentication_error"),
    (errors.Forbidden("m"), 403, "permission_error"),
    (errors.NotFound("model", "m"), 404, "not_found_error"),
    (errors.Conflict("m"), 409, "invalid_request_error"),
    (errors.Refused("m"), 429, "rate_limit_error"),
    (errors.Refused("m", code="insufficient_quota"), 429, "rate_limit_error"),
    (errors.ProviderFailed("m"), 502, "api_error"),
    (errors.ProviderFailed("m", status=529), 502, "overloaded_error"),
    (errors.ProviderUnreachable("m"), 502, "api_error"),
    (errors.ProviderTimeout("m"), 504, "timeout_error"),
    (errors.Unavailable("m"), 503, "overloaded_error"),
    (TidegateError("m"), 500, "api_error"),
]


@pytest.mark.parametrize(("error", "status", "kind"), TABLE, ids=lambda v: type(v).__name__)
def test_every_error_has_its_status_and_its_body(error: TidegateError, status: int, kind: str) -> None:
    reply = error_reply(error, "call_1")
    assert (error_status(error), reply.status) == (status, status)
    told = {"type": "error", "error": {"type": kind, "message": str(error)}, "request_id": "call_1"}
    assert json.loads(reply.body) == told
    event = error_event(error, "call_1")
    assert event == b"event: error\ndata: " + reply.body + b"\n\n"


def test_the_field_is_named() -> None:
    reply = error_reply(errors.Invalid("Wrong.", param="tools[0]"))
    assert json.loads(reply.body)["error"]["message"] == "tools[0]: Wrong."


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"error": 5}'])
def test_an_upstreams_nonsense_is_an_error_all_the_same(body: bytes) -> None:
    told = json.loads(translated(Reply(500, [], body), "call_1").body)
    assert told["error"] == {"type": "api_error", "message": "The upstream answered 500."}


@pytest.fixture
def poor(start: Start, upstream: ScriptedUpstream) -> RunningGateway:
    """A gateway whose budget is spent from the start."""
    rule = LimitRule(name="tiny", unit="nano_usd", cap=1, per="day")
    return start(snapshot=msgspec.structs.replace(snapshot_of(upstream.url), limits=(rule,)))


def test_a_spent_budget_is_one_attempt(poor: RunningGateway, upstream: ScriptedUpstream) -> None:
    with (
        Anthropic(base_url=poor.url, api_key="sk-test", max_retries=3, timeout=5) as claude,
        pytest.raises(anthropic.RateLimitError) as caught,
    ):
        claude.messages.create(model="gpt", max_tokens=50, messages=[{"role": "user", "content": "Hi"}])
    assert caught.value.response.headers["x-should-retry"] == "false"
    with (
        OpenAI(base_url=poor.base_url, api_key="sk-test", max_retries=3, timeout=5) as client,
        pytest.raises(openai.RateLimitError) as refused,
    ):
        client.responses.create(model="gpt", input="Hi")
    assert (refused.value.code, refused.value.type) == ("insufficient_quota", "insufficient_quota")
    assert len(poor.wait_records(2)) == 2
    assert upstream.received == []
