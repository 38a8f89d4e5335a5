"""Records on PostgreSQL: batches by COPY into a temporary table, so that a batch that is sent twice is stored once."""

from collections.abc import Sequence

import asyncpg

from tidegate.adapters.sql.calls_table import CALLS_COLUMNS, CALLS_INDEXES, calls_ddl, column_type, row_of
from tidegate.kernel.errors import Unavailable
from tidegate.live.calls import CallRecord

__all__ = ["PostgresRecords", "ensure_calls_table"]

COLUMNS = ", ".join(CALLS_COLUMNS)
THERE = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('calls') AND attnum > 0 AND NOT attisdropped"
CONNECT_S = 5.0
COMMAND_S = 10.0


async def ensure_calls_table(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Create the table, or add the columns that it lacks; safe when several processes do it at once.

    A table that lacks nothing is not touched: ALTER TABLE would wait for its readers and hold up its writers, even
    where it then has nothing to do.
    """
    if not await _lacking(connection):
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('tidegate.calls'))")
        await connection.execute(calls_ddl("postgresql"))
        for column in await _lacking(connection):
            await connection.execute(f"ALTER TABLE calls ADD COLUMN {column} {column_type(column, 'postgresql')}")
        for index in CALLS_INDEXES:
            await connection.execute(index)


async def _lacking(connection: "asyncpg.Connection[asyncpg.Record]") -> tuple[str, ...]:
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
            async with connection.transaction():
                await connection.execute("CREATE TEMP TABLE IF NOT EXISTS incoming (LIKE calls) ON COMMIT DELETE ROWS")
                await connection.copy_records_to_table(
                    "incoming", records=[_storable(row_of(record)) for record in batch], columns=CALLS_COLUMNS
                )
                await connection.execute(
                    f"INSERT INTO calls ({COLUMNS}) SELECT {COLUMNS} FROM incoming ON CONFLICT DO NOTHING"  # noqa: S608
                )
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
            raise
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


def _storable(row: tuple[object, ...]) -> tuple[object, ...]:
    """PostgreSQL's text cannot hold NUL, which a client may send in a model's or user's name."""
    if any(isinstance(value, str) and "\0" in value for value in row):
        return tuple(value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in row)
    return row
