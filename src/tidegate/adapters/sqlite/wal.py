"""The write-ahead log: readers never wait for a writer. Every file that a gateway writes is opened with it."""

import sqlite3
import time

__all__ = ["use_wal"]

LOOK_AGAIN_S = 0.01


def use_wal(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Set the journal's mode; SQLite does not wait by itself when others do so at the same moment."""
    limit_s = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > limit_s:
                raise
        time.sleep(LOOK_AGAIN_S)
