"""A stream is told the same at any split of its bytes, and one that ends early never looks whole."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.calls import a_call, an_ask, pieces_of
from tests.support.gemini_fake import candidate, generated
from tests.support.scene import CHAT
from tests.support.streams import followed
from tests.support.wire import DONE, event
from tidegate.gateway.call import Call
from tidegate.gateway.providers.gemini.streams import GeminiReader
from tidegate.kernel.errors import ProviderFailed

CALLED = {"functionCall": {"name": "weather", "args": {"a": 1}}}
EVENTS = [
    generated(candidate({"text": "Füße "}, finish=None), usage={}),
    generated(candidate({"text": "🌊"}, finish=None), usage={"promptTokenCount": 9}),
    generated(candidate(CALLED)),
]
WHOLE = b"".join(event(one) for one in EVENTS)
BROKEN = ProviderFailed("broke off", code="provider_cut")


def asking(n: int = 1) -> Call:
    return a_call({**CHAT, "stream": True, "n": n})


async def heard(call: Call, parts: list[bytes], error: Exception | None = None) -> list[bytes]:
    return [block async for block in followed(GeminiReader(an_ask(call)), pieces_of(parts, error))]


def deltas(blocks: list[bytes]) -> list[Any]:
    told = b"".join(blocks).split(b"\n\n")
    return [json.loads(one[6:])["choices"][0]["delta"] for one in told if one and one + b"\n\n" != DONE]


@given(cuts=st.lists(st.integers(0, 3000), max_size=12), newline=st.sampled_from([b"\n", b"\r\n", b"\r"]))
@settings(max_examples=80)
async def test_the_same_is_told_at_any_split(cuts: list[int], newline: bytes) -> None:
    data = WHOLE.replace(b"\n", newline)
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    call = asking()
    parts = [data[a:b] for a, b in pairwise(edges) if a != b]
    blocks = await heard(call, parts)
    assert blocks[-1] == DONE
    told = deltas(blocks)
    assert "".join(delta.get("content", "") for delta in told) == "Füße 🌊"
    [called] = [one for delta in told for one in delta.get("tool_calls", ())]
    assert json.loads(called["function"]["arguments"]) == {"a": 1}
    assert (call.whole, call.finish_reason) == (True, "tool_calls")
    assert call.usage is not None
    assert (call.usage.input_tokens, call.usage.output_tokens) == (9, 3)


async def test_a_cut_at_any_byte_is_a_cut() -> None:
    for at in range(len(WHOLE) - 1):
        for error in (None, BROKEN):
            call = asking()
            with pytest.raises(ProviderFailed) as caught:
                await heard(call, [WHOLE[:at]] if at else [], error)
            assert caught.value.code == "provider_cut"
            assert not call.whole
            assert call.usage is None


async def test_a_break_after_the_last_event_takes_nothing_away() -> None:
    call = asking()
    assert (await heard(call, [WHOLE], BROKEN))[-1] == DONE
    assert call.whole


async def test_every_choice_that_was_asked_for_must_finish() -> None:
    one, two = (event(generated(candidate({"text": "x"}, index=index))) for index in (0, 1))
    with pytest.raises(ProviderFailed):
        await heard(asking(2), [one])
    assert (await heard(asking(2), [one, two]))[-1] == DONE


@pytest.mark.parametrize("data", [b"data: {\n\n", b"data: []\n\n", b'data: {"candidates": 5}\n\n', b"data: \xff\n\n"])
async def test_events_that_cannot_be_read(data: bytes) -> None:
    with pytest.raises(ProviderFailed) as caught:
        await heard(asking(), [data])
    assert caught.value.code == "provider_bad_answer"
