"""Listening for either door: the connections, their sweeper, and how they are drained."""

import asyncio
import socket
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Protocol

from tidegate.app.gateway import Gateway
from tidegate.doors.http.bounds import Limits
from tidegate.doors.http.gateway.acceptor import Acceptor
from tidegate.doors.http.tls import Certificate

__all__ = ["Client", "Listener"]

BACKLOG = 4096
LOOK_S = 0.005


class Client(Protocol):
    """A connection, as its listener sees it. `task` answers its requests, while there is one."""

    task: asyncio.Task[None] | None

    def overdue(self, now: float) -> None:
        """Part from a client that makes no progress, and from idle ones while draining."""
        ...

    def abort(self) -> None:
        """Break the connection off; its call, if there is one, is cancelled."""
        ...


class Listener:
    """Serves one Gateway on a socket that may be shared with other processes. A connection adds itself to `connections`
    and takes itself out.
    """

    def __init__(self, gateway: Gateway, limits: Limits, certificate: Certificate | None = None) -> None:
        self.gateway = gateway
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.connections: set[Client] = set()
        self.draining = False
        self.date = formatdate(usegmt=True).encode()
        self._certificate = certificate
        self._server: asyncio.Server | Acceptor | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    async def listen(
        self, sock: socket.socket, connection: Callable[["Listener"], asyncio.Protocol], *, shared: bool = False
    ) -> None:
        """Begin to accept; `connection` makes each client's protocol. `shared`: other processes accept there too."""
        tls = self._tls()
        if shared:
            self._server = Acceptor(sock, lambda: connection(self), lambda: len(self.connections), tls)
        else:
            self._server = await self.loop.create_server(lambda: connection(self), sock=sock, backlog=BACKLOG, **tls)
        self._sweep()

    async def drain(self, timeout_s: float) -> int:
        """Accept no more and let what is under way end, for up to `timeout_s` seconds; then break it off, telling the
        clients. Returns how many connections were broken off.
        """
        self.draining = True
        if self._server is not None:
            self._server.close()
        await self._emptied(timeout_s)
        broken = len(self.connections)
        if broken:
            self.gateway.break_off()
            await self._emptied(self.limits.farewell_s)
        tasks = [connection.task for connection in self.connections if connection.task is not None]
        for connection in list(self.connections):
            connection.abort()
        if tasks:
            await asyncio.wait(tasks, timeout=self.limits.farewell_s)
        if self._sweeper is not None:
            self._sweeper.cancel()
        return broken

    def _tls(self) -> dict[str, Any]:
        """What asyncio is told of TLS; nothing without a certificate."""
        if self._certificate is None:
            return {}
        return {
            "ssl": self._certificate.context,
            "ssl_handshake_timeout": self.limits.head_s,
            "ssl_shutdown_timeout": self.limits.linger_s,
        }

    async def _emptied(self, timeout_s: float) -> None:
        limit = self.loop.time() + timeout_s
        while self.connections and self.loop.time() < limit:
            for connection in list(self.connections):
                connection.overdue(self.loop.time())
            await asyncio.sleep(LOOK_S)

    def _sweep(self) -> None:
        now = self.loop.time()
        self.date = formatdate(usegmt=True).encode()
        if self._certificate is not None:
            self._certificate.look(now)
        for connection in list(self.connections):
            connection.overdue(now)
        self._sweeper = self.loop.call_later(self.limits.sweep_s, self._sweep)
