"""OpenAI's own client against Gemini's words: what it asks arrives in Google's fields, what Google answers it reads."""

import base64
import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.gateway import RunningGateway
from tests.support.gemini_fake import FakeGemini, candidate, generated

ClientOf = Callable[[RunningGateway], OpenAI]
HI: Any = [{"role": "user", "content": "Hi"}]
PLACE = {"type": "object", "properties": {"at": {"type": "string"}}, "additionalProperties": False}
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "description": "How it is.", "parameters": PLACE}}]
PNG = base64.b64encode(b"\x89PNG").decode()
CALL = {"functionCall": {"name": "weather", "args": {"at": "Köln"}}}


def test_chat(client: OpenAI, gateway: RunningGateway, fake: FakeGemini) -> None:
    messages: Any = [{"role": "system", "content": "Be brief."}, *HI]
    got = client.chat.completions.create(
        model="gpt",
        messages=messages,
        temperature=0.2,
        top_p=0.9,
        max_completion_tokens=50,
        stop=["END"],
        seed=7,
        presence_penalty=0.5,
        frequency_penalty=0.25,
        user="somebody",
    )
    assert got.choices[0].message.content == "Hello there."
    assert got.choices[0].finish_reason == "stop"
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (9, 3, 12)
    assert fake.asked == {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {
            "temperature": 0.2,
            "topP": 0.9,
            "maxOutputTokens": 50,
            "stopSequences": ["END"],
            "seed": 7,
            "presencePenalty": 0.5,
            "frequencyPenalty": 0.25,
        },
    }
    record = gateway.wait_record()
    assert (record.ending, record.input_tokens, record.output_tokens) == ("complete", 9, 3)
    assert (record.finish_reason, record.cost_nano_usd) == ("stop", 15_000)


def test_stream(client: OpenAI, gateway: RunningGateway) -> None:
    chunks = list(client.chat.completions.create(model="gpt", messages=HI, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello there."
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(c.usage is None for c in chunks)
    record = gateway.wait_record()
    assert (record.ending, record.input_tokens, record.output_tokens) == ("complete", 9, 3)
    assert record.ttft_ms is not None


def test_stream_with_usage(client: OpenAI, fake: FakeGemini) -> None:
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 5, "cachedContentTokenCount": 4}
    fake.say_events(generated(candidate({"text": "Hi"}), usage=usage))
    options: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="gpt", messages=HI, stream=True, stream_options=options))
    assert chunks[-1].choices == []
    told = chunks[-1].usage
    assert told is not None
    assert (told.prompt_tokens, told.completion_tokens) == (9, 7)
    assert told.prompt_tokens_details is not None
    assert told.prompt_tokens_details.cached_tokens == 4
    assert told.completion_tokens_details is not None
    assert told.completion_tokens_details.reasoning_tokens == 5


