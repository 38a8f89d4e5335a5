"""A stream is told the same at any split of its bytes, and one that ends early never looks whole."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bedrock_fake import converse_events, event_frame, frame
from tests.support.calls import a_call, an_ask, pieces_of
from tests.support.scene import CHAT
from tests.support.streams import followed
from tests.support.wire import DONE
from tidegate.gateway.call import Call
from tidegate.gateway.providers.bedrock.streams import ConverseReader
from tidegate.kernel.errors import ProviderFailed

START = {"start": {"toolUse": {"toolUseId": "t1", "name": "weather"}}}
WHOLE = b"".join(
    converse_events(
        [{"text": "Füße "}, {"text": "🌊"}], [START, {"toolUse": {"input": '{"a"'}}, {"toolUse": {"input": ":1}"}}]
    )
)
BROKEN = ProviderFailed("broke off", code="provider_cut")


def asking() -> Call:
    return a_call({**CHAT, "stream": True})


async def heard(call: Call, parts: list[bytes], error: Exception | None = None) -> list[bytes]:
    return [block async for block in followed(ConverseReader(an_ask(call)), pieces_of(parts, error))]


def deltas(blocks: list[bytes]) -> list[Any]:
    told = b"".join(blocks).split(b"\n\n")
    return [json.loads(one[6:])["choices"][0]["delta"] for one in told if one and one + b"\n\n" != DONE]


@given(cuts=st.lists(st.integers(0, len(WHOLE)), max_size=12))
@settings(max_examples=60)
async def test_the_same_is_told_at_any_split(cuts: list[int]) -> None:
    call = asking()
    edges = [0, *sorted(set(cuts)), len(WHOLE)]
    blocks = await heard(call, [WHOLE[a:b] for a, b in pairwise(edges) if a != b])
    assert blocks[-1] == DONE
    told = deltas(blocks)
    assert "".join(delta.get("content", "") for delta in told) == "Füße 🌊"
    calls = [one for delta in told for one in delta.get("tool_calls", ())]
    assert "".join(one["function"]["arguments"] for one in calls) == '{"a":1}'
    assert (call.whole, call.finish_reason) == (True, "stop")
    assert call.first_token_s is not None
    assert call.usage is not None
    assert (call.usage.input_tokens, call.usage.output_tokens) == (9, 3)


async def test_a_cut_at_any_byte_is_a_cut() -> None:
    for at in range(len(WHOLE)):
        for error in (None, BROKEN):
            call = asking()
            with pytest.raises(ProviderFailed) as caught:
                await heard(call, [WHOLE[:at]] if at else [], error)
            assert caught.value.code == "provider_cut"
            assert not call.whole
            assert call.usage is None


async def test_usage_without_an_end_is_a_cut() -> None:
    frames = converse_events([{"text": "Hi"}])
    with pytest.raises(ProviderFailed) as caught:
        await heard(asking(), [*frames[:-2], frames[-1]])
    assert caught.value.code == "provider_cut"


async def test_a_break_after_the_last_event_takes_nothing_away() -> None:
    call = asking()
    assert (await heard(call, [WHOLE], BROKEN))[-1] == DONE
    assert call.whole


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("throttlingException", 429),
        ("modelStreamErrorException", 424),
        ("internalServerException", 500),
        ("serviceUnavailableException", 503),
        ("validationException", 400),
        ("somethingNewException", None),
    ],
)
async def test_an_exception_says_what_it_is(kind: str, status: int | None) -> None:
    broken = event_frame(kind, {"message": "Not so."}, message_type="exception")
    with pytest.raises(ProviderFailed, match=f"{kind}: Not so") as caught:
        await heard(asking(), [broken])
    assert caught.value.status == status


async def test_an_error_of_the_frames_own_is_told() -> None:
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "Oh no."}
    with pytest.raises(ProviderFailed, match="InternalError: Oh no"):
        await heard(asking(), [frame(headers, b"{}")])


async def test_events_that_we_do_not_know_are_passed_over() -> None:
    call = asking()
    blocks = await heard(call, [event_frame("newEvent", {"x": 1}) + WHOLE])
    assert blocks[-1] == DONE


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b'{"delta": 5}', b"\xff"])
async def test_events_that_cannot_be_read(payload: bytes) -> None:
    broken = frame({":message-type": "event", ":event-type": "contentBlockDelta"}, payload)
    with pytest.raises(ProviderFailed, match="cannot be read"):
        await heard(asking(), [broken])
