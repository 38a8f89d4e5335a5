"""Anthropic's own client through the gateway to Anthropic: nothing is lost on the way, and nothing cut looks whole."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from tests.support.anthropic_fake import FakeAnthropic, anthropic_error, message_events, text, tool_use
from tests.support.gateway import RunningGateway
from tests.support.wire import answer

HI: Any = [{"role": "user", "content": "Hi"}]
EVENTS = message_events(text("Hello there."), tool_use("weather", {"at": "Köln"}), stop="tool_use")


@pytest.fixture
def native(gateway: RunningGateway) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.url, auth_token="sk-test", max_retries=0, timeout=5) as client:
        yield client


def test_whole(native: Anthropic, gateway: RunningGateway, fake: FakeAnthropic) -> None:
    used = {"input_tokens": 9, "output_tokens": 3, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2}
    fake.say_whole(text("Hello."), usage=used)
    got = native.messages.create(model="gpt", max_tokens=20, messages=HI, extra_headers={"anthropic-beta": "some-1"})
    assert got.content[0].type == "text"
    assert got.content[0].text == "Hello."
    assert fake.asked == {"model": "claude-sonnet-4-5", "max_tokens": 20, "messages": HI}
    assert fake.last.headers["anthropic-beta"] == "some-1"
    record = gateway.wait_record()
    assert (record.input_tokens, record.cached_input_tokens, record.cache_write_tokens) == (16, 5, 2)
    assert (record.finish_reason, record.ending) == ("end_turn", "complete")


def test_stream(native: Anthropic, gateway: RunningGateway, fake: FakeAnthropic) -> None:
    fake.say_events(EVENTS, split=7)
    with native.messages.stream(model="gpt", max_tokens=20, messages=HI) as stream:
        got = stream.get_final_message()
    assert [block.type for block in got.content] == ["text", "tool_use"]
    record = gateway.wait_record()
    assert (record.input_tokens, record.output_tokens, record.finish_reason) == (9, 3, "tool_use")
    assert record.ttft_ms is not None


def test_count_tokens(native: Anthropic, gateway: RunningGateway) -> None:
    assert native.messages.count_tokens(model="gpt", messages=HI).input_tokens == 14
    assert gateway.wait_record().cost_nano_usd == 0


@pytest.mark.parametrize("at", range(1, len(EVENTS)))
def test_a_cut_at_each_event_is_an_error(
    native: Anthropic, gateway: RunningGateway, fake: FakeAnthropic, at: int
) -> None:
    fake.say_events(EVENTS[:at])
    with (
        pytest.raises(anthropic.APIStatusError, match="before its answer was complete"),
        native.messages.stream(model="gpt", max_tokens=20, messages=HI) as stream,
    ):
        stream.get_final_message()
    record = gateway.wait_record()
    assert (record.ending, record.error_code) == ("cut", "provider_cut")


@pytest.mark.parametrize(
    ("status", "kind", "raised"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (529, "overloaded_error", anthropic.InternalServerError),
    ],
)
def test_an_upstreams_error_keeps_its_status_and_type(
    native: Anthropic, fake: FakeAnthropic, status: int, kind: str, raised: type[anthropic.APIStatusError]
) -> None:
    fake.then(anthropic_error(status, kind, "No."))
    with pytest.raises(raised) as caught:
        native.messages.create(model="gpt", max_tokens=20, messages=HI)
    assert caught.value.status_code == status
    assert caught.value.body == {
        "type": "error",
        "error": {"type": kind, "message": "No."},
        "request_id": "req_011",
    }


def test_our_own_refusal_is_in_anthropics_shape(native: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        native.messages.create(model="nobody", max_tokens=20, messages=HI)
    body: Any = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "not_found_error")
    assert body["request_id"].startswith("call_")


def test_a_path_that_is_not_served_is_in_anthropics_shape(native: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        native.messages.batches.list()
    body: Any = caught.value.body
    assert body["error"]["type"] == "not_found_error"


def test_a_proxys_page_is_told_in_anthropics_shape(native: Anthropic, fake: FakeAnthropic) -> None:
    fake.then(answer("<h1>Bad gateway</h1>", 502, content_type="text/html"))
    with pytest.raises(anthropic.InternalServerError, match="Bad gateway") as caught:
        native.messages.create(model="gpt", max_tokens=20, messages=HI)
    body: Any = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "api_error")
