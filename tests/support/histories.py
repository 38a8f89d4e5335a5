"""Histories of messages for properties of translations: any shape that a client may send, tools and all."""

import json
from typing import Any

from hypothesis import strategies as st

__all__ = ["HISTORIES", "JUNK", "arguments_in", "texts_in"]

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
IDS = st.text(st.characters(codec="ascii"), min_size=1, max_size=80)
NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,20}", fullmatch=True)
ARGUMENTS = st.dictionaries(TEXT, st.integers(-5, 5) | TEXT | st.none() | st.booleans(), max_size=3)
PARTS = st.fixed_dictionaries({"type": st.just("text"), "text": TEXT})
WORDS = TEXT | st.lists(PARTS, min_size=1, max_size=3)

PLAIN = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "developer", "user"]), "content": WORDS}),
    st.fixed_dictionaries({"role": st.just("assistant"), "content": WORDS, "refusal": st.none()}),
)


@st.composite
def called(draw: st.DrawFn) -> list[dict[str, Any]]:
    """An assistant's message with calls, and what became of each."""
    ids = draw(st.lists(IDS, min_size=1, max_size=3, unique=True))
    calls = [
        {"id": one, "type": "function", "function": {"name": draw(NAMES), "arguments": json.dumps(draw(ARGUMENTS))}}
        for one in ids
    ]
    said = {"role": "assistant", "content": draw(st.none() | TEXT), "tool_calls": calls}
    return [said, *({"role": "tool", "tool_call_id": one, "content": draw(TEXT)} for one in ids)]


HISTORIES = st.lists(PLAIN.map(lambda one: [one]) | called(), min_size=1, max_size=5).map(
    lambda turns: [message for turn in turns for message in turn]
)

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.just("type"), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    "messages", "tools", "tool_choice", "response_format", "n", "stop", "seed", "max_tokens", "temperature", "top_k",
    "logprobs", "reasoning_effort", "extra_body", "additionalModelRequestFields", "safety_settings", "modalities",
    "service_tier", "parallel_tool_calls", "max_completion_tokens",
)  # fmt: skip
JUNK: st.SearchStrategy[dict[str, Any]] = st.dictionaries(st.sampled_from(FIELDS) | TEXT, VALUES, max_size=4)
"""Requests in which anything may stand anywhere."""


def texts_in(messages: list[dict[str, Any]], *roles: str) -> list[str]:
    """The texts of the messages of these roles, in order."""
    found = []
    for message in messages:
        content = message["content"]
        if message["role"] in roles and content is not None:
            found += [content] if isinstance(content, str) else [part["text"] for part in content]
    return found


def arguments_in(messages: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """The name and arguments of every call, in order."""
    return [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for message in messages
        for call in message.get("tool_calls", ())
    ]
