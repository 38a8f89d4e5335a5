"""A stream is told the same at any split of its bytes, and one that ends early never looks whole."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.anthropic_fake import message_events, text, thinking, tool_use
from tests.support.calls import a_call, an_ask, pieces_of
from tests.support.scene import CHAT
from tests.support.streams import followed
from tests.support.wire import DONE
from tidegate.gateway.call import Call
from tidegate.gateway.providers.anthropic.streams import AsChatReader, MessagesReader
from tidegate.gateway.providers.base import Ask, Reader
from tidegate.kernel.errors import ProviderFailed

Reading = Callable[[Ask], Reader]
BLOCKS = (thinking("Hm."), text("Füße 🌊"), tool_use("weather", {"a": 1}))
WHOLE = b"".join(message_events(*BLOCKS, stop="tool_use"))
BROKEN = ProviderFailed("broke off", code="provider_cut")
READERS = pytest.mark.parametrize("reader", [MessagesReader, AsChatReader])


def asking() -> Call:
    return a_call({**CHAT, "stream": True})


async def heard(reader: Reading, call: Call, parts: list[bytes], error: Exception | None = None) -> list[bytes]:
    return [block async for block in followed(reader(an_ask(call)), pieces_of(parts, error))]


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a != b]


SPLITS = st.lists(st.integers(0, 5000), max_size=12)
NEWLINES = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(cuts=SPLITS, newline=NEWLINES)
@settings(max_examples=80)
async def test_chat_is_told_the_same_at_any_split(cuts: list[int], newline: bytes) -> None:
    parts = cut_up(WHOLE.replace(b"\n", newline), cuts)
    call = asking()
    blocks = await heard(AsChatReader, call, parts)
    assert blocks[-1] == DONE
    told = b"".join(blocks).split(b"\n\n")
    deltas: list[Any] = [json.loads(one[6:])["choices"][0]["delta"] for one in told if one and one + b"\n\n" != DONE]
    assert "".join(delta.get("content", "") for delta in deltas) == "Füße 🌊"
    calls = [one["function"] for delta in deltas for one in delta.get("tool_calls", ())]
    assert json.loads("".join(one["arguments"] for one in calls)) == {"a": 1}
    noted(call, "tool_calls")


@given(cuts=SPLITS, newline=NEWLINES)
@settings(max_examples=80)
async def test_messages_pass_as_they_came(cuts: list[int], newline: bytes) -> None:
    parts = cut_up(WHOLE.replace(b"\n", newline), cuts)
    call = asking()
    blocks = await heard(MessagesReader, call, parts)
    assert b"".join(blocks) == WHOLE
    assert all(block.endswith(b"\n\n") for block in blocks)
    noted(call, "tool_use")


def noted(call: Call, finish: str) -> None:
    assert (call.whole, call.finish_reason) == (True, finish)
    assert call.usage is not None
    assert (call.usage.input_tokens, call.usage.output_tokens) == (9, 3)
    assert call.first_token_s is not None


@READERS
async def test_a_cut_at_any_byte_is_a_cut(reader: Reading) -> None:
    for at in range(len(WHOLE) - 1):
        for error in (None, BROKEN):
            call = asking()
            with pytest.raises(ProviderFailed) as caught:
                await heard(reader, call, [WHOLE[:at]] if at else [], error)
            assert caught.value.code == "provider_cut"
            assert not call.whole
            assert call.usage is None


@READERS
async def test_a_break_after_the_last_event_takes_nothing_away(reader: Reading) -> None:
    call = asking()
    assert await heard(reader, call, [WHOLE], BROKEN)
    assert call.whole


@READERS
@pytest.mark.parametrize("data", [b"data: {\n\n", b"data: []\n\n", b'data: {"type": 5}\n\n', b"data: \xff\n\n"])
async def test_events_that_cannot_be_read(reader: Reading, data: bytes) -> None:
    with pytest.raises(ProviderFailed) as caught:
        await heard(reader, asking(), [data])
    assert caught.value.code == "provider_bad_answer"


@READERS
async def test_an_error_keeps_its_status(reader: Reading) -> None:
    data = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Full."}}\n\n'
    with pytest.raises(ProviderFailed, match=r"overloaded_error: Full\.") as caught:
        await heard(reader, asking(), [data])
    assert caught.value.status == 529
