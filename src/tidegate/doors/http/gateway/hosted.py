"""The portable door's host: uvicorn's HTTP connection, held to the limits of the raw door and drained as it is."""

import asyncio
import logging
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from tidegate.app.gateway import Gateway
from tidegate.doors.http.bounded import BoundedConnection
from tidegate.doors.http.bounds import BODY, HEAD, HTTP_1_0, IDLE, Refusal
from tidegate.doors.http.gateway.asgi import BREAK_OFF, GatewayApp, merged
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


class HostedConnection(BoundedConnection):
    """One client of the portable door. What uvicorn lets pass and the raw door does not is refused here: heads without
    end, targets that are no paths, trailers as headers, bytes after the end, clients that never go on.
    """

    def __init__(self, host: Host, listener: Listener) -> None:
        super().__init__(host.config, host.state, {}, listener.loop)
        self.limits = listener.limits
        self.parser.set_dangerous_leniencies(lenient_data_after_close=False)
        self.task: asyncio.Task[None] | None = None
        self._listener = listener
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

    # What the parser calls.

    def on_headers_complete(self) -> None:
        self.check_head(self.parser, self.url, merged(self.headers))
        self.body_size = 0
        self.scope["extensions"] = {BREAK_OFF: {"call": self.abort}}
        self.server_state.default_headers = [(b"date", self._listener.date)]
        super().on_headers_complete()
        if self._listener.draining:
            self.cycle.keep_alive = False

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
        if self.refused is not None and not self._busy() and not self.transport.is_closing():
            self._part(self.refused)

    def _busy(self) -> bool:
        return self._running is not None

    def refuse(self, refused: Refusal) -> None:
        """Stop reading. Requests that were whole before are answered, then the refusal is."""
        if self.transport.is_closing():
            return
        self.refused = refused
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
        elif self.refused is not None and self._running is None:
            if waited > limits.linger_s:
                self.transport.close()
        elif reading:
            if waited > limits.body_s:
                self.refuse(Refusal(408, "The request did not arrive in time."))
        elif self._running is not None:
            return
        elif phase is IDLE:
            if self._listener.draining or waited > limits.idle_s:
                self.transport.close()
        elif phase is HEAD and now - self.began > limits.head_s:
            self.refuse(Refusal(408, "The request did not arrive in time."))


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
