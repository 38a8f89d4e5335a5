"""Anthropic's own client against an upstream that speaks OpenAI's words."""

import base64
import json
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from tests.support.gateway import RunningGateway
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import DONE, FIN, RST, answer, chat, chat_events, chunk, error, event, stream, usage_of

HI: Any = [{"role": "user", "content": "Hi"}]
PLACE: Any = {"type": "object", "properties": {"at": {"type": "string"}}, "additionalProperties": False}
TOOLS: Any = [{"name": "weather", "description": "How it is.", "input_schema": PLACE}]
PNG = base64.b64encode(b"\x89PNG").decode()


def called(call_id: str, arguments: str, index: int | None = None) -> dict[str, Any]:
    """A call in OpenAI's words."""
    at = {} if index is None else {"index": index}
    return {**at, "id": call_id, "type": "function", "function": {"name": "weather", "arguments": arguments}}


def told(**message: Any) -> dict[str, Any]:
    """A whole answer with this message."""
    body = chat()
    finish = "tool_calls" if "tool_calls" in message else "stop"
    body["choices"] = [
        {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": finish}
    ]
    return body


def test_whole(claude: Anthropic, gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say(answer(chat("Hello there.", usage=usage_of(9, 3, 4))))
    got = claude.messages.create(
        model="gpt",
        max_tokens=50,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=HI,
        extra_body={"temperature": 0.5, "top_p": 0.9},
        stop_sequences=["END"],
        metadata={"user_id": "somebody"},
    )
    assert [block.model_dump(exclude_none=True) for block in got.content] == [{"type": "text", "text": "Hello there."}]
    assert (got.role, got.type, got.stop_reason) == ("assistant", "message", "end_turn")
    assert (got.usage.input_tokens, got.usage.cache_read_input_tokens, got.usage.output_tokens) == (5, 4, 3)
    assert upstream.last.path == "/v1/chat/completions"
    assert upstream.last.json == {
        "model": "up-model",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "max_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "user": "somebody",
    }
    record = gateway.wait_record()
    assert (record.endpoint, record.ending, record.finish_reason) == ("messages", "complete", "stop")
    assert (record.input_tokens, record.output_tokens, record.cached_input_tokens) == (9, 3, 4)


def test_streamed(claude: Anthropic, gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    with claude.messages.stream(model="gpt", max_tokens=50, messages=HI) as events:
        assert "".join(events.text_stream) == "Hello there."
        got = events.get_final_message()
    assert (got.stop_reason, got.usage.input_tokens, got.usage.output_tokens) == ("end_turn", 9, 3)
    assert upstream.last.json["stream_options"] == {"include_usage": True}
    record = gateway.wait_record()
    assert (record.ending, record.input_tokens, record.output_tokens) == ("complete", 9, 3)
    assert record.ttft_ms is not None


def test_tools_go_there_and_back(claude: Anthropic, upstream: ScriptedUpstream) -> None:
    calls = [called("call_1", '{"at":"Köln"}'), called("call_2", "")]
    upstream.say(answer(told(content="I look.", tool_calls=calls)))
    choice: Any = {"type": "any", "disable_parallel_tool_use": True}
    first = claude.messages.create(model="gpt", max_tokens=50, messages=HI, tools=TOOLS, tool_choice=choice)
    said, one, two = first.content
    assert first.stop_reason == "tool_use"
    assert said.type == "text"
    assert one.type == two.type == "tool_use"
    assert (one.id, one.name, one.input, two.input) == ("call_1", "weather", {"at": "Köln"}, {})
    asked = upstream.last.json
    function = {"name": "weather", "description": "How it is.", "parameters": PLACE}
    assert asked["tools"] == [{"type": "function", "function": function}]
    assert (asked["tool_choice"], asked["parallel_tool_calls"]) == ("required", False)
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    results: Any = [
        {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "blue"}, picture]},
        {"type": "tool_result", "tool_use_id": "call_2", "content": "No such place.", "is_error": True},
        {"type": "text", "text": "And?"},
    ]
    again: Any = [*HI, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    claude.messages.create(model="gpt", max_tokens=50, messages=again, tools=TOOLS)
    assert upstream.last.json["messages"] == [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [called("call_1", '{"at":"Köln"}'), called("call_2", "{}")],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "blue"},
        {"role": "tool", "tool_call_id": "call_2", "content": "Error: No such place."},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                {"type": "text", "text": "And?"},
            ],
        },
    ]


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


