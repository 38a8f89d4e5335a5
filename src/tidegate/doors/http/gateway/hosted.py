"""The portable door's host: uvicorn's HTTP connection, held to the limits of the raw door and drained as it is."""

import asyncio
import logging
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from tidegate.app.gateway import Gateway
from tidegate.doors.http.gateway.asgi import BREAK_OFF, GatewayApp, merged
from tidegate.doors.http.gateway.bounds import BODY, HEAD, HTTP_1_0, IDLE, Bounds, Refusal
from tidegate.doors.http.gateway.listener import Listener
from tidegate.doors.http.gateway.replies import refusal

__all__ = ["Host", "HostedConnection"]

log = logging.getLogger(__name__)

NEVER_S = 24 * 3600  # uvicorn's own timer for idle connections: the listener's sweeper is the one that counts


class Host:
    """Makes the connections of one Listener."""

    def __init__(self, gateway: Gateway) -> None:
        self.state = ServerState()
        self.config = uvicorn.Config(
            GatewayApp(gateway),
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            timeout_keep_alive=NEVER_S,
        )

    def connection(self, listener: Listener) -> "HostedConnection":
        """A connection for a client that was just accepted."""
        return HostedConnection(self, listener)


class HostedConnection(Bounds, HttpToolsProtocol):
    """One client of the portable door. What uvicorn lets pass and the raw door does not is refused here: heads without
    end, targets that are no paths, trailers as headers, bytes after the end, clients that never go on.
    """

    def __init__(self, host: Host, listener: Listener) -> None:
        super().__init__(config=host.config, server_state=host.state, app_state={}, _loop=listener.loop)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=False)
        self.limits = listener.limits
        self.task: asyncio.Task[None] | None = None
        self.touched = self.began = listener.loop.time()
        self._listener = listener
        self._size = 0
        self._refusal: Refusal | None = None
        self._running: RequestResponseCycle | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows it
        self._listener.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.connections.discard(self)
        for cycle in (self._running, *(cycle for cycle, _ in self.pipeline)):  # uvicorn tells the newest one only
            if cycle is not None:
                self._desert(cycle)
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None or self.parser is None:
            return
        self._unset_keepalive_if_required()
        self.touched = self.loop.time()
        before = self._size
        try:
            self.parser.feed_data(data)
            self.fed(len(data), self._size != before)
        except Refusal as refused:
            self._refuse(refused)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, Refusal):
                log.error("reading a request failed", exc_info=cause)
                cause = Refusal(400, "This request cannot be read.")
            self._refuse(cause)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._refuse(Refusal(400, f"This is not a well-formed HTTP/1.1 request: {error}."))

    def pause_writing(self) -> None:
        self.touched = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.touched = self.loop.time()
        super().resume_writing()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self.message_begins()
        self.began = self.touched
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self.count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.count_header(len(name) + len(value))
        if self.phase is HEAD:  # trailers go nowhere
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.check_head(self.parser, self.url, merged(self.headers))
        self._size = 0
        self.scope["extensions"] = {BREAK_OFF: {"call": self.abort}}
        self.server_state.default_headers = [(b"date", self._listener.date)]
        super().on_headers_complete()
        if self._listener.draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self.cycle.response_complete and self._size > self.limits.discard_bytes:
            raise Refusal(413, "The body does not end.")
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.phase = IDLE
        super().on_message_complete()

    # One reply after another.

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        if cycle.scope["http_version"] == HTTP_1_0:  # to which uvicorn would send chunks, which it does not know
            cycle.chunked_encoding = False
            cycle.expected_content_length = _Whatever()
        self.task = task = self.loop.create_task(cycle.run_asgi(app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        self.touched = self.began = self.loop.time()
        self._running = None
        super().on_response_complete()
        if self._refusal is not None and not self._busy() and not self.transport.is_closing():
            self._part(self._refusal)

    def _busy(self) -> bool:
        return self._running is not None

    def _refuse(self, refused: Refusal) -> None:
        """Stop reading. Requests that were whole before are answered, then the refusal is."""
        if self.transport.is_closing():
            return
        self._refusal = refused
        broken = self.cycle if self.phase is BODY else None
        if broken is not None and broken is self._running:
            self._running = None
            self._desert(broken)
        elif broken is not None and self.pipeline and self.pipeline[0][0] is broken:
            self.pipeline.popleft()
        if self._running is None:
            self._part(None if broken is not None and broken.response_started else refused)

    def _desert(self, cycle: RequestResponseCycle) -> None:
        if not cycle.response_complete:
            cycle.disconnected = True
        cycle.message_event.set()

    def _part(self, refused: Refusal | None) -> None:
        """See `raw.Connection._part`."""
        if refused is not None:
            self.transport.write(refusal(refused.status, refused.why, self._listener.date))
        self.touched = self.loop.time()
        self.flow.resume_reading()
        if self.transport.can_write_eof():  # with TLS the client goes by Content-Length, or the sweeper closes
            self.transport.write_eof()

    def abort(self) -> None:
        """Break the connection off; its call, if there is one, is cancelled."""
        self.transport.abort()

    # What the listener's sweeper calls.

    def overdue(self, now: float) -> None:
        """See `raw.Connection.overdue`."""
        limits, phase, waited = self.limits, self.phase, now - self.touched
        if self._listener.draining and self.cycle is not None:
            self.cycle.keep_alive = False
        reading = phase is BODY and (self._running is None or self._running is self.cycle)
        if self.flow.write_paused or self.transport.is_closing():
            if waited > limits.stall_s:
                self.abort()
        elif self._refusal is not None and self._running is None:
            if waited > limits.linger_s:
                self.transport.close()
        elif reading:
            if waited > limits.body_s:
                self._refuse(Refusal(408, "The request did not arrive in time."))
        elif self._running is not None:
            return
        elif phase is IDLE:
            if self._listener.draining or waited > limits.idle_s:
                self.transport.close()
        elif phase is HEAD and now - self.began > limits.head_s:
            self._refuse(Refusal(408, "The request did not arrive in time."))


class _Whatever(int):
    """A Content-Length that every body has: the body ends with the connection."""

    def __lt__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return False

    def __sub__(self, other: int) -> "_Whatever":
        return self

    __eq__ = int.__eq__
    __hash__ = int.__hash__
