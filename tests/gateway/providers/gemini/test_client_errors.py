"""What Gemini refuses, blocks or breaks off, as OpenAI's own client is told it; and embeddings."""

import base64
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.gateway import RunningGateway
from tests.support.gemini_fake import FakeGemini, candidate, generated, rpc_error
from tests.support.wire import FIN, RST, answer, event, stream

ClientOf = Callable[[RunningGateway], OpenAI]
HI: Any = [{"role": "user", "content": "Hi"}]
CALL = {"functionCall": {"name": "weather", "args": {"at": "Köln"}}}


# Blocks.


@pytest.mark.parametrize("stream", [False, True])
def test_a_blocked_prompt(client: OpenAI, gateway: RunningGateway, fake: FakeGemini, stream: bool) -> None:
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}}
    fake.then(_sse(body) if stream else _json(body))
    got: Any = client.chat.completions.create(model="gpt", messages=HI, stream=stream)
    choice = list(got)[-1].choices[0] if stream else got.choices[0]
    assert choice.finish_reason == "content_filter"
    said = choice.delta if stream else choice.message
    assert said.refusal == "The prompt was blocked: SAFETY."
    record = gateway.wait_record()
    assert (record.ending, record.input_tokens, record.output_tokens) == ("complete", 9, 0)


def test_a_blocked_answer(client: OpenAI, fake: FakeGemini) -> None:
    fake.say_whole({"finishReason": "SAFETY", "index": 0})
    got = client.chat.completions.create(model="gpt", messages=HI)
    assert got.choices[0].finish_reason == "content_filter"
    assert got.choices[0].message.content == ""


# Errors.


def test_a_bad_request_keeps_its_status(client: OpenAI, fake: FakeGemini) -> None:
    fake.then(rpc_error(400, "INVALID_ARGUMENT", "Too many tokens."))
    with pytest.raises(openai.BadRequestError, match="Too many tokens") as caught:
        client.chat.completions.create(model="gpt", messages=HI)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_a_limit_says_when_to_try_again(client: OpenAI, fake: FakeGemini) -> None:
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "33.4s"}
    fake.then(rpc_error(429, "RESOURCE_EXHAUSTED", "Quota.", retry))
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="gpt", messages=HI, stream=True)
    assert caught.value.response.headers["retry-after"] == "34"


def test_an_overloaded_model(client: OpenAI, fake: FakeGemini) -> None:
    fake.then(rpc_error(503, "UNAVAILABLE", "The model is overloaded."))
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="gpt", messages=HI)
    assert caught.value.status_code == 503


def test_a_bad_key_is_our_fault_not_the_clients(client_of: ClientOf, fake: FakeGemini, tmp_path: Any) -> None:
    with RunningGateway(fake.snapshot(), tmp_path, environ={"GEMINI_API_KEY": "wrong"}) as gateway:
        client = client_of(gateway)
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="gpt", messages=HI)
    assert (caught.value.status_code, caught.value.code) == (502, "provider_auth")


def test_a_key_without_the_right_is_our_fault_too(client: OpenAI, fake: FakeGemini) -> None:
    fake.then(rpc_error(403, "PERMISSION_DENIED", "Not allowed."))
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="gpt", messages=HI)
    assert (caught.value.status_code, caught.value.code) == (502, "provider_auth")


def test_a_missing_key_is_told(client_of: ClientOf, fake: FakeGemini, tmp_path: Any) -> None:
    with RunningGateway(fake.snapshot(), tmp_path) as gateway:
        client = client_of(gateway)
        with pytest.raises(openai.InternalServerError, match="GEMINI_API_KEY") as caught:
            client.chat.completions.create(model="gpt", messages=HI)
    assert caught.value.code == "api_key_env_missing"


# Embeddings.


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings(client: OpenAI, fake: FakeGemini, encoding: Any) -> None:
    got = client.embeddings.create(model="embed", input=["a", "b"], dimensions=2, encoding_format=encoding)
    vectors: list[Any] = [one.embedding for one in got.data]
    packed = base64.b64encode(bytes.fromhex("0000003f000080be")).decode()
    assert vectors == [[0.5, -0.25] if encoding == "float" else packed] * 2
    assert len(fake.asked["requests"]) == 2
    assert fake.asked["requests"][0]["outputDimensionality"] == 2


# Cuts.

WHOLE = [
    generated(candidate({"text": "Hel"}, finish=None), usage={}),
    generated(candidate({"text": "lo"}, finish=None), usage={}),
    generated(candidate(CALL)),
]


@pytest.mark.parametrize("events", range(len(WHOLE)))
@pytest.mark.parametrize("end", [FIN, RST], ids=["fin", "rst"])
def test_a_cut_after_any_event_is_a_cut(
    client: OpenAI, gateway: RunningGateway, fake: FakeGemini, events: int, end: Any
) -> None:
    fake.say_events(*WHOLE[:events], end=end)
    with pytest.raises((openai.APIError, openai.APIConnectionError)):
        list(client.chat.completions.create(model="gpt", messages=HI, stream=True))
    record = gateway.wait_record()
    assert record.error_code in ("provider_cut", "provider_unreachable")


def test_an_error_in_the_middle(client: OpenAI, gateway: RunningGateway, fake: FakeGemini) -> None:
    fake.say_events(WHOLE[0], {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}})
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(client.chat.completions.create(model="gpt", messages=HI, stream=True))
    assert gateway.wait_record().finish_reason is None


def _sse(body: Any) -> Any:
    return stream([event(body)], newline=b"\r\n")


def _json(body: Any) -> Any:
    return answer(body)
