"""Feedback on SQLite: a table in the calls' own file."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from tidegate.adapters.sql.feedback_table import feedback_rows
from tidegate.adapters.sqlite.file_thread import FileThread, transaction
from tidegate.adapters.sqlite.records import ensure_calls_table
from tidegate.live.feedback import Feedback

__all__ = ["SqliteFeedbacks"]

INSERT = "INSERT OR IGNORE INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?)"


class SqliteFeedbacks:
    """Fills `live.ports.Feedbacks`: what is stored is on the disk, and safe from a loss of power too."""

    def __init__(self, file: Path) -> None:
        self._thread = FileThread(file, _prepare, cannot="Feedback cannot be written to", code="feedback_unavailable")

    async def put(self, batch: Sequence[Feedback]) -> None:
        """See `live.ports.Feedbacks`."""
        rows = feedback_rows(batch)

        def insert(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.executemany(INSERT, rows)

        await self._thread.do(insert)

    async def close(self) -> None:
        """See `live.ports.Feedbacks`."""
        await self._thread.close()


def _prepare(connection: sqlite3.Connection) -> None:
    ensure_calls_table(connection)
    connection.execute("PRAGMA synchronous=FULL")
