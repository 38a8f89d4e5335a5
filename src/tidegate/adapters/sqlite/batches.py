"""Unpacks the gateways' batches into `calls` on SQLite, each record once."""

import logging
import sqlite3
from pathlib import Path

import msgspec

from tidegate.adapters.sql.batches_table import rows_of
from tidegate.adapters.sql.calls_table import CALLS_COLUMNS
from tidegate.adapters.sqlite.file_thread import FileThread, transaction

__all__ = ["SqliteBatches", "unpack_batches"]

log = logging.getLogger(__name__)

AT_ONCE = 50

# The columns are CallRecord's field names: identifiers from our own code, never from input.
INSERT = (
    f"INSERT OR IGNORE INTO calls ({', '.join(CALLS_COLUMNS)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(CALLS_COLUMNS))})"
)
ABOUT_THE_ROW = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError,
                 OverflowError, UnicodeEncodeError)  # fmt: skip


class SqliteBatches:
    """Fills `control.monitoring.ports.Batches`. A file that was never written is not made by looking."""

    def __init__(self, file: Path) -> None:
        self._thread = FileThread(
            file, lambda connection: None, cannot="Call records cannot be unpacked in", code="records_unavailable"
        )

    async def unpack(self) -> int:
        """See `control.monitoring.ports.Batches`."""
        return await self._thread.look(unpack_batches, 0)

    async def close(self) -> None:
        """See `control.monitoring.ports.Batches`."""
        await self._thread.close()


def unpack_batches(connection: sqlite3.Connection) -> int:
    """Unpack at most AT_ONCE batches in one transaction; return how many records they held."""
    table = "SELECT 1 FROM sqlite_master WHERE name = 'call_batches'"
    if (
        connection.execute(table).fetchone() is None
        or connection.execute("SELECT 1 FROM call_batches LIMIT 1").fetchone() is None
    ):
        return 0
    with transaction(connection):
        query = "SELECT rowid, gateway_id, first_seq, last_seq, body FROM call_batches ORDER BY rowid LIMIT ?"
        batches = connection.execute(query, (AT_ONCE,)).fetchall()
        count = sum(_unpack_one(connection, row) for row in batches)
        connection.executemany("DELETE FROM call_batches WHERE rowid = ?", [row[:1] for row in batches])
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