@pytest.mark.parametrize("thinks", [False, True])
def test_streamed_tools(claude: Anthropic, gateway: RunningGateway, upstream: ScriptedUpstream, thinks: bool) -> None:
    upstream.say(stream(WHOLE, split=9))
    thinking: Any = {"type": "enabled", "budget_tokens": 1024} if thinks else {"type": "disabled"}
    with claude.messages.stream(model="gpt", max_tokens=2000, messages=HI, tools=TOOLS, thinking=thinking) as events:
        kinds = [one.type for one in events]
        got = events.get_final_message()
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    content: Any = got.content
    thoughts = ["thinking"] if thinks else []
    assert [block.type for block in content] == [*thoughts, "text", "tool_use", "tool_use"]
    assert (content[-3].text, content[-2].input, content[-1].input) == ("I look.", {"at": "Köln"}, {})
    assert upstream.last.json.get("reasoning_effort") == ("low" if thinks else None)
    assert gateway.wait_record().finish_reason == "tool_calls"


def test_images_documents_and_a_schema(claude: Anthropic, upstream: ScriptedUpstream) -> None:
    upstream.say(answer(chat('{"at": "Köln"}')))
    content: Any = [
        {"type": "image", "source": {"type": "url", "url": "https://pictures.example/a.png"}},
        {
            "type": "document",
            "title": "a.pdf",
            "source": {"type": "base64", "media_type": "application/pdf", "data": PNG},
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Words."}},
        {"type": "text", "text": "Where?"},
    ]
    got = claude.messages.create(
        model="gpt",
        max_tokens=50,
        messages=[{"role": "user", "content": content}],
        output_config={"effort": "high", "format": {"type": "json_schema", "schema": PLACE}},
    )
    assert got.content[0].type == "text"
    assert json.loads(got.content[0].text) == {"at": "Köln"}
    asked = upstream.last.json
    assert asked["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PNG}", "filename": "a.pdf"}},
        {"type": "text", "text": "Words."},
        {"type": "text", "text": "Where?"},
    ]
    assert asked["reasoning_effort"] == "high"
    assert asked["response_format"]["json_schema"] == {"name": "answer", "schema": PLACE, "strict": True}


@pytest.mark.parametrize(
    ("finish", "stop"), [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal")]
)
def test_why_it_ended(claude: Anthropic, upstream: ScriptedUpstream, finish: str, stop: str) -> None:
    body = chat()
    body["choices"][0]["finish_reason"] = finish
    upstream.say(answer(body))
    assert claude.messages.create(model="gpt", max_tokens=50, messages=HI).stop_reason == stop


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("said", "stop"),
    [
        ({"tool_calls": [called("c", "{}", 0)]}, "tool_use"),
        ({"refusal": "No."}, "refusal"),
        ({"content": "x"}, "end_turn"),
    ],
)
def test_a_call_and_a_refusal_end_a_message_whatever_chat_calls_it(
    claude: Anthropic, upstream: ScriptedUpstream, said: dict[str, Any], stop: str, streamed: bool
) -> None:
    """OpenAI says `stop` after a call that `tool_choice` named."""
    chunks = [
        event(chunk([{"index": 0, "delta": said}])),
        event(chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])),
    ]
    body = told(**said)
    body["choices"][0]["finish_reason"] = "stop"
    upstream.say(stream([*chunks, DONE]) if streamed else answer(body))
    if streamed:
        with claude.messages.stream(model="gpt", max_tokens=50, messages=HI, tools=TOOLS) as events:
            got: Any = events.get_final_message()
    else:
        got = claude.messages.create(model="gpt", max_tokens=50, messages=HI, tools=TOOLS)
    assert got.stop_reason == stop
    assert len(got.content) == 1


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("thinking", "kinds"),
    [({"type": "adaptive"}, ["thinking", "text"]), ({"type": "adaptive", "display": "omitted"}, ["text"])],
)
@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_thoughts_under_either_name(
    claude: Anthropic, gateway: RunningGateway, upstream: ScriptedUpstream, streamed: bool, thinking: Any,
    kinds: list[str], field: str,
) -> None:  # fmt: skip
    deltas: list[dict[str, Any]] = [{field: "Hm."}, {"content": "Hi."}]
    chunks = [event(chunk([{"index": 0, "delta": delta}])) for delta in deltas]
    chunks.append(event(chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])))
    upstream.say(stream([*chunks, DONE]) if streamed else answer(told(**{field: "Hm.", "content": "Hi."})))
    if streamed:
        with claude.messages.stream(model="gpt", max_tokens=50, messages=HI, thinking=thinking) as events:
            got: Any = events.get_final_message()
    else:
        got = claude.messages.create(model="gpt", max_tokens=50, messages=HI, thinking=thinking)
    assert [block.type for block in got.content] == kinds
    assert got.content[-1].text == "Hi."
    assert gateway.wait_record().ending == "complete"


