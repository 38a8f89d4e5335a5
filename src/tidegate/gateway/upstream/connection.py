"""One connection to an upstream: writes a request, reads one response at a time, whole or piece by piece."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import httptools

from tidegate.kernel.errors import ProviderFailed, ProviderUnreachable

__all__ = ["Connection"]

HIGH_WATER_BYTES = 1 << 20
MAX_WHOLE_BYTES = 64 << 20
MAX_HEAD_BYTES = 256 << 10


class Connection(asyncio.Protocol):
    """A kept-alive HTTP/1.1 connection. One exchange at a time: `send`, then `head` and `piece` by piece or `pour`, or
    `whole`.

    Reading pauses when a slow client leaves more than HIGH_WATER_BYTES unread. The pool's sweeper watches `touched`
    (loop time of the last byte, seconds), `answered` (the body has begun), `waiter` (somebody waits for the upstream)
    and `held` (who takes what is poured is the slow one).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self.touched = 0.0
        self.held = False
        self.waiter: asyncio.Future[None] | None = None
        self._name = ""
        self._parser: Any = httptools.HttpResponseParser(self)
        self._paused = False
        self._exchanges = 0
        self._under_way = False
        self._begin()

    def _begin(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.reusable = False
        self.complete = False
        self.error: ProviderFailed | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._head_size = 0
        self._received = False
        self._want_whole = False
        self._headed = False
        self._take_on: Callable[[bytes], bool] | None = None
        self.answered = False

    @property
    def untouched(self) -> bool:
        """True when a reused connection broke before any byte of an answer: the request may be sent again, once."""
        return self._exchanges > 1 and not self._received

    def send(self, request: bytes | Sequence[bytes | memoryview], name: str) -> None:
        """Write one request (pieces are not joined) and make ready to read its response; `name` is what errors call the
        upstream.
        """
        self._begin()
        self._name = name
        self._exchanges += 1
        self._under_way = True
        self.touched = self.loop.time()
        if self.closed or self.transport is None:
            self.error = ProviderUnreachable(f"The upstream {name!r} closed the connection.", mend="Try again.")
            return
        if isinstance(request, bytes):
            self.transport.write(request)
        else:
            self.transport.writelines(request)

    async def head(self) -> None:
        """Wait for the response's status and headers; raises ProviderFailed."""
        while not self._headed:
            await self._wait()

    async def ended(self) -> None:
        """Wait for the response's end; raises ProviderFailed."""
        self._want_whole = True
        self._read_on()
        while not self.complete:
            await self._wait()

    async def whole(self) -> bytes:
        """Wait for the whole response and return its body; raises ProviderFailed."""
        await self.ended()
        return self._take()

    async def piece(self) -> bytes:
        """The next piece of the body, empty at its end; raises ProviderFailed when it breaks off."""
        while not self._parts:
            if self.complete:
                return b""
            await self._wait()
        return self._take()

    async def pour(self, take: Callable[[bytes], bool]) -> None:
        """Hand the body to `take` as it arrives; when that returns True, read no more until `go_on`. Raises
        ProviderFailed when it breaks off, and what `take` raises.
        """
        if self._parts and take(self._take()):
            self._hold_on()
        if self.complete:
            return
        self._take_on = take
        try:
            await self._wait()
        finally:
            self._take_on = None

    def go_on(self) -> None:
        """Read on after a `take` that returned True."""
        if self.held:
            self.held = False
            self.touched = self.loop.time()
            if self.transport is not None and not self.closed:
                self.transport.resume_reading()

    def fail(self, error: ProviderFailed) -> None:
        """End the exchange with an error and close the connection."""
        if self.error is None:
            self.error = error
        self.abort()
        self._wake()

    def abort(self) -> None:
        """Close at once: what is still to come is not wanted."""
        self.closed = True
        if self.transport is not None:
            self.transport.abort()

    def _take(self) -> bytes:
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._parts = []
        self._size = 0
        self._read_on()
        return data

    def _read_on(self) -> None:
        if self._paused and self.transport is not None and not self.closed:
            self._paused = False
            self.transport.resume_reading()

    async def _wait(self) -> None:
        self._raise()
        self.waiter = self.loop.create_future()
        try:
            await self.waiter
        finally:
            self.waiter = None
        if not self._parts and not self.complete:
            self._raise()

    def _raise(self) -> None:
        if self.error is not None:
            raise self.error

    def _wake(self) -> None:
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received = True
        self.touched = self.loop.time()
        if not self._under_way:
            self.abort()  # an upstream that speaks unasked: nothing it says can belong to a request
            return
        try:
            self._parser.feed_data(data)
            if not self._headed:
                self._count_head(len(data))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._misread(error)
            return
        if self._take_on is not None:
            self._hand_over(self._take_on)
        elif self.waiter is not None and (self.complete or not self._want_whole):
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if exc is None:
            self._finish_unframed()
        if not self.complete and self.error is None:
            if self._headed:
                self.error = ProviderFailed(
                    f"The upstream {self._name!r} broke off in the middle of its answer.",
                    mend="Try again.",
                    code="provider_cut",
                )
            else:
                self.error = ProviderUnreachable(
                    f"The upstream {self._name!r} closed the connection before it answered.", mend="Try again."
                )
        self._wake()

    def _hand_over(self, take: Callable[[bytes], bool]) -> None:
        try:
            if self._parts and take(self._take()):
                self._hold_on()
        except BaseException as error:
            self._take_on = None
            if self.waiter is not None and not self.waiter.done():
                self.waiter.set_exception(error)
            return
        if self.complete:
            self._wake()

    def _hold_on(self) -> None:
        if self.transport is not None and not self.closed and not self.complete:
            self.held = True
            self.transport.pause_reading()

    def _misread(self, error: Exception) -> None:
        if self.complete:
            self.reusable = False  # what came after the answer is no answer: the connection is done with
            self.abort()
            return
        why = error.__context__ or error
        if not isinstance(why, ProviderFailed):
            why = ProviderFailed(
                f"The answer of the upstream {self._name!r} is not HTTP: {why}.",
                mend="Check its base_url.",
                code="provider_not_http",
            )
        self.fail(why)

    def _count_head(self, size: int) -> None:
        """The parser keeps a header that does not end to itself, so what came in is counted."""
        self._head_size += size
        if self._head_size > MAX_HEAD_BYTES:
            raise httptools.HttpParserError(f"a head over {MAX_HEAD_BYTES} bytes")

    def _finish_unframed(self) -> None:
        """A body without length or chunks ends with the connection (RFC 9112, 6.3): then the end is the message's
        end.
        """
        unframed = b"content-length" not in self.headers and b"chunked" not in self.headers.get(
            b"transfer-encoding", b""
        )
        if self._headed and unframed and not self.complete and self.error is None:
            self.complete = True

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self.complete:
            raise ValueError("a second response to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._headed:  # trailers say nothing that we need
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if not 100 <= self.status < 600:
            raise ValueError(f"there is no status {self.status}")
        if self.status < 200:
            self.headers = {}
            return
        self._headed = True
        self.reusable = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        self.answered = True
        self._parts.append(body)
        self._size += len(body)
        if self._size > HIGH_WATER_BYTES:
            self._hold()

    def on_message_complete(self) -> None:
        if self._headed:
            self.complete = True
            self._under_way = False

    def _hold(self) -> None:
        if self._want_whole:
            if self._size > MAX_WHOLE_BYTES:
                raise ProviderFailed(
                    f"The answer of the upstream {self._name!r} is over {MAX_WHOLE_BYTES >> 20} MiB.",
                    mend="Ask for less, or for a stream.",
                    code="provider_too_large",
                )
        elif not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()
