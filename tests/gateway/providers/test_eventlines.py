"""Server-sent events are read the same at any split, with any line end."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.calls import pieces_of
from tidegate.gateway.providers import eventlines
from tidegate.gateway.providers.eventlines import event_data, is_events
from tidegate.kernel.errors import ProviderFailed

DATA = b'data: {"a":1}\n\n: ping\n\nevent: x\ndata:one\ndata: two\nid: 4\n\ndata:  \n\ndata: left over'
SAID = [b'{"a":1}', b"one\ntwo", b" "]


async def read(parts: list[bytes]) -> list[bytes]:
    return [one async for one in event_data(pieces_of(parts))]


@given(cuts=st.lists(st.integers(0, 200), max_size=10), newline=st.sampled_from([b"\n", b"\r\n", b"\r"]))
async def test_any_split_and_line_end(cuts: list[int], newline: bytes) -> None:
    data = DATA.replace(b"\n", newline)
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    assert await read([data[a:b] for a, b in pairwise(edges) if a != b]) == SAID


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
async def test_byte_by_byte(newline: bytes) -> None:
    data = DATA.replace(b"\n", newline)
    assert await read([data[at : at + 1] for at in range(len(data))]) == SAID


async def test_an_event_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventlines, "MAX_EVENT_BYTES", 10)
    with pytest.raises(ProviderFailed, match="without an end"):
        await read([b"data: " + b"x" * 20])


def test_only_event_streams_are_followed() -> None:
    assert is_events({b"content-type": b"text/event-stream; charset=utf-8"})
    assert not is_events({b"content-type": b"application/json"})
    assert not is_events({b"content-type": b"text/event-stream", b"content-encoding": b"br"})
