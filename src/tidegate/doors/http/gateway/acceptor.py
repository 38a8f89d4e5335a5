"""Accepting on a socket that several processes share, so that the one with the fewest connections takes the next.

A loop left to itself accepts all that wait, and the first to wake keeps them all: four processes, and two of them idle.
Here each process waits a moment, the longer the more connections it has, and then takes one or a few.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["Acceptor"]

log = logging.getLogger(__name__)

WAIT_PER_CONNECTION_S = 0.0002
LONGEST_WAIT_S = 0.002
CONNECTIONS_PER_EXTRA = 16
EXHAUSTED_WAIT_S = 0.1


class Acceptor:
    """`has` tells how many connections this process serves; `protocol` makes the protocol of a new one; `tls` goes to
    asyncio with each.
    """

    def __init__(
        self,
        sock: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        has: Callable[[], int],
        tls: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._protocol = protocol
        self._has = has
        self._tls = tls
        self._waiting: asyncio.TimerHandle | None = None
        self._opening: set[asyncio.Task[None]] = set()
        self._closed = False
        self._watch()

    def close(self) -> None:
        """Accept no more."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock)
        if self._waiting is not None:
            self._waiting.cancel()
        self._sock.close()

    def _watch(self) -> None:
        self._waiting = None
        if not self._closed:
            self._loop.add_reader(self._sock, self._somebody_waits)

    def _somebody_waits(self) -> None:
        self._loop.remove_reader(self._sock)
        wait_s = min((self._has() + len(self._opening)) * WAIT_PER_CONNECTION_S, LONGEST_WAIT_S)
        self._waiting = self._loop.call_later(wait_s, self._take)

    def _take(self) -> None:
        for _ in range(1 + self._has() // CONNECTIONS_PER_EXTRA):
            try:
                client, _address = self._sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                break  # another process was quicker, or the client left
            except OSError as error:
                log.error("no connection can be accepted just now: %s", error)
                self._waiting = self._loop.call_later(EXHAUSTED_WAIT_S, self._watch)
                return
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._open(client))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        self._watch()

    async def _open(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, client, **self._tls)
        except OSError as error:
            client.close()
            log.info("a client left before it was served: %s", error)
