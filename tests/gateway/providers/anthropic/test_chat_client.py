"""OpenAI's own client against Anthropic's words: what it asks arrives in them, what Anthropic answers it reads."""

import base64
import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import OpenAI

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

ClientOf = Callable[[RunningGateway], OpenAI]
HI: Any = [{"role": "user", "content": "Hi"}]
PLACE = {"type": "object", "properties": {"at": {"type": "string"}}, "additionalProperties": False}
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "description": "How it is.", "parameters": PLACE}}]
PNG = base64.b64encode(b"\x89PNG").decode()
CALL = tool_use("weather", {"at": "Köln"})
CACHED = {
    "input_tokens": 4,
    "output_tokens": 7,
    "cache_read_input_tokens": 20,
    "cache_creation_input_tokens": 100,
    "output_tokens_details": {"thinking_tokens": 5},
}


def test_chat(client: OpenAI, gateway: RunningGateway, fake: FakeAnthropic) -> None:
    messages: Any = [{"role": "system", "content": "Be brief."}, {"role": "developer", "content": "Be kind."}, *HI]
    got = client.chat.completions.create(
        model="gpt",
        messages=messages,
        temperature=0.2,
        top_p=0.9,
        max_completion_tokens=50,
        stop=["END"],
        user="somebody",
    )
    assert got.choices[0].message.content == "Hello there."
    assert got.choices[0].finish_reason == "stop"
    assert got.model == "claude-sonnet-4-5-20250929"
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (9, 3, 12)
    assert fake.asked == {
        "model": "claude-sonnet-4-5",
        "messages": [{"role": "user", "content": [text("Hi")]}],
        "system": [text("Be brief."), text("Be kind.")],
        "max_tokens": 50,
        "temperature": 0.2,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "somebody"},
    }
    record = gateway.wait_record()
    assert (record.ending, record.input_tokens, record.output_tokens) == ("complete", 9, 3)
    assert (record.finish_reason, record.cost_nano_usd) == ("stop", 15_000)
    assert record.upstream_request_id == "req_011"


def test_stream(client: OpenAI, gateway: RunningGateway) -> None:
    chunks = list(client.chat.completions.create(model="gpt", messages=HI, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello there."
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(c.usage is None for c in chunks)
    record = gateway.wait_record()
    assert (record.ending, record.input_tokens, record.output_tokens) == ("complete", 9, 3)
    assert record.ttft_ms is not None


@pytest.mark.parametrize("stream", [False, True])
def test_usage_counts_the_whole_input(
    client: OpenAI, gateway: RunningGateway, fake: FakeAnthropic, stream: bool
) -> None:
    if stream:
        fake.say_events(message_events(text("Hi"), usage=CACHED))
    else:
        fake.say_whole(text("Hi"), usage=CACHED)
    options: Any = {"stream_options": {"include_usage": True}} if stream else {}
    got: Any = client.chat.completions.create(model="gpt", messages=HI, stream=stream, **options)
    told = list(got)[-1].usage if stream else got.usage
    assert (told.prompt_tokens, told.completion_tokens) == (124, 7)
    assert told.prompt_tokens_details.cached_tokens == 20
    record = gateway.wait_record()
    assert (record.input_tokens, record.cached_input_tokens, record.cache_write_tokens) == (124, 20, 100)


def test_tools_go_there_and_back(client: OpenAI, fake: FakeAnthropic) -> None:
    fake.say_whole(thinking("Hm."), text("I look."), CALL, tool_use("weather", {}, "toolu_02"), stop="tool_use")
    first = client.chat.completions.create(model="gpt", messages=HI, tools=TOOLS, tool_choice="required")
    said = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert said.content == "I look."
    one, two = said.tool_calls or []
    assert one.type == two.type == "function"
    assert (one.id, one.function.name) == ("toolu_01", "weather")
    assert json.loads(one.function.arguments) == {"at": "Köln"}
    assert fake.asked["tools"] == [{"name": "weather", "description": "How it is.", "input_schema": PLACE}]
    assert fake.asked["tool_choice"] == {"type": "any"}
    assert fake.asked["max_tokens"] == 4096
    again: Any = [
        *HI,
        said.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": one.id, "content": "blue"},
        {"role": "tool", "tool_call_id": two.id, "content": "rain"},
        {"role": "user", "content": "And?"},
    ]
    client.chat.completions.create(model="gpt", messages=again, tools=TOOLS)
    assert fake.asked["messages"][1]["content"] == [
        thinking("Hm."),
        text("I look."),
        CALL,
        tool_use("weather", {}, "toolu_02"),
    ]
    assert fake.asked["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "toolu_01", "content": [text("blue")]},
        {"type": "tool_result", "tool_use_id": "toolu_02", "content": [text("rain")]},
        text("And?"),
    ]


def test_streamed_tools(client: OpenAI, gateway: RunningGateway, fake: FakeAnthropic) -> None:
    blocks = (thinking("Hm, hm."), text("I look."), CALL, tool_use("now", {}, "toolu_02"))
    fake.say_events(message_events(*blocks, stop="tool_use"), split=7)
    arguments, thoughts, ids, kept = ["", ""], "", [], []
    for chunk in client.chat.completions.create(model="gpt", messages=HI, tools=TOOLS, stream=True):
        delta: Any = chunk.choices[0].delta
        thoughts += getattr(delta, "reasoning_content", None) or ""
        kept += (getattr(delta, "extra_content", None) or {}).get("anthropic", {}).get("thinking", [])
        for call in delta.tool_calls or ():
            ids += [call.id] if call.id else []
            arguments[call.index] += call.function.arguments
    assert [json.loads(one) for one in arguments] == [{"at": "Köln"}, {}]
    assert (ids, thoughts, kept) == (["toolu_01", "toolu_02"], "Hm, hm.", [thinking("Hm, hm.")])
    assert gateway.wait_record().finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("choice", "more", "told"),
    [
        ("none", {}, {"type": "none"}),
        ("auto", {}, {"type": "auto"}),
        ({"type": "function", "function": {"name": "weather"}}, {}, {"type": "tool", "name": "weather"}),
        ("required", {"parallel_tool_calls": False}, {"type": "any", "disable_parallel_tool_use": True}),
        (openai.omit, {"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
    ],
)
def test_tool_choice(client: OpenAI, fake: FakeAnthropic, choice: Any, more: Any, told: Any) -> None:
    client.chat.completions.create(model="gpt", messages=HI, tools=TOOLS, tool_choice=choice, **more)
    assert fake.asked["tool_choice"] == told


def test_images_and_files(client: OpenAI, fake: FakeAnthropic) -> None:
    parts: Any = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/a.jpg"}},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PNG}", "filename": "a.pdf"}},
    ]
    client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": parts}])
    pdf = {"type": "base64", "media_type": "application/pdf", "data": PNG}
    assert fake.asked["messages"][0]["content"] == [
        text("What is it?"),
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "image", "source": {"type": "url", "url": "https://pictures.example/a.jpg"}},
        {"type": "document", "source": pdf, "title": "a.pdf"},
    ]


