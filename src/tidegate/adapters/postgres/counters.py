"""Counters on PostgreSQL: one transaction for each exchange, its counters locked in order, the time the server's."""

from collections.abc import Sequence

import asyncpg

from tidegate.adapters.sql.counters_rows import (
    COUNTERS_DDL,
    counted_of,
    decode_answer,
    encode_answer,
    settle_lines,
    tallies_of,
    window_rows,
)
from tidegate.kernel.errors import Unavailable
from tidegate.kernel.ids import new_id
from tidegate.live.births import LOST, Birth, Meeting, counters_lost, meet, reopened
from tidegate.live.counting import Counted
from tidegate.live.ports import Line, Standing

__all__ = ["PostgresCounters"]

CONNECT_S = 5.0
COMMAND_S = 10.0
KEPT_MS = 40 * 86_400_000
CLEAN_EVERY = 1000

NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
LOCK = "SELECT pg_advisory_xact_lock(key) FROM (SELECT unnest($1::bigint[]) AS key) AS keys"
HASH = "SELECT DISTINCT hashtextextended(name, 0) AS key FROM unnest($1::text[]) AS name ORDER BY key"
NAMED = ' WHERE (counter, "window") IN (SELECT * FROM unnest($1::text[], $2::text[]))'
WINDOWS = 'SELECT counter, "window", ends_at_ms, cap, generation, settled FROM counter_windows'
SLICES = 'SELECT counter, "window", gateway_id, held, expires_ms, lives_until_ms FROM counter_slices'
PUT_WINDOW = """INSERT INTO counter_windows VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (counter, "window") DO
UPDATE SET ends_at_ms = excluded.ends_at_ms, cap = excluded.cap, generation = excluded.generation,
settled = excluded.settled"""
PUT_SLICE = """INSERT INTO counter_slices VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (counter, "window", gateway_id)
DO UPDATE SET held = excluded.held, expires_ms = excluded.expires_ms, lives_until_ms = excluded.lives_until_ms"""
PUT_GATEWAY = """INSERT INTO counter_gateways VALUES ($1, $2, $3, $4) ON CONFLICT (gateway_id) DO UPDATE
SET seq = excluded.seq, answer = excluded.answer, seen_at_ms = excluded.seen_at_ms"""
BIRTH = "SELECT mark, state FROM counter_births"
PUT_BIRTH = """INSERT INTO counter_births VALUES (1, $1, $2) ON CONFLICT (one) DO UPDATE
SET mark = excluded.mark, state = excluded.state"""
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('tidegate.counters'))"
LAST = """SELECT mark, state, seq, answer FROM (SELECT 1) AS always LEFT JOIN counter_births ON true
LEFT JOIN counter_gateways ON gateway_id = $1"""
LIVES_ON = """UPDATE counter_slices SET lives_until_ms = $1 + expires_ms
WHERE gateway_id = $2 AND expires_ms > 0 AND lives_until_ms > $1"""


