"""The Board on PostgreSQL: LISTEN wakes the gateway at once; a slow poll covers a notification that was lost."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg

from tidegate.kernel.errors import Invalid, Unavailable
from tidegate.live.snapshot import Snapshot, decode_snapshot

__all__ = ["CHANNEL", "PostgresBoard"]

CHANNEL = "tidegate_snapshot"
POLL_S = 5.0
AWAY_S = 0.5
CONNECT_S = 5.0
COMMAND_S = 5.0
NEWEST = "SELECT blob, sha256 FROM snapshots WHERE generation > $1 ORDER BY generation DESC LIMIT 1"


class PostgresBoard:
    """Reads the newest Snapshot over one connection, opened again when it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.fault: str | None = None
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._told = asyncio.Event()

    async def latest(self) -> Snapshot | None:
        """See `live.ports.Board`."""
        return await self._read(0)

    async def changes(self, after: int) -> AsyncIterator[Snapshot]:
        """See `live.ports.Board`."""
        while True:
            try:
                self._told.clear()
                snapshot = await self._read(after)
                self.fault = None
                if snapshot is not None:
                    after = snapshot.generation
                    yield snapshot
                    continue
                await self._wait()
            except (Unavailable, Invalid) as error:
                self.fault = str(error)
                await asyncio.sleep(AWAY_S)

    async def close(self) -> None:
        """See `live.ports.Board`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_S):
                await self._told.wait()
        except TimeoutError:
            return

    async def _read(self, after: int) -> Snapshot | None:
        try:
            connection = await self._open()
            row = await connection.fetchrow(NEWEST, after)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self.close()
            raise Unavailable(
                f"The control database cannot be read: {error}.", mend="Check the server and database_url.",
                code="database_unavailable",
            ) from error  # fmt: skip
        return decode_snapshot(row["blob"], row["sha256"]) if row else None

    async def _open(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._url, timeout=CONNECT_S, command_timeout=COMMAND_S)
            self._connection.add_termination_listener(self._lost)
            await self._connection.add_listener(CHANNEL, self._notified)
        return self._connection

    def _notified(self, *_: object) -> None:
        self._told.set()

    def _lost(self, *_: object) -> None:
        self._told.set()
