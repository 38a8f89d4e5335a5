"""Records on SQLite: a file of its own beside the control database, so that logging never waits for a release nor
delays one.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from tidegate.adapters.sql.batches_table import batch_row, batches_ddl
from tidegate.adapters.sql.calls_table import CALLS_COLUMNS, CALLS_INDEXES, calls_ddl, column_type
from tidegate.adapters.sql.feedback_table import feedback_ddl
from tidegate.adapters.sqlite.file_thread import BUSY_TIMEOUT_S, FileThread, transaction
from tidegate.adapters.sqlite.wal import use_wal
from tidegate.live.calls import CallRecord

__all__ = ["SqliteRecords", "ensure_calls_table"]

INSERT = "INSERT OR IGNORE INTO call_batches VALUES (?, ?, ?, ?)"


def ensure_calls_table(connection: sqlite3.Connection) -> None:
    """Create the tables, or add the columns that `calls` lacks; safe when several processes do it at once."""
    use_wal(connection, BUSY_TIMEOUT_S)
    with transaction(connection):
        for statement in (calls_ddl("sqlite"), *batches_ddl("sqlite"), *feedback_ddl("sqlite")):
            connection.execute(statement)
        there = {row[1] for row in connection.execute("PRAGMA table_info(calls)")}
        for column in CALLS_COLUMNS:
            if column not in there:
                connection.execute(f"ALTER TABLE calls ADD COLUMN {column} {column_type(column, 'sqlite')}")
        for index in CALLS_INDEXES:
            connection.execute(index)


class SqliteRecords:
    """Appends batches; each is on the disk with the log's next checkpoint, and safe from a kill at once."""

    def __init__(self, file: Path) -> None:
        self._thread = FileThread(
            file, _prepare, cannot="Call records cannot be written to", code="records_unavailable"
        )

    async def append(self, batch: Sequence[CallRecord]) -> None:
        """See `live.ports.Records`."""
        row = batch_row(batch) if batch else None
        await self._thread.do(lambda connection: connection.execute(INSERT, row) if row is not None else None)

    async def close(self) -> None:
        """See `live.ports.Records`."""
        await self._thread.close()


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
    ensure_calls_table(connection)
