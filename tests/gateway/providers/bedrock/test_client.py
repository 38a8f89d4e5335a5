"""OpenAI's own client against Bedrock's Converse API: signed, translated, streamed, refused, cut."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.bedrock_fake import FakeBedrock, converse_events, framed, message
from tests.support.gateway import RunningGateway
from tests.support.wire import answer

ClientOf = Callable[[RunningGateway], OpenAI]
HI: Any = [{"role": "user", "content": "Hi"}]
PLACE = {"type": "object", "properties": {"at": {"type": "string"}}}
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "description": "How it is.", "parameters": PLACE}}]
PNG = base64.b64encode(b"\x89PNG").decode()
USE = {"toolUseId": "tooluse_1", "name": "weather", "input": {"at": "Köln"}}


def test_chat(client: OpenAI, gateway: RunningGateway, fake: FakeBedrock) -> None:
    messages: Any = [{"role": "system", "content": "Be brief."}, *HI]
    got = client.chat.completions.create(
        model="gpt",
        messages=messages,
        temperature=0.2,
        top_p=0.9,
        max_tokens=50,
        stop="END",
        user="somebody",
        extra_body={"top_k": 40, "additionalModelRequestFields": {"thinking": {"type": "disabled"}}},
    )
    assert got.choices[0].message.content == "Hello there."
    assert got.choices[0].finish_reason == "stop"
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (9, 3)
    assert fake.last.path == "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    assert fake.asked == {
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "system": [{"text": "Be brief."}],
        "inferenceConfig": {"maxTokens": 50, "temperature": 0.2, "topP": 0.9, "stopSequences": ["END"]},
        "additionalModelRequestFields": {"top_k": 40, "thinking": {"type": "disabled"}},
    }
    record = gateway.wait_record()
    assert (record.input_tokens, record.output_tokens, record.finish_reason) == (9, 3, "stop")
    assert record.upstream_request_id == "req-7"


def test_stream(client: OpenAI, gateway: RunningGateway) -> None:
    chunks = list(client.chat.completions.create(model="gpt", messages=HI, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello there."
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(c.usage is None for c in chunks)
    record = gateway.wait_record()
    assert (record.ending, record.input_tokens, record.output_tokens) == ("complete", 9, 3)
    assert (record.ttft_ms is not None, record.upstream_request_id) == (True, "req-7")


def test_what_the_cache_took_and_gave_counts_as_input(
    client: OpenAI, gateway: RunningGateway, fake: FakeBedrock
) -> None:
    usage = {"inputTokens": 9, "outputTokens": 3, "totalTokens": 12} | {
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 20,
    }
    fake.then(framed(b"".join(converse_events([{"text": "Hi"}], usage=usage))))
    options: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="gpt", messages=HI, stream=True, stream_options=options))
    told = chunks[-1].usage
    assert told is not None
    assert told.prompt_tokens == 129
    assert told.prompt_tokens_details is not None
    assert told.prompt_tokens_details.cached_tokens == 100
    record = gateway.wait_record()
    assert (record.input_tokens, record.cached_input_tokens, record.output_tokens) == (129, 100, 3)


def test_a_bearer_key(client_of: ClientOf, tmp_path: Path) -> None:
    with (
        FakeBedrock(bearer="ABSK-1") as fake,
        RunningGateway(fake.snapshot(), tmp_path, environ=fake.environ) as gateway,
    ):
        client = client_of(gateway)
        assert client.chat.completions.create(model="gpt", messages=HI).choices[0].message.content == "Hello there."
        assert "x-amz-date" not in fake.last.headers


def test_tools_go_there_and_back(client: OpenAI, fake: FakeBedrock) -> None:
    fake.then(answer(message({"text": "Let me look."}, {"toolUse": USE}, stop="tool_use")))
    first = client.chat.completions.create(model="gpt", messages=HI, tools=TOOLS, tool_choice="required")
    said = first.choices[0].message
    assert (first.choices[0].finish_reason, said.content) == ("tool_calls", "Let me look.")
    [call] = said.tool_calls or []
    assert call.type == "function"
    assert (call.id, json.loads(call.function.arguments)) == ("tooluse_1", {"at": "Köln"})
    spec = {"name": "weather", "description": "How it is.", "inputSchema": {"json": PLACE}}
    assert fake.asked["toolConfig"] == {"tools": [{"toolSpec": spec}], "toolChoice": {"any": {}}}
    again: Any = [
        *HI,
        said.model_dump(),
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
        {"role": "user", "content": "And?"},
    ]
    client.chat.completions.create(model="gpt", messages=again, tools=TOOLS)
    assert fake.asked["messages"][1:] == [
        {"role": "assistant", "content": [{"text": "Let me look."}, {"toolUse": USE}]},
        {
            "role": "user",
            "content": [{"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "rain"}]}}, {"text": "And?"}],
        },
    ]


def test_streamed_tools_and_reasoning(client: OpenAI, gateway: RunningGateway, fake: FakeBedrock) -> None:
    signed = {"reasoningText": {"text": "hmm, weather", "signature": "c2ln"}}
    start = {"start": {"toolUse": {"toolUseId": "tooluse_1", "name": "weather"}}}
    inputs = [{"toolUse": {"input": part}} for part in ("", '{"at":', ' "Köln"}')]
    thoughts = [{"reasoningContent": one} for one in ({"text": "hmm, "}, {"text": "weather"}, {"signature": "c2ln"})]
    other = {"start": {"toolUse": {"toolUseId": "tooluse_2", "name": "weather"}}}
    frames = converse_events(thoughts, [start, *inputs], [other, {"toolUse": {"input": "{}"}}], stop="tool_use")
    fake.then(framed(b"".join(frames), split=11))
    arguments: dict[int, str] = {}
    heard, reasoning = "", []
    for chunk in client.chat.completions.create(model="gpt", messages=HI, tools=TOOLS, stream=True):
        delta: Any = chunk.choices[0].delta
        heard += getattr(delta, "reasoning_content", None) or ""
        reasoning += (getattr(delta, "extra_content", None) or {}).get("bedrock", {}).get("reasoning", [])
        for call in delta.tool_calls or []:
            arguments[call.index] = arguments.get(call.index, "") + call.function.arguments
    assert {index: json.loads(text) for index, text in arguments.items()} == {0: {"at": "Köln"}, 1: {}}
    assert (heard, reasoning) == ("hmm, weather", [signed])
    assert gateway.wait_record().finish_reason == "tool_calls"
    sent: Any = {"role": "assistant", "content": "Rain.", "extra_content": {"bedrock": {"reasoning": reasoning}}}
    client.chat.completions.create(model="gpt", messages=[*HI, sent, *HI])
    assert fake.asked["messages"][1]["content"] == [{"reasoningContent": signed}, {"text": "Rain."}]


def test_images_documents_and_cache_points(client: OpenAI, fake: FakeBedrock) -> None:
    parts = [
        {"type": "text", "text": "What is it?", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": {"url": "s3://bucket/a.jpg"}},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PNG}", "filename": "my_bill.pdf"}},
    ]
    messages: Any = [{"role": "user", "content": parts}]
    client.chat.completions.create(model="gpt", messages=messages)
    assert fake.asked["messages"][0]["content"] == [
        {"text": "What is it?"},
        {"cachePoint": {"type": "default"}},
        {"image": {"format": "png", "source": {"bytes": PNG}}},
        {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/a.jpg"}}}},
        {"document": {"format": "pdf", "name": "my bill pdf", "source": {"bytes": PNG}}},
    ]


def test_json_schema_and_effort(client: OpenAI, fake: FakeBedrock) -> None:
    schema: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": PLACE}}
    client.chat.completions.create(model="gpt", messages=HI, response_format=schema, reasoning_effort="low")
    output = fake.asked["outputConfig"]
    assert output["effort"] == "low"
    assert json.loads(output["textFormat"]["structure"]["jsonSchema"].pop("schema")) == PLACE
    assert output["textFormat"]["structure"] == {"jsonSchema": {"name": "place"}}


def test_converses_own_words_go_with_it(client: OpenAI, fake: FakeBedrock) -> None:
    own: Any = {
        "guardrailConfig": {"guardrailIdentifier": "gr1abcdefghij", "guardrailVersion": "1"},
        "performanceConfig": {"latency": "optimized"},
        "requestMetadata": {"team": "blue"},
    }
    client.chat.completions.create(model="gpt", messages=HI, extra_body=own, service_tier="flex")
    assert {name: fake.asked[name] for name in own} == own
    assert fake.asked["serviceTier"] == {"type": "flex"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"seed": 7}, "seed"),
        ({"n": 2}, "n"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"reasoning_effort": "none"}, "reasoning_effort"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]}
                ]
            },
            "messages[0].content[0].image_url.url",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(client: OpenAI, fake: FakeBedrock, fields: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**({"model": "gpt", "messages": HI} | fields))
    assert caught.value.param == param
    assert fake.received == []


def test_fields_that_ask_for_nothing_are_let_through(client: OpenAI) -> None:
    client.chat.completions.create(
        model="gpt", messages=HI, n=1, presence_penalty=0, logprobs=False, parallel_tool_calls=True, service_tier="auto"
    )


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
    ],
)
def test_finish_reasons(client: OpenAI, fake: FakeBedrock, stop: str, finish: str) -> None:
    fake.then(answer(message({"text": "x"}, stop=stop)))
    choice: Any = client.chat.completions.create(model="gpt", messages=HI).choices[0]
    assert (choice.finish_reason, choice.native_finish_reason) == (finish, stop)
