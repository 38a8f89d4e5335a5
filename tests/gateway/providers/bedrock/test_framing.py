"""Event streams are read the same at any split of their bytes, and never wrongly when they are damaged. botocore reads
the same bytes as an oracle.
"""

import struct
import zlib
from itertools import pairwise

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bedrock_fake import converse_events, frame
from tidegate.gateway.providers.bedrock.framing import Frame, Frames, is_frames
from tidegate.kernel.errors import ProviderFailed

NAMES = st.text(min_size=1, max_size=20).filter(lambda name: 0 < len(name.encode()) <= 255)
FRAMES = st.lists(
    st.tuples(st.dictionaries(NAMES, st.text(max_size=30), max_size=4), st.binary(max_size=200)), max_size=6
)


def read(parts: list[bytes]) -> list[Frame]:
    stream = Frames()
    return [one for part in parts for one in stream.feed(part)]


def gather(data: bytes, found: list[Frame]) -> None:
    for one in Frames().feed(data):
        found.append(one)  # what came before the error counts


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a != b]


@given(made=FRAMES, cuts=st.lists(st.integers(0, 5000), max_size=12))
@settings(max_examples=100)
def test_what_was_framed_is_read_at_any_split(made: list[tuple[dict[str, str], bytes]], cuts: list[int]) -> None:
    data = b"".join(frame(headers, payload) for headers, payload in made)
    found = read(split(data, cuts))
    assert [(one.headers, one.payload) for one in found] == made
    oracle = EventStreamBuffer()
    oracle.add_data(data)
    assert [(one.headers, one.payload) for one in oracle] == made


WHOLE = b"".join(converse_events([{"text": "Hi"}, {"text": "Füße"}]))


@given(at=st.integers(0, len(WHOLE) - 1), bits=st.integers(1, 255))
@settings(max_examples=150)
def test_a_damaged_byte_is_never_read_as_an_event(at: int, bits: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] ^= bits
    right = read([WHOLE])
    found: list[Frame] = []
    with pytest.raises(ProviderFailed, match=r"damaged|bytes"):
        gather(bytes(damaged), found)
    assert found == right[: len(found)]


@pytest.mark.parametrize("kind", range(10))
def test_headers_of_every_type_are_skipped_over(kind: int) -> None:
    sizes = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
    value = bytes(sizes[kind]) if kind in sizes else b"\x00\x03abc"
    text = b"\x01b\x07\x00\x01x"
    [one] = read([_raw(b"\x01a" + bytes([kind]) + value + text)])
    assert one.headers == {"b": "x"} | ({"a": "abc"} if kind == 7 else {})


@pytest.mark.parametrize("headers", [b"\x01", b"\x01a\x0a", b"\x05ab", b"\x01a\x07\x00\x09x", b"\x01a\x07\x00\x01\xff"])
def test_headers_that_cannot_be_read(headers: bytes) -> None:
    with pytest.raises(ProviderFailed, match="header"):
        read([_raw(headers)])


def test_only_event_streams_are_followed() -> None:
    assert is_frames({b"content-type": b"application/vnd.amazon.eventstream"})
    assert not is_frames({b"content-type": b"application/json"})
    assert not is_frames({b"content-type": b"application/vnd.amazon.eventstream", b"content-encoding": b"gzip"})


def _raw(headers: bytes) -> bytes:
    prelude = struct.pack(">II", 16 + len(headers), len(headers))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers
    return whole + struct.pack(">I", zlib.crc32(whole))
