"""Whatever is asked becomes a request in Anthropic's fields, with every word and call in it, or is refused."""

import contextlib
import json
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import assume, given, settings

from tests.support.anthropic_fake import CALL_ID, MESSAGES
from tests.support.calls import a_call, an_ask
from tests.support.histories import HISTORIES, JUNK, arguments_in, texts_in
from tests.support.schemas import faults
from tidegate.gateway.providers.anthropic.requests import messages_body
from tidegate.kernel.errors import Invalid


@given(messages=HISTORIES)
@settings(max_examples=150)
def test_every_word_and_call_arrives(messages: list[dict[str, Any]]) -> None:
    heard = [one for one in messages if one["role"] not in ("system", "developer")]
    assume(heard)
    body = json.loads(messages_body(an_ask(a_call({"model": "gpt", "messages": messages}))))
    assert list(faults(body, MESSAGES)) == []
    assert all(one["role"] != two["role"] for one, two in pairwise(body["messages"]))
    blocks = [block for turn in body["messages"] for block in turn["content"]]
    assert [one["text"] for one in blocks if one["type"] == "text"] == texts_in(heard, "user", "assistant")
    system = [block["text"] for block in body.get("system", ())]
    assert system == texts_in(messages, "system", "developer")
    calls = [one for one in blocks if one["type"] == "tool_use"]
    results = [one for one in blocks if one["type"] == "tool_result"]
    assert [(call["name"], call["input"]) for call in calls] == arguments_in(messages)
    assert [one["tool_use_id"] for one in results] == [call["id"] for call in calls]
    assert all(CALL_ID.fullmatch(call["id"]) for call in calls)
    assert ["".join(part["text"] for part in one["content"]) for one in results] == texts_in(messages, "tool")


@given(fields=JUNK)
@settings(max_examples=300)
def test_nothing_but_invalid_is_raised(fields: dict[str, Any]) -> None:
    call = a_call()
    call.payload = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    with contextlib.suppress(Invalid):
        json.loads(messages_body(an_ask(call)))


def test_numbers_in_arguments_stay_as_they_are() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1.50}'}}
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    assert b'"input":{"x": 1.50}' in messages_body(an_ask(a_call({"model": "gpt", "messages": messages})))


def test_a_cached_beginning_is_marked() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    parts = [{"type": "text", "text": "Long.", "cache_control": mark}]
    body = json.loads(messages_body(an_ask(a_call({"messages": [{"role": "user", "content": parts}]}))))
    assert body["messages"][0]["content"] == parts