class PostgresCounters:
    """Fills `live.ports.Counters`, and control's `Spending`, over one connection."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._known: str | None = None
        self._exchanges = 0

    async def exchange(self, gateway_id: str, seq: int, lines: Sequence[Line]) -> Sequence[Standing]:
        """See `live.ports.Counters`."""
        try:
            connection = await self._open()
            async with connection.transaction():
                known, standings = await self._exchange(connection, gateway_id, seq, lines)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self.close()
            raise _away(error) from error
        self._known = known  # what was not committed is not known
        if standings is None:
            raise counters_lost("PostgreSQL")
        return standings

    async def standings(self) -> Sequence[Counted]:
        """See `control.spend.ports.Spending`."""
        try:
            connection = await self._open()
            windows, slices = await connection.fetch(WINDOWS), await connection.fetch(SLICES)
            now_ms = await connection.fetchval(NOW)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self.close()
            raise _away(error) from error
        return counted_of(tallies_of(map(tuple, windows), map(tuple, slices)), now_ms)

    async def rebuild(self, counted: Sequence[Counted]) -> None:
        """See `control.spend.ports.Spending`."""
        try:
            connection = await self._open()
            async with connection.transaction():
                for one in counted:
                    await connection.execute(
                        """INSERT INTO counter_windows VALUES ($1, $2, $3, $4, 0, $5) ON CONFLICT (counter, "window")
                        DO UPDATE SET settled = GREATEST(counter_windows.settled, excluded.settled)""",
                        one.counter, one.window, one.ends_at_ms, one.cap, one.settled,
                    )  # fmt: skip
                await connection.execute(ONE_AT_A_TIME)
                birth = reopened(await _birth(connection), new_id("store"))
                await connection.execute(PUT_BIRTH, birth.mark, birth.state)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self.close()
            raise _away(error) from error

    async def birth(self) -> Birth | None:
        """See `control.spend.ports.Spending`."""
        try:
            return await _birth(await self._open())
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self.close()
            raise _away(error) from error

    async def lose(self) -> None:
        """See `control.spend.ports.Spending`."""
        try:
            connection = await self._open()
            async with connection.transaction():
                await connection.execute(ONE_AT_A_TIME)
                found = await _birth(connection)
                await connection.execute(PUT_BIRTH, new_id("store") if found is None else found.mark, LOST)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self.close()
            raise _away(error) from error

    async def close(self) -> None:
        """See `live.ports.Counters`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _exchange(
        self, connection: "asyncpg.Connection[asyncpg.Record]", gateway_id: str, seq: int, lines: Sequence[Line]
    ) -> tuple[str | None, Sequence[Standing] | None]:
        """The mark to know, and the standings; None: the store is not the one that was known."""
        await connection.execute(LOCK, await self._keys(connection, [f"tidegate.gateway {gateway_id}"]))
        row = await connection.fetchrow(LAST, gateway_id)
        meeting = await self._meet(connection, row)
        if meeting.lost:
            return meeting.known, None
        if row is not None and row["seq"] == seq:
            return meeting.known, decode_answer(row["answer"])
        names = sorted({(line.counter, line.window) for line in lines})
        if names:
            counters = [f"tidegate.counter {counter}\x1f{window}" for counter, window in names]
            await connection.execute(LOCK, await self._keys(connection, counters))
        now_ms = await connection.fetchval(NOW)
        await connection.execute(LIVES_ON, now_ms, gateway_id)
        columns = [name for name, _ in names], [window for _, window in names]
        windows = await connection.fetch(WINDOWS + NAMED, *columns)
        slices = await connection.fetch(SLICES + NAMED, *columns)
        found = tallies_of(map(tuple, windows), map(tuple, slices))
        standings = settle_lines(found, gateway_id, lines, now_ms)
        window_values, slice_values = window_rows(found, gateway_id)
        await connection.executemany(PUT_WINDOW, window_values)
        await connection.executemany(PUT_SLICE, slice_values)
        await connection.execute(PUT_GATEWAY, gateway_id, seq, encode_answer(standings), now_ms)
        self._exchanges += 1
        if self._exchanges % CLEAN_EVERY == 0:
            await _clean(connection, now_ms)
        return meeting.known, standings

    async def _meet(self, connection: "asyncpg.Connection[asyncpg.Record]", row: asyncpg.Record | None) -> Meeting:
        found = None if row is None or row["mark"] is None else Birth(row["mark"], row["state"])
        meeting = meet(self._known, found, new_id("store"))
        if meeting.write is None:
            return meeting
        await connection.execute(ONE_AT_A_TIME)
        meeting = meet(self._known, await _birth(connection), new_id("store"))  # another was faster, perhaps
        if meeting.write is not None:
            await connection.execute(PUT_BIRTH, meeting.write.mark, meeting.write.state)
        return meeting

    async def _keys(self, connection: "asyncpg.Connection[asyncpg.Record]", names: Sequence[str]) -> list[int]:
        """The numbers to lock by, in order, so that two exchanges never wait for each other."""
        return [row["key"] for row in await connection.fetch(HASH, names)]

    async def _open(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._url, timeout=CONNECT_S, command_timeout=COMMAND_S)
            there = await self._connection.fetchval("SELECT to_regclass('counter_births') IS NOT NULL")
            if not there:
                async with self._connection.transaction():
                    await self._connection.execute(ONE_AT_A_TIME)
                    for statement in COUNTERS_DDL:
                        await self._connection.execute(statement)
        return self._connection


async def _birth(connection: "asyncpg.Connection[asyncpg.Record]") -> Birth | None:
    row = await connection.fetchrow(BIRTH)
    return None if row is None else Birth(row["mark"], row["state"])


def _away(error: Exception) -> Unavailable:
    return Unavailable(
        f"Limits and budgets cannot be counted in PostgreSQL: {error}.",
        mend="Check the server and database_url.",
        code="budget_store_unavailable",
    )


async def _clean(connection: "asyncpg.Connection[asyncpg.Record]", now_ms: int) -> None:
    """Forget windows that ended long ago, and processes that were silent for as long."""
    before = now_ms - KEPT_MS
    await connection.execute(
        'DELETE FROM counter_slices WHERE (counter, "window") IN '
        '(SELECT counter, "window" FROM counter_windows WHERE ends_at_ms < $1)',
        before,
    )
    await connection.execute("DELETE FROM counter_windows WHERE ends_at_ms < $1", before)
    await connection.execute("DELETE FROM counter_gateways WHERE seen_at_ms < $1", before)
