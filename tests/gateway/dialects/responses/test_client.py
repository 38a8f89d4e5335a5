"""OpenAI's own client asks for responses where the upstream has none: they are made of chat.completions."""

import base64
import json
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.gateway import RunningGateway
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import DONE, FIN, RST, answer, chat, chunk, error, event, stream, usage_of

PLACE: Any = {"type": "object", "properties": {"at": {"type": "string"}}, "additionalProperties": False}
TOOLS: Any = [{"type": "function", "name": "weather", "description": "How it is.", "parameters": PLACE, "strict": True}]
PICTURE = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()


def called(call_id: str, arguments: str, index: int | None = None) -> dict[str, Any]:
    """A call in the words of chat."""
    at = {} if index is None else {"index": index}
    return {**at, "id": call_id, "type": "function", "function": {"name": "weather", "arguments": arguments}}


def told(finish: str = "stop", **message: Any) -> dict[str, Any]:
    """A whole answer with this message."""
    body = chat(usage=usage_of(9, 3, 4))
    said = {"role": "assistant", "content": None, **message}
    body["choices"] = [{"index": 0, "message": said, "finish_reason": finish}]
    return body


def test_whole(client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    body = told(content="Hello there.")
    body["usage"]["completion_tokens_details"] = {"reasoning_tokens": 2}
    upstream.say(answer(body))
    got = client.responses.create(
        model="gpt",
        instructions="Be brief.",
        input="Hi",
        max_output_tokens=50,
        temperature=0.5,
        top_p=0.9,
        store=False,
        user="somebody",
        metadata={"a": "b"},
        reasoning={"effort": "low"},
    )
    assert got.output_text == "Hello there."
    assert (got.status, got.error, got.incomplete_details) == ("completed", None, None)
    assert (got.instructions, got.max_output_tokens, got.metadata, got.temperature) == (
        "Be brief.",
        50,
        {"a": "b"},
        0.5,
    )
    assert got.usage is not None
    assert (got.usage.input_tokens, got.usage.output_tokens, got.usage.total_tokens) == (9, 3, 12)
    assert (got.usage.input_tokens_details.cached_tokens, got.usage.output_tokens_details.reasoning_tokens) == (4, 2)
    assert upstream.last.path == "/v1/chat/completions"
    assert upstream.last.json == {
        "model": "up-model",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "max_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "somebody",
        "reasoning_effort": "low",
    }
    record = gateway.wait_record()
    assert (record.endpoint, record.ending, record.finish_reason) == ("responses", "complete", "stop")
    assert (record.input_tokens, record.output_tokens, record.cached_input_tokens) == (9, 3, 4)


def test_functions_go_there_and_back(client: OpenAI, upstream: ScriptedUpstream) -> None:
    calls = [called("call_1", '{"at":"Köln"}'), called("call_2", "{}")]
    upstream.say(answer(told("tool_calls", content="I look.", tool_calls=calls, reasoning_content="Hm.")))
    choice: Any = {"type": "function", "name": "weather"}
    first = client.responses.create(model="gpt", input="Hi", tools=TOOLS, tool_choice=choice, parallel_tool_calls=False)
    assert [item.type for item in first.output] == ["reasoning", "message", "function_call", "function_call"]
    one, two = first.output[2:]
    assert one.type == two.type == "function_call"
    assert (one.call_id, one.name, json.loads(one.arguments)) == ("call_1", "weather", {"at": "Köln"})
    asked = upstream.last.json
    function = {"name": "weather", "description": "How it is.", "parameters": PLACE, "strict": True}
    assert asked["tools"] == [{"type": "function", "function": function}]
    assert asked["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert asked["parallel_tool_calls"] is False
    shown: Any = [{"type": "input_text", "text": "blue"}, {"type": "input_image", "image_url": PICTURE}]
    again: Any = [
        {"role": "user", "content": "Hi"},
        *(item.model_dump(exclude_none=True) for item in first.output),
        {"type": "function_call_output", "call_id": "call_1", "output": shown},
        {"type": "function_call_output", "call_id": "call_2", "output": "rain"},
        {"role": "developer", "content": [{"type": "input_text", "text": "Go on."}]},
    ]
    client.responses.create(model="gpt", input=again, tools=TOOLS)
    assert upstream.last.json["messages"] == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "I look.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": "blue"},
        {"role": "tool", "tool_call_id": "call_2", "content": "rain"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]},
        {"role": "system", "content": "Go on."},
    ]


