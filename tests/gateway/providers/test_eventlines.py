"""Server-sent events are read the same at any split, with any line end."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidegate.gateway.providers.eventlines import EventBlocks, data_of, events_of, is_events
from tidegate.kernel.errors import ProviderFailed

DATA = b'data: {"a":1}\n\n: ping\n\nevent: x\ndata:one\ndata: two\nid: 4\n\ndata:  \n\ndata: left over'
SAID = [b'{"a":1}', b"one\ntwo"]
LINES = [b"data: x", b"data:y", b"data", b"data: ", b": said aside", b"event: z", b"id: 7", b"other", b"", b"", b""]
ENDS = [b"\n", b"\r\n", b"\r"]


class Read:
    """What is read of these parts."""

    def __init__(self, parts: list[bytes]) -> None:
        stream = EventBlocks()
        self.blocks = [block for part in parts if (block := stream.feed(part))]
        self.rest = stream.rest
        self.said = [data for block in self.blocks for event in events_of(block) if (data := data_of(event))]


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def as_the_standard_says(data: bytes) -> list[bytes]:
    """The data of each event, line by line: the slow way."""
    said: list[bytes] = []
    lines: list[bytes] = []
    text = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for line in text.split(b"\n")[:-1]:
        if not line:
            said.append(b"\n".join(lines).strip())
            lines = []
        name, _, value = line.partition(b":")
        if name == b"data":
            lines.append(value.removeprefix(b" "))
    return [one for one in said if one]


@given(
    lines=st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(ENDS)), max_size=14),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    tail=st.sampled_from([b"", b"data: left over", b"\xef", b"\n"]),
    cuts=st.lists(st.integers(0, 400), max_size=20),
)
@example(lines=[(b"data: x", b"\r"), (b"", b"\n")], mark=b"", tail=b"", cuts=[8])
@settings(max_examples=400)
def test_any_split_of_any_stream_says_the_same(
    lines: list[tuple[bytes, bytes]], mark: bytes, tail: bytes, cuts: list[int]
) -> None:
    data = mark + b"".join(line + end for line, end in lines) + tail
    read = Read(cut_up(data, cuts))
    assert read.said == Read([data[at : at + 1] for at in range(len(data))]).said == as_the_standard_says(data)
    plain = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert b"".join(read.blocks) + read.rest in (plain, plain.removeprefix(b"\xef\xbb\xbf"))
    assert all(block.endswith(b"\n\n") and b"\r" not in block for block in read.blocks)


@given(cuts=st.lists(st.integers(0, 200), max_size=10), newline=st.sampled_from(ENDS))
def test_what_is_said_beside_data_is_passed_over(cuts: list[int], newline: bytes) -> None:
    assert Read(cut_up(DATA.replace(b"\n", newline), cuts)).said == SAID


@pytest.mark.parametrize("newline", ENDS)
def test_an_event_is_whole_with_its_empty_line_and_no_later(newline: bytes) -> None:
    stream = EventBlocks()
    assert stream.feed(b"data: x" + newline) == b""
    assert stream.feed(newline) == b"data: x\n\n"


@given(sizes=st.lists(st.integers(1, 90_000), min_size=3, max_size=8), edge=st.booleans())
@settings(max_examples=40)
def test_a_long_event_is_read_like_a_short_one(sizes: list[int], edge: bool) -> None:
    long = b"data: " + b"x" * 200_000
    data = long + b"\n\ndata: y\n\n" + long + b"\n\n"
    cuts = [sum(sizes[: at + 1]) for at in range(len(sizes))]
    cuts += [len(long) + 1] if edge else []
    assert Read(cut_up(data, cuts)).said == [long[6:], b"y", long[6:]]


def test_an_event_without_an_end_is_not_kept_for_ever() -> None:
    stream = EventBlocks()
    for _ in range(8):
        assert stream.feed(b"x" * (1 << 20)) == b""
    with pytest.raises(ProviderFailed, match="without an end"):
        stream.feed(b"x")


def test_only_event_streams_are_followed() -> None:
    assert is_events({b"content-type": b"text/event-stream; charset=utf-8"})
    assert not is_events({b"content-type": b"application/json"})
    assert not is_events({b"content-type": b"text/event-stream", b"content-encoding": b"br"})
