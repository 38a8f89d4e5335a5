"""Any endpoint over any upstream: responses from Anthropic, and messages that fall back to another family."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.support.anthropic_fake import FakeAnthropic, anthropic_error, message_events, named, text, thinking, tool_use
from tests.support.gateway import RunningGateway
from tests.support.scene import snapshot_of
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import FIN
from tidegate.live.snapshot import Snapshot

PLACE: Any = {"type": "object", "properties": {"at": {"type": "string"}}, "additionalProperties": False}
TOOLS: Any = [{"type": "function", "name": "weather", "parameters": PLACE, "strict": True}]
HI: Any = [{"role": "user", "content": "Hi"}]
CALL = tool_use("weather", {"at": "Köln"})
PNG = "iVBORw0KGgo="


@pytest.fixture
def fake() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as running:
        yield running


@pytest.fixture
def gateway(fake: FakeAnthropic, tmp_path: Path) -> Iterator[RunningGateway]:
    with RunningGateway(fake.snapshot(), tmp_path, environ=fake.environ) as running:
        yield running


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key="sk-test", max_retries=0, timeout=5) as client:
        yield client


def test_a_response_from_anthropic(client: OpenAI, gateway: RunningGateway, fake: FakeAnthropic) -> None:
    fake.say_whole(thinking("Hm."), text("I look."), CALL, stop="tool_use")
    parts: Any = [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
    ]
    wanted: Any = {"format": {"type": "json_schema", "name": "place", "schema": PLACE, "strict": True}}
    asked: Any = [{"role": "user", "content": parts}]
    got = client.responses.create(
        model="gpt", input=asked, instructions="Be brief.", tools=TOOLS, text=wanted, max_output_tokens=50
    )
    assert got.output_text == "I look."
    called: Any = got.output[2]
    assert (called.call_id, json.loads(called.arguments)) == ("toolu_01", {"at": "Köln"})
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    assert fake.asked == {
        "model": "claude-sonnet-4-5",
        "system": [text("Be brief.")],
        "messages": [{"role": "user", "content": [text("What is it?"), image]}],
        "tools": [{"name": "weather", "input_schema": PLACE, "strict": True}],
        "output_config": {"format": {"type": "json_schema", "schema": PLACE}},
        "max_tokens": 50,
    }
    again: Any = [
        *asked,
        *(item.model_dump(exclude_none=True) for item in got.output),
        {"type": "function_call_output", "call_id": "toolu_01", "output": "rain"},
    ]
    client.responses.create(model="gpt", input=again, tools=TOOLS)
    result = {"type": "tool_result", "tool_use_id": "toolu_01", "content": [text("rain")]}
    assert [turn["content"] for turn in fake.asked["messages"][1:]] == [[text("I look."), CALL], [result]]
    record = gateway.wait_record(2)
    assert (record.endpoint, record.input_tokens, record.output_tokens) == ("responses", 9, 3)


EVENTS = message_events(thinking("Hm."), text("I look."), CALL, stop="tool_use")


def test_a_streamed_response_from_anthropic(client: OpenAI, fake: FakeAnthropic) -> None:
    fake.say_events(EVENTS, split=13)
    with client.responses.stream(model="gpt", input="Hi", tools=TOOLS) as events:
        got = events.get_final_response()
    assert got.output_text == "I look."
    called: Any = got.output[2]
    assert called.parsed_arguments == {"at": "Köln"}
    assert got.usage is not None
    assert (got.usage.input_tokens, got.usage.output_tokens) == (9, 3)


@pytest.mark.parametrize("events", range(len(EVENTS)))
def test_a_cut_after_any_event_is_a_cut(client: OpenAI, fake: FakeAnthropic, events: int) -> None:
    fake.say_events(EVENTS[:events], end=FIN)
    with pytest.raises(openai.APIError):
        list(client.responses.create(model="gpt", input="Hi", tools=TOOLS, stream=True))


def test_what_anthropic_cannot_be_told_is_refused_by_name(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="gpt", input="Hi", temperature=1.5)
    assert caught.value.param == "temperature"


def two(fake: FakeAnthropic, upstream: ScriptedUpstream) -> Snapshot:
    """Anthropic first, then a server with OpenAI's words."""
    theirs = fake.snapshot()
    other = snapshot_of(upstream.url).deployments["other"]
    route = msgspec.structs.replace(theirs.routes["gpt"], fallbacks=("other",), by_environment={})
    return msgspec.structs.replace(
        theirs, deployments={**theirs.deployments, "other": other}, routes={**theirs.routes, "gpt": route}
    )


@pytest.mark.parametrize("streamed", [False, True])
def test_messages_fall_back_to_another_family(
    fake: FakeAnthropic, upstream: ScriptedUpstream, tmp_path: Path, streamed: bool
) -> None:
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    if streamed:
        fake.say_events([EVENTS[0], named(overloaded)])
    else:
        fake.then(anthropic_error(529, "overloaded_error", "Overloaded"))
    with (
        RunningGateway(two(fake, upstream), tmp_path, environ=fake.environ) as gateway,
        Anthropic(base_url=gateway.url, api_key="sk-test", max_retries=0, timeout=5) as claude,
    ):
        if streamed:
            with claude.messages.stream(model="gpt", max_tokens=50, messages=HI) as events:
                got: Any = events.get_final_message()
        else:
            got = claude.messages.create(model="gpt", max_tokens=50, messages=HI)
        assert got.content[0].text == "Hello there."
        record = gateway.wait_record()
    assert (record.deployment, record.attempts, record.output_tokens) == ("other", 2, 3)
