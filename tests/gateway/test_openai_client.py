"""OpenAI's own client, sync, against both doors: what it sends arrives, what it is sent it understands."""

import base64
import struct
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.gateway import RunningGateway
from tests.support.upstream import Received, ScriptedUpstream
from tests.support.wire import DONE, Step, answer, chat, chat_events, chunk, event, stream, usage_of

HI: Any = [{"role": "user", "content": "Hi"}]
PLACE = {"type": "object", "properties": {"at": {"type": "string"}}}
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": PLACE}}]


@pytest.fixture(params=["raw", "asgi"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key="sk-test", max_retries=0, timeout=5) as client:
        yield client


def test_chat(client: OpenAI, gateway: RunningGateway) -> None:
    answer = client.chat.completions.create(model="gpt", messages=HI, temperature=0.2)
    assert answer.choices[0].message.content == "Hello there."
    assert answer.usage is not None
    assert answer.usage.total_tokens == 12
    assert gateway.wait_record().ending == "complete"


def test_stream(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="gpt", messages=HI, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello there."
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(c.usage is None for c in chunks)


def test_stream_with_usage(client: OpenAI, upstream: ScriptedUpstream) -> None:
    options: Any = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="gpt", messages=HI, stream=True, stream_options=options))
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == 9
    assert upstream.last.json["stream_options"] == {"include_usage": True}


def test_usage_is_counted_though_nobody_asked(
    client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream
) -> None:
    list(client.chat.completions.create(model="gpt", messages=HI, stream=True))
    assert upstream.last.json["stream_options"] == {"include_usage": True}
    record = gateway.wait_record()
    assert (record.input_tokens, record.output_tokens) == (9, 3)


# Tools.


def test_tools_pass_through(client: OpenAI, upstream: ScriptedUpstream) -> None:
    calls = [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"at":"Köln"}'}}]
    body = chat()
    body["choices"][0] |= {
        "message": {"role": "assistant", "content": None, "tool_calls": calls},
        "finish_reason": "tool_calls",
    }
    upstream.say(answer(body))
    choice: Any = {"type": "function", "function": {"name": "weather"}}
    got = client.chat.completions.create(
        model="gpt", messages=HI, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False
    )
    assert (got.choices[0].message.tool_calls or [])[0].to_dict() == calls[0]
    assert upstream.last.json["tools"] == TOOLS
    assert (upstream.last.json["tool_choice"], upstream.last.json["parallel_tool_calls"]) == (choice, False)