def test_images_files_and_a_schema(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.say(answer(told(content='{"at": "Köln"}')))
    content: Any = [
        {"type": "input_text", "text": "Where?"},
        {"type": "input_image", "image_url": "https://pictures.example/a.png", "detail": "low"},
        {"type": "input_file", "file_data": PICTURE, "filename": "a.png"},
    ]
    wanted: Any = {"format": {"type": "json_schema", "name": "place", "schema": PLACE, "strict": True}}
    got = client.responses.create(model="gpt", input=[{"role": "user", "content": content}], text=wanted)
    assert json.loads(got.output_text) == {"at": "Köln"}
    asked = upstream.last.json
    assert asked["messages"][0]["content"] == [
        {"type": "text", "text": "Where?"},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png", "detail": "low"}},
        {"type": "file", "file": {"file_data": PICTURE, "filename": "a.png"}},
    ]
    schema = {"name": "place", "schema": PLACE, "strict": True}
    assert asked["response_format"] == {"type": "json_schema", "json_schema": schema}


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_is_incomplete(client: OpenAI, upstream: ScriptedUpstream, finish: str, reason: str) -> None:
    upstream.say(answer(told(finish, content="Hel")))
    got = client.responses.create(model="gpt", input="Hi")
    assert got.incomplete_details is not None
    assert (got.status, got.incomplete_details.reason) == ("incomplete", reason)


def test_the_call_that_was_cut_short_is_incomplete(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.say(answer(told("length", content="I look.", tool_calls=[called("c", '{"at": "K')])))
    got = client.responses.create(model="gpt", input="Hi", tools=TOOLS)
    statuses = [item.status for item in got.output if item.type in ("message", "function_call")]
    assert statuses == ["completed", "incomplete"]


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_thoughts_under_either_name(client: OpenAI, upstream: ScriptedUpstream, field: str) -> None:
    upstream.say(answer(told(**{field: "Hm.", "content": "Hi."})))
    got: Any = client.responses.create(model="gpt", input="Hi")
    assert [item.type for item in got.output] == ["reasoning", "message"]
    assert got.output[0].content[0].text == "Hm."


def test_what_asks_for_nothing_here_is_let_through(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.say(answer(told(content="Hi.")))
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    made = {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}", "caller": {"type": "direct"}}
    turns: Any = [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi", **mark}]},
        {**made, "namespace": None},
        {"type": "function_call_output", "call_id": "c", "output": "Fine.", "caller": {"type": "direct"}},
    ]
    client.responses.create(model="gpt", input=turns, max_tool_calls=3)
    assert upstream.last.json.keys() == {"model", "messages"}
    assert [one["role"] for one in upstream.last.json["messages"]] == ["user", "assistant", "tool"]


def test_a_refusal(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.say(answer(told(refusal="I won't.")))
    [item] = client.responses.create(model="gpt", input="Hi").output
    assert item.type == "message"
    assert item.content[0].type == "refusal"
    assert item.content[0].refusal == "I won't."


DELTAS: list[dict[str, Any]] = [
    {"role": "assistant", "content": ""},
    {"reasoning_content": "Hm."},
    {"content": "I "},
    {"content": "look."},
    {"tool_calls": [called("call_1", "", 0)]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"at":'}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '"Köln"}'}}]},
    {"tool_calls": [called("call_2", "{}", 1)]},
]
WHOLE = [
    *(event(chunk([{"index": 0, "delta": delta, "finish_reason": None}])) for delta in DELTAS),
    event(chunk([{"index": 0, "delta": {}, "finish_reason": "tool_calls"}])),
    event(chunk([], usage=usage_of())),
    DONE,
]


def test_the_events_of_a_stream(client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say(stream(WHOLE, split=9))
    events: list[Any] = list(client.responses.create(model="gpt", input="Hi", tools=TOOLS, stream=True))
    assert [one.sequence_number for one in events] == list(range(len(events)))
    kinds = [one.type.removeprefix("response.") for one in events]
    assert kinds == [
        *("created", "in_progress"),
        *("output_item.added", "content_part.added", "reasoning_text.delta"),
        *("reasoning_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.delta"),
        *("function_call_arguments.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta"),
        *("function_call_arguments.done", "output_item.done"),
        "completed",
    ]
    done = events[-1].response
    assert [item.type for item in done.output] == ["reasoning", "message", "function_call", "function_call"]
    ended = [one.item for one in events if one.type == "response.output_item.done"]
    assert [item.id for item in ended] == [item.id for item in done.output]
    assert len({item.id for item in ended}) == 4
    assert (done.usage.input_tokens, done.usage.output_tokens) == (9, 3)
    record = gateway.wait_record()
    assert (record.ending, record.input_tokens, record.output_tokens) == ("complete", 9, 3)
    assert record.ttft_ms is not None


def test_the_clients_own_stream(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.say(stream(WHOLE))
    with client.responses.stream(model="gpt", input="Hi", tools=TOOLS) as events:
        texts = [one.delta for one in events if one.type == "response.output_text.delta"]
        got = events.get_final_response()
    assert ("".join(texts), got.output_text) == ("I look.", "I look.")
    call: Any = got.output[2]
    assert call.parsed_arguments == {"at": "Köln"}
    with client.responses.stream(model="gpt", input="Hi") as events:
        assert events.get_final_response().output_text == "Hello there."


def test_a_stream_that_ends_at_the_limit(client: OpenAI, upstream: ScriptedUpstream) -> None:
    parts = [
        chunk([{"index": 0, "delta": {"content": "Hel"}}]),
        chunk([{"index": 0, "delta": {}, "finish_reason": "length"}]),
    ]
    upstream.say(stream([*(event(part) for part in parts), DONE]))
    last: Any = list(client.responses.create(model="gpt", input="Hi", stream=True))[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.output[0].status == "incomplete"
    assert last.response.usage is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"store": True}, "store"),
        ({"background": True}, "background"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["a"]}]}, "tools[0].type"),
        ({"tools": TOOLS, "tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"truncation": "auto"}, "truncation"),
        ({"include": ["file_search_call.results"]}, "include"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"input": [{"type": "item_reference", "id": "a"}]}, "input[0]"),
        ({"input": [{"type": "message", "role": "user"}]}, "input[0]"),
        ({"input": [{"role": "nobody", "content": "Hi"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input[0].content[0]"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(
    client: OpenAI, upstream: ScriptedUpstream, fields: Any, param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/responses", cast_to=object, body={"model": "gpt", "input": "Hi", **fields})
    assert (caught.value.param, caught.value.code) == (param, "unsupported_field")
    assert upstream.received == []


@pytest.mark.parametrize("streamed", [False, True])
def test_errors_are_openais(client: OpenAI, upstream: ScriptedUpstream, streamed: bool) -> None:
    upstream.say(error(429, "Slow down.", retry_after=34))
    with pytest.raises(openai.RateLimitError, match=r"Slow down\.") as caught:
        client.responses.create(model="gpt", input="Hi", stream=streamed)
    assert caught.value.response.headers["retry-after"] == "34"


@pytest.mark.parametrize("events", range(len(WHOLE) - 2))
@pytest.mark.parametrize("end", [FIN, RST], ids=["fin", "rst"])
def test_a_cut_after_any_event_is_a_cut(
    client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream, events: int, end: Any
) -> None:
    upstream.say(stream(WHOLE[:events], end=end))
    with pytest.raises(openai.APIError):
        list(client.responses.create(model="gpt", input="Hi", tools=TOOLS, stream=True))
    assert gateway.wait_record().ending in ("cut", "failed")
