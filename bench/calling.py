"""One kept connection to a gateway, as cheap as Python makes it: for loads that measure, and for many calls."""

import asyncio
import re
from collections.abc import Callable
from typing import cast

__all__ = ["Connection", "call_bytes"]

END = b"\r\n0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One call at a time; what is received is kept only until the next call."""

    def __init__(self) -> None:
        self.received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._heard: Callable[[int | None], None] | None = None
        self._leaves = False

    @classmethod
    async def opened(cls, port: int) -> "Connection":
        """A connection to this loopback port. Raises OSError."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, data: bytes, heard: Callable[[int | None], None], *, leaves: bool = False) -> None:
        """Send a call. `heard` gets the status once the answer is whole, with `leaves` at its first event; None when
        the connection is lost before.
        """
        self._heard, self._leaves = heard, leaves
        self.received.clear()
        if self._transport is None or self._transport.is_closing():
            self._hear(None)
        else:
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self._heard is not None and self._ended():
            self._hear(int(self.received[9:12]))

    def _ended(self) -> bool:
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", self.received[:end])
        if length is not None:
            return len(self.received) - end - 4 >= int(length[1])
        return self.received.endswith(END) or (self._leaves and self.received.find(b"data: ", end) > 0)

    def _hear(self, status: int | None) -> None:
        heard, self._heard = self._heard, None
        if heard is not None:
            heard(status)

    def connection_lost(self, exc: Exception | None) -> None:
        self._hear(None)

    @property
    def can_go_on(self) -> bool:
        """Whether another call may follow."""
        closes = b"\r\nconnection: close" in bytes(self.received[:1000]).lower()
        return self._transport is not None and not self._transport.is_closing() and not closes

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


def call_bytes(key: str, body: bytes) -> bytes:
    """A chat completion, asked for with this key."""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
