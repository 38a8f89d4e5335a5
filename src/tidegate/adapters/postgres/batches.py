"""Unpacks the gateways' batches into `calls` on PostgreSQL, each record once, also when two do it at the same time."""

import asyncio
import logging
from collections.abc import Sequence

import asyncpg
import msgspec

from tidegate.adapters.postgres.records import ensure_calls_table
from tidegate.adapters.sql.batches_table import BATCHES_COLUMNS, rows_of
from tidegate.adapters.sql.calls_table import CALLS_COLUMNS
from tidegate.kernel.errors import Unavailable

__all__ = ["PostgresBatches"]

log = logging.getLogger(__name__)

COLUMNS = ", ".join(CALLS_COLUMNS)
CONNECT_S = 5.0
COMMAND_S = 30.0
AT_ONCE = 50
TAKE = f"""DELETE FROM call_batches WHERE (gateway_id, first_seq, last_seq) IN (
SELECT gateway_id, first_seq, last_seq FROM call_batches ORDER BY gateway_id, first_seq LIMIT {AT_ONCE}
FOR UPDATE SKIP LOCKED) RETURNING {", ".join(BATCHES_COLUMNS)}"""  # noqa: S608


class PostgresBatches:
    """Fills `control.monitoring.ports.Batches`, over one connection."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def unpack(self) -> int:
        """See `control.monitoring.ports.Batches`."""
        async with self._one_at_a_time:  # duties ask at the same time, and the connection does one thing at a time
            return await self._unpacked()

    async def _unpacked(self) -> int:
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(self._url, timeout=CONNECT_S, command_timeout=COMMAND_S)
                await ensure_calls_table(self._connection)
            async with self._connection.transaction():
                return await _unpack(self._connection)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self.close()
            raise Unavailable(
                f"Call records cannot be unpacked in PostgreSQL: {error}.", mend="Check the server and database_url.",
                code="records_unavailable",
            ) from error  # fmt: skip

    async def close(self) -> None:
        """See `control.monitoring.ports.Batches`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


async def _unpack(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    rows = await connection.fetch(TAKE)
    if not rows:
        return 0
    await connection.execute("CREATE TEMP TABLE IF NOT EXISTS incoming (LIKE calls) ON COMMIT DELETE ROWS")
    count = 0
    for row in rows:
        try:
            found = rows_of(row["body"])
        except msgspec.DecodeError as error:
            log.error("call records of %s cannot be read and are kept aside: %s", row["gateway_id"], error)
            await connection.execute(
                "INSERT INTO call_batches_unread VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", *row.values()
            )
            count += 1
            continue
        count += len(found)
        await _store(connection, [_storable(one) for one in found])
    return count


async def _store(connection: "asyncpg.Connection[asyncpg.Record]", rows: Sequence[tuple[object, ...]]) -> None:
    """Store the records; those that cannot be are halved down to the one that is to blame, which is left out and
    told.
    """
    try:
        async with connection.transaction():  # a savepoint
            await connection.copy_records_to_table("incoming", records=rows, columns=CALLS_COLUMNS)
            await connection.execute(
                f"INSERT INTO calls ({COLUMNS}) SELECT {COLUMNS} FROM incoming ON CONFLICT DO NOTHING"  # noqa: S608
            )
            await connection.execute("DELETE FROM incoming")
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, OverflowError, UnicodeEncodeError) as error:
        if len(rows) == 1:
            log.error("the record of %s cannot be stored and is dropped: %r", rows[0][0], error)
            return
        middle = len(rows) // 2
        await _store(connection, rows[:middle])
        await _store(connection, rows[middle:])


def _storable(row: tuple[object, ...]) -> tuple[object, ...]:
    """PostgreSQL's text cannot hold NUL, which a client may send in a model's or user's name."""
    if any(isinstance(value, str) and "\0" in value for value in row):
        return tuple(value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in row)
    return row
