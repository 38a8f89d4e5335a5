"""OpenAI's own client and what goes wrong: each refusal is the exception that its users already catch."""

from collections.abc import Iterator, Sequence
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.gateway import RunningGateway
from tests.support.scene import Start
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import DONE, FIN, HANG, RST, End, Step, answer, chat, chat_events, error, event, stream

HI: Any = [{"role": "user", "content": "Hi"}]


@pytest.fixture(params=["raw", "asgi"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key="sk-test", timeout=5, max_retries=2) as client:
        yield client


@pytest.mark.parametrize(
    ("key", "fields", "raised", "code"),
    [
        ("sk-wrong", {}, openai.AuthenticationError, "invalid_api_key"),
        ("sk-revoked", {}, openai.AuthenticationError, "key_revoked"),
        ("sk-expired", {}, openai.AuthenticationError, "key_expired"),
        ("sk-prompts", {}, openai.PermissionDeniedError, "permission_denied"),
        ("sk-narrow", {"model": "other"}, openai.PermissionDeniedError, "model_not_allowed"),
        ("sk-test", {"model": "nothing"}, openai.NotFoundError, "model_not_found"),
        ("sk-test", {"model": "prompt:nothing"}, openai.NotFoundError, "prompt_not_found"),
        ("sk-test", {"model": "prompt:greeting"}, openai.BadRequestError, "invalid_variables"),
        ("sk-test", {"extra_body": {"messages": 5}}, openai.BadRequestError, "invalid_type"),
        ("sk-test", {"extra_body": {"x": "y" * (2 << 20)}}, openai.APIStatusError, "request_too_large"),
    ],
)
@pytest.mark.parametrize("wants_stream", [False, True])
def test_our_refusals(
    client: OpenAI,
    upstream: ScriptedUpstream,
    key: str,
    fields: dict[str, Any],
    raised: Any,
    code: str,
    wants_stream: bool,
) -> None:
    given = {"model": "gpt", "messages": HI, "stream": wants_stream} | fields
    with pytest.raises(raised) as caught:
        client.with_options(api_key=key).chat.completions.create(**given)
    assert caught.value.code == code
    assert caught.value.request_id.startswith("call_")
    assert caught.value.body["message"] == caught.value.body["message"].strip()
    assert upstream.received == []


def test_an_endpoint_that_is_not_served(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.fine_tuning.jobs.list()
    assert caught.value.code == "unsupported_endpoint"
    assert str(caught.value.request_id).startswith("call_")
    assert "POST /v1/chat/completions" in str(caught.value)


def attempts(client: OpenAI, upstream: ScriptedUpstream, script: Sequence[Step], raised: Any) -> int:
    """How often the client tried until it raised."""
    upstream.respond = lambda _: script
    with pytest.raises(raised):
        client.chat.completions.create(model="gpt", messages=HI)
    return len(upstream.received)


def test_a_limit_that_waiting_does_not_help_is_tried_once(client: OpenAI, upstream: ScriptedUpstream) -> None:
    assert attempts(client, upstream, error(429, x_should_retry="false"), openai.RateLimitError) == 1


def test_a_limit_that_waiting_helps_is_tried_again(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.say(error(429, retry_after="0.01"), error(503, retry_after="0.01"))
    assert client.chat.completions.create(model="gpt", messages=HI).choices[0].message.content == "Hello there."
    assert len(upstream.received) == 3


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (error(500), 500),
        (error(503), 503),
        (answer(b"<html>", 502, content_type="text/html"), 502),
        (error(401), 502),
        (answer(b"{"), 502),
        ((RST,), 502),
        ((HANG,), 504),
    ],
    ids=["500", "503", "HTML", "bad key upstream", "truncated", "reset", "hanging"],
)
@pytest.mark.parametrize("wants_stream", [False, True])
def test_what_is_the_upstreams_fault_is_a_server_error(
    start: Start, upstream: ScriptedUpstream, script: Sequence[Step], status: int, wants_stream: bool
) -> None:
    gateway = start(total_timeout_s=0.2, first_token_timeout_s=0.2)
    upstream.respond = lambda _: script
    impatient = OpenAI(base_url=gateway.base_url, api_key="sk-test", max_retries=0, timeout=5)
    with impatient as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="gpt", messages=HI, stream=wants_stream)
    assert caught.value.status_code == status
    assert caught.value.type in ("upstream_error", "t")


def test_an_unprocessable_request_is_the_callers(client: OpenAI, upstream: ScriptedUpstream) -> None:
    assert attempts(client, upstream, answer(b'{"detail": "no"}', 422), openai.UnprocessableEntityError) == 1


# Streams that break.


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("how", [FIN, RST], ids=["closed", "reset"])
@pytest.mark.parametrize("seen", [0, 2])
def test_a_stream_that_was_cut_never_ends_cleanly(
    client: OpenAI, upstream: ScriptedUpstream, seen: int, how: End, framing: str
) -> None:
    upstream.say(stream(chat_events()[:seen], end=how, framing=framing))
    chunks = client.chat.completions.create(model="gpt", messages=HI, stream=True)
    got = [next(chunks) for _ in range(seen)]
    assert len(got) == seen
    with pytest.raises(openai.APIError) as caught:
        next(chunks)
    assert caught.value.code == "provider_cut"


@pytest.mark.parametrize("at", [0, 2])
def test_an_error_in_a_stream_is_raised(client: OpenAI, upstream: ScriptedUpstream, at: int) -> None:
    events = chat_events()
    upstream.say(stream([*events[:at], event({"error": {"message": "out of memory"}}), *events[at:]]))
    with pytest.raises(openai.APIError, match="out of memory"):
        list(client.chat.completions.create(model="gpt", messages=HI, stream=True))


def test_silence_in_a_stream_is_raised(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(idle_timeout_s=0.1)
    upstream.say(stream(chat_events()[:2], end=HANG))
    impatient = OpenAI(base_url=gateway.base_url, api_key="sk-test", max_retries=0, timeout=5)
    with impatient as client, pytest.raises(openai.APIError, match="did not go on with its answer"):
        list(client.chat.completions.create(model="gpt", messages=HI, stream=True))


def test_the_clients_own_patience(client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say((HANG,))
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.2, max_retries=0).chat.completions.create(model="gpt", messages=HI)
    assert upstream.last.hung_up.wait(10)
    assert gateway.wait_record().ending == "cancelled"


def test_done_and_nothing_else_is_an_empty_answer(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.say(stream([DONE]))
    assert list(client.chat.completions.create(model="gpt", messages=HI, stream=True)) == []


def test_a_whole_answer_is_never_a_stream_that_said_nothing(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.respond = lambda _: answer(chat())
    with pytest.raises(openai.InternalServerError):
        list(client.with_options(max_retries=0).chat.completions.create(model="gpt", messages=HI, stream=True))
