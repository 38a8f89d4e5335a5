"""The control process: takes a listening socket, serves until SIGTERM or SIGINT, finishes its answers, exits 0."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Generator, Mapping

import uvicorn
import uvloop

from tidegate.app.control import Control
from tidegate.app.sockets import bind
from tidegate.doors.http.control.application import make_app
from tidegate.doors.http.control.connection import ControlConnection
from tidegate.doors.http.tls import Certificate, open_certificate
from tidegate.settings import Settings

__all__ = ["make_server", "serve_control"]

log = logging.getLogger(__name__)

FINISH_S = 30
KEEP_ALIVE_S = 15


def serve_control(
    settings: Settings, environ: Mapping[str, str] | None = None, sock: socket.socket | None = None
) -> None:
    """Run the control process until it is told to stop. Without a socket, binds the address of the settings.

    Raises Conflict when the port is taken, Invalid when a setting, the key file or the certificate is wrong. A database
    that is away is not an error: the process waits for it, and /readyz says so.
    """
    listening = sock or bind(settings.control_host, settings.control_port, setting="server.control_port")
    with listening, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, os.environ if environ is None else environ, listening))


async def _serve(settings: Settings, environ: Mapping[str, str], sock: socket.socket) -> None:
    certificate = open_certificate(settings, "control")
    control = Control(settings, environ)
    await control.start()
    log.info("control %s serves on %s (pid %d)", control.control_id, sock.getsockname(), os.getpid())
    try:
        await make_server(control, certificate).serve(sockets=[sock])
    finally:
        await control.stop()
    log.info("control %s stopped", control.control_id)


def make_server(
    control: Control, certificate: Certificate | None = None, connection: type[ControlConnection] = ControlConnection
) -> uvicorn.Server:
    """The server of a Control that its caller starts and stops; `connection` holds each client to its limits."""
    config = uvicorn.Config(
        make_app(control),
        loop="none",
        http=connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=FINISH_S,
        ssl_context_factory=None if certificate is None else lambda *_: certificate.context,
    )
    return _Server(config, certificate)


class _Server(uvicorn.Server):
    """uvicorn ends its process by the signal that stopped it; here a stop that was asked for ends with exit code 0.
    A certificate that changes is taken up, and clients that make no progress are parted from.
    """

    def __init__(self, config: uvicorn.Config, certificate: Certificate | None) -> None:
        super().__init__(config)
        self._certificate = certificate

    async def on_tick(self, counter: int) -> bool:
        """What uvicorn does ten times a second."""
        if self._certificate is not None:
            self._certificate.look(time.monotonic())
        for connection in list(self.server_state.connections):
            if isinstance(connection, ControlConnection):
                connection.overdue()
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Let SIGTERM and SIGINT end the serving."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)
