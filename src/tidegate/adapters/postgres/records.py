"""Records on PostgreSQL: each batch is one row, which control unpacks."""

from collections.abc import Sequence

import asyncpg

from tidegate.adapters.sql.batches_table import batch_row, batches_ddl
from tidegate.adapters.sql.calls_table import CALLS_COLUMNS, CALLS_INDEXES, calls_ddl, column_type
from tidegate.adapters.sql.feedback_table import feedback_ddl
from tidegate.kernel.errors import Unavailable
from tidegate.live.calls import CallRecord

__all__ = ["PostgresRecords", "ensure_calls_table"]

INSERT = "INSERT INTO call_batches VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
THERE = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('calls') AND attnum > 0 AND NOT attisdropped"
COMPLETE = """SELECT to_regclass('call_batches_unread') IS NOT NULL AND to_regclass('feedback') IS NOT NULL
AND to_regclass('calls_that_took_long') IS NOT NULL"""
CONNECT_S = 5.0
COMMAND_S = 10.0


async def ensure_calls_table(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Create the tables, or add the columns that `calls` lacks; safe when several processes do it at once.

    A table that lacks nothing is not touched: ALTER TABLE would wait for its readers and hold up its writers, even
    where it then has nothing to do.
    """
    if not await _lacking(connection):
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('tidegate.calls'))")
        for statement in (calls_ddl("postgresql"), *batches_ddl("postgresql"), *feedback_ddl("postgresql")):
            await connection.execute(statement)
        rows = await connection.fetch(THERE)
        there = {row["attname"] for row in rows}
        for column in (column for column in CALLS_COLUMNS if column not in there):
            await connection.execute(f"ALTER TABLE calls ADD COLUMN {column} {column_type(column, 'postgresql')}")
        for index in CALLS_INDEXES:
            await connection.execute(index)


async def _lacking(connection: "asyncpg.Connection[asyncpg.Record]") -> tuple[str, ...]:
    if not await connection.fetchval(COMPLETE):
        return CALLS_COLUMNS
    rows = await connection.fetch(THERE)
    there = {row["attname"] for row in rows}
    return tuple(column for column in CALLS_COLUMNS if column not in there)


class PostgresRecords:
    """Appends batches over one connection, opened when it is needed and again when it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def append(self, batch: Sequence[CallRecord]) -> None:
        """See `live.ports.Records`."""
        try:
            connection = await self._open()
            if batch:
                await connection.execute(INSERT, *batch_row(batch))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self.close()
            raise Unavailable(
                f"Call records cannot be written to PostgreSQL: {error}.", mend="Check the server and database_url.",
                code="records_unavailable",
            ) from error  # fmt: skip

    async def close(self) -> None:
        """See `live.ports.Records`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _open(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._url, timeout=CONNECT_S, command_timeout=COMMAND_S)
            await ensure_calls_table(self._connection)
        return self._connection
