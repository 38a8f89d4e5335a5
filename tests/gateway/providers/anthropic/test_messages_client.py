"""Anthropic's own client against an upstream of the same words: what it asks passes, what is answered passes back."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from tests.support.anthropic_fake import (
    FakeAnthropic,
    anthropic_error,
    message_events,
    named,
    text,
    thinking,
    tool_use,
)
from tests.support.gateway import RunningGateway
from tests.support.wire import FIN, RST

HI: Any = [{"role": "user", "content": "Hi"}]
BLOCKS = (thinking("Hm."), text("Hello"), tool_use("weather", {"at": "Köln"}))
TOOLS: Any = [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]


@pytest.fixture
def claude(gateway: RunningGateway) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.url, api_key="sk-test", max_retries=0, timeout=5) as client:
        yield client


def test_whole(claude: Anthropic, gateway: RunningGateway, fake: FakeAnthropic) -> None:
    usage = {"input_tokens": 4, "output_tokens": 7, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 100}
    fake.say_whole(*BLOCKS, stop="tool_use", usage=usage)
    got = claude.messages.create(
        model="gpt", max_tokens=50, messages=HI, tools=TOOLS, extra_headers={"anthropic-beta": "one-2025,two-2025"}
    )
    assert [block.type for block in got.content] == ["thinking", "text", "tool_use"]
    assert got.stop_reason == "tool_use"
    assert got.usage.cache_creation_input_tokens == 100
    assert fake.asked == {"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": HI, "tools": TOOLS}
    assert fake.last.headers["anthropic-beta"] == "one-2025,two-2025"
    assert fake.last.headers["x-api-key"] == FakeAnthropic.KEY
    record = gateway.wait_record()
    assert (record.input_tokens, record.output_tokens) == (124, 7)
    assert (record.cached_input_tokens, record.cache_write_tokens) == (20, 100)
    assert (record.finish_reason, record.ending, record.upstream_request_id) == ("tool_use", "complete", "req_011")


def test_streamed(claude: Anthropic, gateway: RunningGateway, fake: FakeAnthropic) -> None:
    fake.say_events(message_events(*BLOCKS, stop="tool_use"), split=11)
    with claude.messages.stream(model="gpt", max_tokens=50, messages=HI, tools=TOOLS) as stream:
        assert "".join(stream.text_stream) == "Hello"
        got = stream.get_final_message()
    called = got.content[2]
    assert called.type == "tool_use"
    assert called.input == {"at": "Köln"}
    assert (got.usage.input_tokens, got.usage.output_tokens) == (9, 3)
    record = gateway.wait_record()
    assert (record.input_tokens, record.output_tokens, record.finish_reason) == (9, 3, "tool_use")
    assert record.ttft_ms is not None


def test_counting_tokens_passes_and_costs_nothing(claude: Anthropic, gateway: RunningGateway) -> None:
    got = claude.messages.count_tokens(model="gpt", messages=HI, system="Be brief.")
    assert got.input_tokens == 14
    record = gateway.wait_record()
    assert (record.endpoint, record.status, record.cost_nano_usd) == ("messages.count_tokens", 200, 0)


@pytest.mark.parametrize(
    ("status", "kind", "raised"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (413, "request_too_large", anthropic.RequestTooLargeError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (500, "api_error", anthropic.InternalServerError),
        (529, "overloaded_error", anthropic.OverloadedError),
    ],
)
def test_errors_pass_as_they_came(
    claude: Anthropic, fake: FakeAnthropic, status: int, kind: str, raised: type[anthropic.APIStatusError]
) -> None:
    limits = [("retry-after", "34"), ("anthropic-ratelimit-requests-limit", "50")]
    fake.then(anthropic_error(status, kind, "No.", limits))
    with pytest.raises(raised) as caught:
        claude.messages.create(model="gpt", max_tokens=50, messages=HI)
    told = {"type": "error", "error": {"type": kind, "message": "No."}, "request_id": "req_011"}
    assert caught.value.body == told
    assert caught.value.response.headers["retry-after"] == "34"
    assert caught.value.response.headers["anthropic-ratelimit-requests-limit"] == "50"


@pytest.mark.parametrize("stream", [False, True])
def test_our_own_refusals_are_in_its_shape(gateway: RunningGateway, stream: bool) -> None:
    with Anthropic(base_url=gateway.url, api_key="sk-wrong", max_retries=0, timeout=5) as stranger:
        with pytest.raises(anthropic.AuthenticationError) as caught:
            stranger.messages.create(model="gpt", max_tokens=50, messages=HI, stream=stream)
        body: Any = caught.value.body
        assert (body["type"], body["error"]["type"]) == ("error", "authentication_error")
        assert caught.value.request_id == body["request_id"]
    with Anthropic(base_url=gateway.url, api_key="sk-test", max_retries=0, timeout=5) as client:
        with pytest.raises(anthropic.NotFoundError, match="not_found_error"):
            client.messages.create(model="nothing", max_tokens=50, messages=HI)
        with pytest.raises(anthropic.NotFoundError, match="no endpoint"):
            client.post("/v1/messages/batches", cast_to=object, body={})
        with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
            client.post("/v1/messages", cast_to=object, body={"model": "gpt", "messages": HI})


def test_a_bad_key_is_our_fault_not_the_clients(fake: FakeAnthropic, tmp_path: Any) -> None:
    with (
        RunningGateway(fake.snapshot(), tmp_path, environ={"ANTHROPIC_API_KEY": "wrong"}) as gateway,
        Anthropic(base_url=gateway.url, api_key="sk-test", max_retries=0, timeout=5) as client,
    ):
        with pytest.raises(anthropic.InternalServerError, match="credentials") as caught:
            client.messages.create(model="gpt", max_tokens=50, messages=HI)
        assert caught.value.status_code == 502


WHOLE = message_events(*BLOCKS, stop="tool_use")


@pytest.mark.parametrize("events", range(len(WHOLE)))
@pytest.mark.parametrize("end", [FIN, RST], ids=["fin", "rst"])
def test_a_cut_after_any_event_is_a_cut(
    claude: Anthropic, gateway: RunningGateway, fake: FakeAnthropic, events: int, end: Any
) -> None:
    fake.say_events(WHOLE[:events], end=end)
    with pytest.raises(anthropic.APIError):
        list(claude.messages.create(model="gpt", max_tokens=50, messages=HI, stream=True))
    assert gateway.wait_record().error_code in ("provider_cut", "provider_unreachable")


def test_an_error_in_the_middle(claude: Anthropic, fake: FakeAnthropic) -> None:
    broken = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    fake.say_events([*WHOLE[:5], named(broken)])
    with pytest.raises(anthropic.APIStatusError) as caught:
        list(claude.messages.create(model="gpt", max_tokens=50, messages=HI, stream=True))
    body: Any = caught.value.body
    assert body["error"]["type"] == "overloaded_error"
