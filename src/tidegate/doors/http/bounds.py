"""How much, and for how long, the doors put up with: one set of limits, and the checks of a request's head that all of
them make.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["BODY", "HEAD", "IDLE", "Bounds", "Limits", "Refusal"]

IDLE, HEAD, BODY = "idle", "head", "body"
VERSIONS = ("1.1", "1.0")
HTTP_1_0 = "1.0"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one client may ask of a door. Sizes in bytes, times in seconds.

    `head_s` counts from a request's first byte to the end of its head; `body_s` and `stall_s` from the last progress
    of reading the body or writing the reply; `idle_s` between requests; `linger_s` is how long what still comes in
    after a refusal is read past, so that the client gets to see the answer.
    """

    head_bytes: int = 64 << 10
    headers: int = 128
    queued: int = 64
    discard_bytes: int = 256 << 20
    head_s: float = 15.0
    body_s: float = 60.0
    idle_s: float = 75.0
    stall_s: float = 60.0
    linger_s: float = 2.0
    sweep_s: float = 1.0
    farewell_s: float = 1.0


class Refusal(Exception):
    """What came in is no request that this door reads: `status` and `why` are for the client, who is then sent away."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Bounds:
    """Holds the reading of one client's requests to the limits.

    Heads are counted twice: header by header as the parser hands them over, and chunk by chunk as they come in, since a
    parser keeps a header that does not end to itself. In bodies what frames them (chunk sizes, extensions, trailers)
    is counted for the same reason.
    """

    limits: Limits
    phase = IDLE
    _head_size = 0
    _header_count = 0
    _raw_size = 0
    _fresh = True

    def message_begins(self) -> None:
        """A request's first byte was read."""
        self.phase = HEAD
        self._head_size = self._header_count = self._raw_size = 0
        self._fresh = True

    def count(self, size: int) -> None:
        """The parser handed over `size` bytes of a target or a header; raises Refusal (431)."""
        self._head_size += size
        if self._head_size > self.limits.head_bytes:
            self._too_much()

    def count_header(self, size: int) -> None:
        """As `count`, of one whole header."""
        self._header_count += 1
        if self._header_count > self.limits.headers:
            self._too_much()
        self.count(size)

    def check_head(self, parser: Any, target: bytes, headers: Mapping[bytes, bytes]) -> str:
        """The head is whole: return its HTTP version; raises Refusal for what a proxy before us could read otherwise
        than we do.
        """
        version: str = parser.get_http_version()
        host = headers.get(b"host")
        if version not in VERSIONS:
            raise Refusal(505, f"This server speaks HTTP/1.1, not HTTP/{version}.")
        if parser.should_upgrade():
            raise Refusal(400, "This server neither tunnels nor changes protocols.")
        if not target.startswith(b"/"):
            raise Refusal(400, "The request's target must be a path.")
        if version == HTTP_1_0:
            if b"transfer-encoding" in headers:
                raise Refusal(400, "HTTP/1.0 has no Transfer-Encoding.")
        elif host is None:
            raise Refusal(400, "The Host header is missing.")
        if host is not None and b"," in host:
            raise Refusal(400, "There is more than one Host header.")
        self.phase = BODY
        self._raw_size = 0
        return version

    def fed(self, size: int, progress: bool) -> None:
        """A chunk of `size` bytes was parsed; `progress` when some of it was body. Raises Refusal (431)."""
        if self.phase is IDLE:
            return
        if self._fresh or progress:
            self._fresh = False  # the chunk may have begun with the end of the request before
            return
        self._raw_size += size
        if self._raw_size > self.limits.head_bytes:
            self._too_much()

    def _too_much(self) -> None:
        limits = self.limits
        raise Refusal(431, f"The request's head is over {limits.head_bytes} bytes or {limits.headers} headers.")
