"""application/vnd.amazon.eventstream, read at any split of the bytes, both checksums checked.

Format: https://smithy.io/2.0/aws/amazon-eventstream.html (read 2026-11): total length, headers' length, CRC-32 of both,
headers, payload, CRC-32 of all before it; numbers are big-endian.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from tidegate.gateway.providers.chatanswers import bad_answer

__all__ = ["Frame", "Frames", "is_frames"]

CONTENT_TYPE = b"application/vnd.amazon.eventstream"
PRELUDE: Final = struct.Struct(">III")
NUMBER: Final = struct.Struct(">I")
OVERHEAD = PRELUDE.size + NUMBER.size
MAX_FRAME_BYTES = 24 << 20
FIXED: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Header types of a fixed size, in bytes: true, false, byte, short, integer, long, timestamp, UUID."""
BYTES, STRING = 6, 7


class Frame(msgspec.Struct, frozen=True):
    """One message; `headers` are those that hold text."""

    headers: dict[str, str]
    payload: bytes


def is_frames(headers: Mapping[bytes, bytes]) -> bool:
    """Whether an answer with these headers is made of such messages, readable as they are."""
    return (
        headers.get(b"content-type", b"").lower().startswith(CONTENT_TYPE)
        and headers.get(b"content-encoding", b"identity").lower() == b"identity"
    )


class Frames:
    """Cuts a stream into whole messages."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """The messages that the chunk completes; raises ProviderFailed (`provider_bad_answer`) at one that is damaged.
        What is left at the end is no message.
        """
        rest = self._rest
        rest += chunk
        while (size := _size(rest)) is not None and len(rest) >= size:
            whole = bytes(rest[:size])
            del rest[:size]
            yield _frame(whole)


def _size(data: bytearray) -> int | None:
    """The size of the message that the data begin with; None when it is not known yet."""
    if len(data) < PRELUDE.size:
        return None
    total, in_headers, checksum = PRELUDE.unpack_from(data)
    if zlib.crc32(data[:8]) != checksum:
        raise bad_answer("an event whose length is damaged")
    if not OVERHEAD + in_headers <= total <= MAX_FRAME_BYTES:
        raise bad_answer(f"an event of {total} bytes with {in_headers} of headers")
    return int(total)


def _frame(whole: bytes) -> Frame:
    if zlib.crc32(whole[:-4]) != NUMBER.unpack_from(whole, len(whole) - 4)[0]:
        raise bad_answer("an event that is damaged")
    in_headers = PRELUDE.unpack_from(whole)[1]
    end = PRELUDE.size + in_headers
    return Frame(dict(_headers(whole[PRELUDE.size : end])), whole[end:-4])


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    try:
        while at < len(data):
            end = at + 1 + data[at]
            name, kind = data[at + 1 : end], data[end]
            at = end + 1
            size = FIXED.get(kind)
            if size is None:
                if kind not in (BYTES, STRING):
                    raise bad_answer(f"an event with a header of the type {kind}")
                size = int.from_bytes(data[at : at + 2])
                at += 2
            value = data[at : at + size]
            at += size
            if kind == STRING:
                yield name.decode(), value.decode()
    except (IndexError, UnicodeDecodeError) as error:
        raise bad_answer(f"an event whose headers cannot be read ({error})") from error
    if at != len(data):
        raise bad_answer("an event whose headers have no end")