def test_streamed_tool_calls_pass_through(client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    parts = ['{"at"', ':"Kö', 'ln"}']
    events = [event(chunk([{"index": 0, "delta": {"role": "assistant", "tool_calls": [first]}}]))]
    for part in parts:
        delta = {"tool_calls": [{"index": 0, "function": {"arguments": part}}]}
        events.append(event(chunk([{"index": 0, "delta": delta, "finish_reason": None}])))
    events += [event(chunk([{"index": 0, "delta": {}, "finish_reason": "tool_calls"}])), DONE]
    upstream.say(stream(events, split=5))
    arguments = ""
    for got in client.chat.completions.create(model="gpt", messages=HI, tools=TOOLS, stream=True):
        for call in got.choices[0].delta.tool_calls or []:
            arguments += (call.function and call.function.arguments) or ""
    assert arguments == '{"at":"Köln"}'
    record = gateway.wait_record()
    assert record.finish_reason == "tool_calls"
    assert record.ttft_ms is not None


# The other fields and endpoints.


def test_json_mode_n_and_logprobs_pass_through(client: OpenAI, upstream: ScriptedUpstream) -> None:
    logprobs = {"content": [{"token": "Hi", "logprob": -0.25, "bytes": [72, 105], "top_logprobs": []}], "refusal": None}
    body = chat('{"a": 1}', n=3)
    body["choices"][1]["logprobs"] = logprobs
    upstream.say(answer(body))
    got = client.chat.completions.create(
        model="gpt", messages=HI, n=3, logprobs=True, top_logprobs=2, response_format={"type": "json_object"}, seed=7
    )
    assert [choice.index for choice in got.choices] == [0, 1, 2]
    assert got.choices[1].logprobs is not None
    assert got.choices[1].logprobs.to_dict() == logprobs
    sent = upstream.last.json
    assert (sent["n"], sent["logprobs"], sent["top_logprobs"], sent["seed"]) == (3, True, 2, 7)
    assert sent["response_format"] == {"type": "json_object"}


def test_a_stream_of_several_choices(client: OpenAI) -> None:
    seen: dict[int, str] = {}
    for got in client.chat.completions.create(model="gpt", messages=HI, n=3, stream=True):
        for choice in got.choices:
            seen[choice.index] = seen.get(choice.index, "") + (choice.delta.content or "")
    assert seen == {0: "Hello there.", 1: "Hello there.", 2: "Hello there."}


def test_fields_that_nobody_knows_pass_through(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.say(answer(chat(shiny={"new": [1.5, None]})))
    got = client.chat.completions.create(model="gpt", messages=HI, extra_body={"guided_json": {"a": "é"}, "top_k": 4})
    assert got.model_extra is not None
    assert got.model_extra["shiny"] == {"new": [1.5, None]}
    assert (upstream.last.json["guided_json"], upstream.last.json["top_k"]) == ({"a": "é"}, 4)


def test_embeddings_as_numbers_and_as_bytes(client: OpenAI, upstream: ScriptedUpstream) -> None:
    got = client.embeddings.create(model="embed", input=["a", "b"], encoding_format="float", dimensions=2)
    assert got.data[0].embedding == [0.5, -0.25]
    assert upstream.last.json == {
        "model": "up-model", "input": ["a", "b"], "encoding_format": "float", "dimensions": 2,
    }  # fmt: skip
    packed = base64.b64encode(struct.pack("<2f", 0.5, -0.25)).decode()
    data = [{"object": "embedding", "index": 0, "embedding": packed}]
    upstream.say(answer({"object": "list", "data": data, "model": "m", "usage": usage_of(1, None)}))
    assert list(client.embeddings.create(model="embed", input="a").data[0].embedding) == [0.5, -0.25]
    assert upstream.last.json["encoding_format"] == "base64"


def test_completions(client: OpenAI) -> None:
    assert client.completions.create(model="gpt", prompt="Once").choices[0].text == "Hello there."


def test_streamed_completions(client: OpenAI, upstream: ScriptedUpstream) -> None:
    parts = [event({"id": "c", "object": "text_completion", "choices": [{"index": 0, "text": t}]}) for t in ("a", "b")]
    last = event(
        {"id": "c", "object": "text_completion", "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}
    )
    upstream.say(stream([*parts, last, DONE]))
    got = client.completions.create(model="gpt", prompt="Once", stream=True)
    assert "".join(c.choices[0].text for c in got) == "ab"


def test_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()][:2] == ["gpt", "embed"]
    assert client.models.retrieve("gpt").owned_by == "tidegate"
    assert client.models.retrieve("prompt:greeting").id == "prompt:greeting"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nothing")


def test_a_prompt_by_name(client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="prompt:greeting", messages=[], extra_body={"variables": {"name": "Ada"}}
    )
    assert raw.headers["x-tidegate-version"] == "greeting@2.0.0"
    assert raw.headers["x-request-id"] == gateway.wait_record().call_id
    assert raw.parse().choices[0].message.content == "Hello there."
    assert upstream.last.json["messages"][-1]["content"] == "Greet Ada warmly"


def test_the_request_id_is_the_clients_own_property(client: OpenAI, gateway: RunningGateway) -> None:
    got = client.chat.completions.create(model="gpt", messages=HI)
    assert got._request_id == gateway.wait_record().call_id


def test_the_streaming_helper_understands_it(client: OpenAI) -> None:
    with client.chat.completions.stream(model="gpt", messages=HI) as helper:
        final = helper.get_final_completion()
    assert final.choices[0].message.content == "Hello there."


def slowly(_: Received) -> tuple[Step, ...]:
    return stream(chat_events(), pace_s=0.02)


def test_leaving_a_stream_stops_the_upstream(
    client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream
) -> None:
    upstream.respond = lambda _: stream(chat_events(["word "] * 500), pace_s=0.02)
    with client.chat.completions.create(model="gpt", messages=HI, stream=True) as chunks:
        for number, _ in enumerate(chunks):
            if number == 3:
                break
    assert upstream.last.hung_up.wait(10)
    assert gateway.wait_record().ending == "cancelled"


def test_reading_to_done_is_no_departure(client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.respond = slowly
    for _ in range(5):
        list(client.chat.completions.create(model="gpt", messages=HI, stream=True))
    assert {record.ending for record in gateway.wait_records(5)} == {"complete"}
