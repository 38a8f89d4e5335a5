"""A dialect's reader, fed with an upstream's bytes at any split, tells the same, and fails where they break off."""

import re
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.calls import a_call, an_ask, pieces_of
from tests.support.streams import followed
from tests.support.wire import chat_events, event, usage_of
from tidegate.gateway.call import Call
from tidegate.gateway.dialects.base import Dialect
from tidegate.gateway.dialects.messages.dialect import MessagesDialect
from tidegate.gateway.dialects.responses.dialect import ResponsesDialect
from tidegate.gateway.providers.base import Reader
from tidegate.gateway.providers.openai.streams import ChatReader
from tidegate.kernel.errors import ProviderFailed

DIALECTS: dict[str, tuple[Dialect, str]] = {
    "messages": (MessagesDialect(), "message_stop"),
    "responses": (ResponsesDialect(), "response.completed"),
}
EACH = pytest.mark.parametrize("kind", DIALECTS)
WHOLE = b"".join(chat_events(("Füße ", "🌊"), usage=usage_of()))


def asking(kind: str) -> Call:
    return a_call({"model": "gpt", "max_tokens": 5, "stream": True}, path=f"/v1/{kind}")


def reading(call: Call) -> ChatReader:
    ask = an_ask(call)
    ask.usage_wanted = True
    return ChatReader(ask)


async def all_of(blocks: AsyncIterator[bytes]) -> bytes:
    """Everything, without ids and the second of its making."""
    told = b"".join([block async for block in blocks])
    return re.sub(rb"call_[0-9a-f]+|\"(completed|created)_at\":\d+", b"", told)


async def read(reader: Reader, parts: list[bytes], got: list[bytes]) -> None:
    """What came before an error counts."""
    async for block in followed(reader, pieces_of(parts)):
        got.append(block)


@EACH
@given(cuts=st.lists(st.integers(0, 2000), max_size=12))
@settings(max_examples=40)
async def test_the_same_events_at_any_split(kind: str, cuts: list[int]) -> None:
    dialect, last = DIALECTS[kind]
    edges = [0, *sorted({cut % len(WHOLE) for cut in cuts} - {0}), len(WHOLE)]
    parts = [WHOLE[a:b] for a, b in pairwise(edges)]
    one, other = asking(kind), asking(kind)
    told = await all_of(followed(dialect.reader(one, reading(one)), pieces_of(parts)))
    assert told == await all_of(followed(dialect.reader(other, reading(other)), pieces_of([WHOLE])))
    assert last.encode() in told
    assert one.whole
    assert one.usage is not None


@EACH
@pytest.mark.parametrize("at", [0, 1, 3])
async def test_a_cut_has_no_last_event(kind: str, at: int) -> None:
    dialect, last = DIALECTS[kind]
    call = asking(kind)
    got: list[bytes] = []
    with pytest.raises(ProviderFailed) as caught:
        await read(dialect.reader(call, reading(call)), chat_events()[:at], got)
    assert caught.value.code == "provider_cut"
    assert last.encode() not in b"".join(got)


@EACH
async def test_what_came_before_an_error_in_the_same_chunk_is_told(kind: str) -> None:
    dialect, _ = DIALECTS[kind]
    call = asking(kind)
    events = chat_events(("One", "Two", "Three"))
    error = event({"error": {"message": "Full."}})
    got: list[bytes] = []
    with pytest.raises(ProviderFailed, match=r"Full\."):
        await read(dialect.reader(call, reading(call)), [*events[:2], events[2] + error], got)
    assert b'"Two"' in b"".join(got)
