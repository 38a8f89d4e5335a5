"""Whatever is asked becomes a request that Bedrock's schema allows, with every word and call in it, or is refused."""

import contextlib
import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from tests.support.bedrock_fake import schema_faults
from tests.support.calls import a_call, an_ask
from tests.support.histories import HISTORIES, JUNK, arguments_in, texts_in
from tidegate.gateway.providers.bedrock.requests import converse_body
from tidegate.kernel.errors import Invalid


def asked(**fields: Any) -> Any:
    return json.loads(converse_body(an_ask(a_call({"model": "gpt", **fields}))))


@given(messages=HISTORIES)
@settings(max_examples=150)
def test_every_word_and_call_arrives(messages: list[dict[str, Any]]) -> None:
    body = asked(messages=messages)
    assert schema_faults(body) == []
    roles = [turn["role"] for turn in body["messages"]]
    assert all(a != b for a, b in pairwise(roles))
    blocks = [block for turn in body["messages"] for block in turn["content"]]
    assert [block["text"] for block in blocks if "text" in block] == texts_in(messages, "user", "assistant")
    assert [one["text"] for one in body.get("system", ())] == texts_in(messages, "system", "developer")
    uses = [block["toolUse"] for block in blocks if "toolUse" in block]
    results = [block["toolResult"] for block in blocks if "toolResult" in block]
    assert [(use["name"], use["input"]) for use in uses] == arguments_in(messages)
    assert [one["content"][0]["text"] for one in results] == texts_in(messages, "tool")
    assert [use["toolUseId"] for use in uses] == [one["toolUseId"] for one in results]


@given(fields=JUNK)
@settings(max_examples=300)
def test_nothing_but_invalid_is_raised(fields: dict[str, Any]) -> None:
    call = a_call()
    call.payload = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    with contextlib.suppress(Invalid):
        json.loads(converse_body(an_ask(call)))


@pytest.mark.parametrize("arguments", ["[]", "5", "{", '"a"', "a"])
def test_arguments_that_are_no_object(arguments: str) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}
    with pytest.raises(Invalid):
        asked(messages=[{"role": "assistant", "content": None, "tool_calls": [call]}])


def test_no_tools_are_told_when_none_may_be_called() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert "toolConfig" not in asked(messages=[{"role": "user", "content": "a"}], tools=tools, tool_choice="none")


def test_empty_words_are_left_out() -> None:
    body = asked(messages=[{"role": "system", "content": ""}, {"role": "user", "content": ""}])
    assert body == {"messages": []}
