"""Processes that share a listening socket share its connections, and lose none."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from tests.support.waiting import until
from tidegate.app.sockets import bind
from tidegate.doors.http.gateway.acceptor import Acceptor


class Counted(asyncio.Protocol):
    """A connection that its process counts."""

    def __init__(self, open_ones: set["Counted"]) -> None:
        self._open = open_ones
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)


class Sharer:
    """One process's part of a shared socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.open: set[Counted] = set()
        self._acceptor = Acceptor(sock.dup(), lambda: Counted(self.open), lambda: len(self.open))

    def close(self) -> None:
        self._acceptor.close()
        self._acceptor.close()  # twice does no harm
        for connection in list(self.open):
            if connection.transport is not None:
                connection.transport.close()


@pytest.fixture
async def shared() -> AsyncIterator[socket.socket]:
    sock = bind("127.0.0.1", 0)
    yield sock
    sock.close()


async def _connect(port: int, count: int) -> list[asyncio.StreamWriter]:
    return [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(count)]


@pytest.mark.parametrize("count", [1, 40, 200])
async def test_every_connection_is_accepted_and_no_process_takes_all(shared: socket.socket, count: int) -> None:
    sharers = [Sharer(shared) for _ in range(4)]
    clients = await _connect(shared.getsockname()[1], count)
    await until(lambda: sum(len(sharer.open) for sharer in sharers) == count)
    if count >= 40:
        shares = sorted(len(sharer.open) for sharer in sharers)
        assert shares[0] > 0
        assert shares[-1] <= count // 2
    for client in clients:
        client.close()
    for sharer in sharers:
        sharer.close()


async def test_what_waits_is_taken_by_those_who_stay(shared: socket.socket) -> None:
    leaving, staying = Sharer(shared), Sharer(shared)
    leaving.close()
    clients = await _connect(shared.getsockname()[1], 10)
    await until(lambda: len(staying.open) == 10)
    for client in clients:
        client.close()
    staying.close()