def test_tools_go_there_and_back(client: OpenAI, fake: FakeGemini) -> None:
    fake.say_whole(candidate({**CALL, "thoughtSignature": "c2ln"}, CALL))
    first = client.chat.completions.create(model="gpt", messages=HI, tools=TOOLS, tool_choice="required")
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    one, two = message.tool_calls or []
    assert one.type == two.type == "function"
    assert one.function.name == "weather"
    assert json.loads(one.function.arguments) == {"at": "Köln"}
    assert one.id != two.id
    declared = {"name": "weather", "description": "How it is.", "parametersJsonSchema": PLACE}
    assert fake.asked["tools"] == [{"functionDeclarations": [declared]}]
    assert fake.asked["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
    again: Any = [
        *HI,
        message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": one.id, "content": '{"sky": "blue"}'},
        {"role": "tool", "tool_call_id": two.id, "content": "rain"},
    ]
    client.chat.completions.create(model="gpt", messages=again, tools=TOOLS)
    assert fake.asked["contents"][1] == {"role": "model", "parts": [{**CALL, "thoughtSignature": "c2ln"}, CALL]}
    assert fake.asked["contents"][2]["parts"] == [
        {"functionResponse": {"name": "weather", "response": {"sky": "blue"}}},
        {"functionResponse": {"name": "weather", "response": {"output": "rain"}}},
    ]


def test_streamed_tools(client: OpenAI, gateway: RunningGateway, fake: FakeGemini) -> None:
    signed = {**CALL, "thoughtSignature": "c2ln"}
    fake.say_events(
        generated(candidate({"text": "thinking", "thought": True}, finish=None), usage={}),
        generated(candidate(signed, finish=None), usage={}),
        generated(candidate(CALL)),
        split=7,
    )
    calls: list[Any] = []
    thoughts = ""
    for chunk in client.chat.completions.create(model="gpt", messages=HI, tools=TOOLS, stream=True):
        delta: Any = chunk.choices[0].delta
        calls.extend(delta.tool_calls or [])
        thoughts += getattr(delta, "reasoning_content", None) or ""
    assert [call.index for call in calls] == [0, 1]
    assert thoughts == "thinking"
    assert calls[0].extra_content == {"google": {"thought_signature": "c2ln"}}
    assert json.loads(calls[1].function.arguments) == {"at": "Köln"}
    assert gateway.wait_record().finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("choice", "mode"),
    [
        ("none", {"mode": "NONE"}),
        ("auto", {"mode": "AUTO"}),
        ({"type": "function", "function": {"name": "weather"}}, {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
    ],
)
def test_tool_choice(client: OpenAI, fake: FakeGemini, choice: Any, mode: Any) -> None:
    client.chat.completions.create(model="gpt", messages=HI, tools=TOOLS, tool_choice=choice)
    assert fake.asked["toolConfig"] == {"functionCallingConfig": mode}


def test_a_history_that_another_model_made_is_marked_for_gemini_3(
    client_of: ClientOf, fake: FakeGemini, tmp_path: Any
) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    messages: Any = [
        *HI,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
    snapshot = fake.snapshot(upstream_model="gemini-3-pro")
    with RunningGateway(snapshot, tmp_path, environ=fake.environ) as gateway:
        client = client_of(gateway)
        client.chat.completions.create(model="gpt", messages=messages, reasoning_effort="low")
    [part] = fake.asked["contents"][1]["parts"]
    assert part["thoughtSignature"] == "skip_thought_signature_validator"
    assert fake.asked["generationConfig"] == {"thinkingConfig": {"thinkingLevel": "LOW"}}


def test_images_files_and_sound(client: OpenAI, fake: FakeGemini) -> None:
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/a.jpg?x=1"}},
        {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PNG}", "filename": "a.pdf"}},
    ]
    messages: Any = [{"role": "user", "content": parts}]
    client.chat.completions.create(model="gpt", messages=messages)
    assert fake.asked["contents"][0]["parts"] == [
        {"text": "What is it?"},
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://pictures.example/a.jpg?x=1"}},
        {"inlineData": {"mimeType": "audio/wav", "data": PNG}},
        {"inlineData": {"mimeType": "application/pdf", "data": PNG}},
    ]


def test_json_schema_n_and_logprobs(client: OpenAI, fake: FakeGemini) -> None:
    said = {"token": "é", "tokenId": 5, "logProbability": -0.25}
    logprobs = {"chosenCandidates": [said], "topCandidates": [{"candidates": [said]}]}
    fake.say_whole(candidate({"text": "{}"}, logprobsResult=logprobs), candidate({"text": "[]"}, index=1))
    schema: Any = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": PLACE}}
    got = client.chat.completions.create(
        model="gpt", messages=HI, response_format=schema, n=2, logprobs=True, top_logprobs=1
    )
    assert [choice.message.content for choice in got.choices] == ["{}", "[]"]
    found = got.choices[0].logprobs
    assert found is not None
    assert found.content is not None
    assert (found.content[0].token, found.content[0].logprob) == ("é", -0.25)
    assert found.content[0].top_logprobs[0].bytes == [195, 169]
    assert fake.asked["generationConfig"] == {
        "candidateCount": 2,
        "responseLogprobs": True,
        "logprobs": 1,
        "responseMimeType": "application/json",
        "responseJsonSchema": PLACE,
    }


def test_googles_own_words_go_with_it(client: OpenAI, fake: FakeGemini) -> None:
    thinking = {"thinking_budget": 100, "include_thoughts": True}
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    google = {"google": {"thinking_config": thinking, "cached_content": "cachedContents/1"}}
    client.chat.completions.create(
        model="gpt", messages=HI, extra_body={"extra_body": google, "safety_settings": safety, "top_k": 40}
    )
    assert fake.asked["safetySettings"] == safety
    assert fake.asked["cachedContent"] == "cachedContents/1"
    thought = {"thinkingBudget": 100, "includeThoughts": True}
    assert fake.asked["generationConfig"] == {"topK": 40, "thinkingConfig": thought}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"extra_body": {"anything": 1}}, "anything"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"reasoning_effort": "xhigh"}, "reasoning_effort"),
        ({"messages": [{"role": "tool", "tool_call_id": "x", "content": "a"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"tools": [{"type": "custom", "custom": {"name": "a"}}]}, "tools[0]"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(client: OpenAI, fake: FakeGemini, fields: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**({"model": "gpt", "messages": HI} | fields))
    assert caught.value.param == param
    assert fake.received == []
