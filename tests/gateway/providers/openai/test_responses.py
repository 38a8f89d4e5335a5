"""OpenAI's own client asks for responses where the upstream has them: they pass as they are, and are counted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.calls import a_call, an_ask, pieces_of
from tests.support.gateway import RunningGateway
from tests.support.scene import snapshot_of
from tests.support.streams import followed
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import answer, event, stream
from tidegate.gateway.providers.openai.responses import ResponseReader
from tidegate.kernel.errors import ProviderFailed

PART = {"type": "output_text", "text": "Hello there.", "annotations": []}
ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [PART]}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "up-model",
    "status": "completed",
    "output": [ITEM],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "error": None,
    "usage": {
        "input_tokens": 9,
        "output_tokens": 3,
        "total_tokens": 12,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}
BEGUN = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}
AT = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


def told(number: int, kind: str, **more: Any) -> bytes:
    return event({"type": kind, "sequence_number": number, **more})


EVENTS = [
    told(0, "response.created", response=BEGUN),
    told(1, "response.output_item.added", output_index=0, item={**ITEM, "status": "in_progress", "content": []}),
    told(2, "response.content_part.added", **AT, part={**PART, "text": ""}),
    told(3, "response.output_text.delta", **AT, delta="Hello ", logprobs=[]),
    told(4, "response.output_text.delta", **AT, delta="there.", logprobs=[]),
    told(5, "response.output_text.done", **AT, text="Hello there.", logprobs=[]),
    told(6, "response.content_part.done", **AT, part=PART),
    told(7, "response.output_item.done", output_index=0, item=ITEM),
    told(8, "response.completed", response=RESPONSE),
]


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as running:
        yield running


@pytest.fixture
def gateway(upstream: ScriptedUpstream, tmp_path: Path) -> Iterator[RunningGateway]:
    with RunningGateway(snapshot_of(upstream.url, native_responses=True), tmp_path) as running:
        yield running


def test_whole(client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say(answer(RESPONSE))
    got = client.responses.create(model="gpt", input="Hi", store=False)
    assert got.output_text == "Hello there."
    assert upstream.last.path == "/v1/responses"
    assert upstream.last.json == {"model": "up-model", "input": "Hi", "store": False}
    record = gateway.wait_record()
    assert (record.input_tokens, record.output_tokens, record.cached_input_tokens) == (9, 3, 4)
    assert record.cache_write_tokens == 2
    assert (record.finish_reason, record.ending) == ("completed", "complete")


def test_a_response_that_failed_is_passed_on_and_counted(
    client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream
) -> None:
    wrong = {"code": "server_error", "message": "It broke."}
    upstream.say(answer({**RESPONSE, "status": "failed", "output": [], "error": wrong}))
    got = client.responses.create(model="gpt", input="Hi")
    assert got.error is not None
    assert (got.status, got.error.message) == ("failed", "It broke.")
    record = gateway.wait_record()
    assert (record.finish_reason, record.input_tokens) == ("failed", 9)


def test_an_error_with_200_is_no_response(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.say(answer({"error": {"message": "It broke."}}))
    with pytest.raises(openai.InternalServerError, match=r"It broke\."):
        client.responses.create(model="gpt", input="Hi")


@pytest.mark.parametrize("split", [None, 11])
def test_stream(client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream, split: int | None) -> None:
    upstream.say(stream(EVENTS, split=split))
    with client.responses.stream(model="gpt", input="Hi") as events:
        assert events.get_final_response().output_text == "Hello there."
    record = gateway.wait_record()
    assert (record.input_tokens, record.output_tokens, record.ending) == (9, 3, "complete")
    assert record.ttft_ms is not None


@pytest.mark.parametrize("kind", ["incomplete", "failed"])
def test_other_ends_are_ends(client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream, kind: str) -> None:
    upstream.say(stream([*EVENTS[:-1], told(8, f"response.{kind}", response={**RESPONSE, "status": kind})]))
    last = list(client.responses.create(model="gpt", input="Hi", stream=True))[-1]
    assert last.type == f"response.{kind}"
    record = gateway.wait_record()
    assert (record.finish_reason, record.output_tokens, record.ending) == (kind, 3, "complete")


@pytest.mark.parametrize("at", range(1, len(EVENTS)))
def test_a_cut_at_each_event_is_an_error(
    client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream, at: int
) -> None:
    upstream.say(stream(EVENTS[:at]))
    with pytest.raises(openai.APIError, match="before its answer was complete"):
        list(client.responses.create(model="gpt", input="Hi", stream=True))
    assert gateway.wait_record().ending == "cut"


def test_one_that_failed_before_it_said_anything_is_an_error(client: OpenAI, upstream: ScriptedUpstream) -> None:
    wrong = {**RESPONSE, "status": "failed", "error": {"code": "server_error", "message": "It broke."}}
    upstream.say(stream([EVENTS[0], told(1, "response.failed", response=wrong)]))
    with pytest.raises(openai.APIError, match=r"It broke\."):
        list(client.responses.create(model="gpt", input="Hi", stream=True))


@pytest.mark.parametrize("body", [{"error": {"message": "It broke."}}, {"type": "error", "message": "It broke."}])
def test_an_error_in_the_middle(client: OpenAI, upstream: ScriptedUpstream, body: Any) -> None:
    upstream.say(stream([*EVENTS[:5], event(body)]))
    with pytest.raises(openai.APIError, match=r"It broke\."):
        list(client.responses.create(model="gpt", input="Hi", stream=True))


async def test_a_cut_at_any_byte_is_a_cut() -> None:
    whole = b"".join(EVENTS)
    for at in range(len(whole) - 1):
        call = a_call({"model": "gpt", "input": "Hi", "stream": True}, path="/v1/responses")
        with pytest.raises(ProviderFailed) as caught:
            [block async for block in followed(ResponseReader(an_ask(call)), pieces_of([whole[:at]]))]
        assert caught.value.code == "provider_cut"
        assert not call.whole
