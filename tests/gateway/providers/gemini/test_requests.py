"""Whatever is asked becomes a request in Gemini's fields, with every word and call in it, or is refused."""

import contextlib
import json
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings

from tests.support.calls import a_call, an_ask
from tests.support.gemini_fake import GENERATE
from tests.support.histories import HISTORIES, JUNK, arguments_in, texts_in
from tests.support.schemas import faults
from tidegate.gateway.providers.gemini.requests import embed_body, generate_body, predict_body
from tidegate.kernel.errors import Invalid


def asked(**fields: Any) -> Any:
    return json.loads(generate_body(an_ask(a_call({"model": "gpt", **fields}))))


@given(messages=HISTORIES)
@settings(max_examples=150)
def test_every_word_and_call_arrives(messages: list[dict[str, Any]]) -> None:
    body = asked(messages=messages)
    assert list(faults(body, GENERATE)) == []
    roles = [turn["role"] for turn in body["contents"]]
    assert all(a != b for a, b in pairwise(roles))
    parts = [part for turn in body["contents"] for part in turn["parts"]]
    assert [part["text"] for part in parts if "text" in part] == texts_in(messages, "user", "assistant")
    system = "".join(part["text"] for part in body.get("systemInstruction", {}).get("parts", ()))
    assert system == "".join(texts_in(messages, "system", "developer"))
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    results = [part["functionResponse"] for part in parts if "functionResponse" in part]
    assert [(call["name"], call["args"]) for call in calls] == arguments_in(messages)
    assert [one["name"] for one in results] == [call["name"] for call in calls]


@given(fields=JUNK)
@settings(max_examples=300)
def test_nothing_but_invalid_is_raised(fields: dict[str, Any]) -> None:
    call = a_call()
    call.payload = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    for translate in (generate_body, embed_body, predict_body):
        with contextlib.suppress(Invalid):
            json.loads(translate(an_ask(call)))


def test_a_result_that_is_an_object_goes_as_it_is() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": '{"x": 1.50}'},
    ]
    assert b'"response":{"x": 1.50}' in generate_body(an_ask(a_call({"model": "gpt", "messages": messages})))
