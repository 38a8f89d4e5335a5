"""Messages said in chat.completions keep every word, role and call, or are refused."""

import contextlib
import json
from typing import Any

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.calls import a_call, an_ask
from tests.support.histories import HISTORIES, VALUES, arguments_in, texts_in
from tidegate.gateway.dialects.messages.requests import chat_fields
from tidegate.gateway.providers.anthropic.requests import messages_body
from tidegate.kernel.errors import Invalid

FIELDS = ("messages", "system", "tools", "tool_choice", "thinking", "output_config", "metadata", "stop_sequences")


@given(messages=HISTORIES)
@settings(max_examples=100)
def test_chat_to_messages_and_back_keeps_every_word(messages: list[dict[str, Any]]) -> None:
    assume(any(one["role"] not in ("system", "developer") for one in messages))
    body = json.loads(messages_body(an_ask(a_call({"model": "gpt", "messages": messages}))))
    fields = chat_fields(a_call(body, path="/v1/messages"))
    back = json.loads(bytes(fields["messages"]))
    for role in ("user", "assistant", "tool"):
        assert "".join(texts_in(back, role)) == "".join(texts_in(messages, role))
    assert "".join(texts_in(back, "system")) == "".join(texts_in(messages, "system", "developer"))
    assert arguments_in(back) == arguments_in(messages)
    results = [one["tool_call_id"] for one in back if one["role"] == "tool"]
    assert results == [call["id"] for one in back for call in one.get("tool_calls", ())]


@given(fields=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
@settings(max_examples=200)
def test_nothing_but_invalid_is_raised(fields: dict[str, Any]) -> None:
    call = a_call({"model": "gpt", "max_tokens": 5, **fields}, path="/v1/messages")
    with contextlib.suppress(Invalid):
        assert all(isinstance(raw, msgspec.Raw) for raw in chat_fields(call).values())
