"""One gateway process: takes a listening socket, serves until SIGTERM or SIGINT, drains, flushes, exits 0."""

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping

import uvloop

from tidegate.app.gateway import Gateway
from tidegate.app.stores import open_stores
from tidegate.doors.http.bounds import Limits
from tidegate.doors.http.gateway.listener import Listener
from tidegate.doors.http.gateway.raw import Connection
from tidegate.doors.http.tls import open_certificate
from tidegate.kernel.errors import Invalid
from tidegate.settings import Settings

__all__ = ["TRANSPORTS", "run_gateway", "serve"]

log = logging.getLogger(__name__)

TRANSPORTS = ("raw", "asgi")
DEFAULTS = Limits()


def run_gateway(settings: Settings, environ: Mapping[str, str], sock: socket.socket, limits: Limits = DEFAULTS) -> None:
    """Run the process's loop until it is told to stop."""
    if settings.transport not in TRANSPORTS:
        raise Invalid(
            f"There is no gateway transport {settings.transport!r}.",
            mend=f"Use one of {', '.join(TRANSPORTS)}.",
            code="invalid_setting",
        )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, environ, sock, limits))


async def _run(settings: Settings, environ: Mapping[str, str], sock: socket.socket, limits: Limits) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    certificate = open_certificate(settings)
    gateway = Gateway(settings, open_stores(settings, environ), environ)
    await gateway.start()
    gc.collect()
    gc.freeze()  # what a process begins with lives as long as it does: no collection need walk through it again
    log.info(
        "gateway %s serves on %s (pid %d, %s)", gateway.gateway_id, sock.getsockname(), os.getpid(), settings.transport
    )
    try:
        listener = Listener(gateway, limits, certificate)
        await serve(listener, settings.transport, sock, told, shared=settings.gateways > 1)
    finally:
        await gateway.stop()
    log.info("gateway %s stopped", gateway.gateway_id)


async def serve(
    listener: Listener, transport: str, sock: socket.socket, told: asyncio.Event, *, shared: bool = False
) -> None:
    """Serve the listener's Gateway, which has started, on a socket by one of TRANSPORTS until `told`, then drain."""
    gateway = listener.gateway
    await listener.listen(sock, Connection if transport == "raw" else _portable(gateway), shared=shared)
    await told.wait()
    gateway.drain()
    drain_s = gateway.policy.drain_timeout_s
    broken = await listener.drain(drain_s)
    if broken:
        log.warning("%d connections were broken off after %g s", broken, drain_s)


def _portable(gateway: Gateway) -> Callable[[Listener], asyncio.Protocol]:
    from tidegate.doors.http.gateway.hosted import Host  # noqa: PLC0415  # lazy: uvicorn costs memory

    return Host(gateway).connection
