"""Unpacks the gateways' batches into `calls` on SQLite, each record once."""

import asyncio
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from tidegate.adapters.sql.batches_table import rows_of
from tidegate.adapters.sql.calls_table import CALLS_COLUMNS
from tidegate.kernel.errors import Unavailable

__all__ = ["SqliteBatches", "unpack_batches"]

log = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 10.0
AT_ONCE = 50

# The columns are CallRecord's field names: identifiers from our own code, never from input.
INSERT = (
    f"INSERT OR IGNORE INTO calls ({', '.join(CALLS_COLUMNS)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(CALLS_COLUMNS))})"
)
ABOUT_THE_ROW = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError,
                 OverflowError, UnicodeEncodeError)  # fmt: skip


class SqliteBatches:
    """Fills `control.monitoring.ports.Batches`, from one thread of its own."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    async def unpack(self) -> int:
        """See `control.monitoring.ports.Batches`."""
        try:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._unpack)
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(
                f"Call records cannot be unpacked in {self._file.name}: {error}.",
                mend="Check the disk and the file's rights; `tidegate doctor` tells more.",
                code="records_unavailable",
            ) from error

    async def close(self) -> None:
        """See `control.monitoring.ports.Batches`."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown(wait=True)

    def _unpack(self) -> int:
        if not self._file.exists():
            return 0
        if self._connection is not None and self._file.stat().st_ino != self._inode:
            self._close()  # restored under the same name
        if self._connection is None:
            self._connection = sqlite3.connect(self._file, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            self._inode = self._file.stat().st_ino
        try:
            return unpack_batches(self._connection)
        except sqlite3.Error:
            self._close()
            raise

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def unpack_batches(connection: sqlite3.Connection) -> int:
    """Unpack at most AT_ONCE batches in one transaction; return how many records they held."""
    table = "SELECT 1 FROM sqlite_master WHERE name = 'call_batches'"
    if (
        connection.execute(table).fetchone() is None
        or connection.execute("SELECT 1 FROM call_batches LIMIT 1").fetchone() is None
    ):
        return 0
    connection.execute("BEGIN IMMEDIATE")
    try:
        query = "SELECT rowid, gateway_id, first_seq, last_seq, body FROM call_batches ORDER BY rowid LIMIT ?"
        batches = connection.execute(query, (AT_ONCE,)).fetchall()
        count = sum(_unpack_one(connection, row) for row in batches)
        connection.executemany("DELETE FROM call_batches WHERE rowid = ?", [row[:1] for row in batches])
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return count


def _unpack_one(connection: sqlite3.Connection, row: tuple[int, str, int, int, bytes]) -> int:
    """Unpack one batch; one that cannot be read is kept aside, a record that cannot be stored is left out and told."""
    _, *values = row
    try:
        rows = rows_of(row[-1])
    except msgspec.DecodeError as error:
        log.error("the call records %s-%s of %s cannot be read and are kept aside: %s", row[2], row[3], row[1], error)
        connection.execute("INSERT OR IGNORE INTO call_batches_unread VALUES (?, ?, ?, ?)", values)
        return 1
    try:
        connection.executemany(INSERT, rows)
    except ABOUT_THE_ROW:
        for one in rows:
            try:
                connection.execute(INSERT, one)
            except ABOUT_THE_ROW as error:
                log.error("the record of %s cannot be stored and is dropped: %r", one[0], error)
    return len(rows)