def test_a_schema_and_an_effort(client: OpenAI, fake: FakeAnthropic) -> None:
    fake.say_whole(text('{"at": "Köln"}'))
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": PLACE, "strict": True}}
    got = client.chat.completions.create(model="gpt", messages=HI, response_format=wanted, reasoning_effort="low")
    assert json.loads(got.choices[0].message.content or "") == {"at": "Köln"}
    assert fake.asked["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": PLACE}}
    extra: Any = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    client.chat.completions.create(model="gpt", messages=HI, extra_body=extra)
    assert fake.asked["thinking"] == extra["thinking"]
    client.chat.completions.create(model="gpt", messages=HI, reasoning_effort="none")
    assert fake.asked["thinking"] == {"type": "disabled"}


@pytest.mark.parametrize(
    ("stop", "told"),
    [("max_tokens", "length"), ("stop_sequence", "stop"), ("refusal", "content_filter"), ("pause_turn", "stop")],
)
def test_why_it_ended(client: OpenAI, fake: FakeAnthropic, stop: str, told: str) -> None:
    fake.say_whole(text("Hi"), stop=stop)
    got = client.chat.completions.create(model="gpt", messages=HI)
    assert got.choices[0].finish_reason == told


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"temperature": 1.5}, "temperature"),
        ({"seed": 7}, "seed"),
        ({"logprobs": True}, "logprobs"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "system", "content": "a"}]}, "messages"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(
    client: OpenAI, fake: FakeAnthropic, fields: dict[str, Any], param: str
) -> None:
    given: Any = {"model": "gpt", "messages": HI, **fields}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**given)
    assert (caught.value.param, caught.value.code) == (param, "unsupported_field")
    assert fake.received == []


# Errors.


def test_a_bad_request_keeps_its_status(client: OpenAI, fake: FakeAnthropic) -> None:
    fake.then(anthropic_error(400, "invalid_request_error", "prompt is too long"))
    with pytest.raises(openai.BadRequestError, match="prompt is too long") as caught:
        client.chat.completions.create(model="gpt", messages=HI)
    assert caught.value.code == "invalid_request_error"


def test_a_limit_says_when_to_try_again(client: OpenAI, fake: FakeAnthropic) -> None:
    fake.then(anthropic_error(429, "rate_limit_error", "Slow down.", [("retry-after", "34")]))
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="gpt", messages=HI, stream=True)
    assert caught.value.response.headers["retry-after"] == "34"


def test_an_overloaded_upstream(client: OpenAI, fake: FakeAnthropic) -> None:
    fake.then(anthropic_error(529, "overloaded_error", "Overloaded"))
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="gpt", messages=HI)
    assert caught.value.status_code == 529


def test_a_bad_key_is_our_fault_not_the_clients(client_of: ClientOf, fake: FakeAnthropic, tmp_path: Any) -> None:
    with RunningGateway(fake.snapshot(), tmp_path, environ={"ANTHROPIC_API_KEY": "wrong"}) as gateway:
        client = client_of(gateway)
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="gpt", messages=HI)
    assert (caught.value.status_code, caught.value.code) == (502, "provider_auth")


# Cuts.

WHOLE = message_events(text("Hello"), CALL, stop="tool_use")


@pytest.mark.parametrize("events", range(len(WHOLE)))
@pytest.mark.parametrize("end", [FIN, RST], ids=["fin", "rst"])
def test_a_cut_after_any_event_is_a_cut(
    client: OpenAI, gateway: RunningGateway, fake: FakeAnthropic, events: int, end: Any
) -> None:
    fake.say_events(WHOLE[:events], end=end)
    with pytest.raises((openai.APIError, openai.APIConnectionError)):
        list(client.chat.completions.create(model="gpt", messages=HI, stream=True))
    assert gateway.wait_record().error_code in ("provider_cut", "provider_unreachable")


def test_an_error_in_the_middle(client: OpenAI, gateway: RunningGateway, fake: FakeAnthropic) -> None:
    broken = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    fake.say_events([*WHOLE[:5], named(broken)])
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(client.chat.completions.create(model="gpt", messages=HI, stream=True))
    assert gateway.wait_record().finish_reason is None
