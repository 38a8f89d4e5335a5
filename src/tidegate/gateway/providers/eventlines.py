"""Server-sent events, read at any split of the bytes.

Framing: https://html.spec.whatwg.org/multipage/server-sent-events.html (comments, fields, line ends and the mark at the
beginning as it says).
"""

from collections.abc import Mapping

from tidegate.gateway.providers.chatanswers import bad_answer

__all__ = ["MAX_EVENT_BYTES", "EventBlocks", "data_of", "events_of", "is_events"]

MAX_EVENT_BYTES = 8 << 20
LONG_BYTES = 64 << 10
MARK = b"\xef\xbb\xbf"


def is_events(headers: Mapping[bytes, bytes]) -> bool:
    """Whether an answer with these headers is made of server-sent events that can be read as they are."""
    return (
        headers.get(b"content-type", b"").lower().startswith(b"text/event-stream")
        and headers.get(b"content-encoding", b"identity").lower() == b"identity"
    )


class EventBlocks:
    """Cuts a stream into blocks of whole events. In a block every line ends in LF, and every event in an empty line."""

    __slots__ = ("_after_cr", "_begun", "_long", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._long = bytearray()  # instead of the rest when that is long: it is neither copied nor searched again
        self._after_cr = False
        self._begun = False

    @property
    def rest(self) -> bytes:
        """What came after the last whole event."""
        return bytes(self._long) or self._rest

    def feed(self, chunk: bytes) -> bytes:
        """The events that the chunk completes; empty when it completes none. Raises ProviderFailed for an event without
        an end.
        """
        if chunk.find(b"\r") >= 0 or self._after_cr or not self._begun:
            chunk = self._plain(chunk)
        if self._long:
            return self._lengthen(chunk)
        if self._rest:
            chunk = self._rest + chunk
        end = chunk.rfind(b"\n\n") + 2
        if end == 1:  # there is none
            self._rest = chunk
            if len(chunk) > LONG_BYTES:
                self._long, self._rest = bytearray(chunk), b""
            return b""
        self._rest = chunk[end:]
        return chunk[:end]

    def _lengthen(self, chunk: bytes) -> bytes:
        long = self._long
        end = chunk.rfind(b"\n\n") + 2
        at_seam = chunk.startswith(b"\n") and long.endswith(b"\n")
        if end > 1 or at_seam:
            long += chunk[:end]
            self._rest, self._long = chunk[end:], bytearray()
            return bytes(long)
        long += chunk
        if len(long) > MAX_EVENT_BYTES:
            raise bad_answer("an event without an end")
        return b""

    def _plain(self, chunk: bytes) -> bytes:
        """The chunk without the mark that a stream may begin with, and with LF for CRLF and CR. A CR ends its line at
        once: the LF that may follow in the next chunk is part of it.
        """
        if not self._begun:
            chunk = self._rest + chunk
            self._rest = b""
            if len(chunk) < len(MARK) and MARK.startswith(chunk):
                self._rest = chunk
                return b""
            self._begun = True
            chunk = chunk.removeprefix(MARK)
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if chunk.endswith(b"\r"):
            self._after_cr = True
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def events_of(block: bytes) -> list[bytes]:
    """The events of a block, each without the empty line that ends it."""
    return block.split(b"\n\n")[:-1]


def data_of(event: bytes) -> bytes:
    """An event's data, its lines joined, without white space around it, which says nothing in JSON; empty for an event
    that has none (a comment, a keep-alive).
    """
    before, _, last = event.rpartition(b"\n")
    if last.startswith(b"data:") and before.find(b"data") < 0:  # the usual case
        return last[5:].strip()
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line[:5] in (b"data:", b"data")]
    return b"\n".join(lines).strip()