def test_what_asks_for_nothing_here_is_let_through(claude: Anthropic, upstream: ScriptedUpstream) -> None:
    upstream.say(answer(chat()))
    tool = {**TOOLS[0], "eager_input_streaming": True, "defer_loading": False, "allowed_callers": ["direct"]}
    use = {"type": "tool_use", "id": "t", "name": "weather", "input": {}, "caller": {"type": "direct"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "Fine.", "toolset_name": None}
    turns = [{"role": "assistant", "content": [{**use, "toolset_name": None}]}, {"role": "user", "content": [result]}]
    edits = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    fields = {"tools": [tool], "speed": "standard", "context_management": edits, "messages": [*HI, *turns]}
    body = {"model": "gpt", "max_tokens": 50, **fields}
    claude.post("/v1/messages", cast_to=object, body=body)
    asked = upstream.last.json
    assert asked.keys() == {"model", "max_tokens", "tools", "messages"}
    assert asked["tools"][0]["function"]["parameters"] == PLACE


def test_the_word_that_ended_it(claude: Anthropic, upstream: ScriptedUpstream) -> None:
    body = chat()
    body["choices"][0]["stop_reason"] = "END"
    upstream.say(answer(body))
    got = claude.messages.create(model="gpt", max_tokens=50, messages=HI, stop_sequences=["END"])
    assert (got.stop_reason, got.stop_sequence) == ("stop_sequence", "END")


SEARCH = {"type": "web_search_20250305", "name": "web_search"}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"tools": [SEARCH]}, "tools"),
        ({"container": "c"}, "container"),
        ({"service_tier": "fast"}, "service_tier"),
        ({"speed": "fast"}, "speed"),
        ({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, "clear_tool_uses"),
        ({"tools": [{**TOOLS[0], "defer_loading": True}]}, "tools"),
        ({"messages": [{"role": "user", "content": [{"type": "search_result"}]}]}, "search_result"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "", "name": "", "input": {}}]}]},
            "content",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(
    claude: Anthropic, upstream: ScriptedUpstream, fields: Any, named: str
) -> None:
    body = {"model": "gpt", "max_tokens": 50, "messages": HI, **fields}
    with pytest.raises(anthropic.BadRequestError, match=named) as caught:
        claude.post("/v1/messages", cast_to=object, body=body)
    told: Any = caught.value.body
    assert told["error"]["type"] == "invalid_request_error"
    assert upstream.received == []


@pytest.mark.parametrize(
    ("status", "raised", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_errors_come_in_its_shape(
    claude: Anthropic, upstream: ScriptedUpstream, status: int, raised: Any, kind: str, streamed: bool
) -> None:
    upstream.say(error(status, "Not so.", retry_after=34, x_should_retry="false"))
    with pytest.raises(raised, match=r"Not so\.") as caught:
        claude.messages.create(model="gpt", max_tokens=50, messages=HI, stream=streamed)
    assert caught.value.body["error"]["type"] == kind
    assert caught.value.response.headers["retry-after"] == "34"
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_a_key_of_ours_that_is_refused(claude: Anthropic, upstream: ScriptedUpstream) -> None:
    upstream.say(error(401, "Bad key."))
    with pytest.raises(anthropic.InternalServerError) as caught:
        claude.messages.create(model="gpt", max_tokens=50, messages=HI)
    assert caught.value.status_code == 502


def test_no_other_upstream_counts_tokens(claude: Anthropic, upstream: ScriptedUpstream) -> None:
    with pytest.raises(anthropic.NotFoundError, match="does not count tokens"):
        claude.messages.count_tokens(model="gpt", messages=HI)
    assert upstream.received == []


@pytest.mark.parametrize("events", range(len(WHOLE) - 2))
@pytest.mark.parametrize("end", [FIN, RST], ids=["fin", "rst"])
def test_a_cut_after_any_event_is_a_cut(
    claude: Anthropic, gateway: RunningGateway, upstream: ScriptedUpstream, events: int, end: Any
) -> None:
    upstream.say(stream(WHOLE[:events], end=end))
    with pytest.raises(anthropic.APIError):
        list(claude.messages.create(model="gpt", max_tokens=50, messages=HI, tools=TOOLS, stream=True))
    assert gateway.wait_record().ending in ("cut", "failed")


def test_an_error_in_the_middle(claude: Anthropic, upstream: ScriptedUpstream) -> None:
    upstream.say(stream([*chat_events(done=False)[:2], event({"error": {"message": "Out of memory."}})]))
    with pytest.raises(anthropic.APIError, match="Out of memory"):
        list(claude.messages.create(model="gpt", max_tokens=50, messages=HI, stream=True))


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_without_an_id_is_given_one(claude: Anthropic, upstream: ScriptedUpstream, streamed: bool) -> None:
    call = {"index": 0, "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    parts = [event(chunk([{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}])), DONE]
    upstream.say(stream(parts) if streamed else answer(told(tool_calls=[call])))
    if streamed:
        with claude.messages.stream(model="gpt", max_tokens=50, messages=HI) as events:
            got: Any = events.get_final_message()
    else:
        got = claude.messages.create(model="gpt", max_tokens=50, messages=HI)
    assert got.content[0].id.startswith("toolu_call_")
