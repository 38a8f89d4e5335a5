"""The raw door: HTTP/1.1 spoken directly on asyncio's transports. `reading.py` reads; here requests are answered."""

import asyncio
import logging
from collections import deque
from typing import cast

from tidegate.app.gateway import Events, Reply, Request
from tidegate.doors.http.bounds import BODY, HEAD, HTTP_1_0, IDLE, Refusal
from tidegate.doors.http.gateway.listener import Listener
from tidegate.doors.http.gateway.reading import Reader
from tidegate.doors.http.gateway.replies import (
    CONTINUE,
    LAST_CHUNK,
    head_bytes,
    internal_error,
    refusal,
    whole_bytes,
)
from tidegate.kernel.errors import TidegateError

__all__ = ["Connection"]

log = logging.getLogger(__name__)

QUEUE_BYTES = 1 << 20


class Connection(asyncio.Protocol):
    """One client. Requests that arrive together (pipelining) are answered in order, one at a time.

    The listener's sweeper looks at the reader's phase and at `touched` (loop time of the last progress, seconds).
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._gateway = listener.gateway
        self._loop = listener.loop
        self._reader = Reader(self, listener.limits, lambda: listener.gateway.policy.max_body_bytes)
        self.transport: asyncio.Transport | None = None
        self.task: asyncio.Task[None] | None = None
        self.touched = self._loop.time()
        self._queue: deque[tuple[Request, bool, str]] = deque()
        self._queued_bytes = 0
        self._writable: asyncio.Future[None] | None = None
        self._pouring: Events | None = None
        self._write_paused = False
        self._closing = False
        self._refusal: Refusal | None = None
        self._leave_owed = False

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._listener.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self.touched = self._reader.now = self._loop.time()
        try:
            self._reader.feed(data)
        except Refusal as refused:
            self._refuse(refused)
        except Exception:
            log.exception("reading a request failed")
            self._refuse(Refusal(400, "This request cannot be read."))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.connections.discard(self)
        self._closing = True
        self.resume_writing()
        if self.task is not None:
            self.task.cancel()
        self._queue.clear()

    def pause_writing(self) -> None:
        self._write_paused = True
        self.touched = self._loop.time()

    def resume_writing(self) -> None:
        self._write_paused = False
        self.touched = self._loop.time()
        if self._pouring is not None:
            self._pouring.go_on()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # What the reader calls.

    def take(self, request: Request, keep_alive: bool, version: str) -> None:
        """See `reading.Taker`."""
        if self._closing:
            return
        item = (request, keep_alive, version)
        if self.task is None:
            self.task = self._loop.create_task(self._serve(item))
            return
        if len(self._queue) >= self._listener.limits.queued:
            raise Refusal(429, f"More than {self._listener.limits.queued} requests wait on one connection.")
        self._queue.append(item)
        self._queued_bytes += len(request.body)
        if self._queued_bytes > QUEUE_BYTES and self.transport is not None:
            self.transport.pause_reading()  # not before: who does not read does not see the client leave

    def go_on(self) -> None:
        """See `reading.Taker`."""
        if self.task is not None:
            self._leave_owed = True
        elif self.transport is not None:
            self.transport.write(CONTINUE)

    def passed(self) -> None:
        """See `reading.Taker`."""
        if self.task is None:
            self._close()

    # One reply after another.

    async def _serve(self, item: tuple[Request, bool, str]) -> None:
        keep_alive = False
        try:
            while True:
                request, keep_alive, version = item
                keep_alive = keep_alive and not self._listener.draining
                try:
                    reply = await self._gateway.handle(request)
                except Exception:
                    log.exception("%s %s failed", request.method, request.path)
                    reply = internal_error()
                keep_alive = await self._write(request, reply, keep_alive, version)
                if not keep_alive or not self._queue:
                    break
                item = self._queue.popleft()
        finally:
            self.task = None
            if not self._closing:
                self._go_on_reading(keep_alive)

    def _go_on_reading(self, keep_alive: bool) -> None:
        """The replies that were asked for are written: read on, or part."""
        transport = self.transport
        assert transport is not None
        self._queue.clear()
        self._queued_bytes = 0
        self.touched = self._reader.began = self._loop.time()
        if self._refusal is not None:
            self._part(self._refusal if keep_alive else None)
            return
        if not keep_alive and not self._reader.discarding:
            self._close()
            return
        if self._leave_owed and self._reader.phase is BODY:
            transport.write(CONTINUE)
        self._leave_owed = False
        transport.resume_reading()

    async def _write(self, request: Request, reply: Reply, keep_alive: bool, version: str) -> bool:
        transport = self.transport
        assert transport is not None
        date = self._listener.date
        if reply.events is None:
            transport.write(whole_bytes(reply, date, keep_alive, request.method == "HEAD"))
            if self._write_paused:
                await self._drained()
            return keep_alive
        chunked = version != HTTP_1_0
        keep_alive = keep_alive and chunked
        transport.write(head_bytes(reply, date, keep_alive, chunked))

        def write(block: bytes) -> bool:
            transport.write(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
            return self._write_paused

        whole = False
        self._pouring = reply.events
        try:
            await reply.events.pour(write)
            whole = True
        except TidegateError as error:  # its call's record tells it; bytes that are no events can only break off
            log.debug("%s %s broke off: %s", request.method, request.path, error.code)
        except Exception:
            log.exception("%s %s broke off", request.method, request.path)
        finally:
            self._pouring = None
        if not whole:
            transport.abort()
            return False
        if chunked:
            transport.write(LAST_CHUNK)
        return keep_alive

    async def _drained(self) -> None:
        self._writable = self._loop.create_future()
        try:
            await self._writable
        finally:
            self._writable = None

    # Parting.

    def _refuse(self, refused: Refusal) -> None:
        """Stop reading: what follows on this connection cannot be trusted. Requests that were whole before are
        answered, then the refusal is.
        """
        if self.transport is None or self._closing:
            return
        self._refusal = refused
        if self.task is None:
            # after 413, whose body was being read past, there is nothing more to say
            self._part(None if self._reader.discarding else refused)

    def _part(self, refused: Refusal | None) -> None:
        """Say why, end our side, and read past what still comes until the client ends its side or `linger_s` is over:
        closing with unread bytes would reset the connection and could destroy the answer on its way.
        """
        transport = self.transport
        assert transport is not None
        if refused is not None:
            transport.write(refusal(refused.status, refused.why, self._listener.date))
        self.touched = self._loop.time()
        transport.resume_reading()
        if transport.can_write_eof():  # with TLS the client goes by Content-Length, or the sweeper closes
            transport.write_eof()

    def _close(self) -> None:
        self._closing = True
        self.touched = self._loop.time()
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Break the connection off; its call, if there is one, is cancelled."""
        if self.transport is not None:
            self.transport.abort()

    # What the listener's sweeper calls.

    def overdue(self, now: float) -> None:
        """Part from a client that makes no progress, and from idle ones while draining."""
        limits, phase, waited = self._listener.limits, self._reader.phase, now - self.touched
        if self._write_paused or self._closing:
            if waited > limits.stall_s:
                self.abort()
        elif self.task is not None:
            return
        elif self._refusal is not None:
            if waited > limits.linger_s:
                self._close()
        elif phase is IDLE:
            if self._listener.draining or waited > limits.idle_s:
                self._close()
        elif (phase is HEAD and now - self._reader.began > limits.head_s) or (phase is BODY and waited > limits.body_s):
            self._refuse(Refusal(408, "The request did not arrive in time."))
