"""Records on SQLite: a file of its own beside the control database, so that logging never waits for a release nor
delays one.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tidegate.adapters.sql.batches_table import batch_row, batches_ddl
from tidegate.adapters.sql.calls_table import CALLS_COLUMNS, CALLS_INDEXES, calls_ddl, column_type
from tidegate.adapters.sqlite.wal import use_wal
from tidegate.kernel.errors import Unavailable
from tidegate.live.calls import CallRecord

__all__ = ["SqliteRecords", "ensure_calls_table"]

BUSY_TIMEOUT_S = 10.0

INSERT = "INSERT OR IGNORE INTO call_batches VALUES (?, ?, ?, ?)"


def ensure_calls_table(connection: sqlite3.Connection) -> None:
    """Create the tables, or add the columns that `calls` lacks; safe when several processes do it at once."""
    use_wal(connection, BUSY_TIMEOUT_S)
    connection.execute("BEGIN IMMEDIATE")
    for statement in (calls_ddl("sqlite"), *batches_ddl("sqlite")):
        connection.execute(statement)
    there = {row[1] for row in connection.execute("PRAGMA table_info(calls)")}
    for column in CALLS_COLUMNS:
        if column not in there:
            connection.execute(f"ALTER TABLE calls ADD COLUMN {column} {column_type(column, 'sqlite')}")
    for index in CALLS_INDEXES:
        connection.execute(index)
    connection.commit()


class SqliteRecords:
    """Appends batches from one thread of its own; the event loop never waits for the disk."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="records")
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    async def append(self, batch: Sequence[CallRecord]) -> None:
        """See `live.ports.Records`."""
        row = batch_row(batch) if batch else None
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._append, row)
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(
                f"Call records cannot be written to {self._file.name}: {error}.",
                mend="Check the disk and the file's rights; `tidegate doctor` tells more.",
                code="records_unavailable",
            ) from error

    async def close(self) -> None:
        """See `live.ports.Records`."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=True)

    def _append(self, row: tuple[str, int, int, bytes] | None) -> None:
        if self._connection is not None and not self._same_file():
            self._close()  # moved away, or restored under the same name: what is written to the old one is lost
        connection = self._connection or self._open()
        try:
            with connection:
                if row is not None:
                    connection.execute(INSERT, row)
        except sqlite3.Error:
            self._close()
            raise

    def _open(self) -> sqlite3.Connection:
        self._file.touch(mode=0o600)
        connection = sqlite3.connect(self._file, timeout=BUSY_TIMEOUT_S)
        try:
            connection.execute("PRAGMA synchronous=NORMAL")
            ensure_calls_table(connection)
        except sqlite3.Error:
            connection.close()
            raise
        self._inode = self._file.stat().st_ino
        self._connection = connection
        return connection

    def _same_file(self) -> bool:
        try:
            return self._file.stat().st_ino == self._inode
        except OSError:
            return False

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
