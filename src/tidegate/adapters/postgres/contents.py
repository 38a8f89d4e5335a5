"""Content on PostgreSQL: a table of its own, sealed row by row before it leaves the process."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

import asyncpg

from tidegate.adapters.sql.contents_table import ContentRow, Seals, content_of, content_row, contents_ddl, resealed_rows
from tidegate.kernel.errors import Unavailable
from tidegate.live.contents import Erased, Resealed
from tidegate.live.ports import Content

__all__ = ["PostgresContents"]

CONNECT_S = 5.0
COMMAND_S = 30.0

INSERT = "INSERT INTO call_contents VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING"
ERASE = """WITH gone AS (DELETE FROM call_contents WHERE subject_hash = ANY($1::text[]) OR shadow_of IN
(SELECT call_id FROM call_contents WHERE subject_hash = ANY($1::text[])) RETURNING 1) SELECT count(*) FROM gone"""
UNCHECKED = "SELECT count(*) FROM call_contents WHERE subject_hash IS NOT NULL AND key_id <> ALL($1::text[])"
PRUNE = """WITH gone AS (DELETE FROM call_contents WHERE call_id IN (SELECT call_id FROM call_contents
WHERE expires_at_ms <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING 1) SELECT count(*) FROM gone"""
KEPT = "SELECT call_id FROM call_contents WHERE call_id = ANY($1::text[])"
RESEALABLE = """SELECT call_id, body FROM call_contents WHERE key_id <> $1 AND call_id > $2
ORDER BY call_id LIMIT $3"""
RESEAL = "UPDATE call_contents SET subject_hash = $1, key_id = $2, body = $3 WHERE call_id = $4"

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class PostgresContents:
    """Fills `live.ports.Contents`, and control's `ContentStore`, over one connection, one verb at a time."""

    def __init__(self, url: str, seals: Callable[[], Seals]) -> None:
        """`seals` opens the vault when it is first needed; it raises Invalid without a master key."""
        self._url = url
        self._opening = seals
        self._seals: Seals | None = None
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    async def put(self, batch: Sequence[Content]) -> None:
        """See `live.ports.Contents`; raises Invalid when there is no key to seal under."""
        rows = await asyncio.to_thread(_rows, batch, self._sealing())

        async def insert(connection: Connection) -> None:
            await connection.executemany(INSERT, rows)

        await self._in_turn(insert)

    async def get(self, call_id: str) -> Content | None:
        """See `control.monitoring.ports.ContentStore`."""

        async def find(connection: Connection) -> bytes | None:
            found: bytes | None = await connection.fetchval(
                "SELECT body FROM call_contents WHERE call_id = $1", call_id
            )
            return found

        body = await self._in_turn(find)
        return None if body is None else await asyncio.to_thread(content_of, call_id, body, self._sealing())

    async def kept(self, call_ids: Sequence[str]) -> frozenset[str]:
        """See `control.monitoring.ports.ContentStore`."""

        async def find(connection: Connection) -> frozenset[str]:
            rows = await connection.fetch(KEPT, list(call_ids))
            return frozenset(row["call_id"] for row in rows)

        return await self._in_turn(find)

    async def erase(self, subject: str) -> Erased:
        """See `control.monitoring.ports.ContentStore`."""
        seals = self._sealing()
        hashes = list(seals.subject_hashes(subject))

        async def delete(connection: Connection) -> Erased:
            async with connection.transaction():
                gone = await connection.fetchval(ERASE, hashes)
                unchecked = await connection.fetchval(UNCHECKED, list(seals.key_ids))
            return Erased(subject_hash=hashes[0], erased=gone, unchecked=unchecked)

        return await self._in_turn(delete)

    async def prune(self, now_ms: int, limit: int) -> int:
        """See `control.monitoring.ports.ContentStore`."""

        async def delete(connection: Connection) -> int:
            return int(await connection.fetchval(PRUNE, now_ms, limit))

        return await self._in_turn(delete)

    async def reseal(self, after: str, limit: int) -> Resealed:
        """See `control.monitoring.ports.ContentStore`."""
        seals = self._sealing()

        async def change(connection: Connection) -> Resealed:
            records = await connection.fetch(RESEALABLE, seals.key_ids[0], after, limit)
            found = [(record["call_id"], record["body"]) for record in records]
            rows = await asyncio.to_thread(resealed_rows, found, seals)
            await connection.executemany(RESEAL, rows)  # what was erased meanwhile is not there to be changed
            last = found[-1][0] if len(found) == limit else None
            return Resealed(resealed=len(rows), unopened=len(found) - len(rows), next=last)

        return await self._in_turn(change)

    async def close(self) -> None:
        """See `live.ports.Contents`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _in_turn(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._turn:
            try:
                return await work(await self._open())
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                await self.close()
                raise Unavailable(
                    f"Content cannot be kept or read in PostgreSQL: {error}.",
                    mend="Check the server and database_url.",
                    code="contents_unavailable",
                ) from error

    async def _open(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._url, timeout=CONNECT_S, command_timeout=COMMAND_S)
            if not await self._connection.fetchval("SELECT to_regclass('call_contents') IS NOT NULL"):
                async with self._connection.transaction():
                    await self._connection.execute("SELECT pg_advisory_xact_lock(hashtext('tidegate.contents'))")
                    for statement in contents_ddl("postgresql"):
                        await self._connection.execute(statement)
        return self._connection

    def _sealing(self) -> Seals:
        if self._seals is None:
            self._seals = self._opening()
        return self._seals


def _rows(batch: Sequence[Content], seals: Seals) -> list[ContentRow]:
    return [content_row(content, seals) for content in batch]
