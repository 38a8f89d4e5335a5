"""Nothing but Invalid is raised, whatever is asked; conversations keep every word."""

import contextlib
import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.calls import a_call
from tests.support.histories import HISTORIES, VALUES, arguments_in, texts_in
from tidegate.gateway.dialects.responses.requests import chat_fields
from tidegate.kernel.errors import Invalid

FIELDS = ("input", "instructions", "tools", "tool_choice", "text", "reasoning", "include", "store", "truncation")
KINDS = {"user": "input_text", "system": "input_text", "developer": "input_text", "assistant": "output_text"}


def items_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """A message of chat as items of a response's input."""
    if message["role"] == "tool":
        output = message["content"]
        return [{"type": "function_call_output", "call_id": message["tool_call_id"], "output": output}]
    items: list[dict[str, Any]] = []
    content = message["content"]
    if isinstance(content, list):
        content = [{"type": KINDS[message["role"]], "text": part["text"]} for part in content]
    if content is not None:
        items.append({"role": message["role"], "content": content})
    for call in message.get("tool_calls", ()):
        items.append({"type": "function_call", "call_id": call["id"], **call["function"]})
    return items


@given(messages=HISTORIES)
@settings(max_examples=100)
def test_every_word_and_call_arrives(messages: list[dict[str, Any]]) -> None:
    asked = [item for message in messages for item in items_of(message)]
    fields = chat_fields(a_call({"model": "gpt", "input": asked}, path="/v1/responses"))
    told = json.loads(bytes(fields["messages"]))
    for role in ("user", "assistant", "tool"):
        assert "".join(texts_in(told, role)) == "".join(texts_in(messages, role))
    assert "".join(texts_in(told, "system")) == "".join(texts_in(messages, "system", "developer"))
    assert arguments_in(told) == arguments_in(messages)


@given(fields=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
@settings(max_examples=200)
def test_nothing_but_invalid_is_raised(fields: dict[str, Any]) -> None:
    call = a_call({"model": "gpt", "input": "Hi", **fields}, path="/v1/responses")
    with contextlib.suppress(Invalid):
        assert all(isinstance(raw, msgspec.Raw) for raw in chat_fields(call).values())
