"""Content on SQLite: a file of its own, sealed row by row. What is erased is overwritten (`secure_delete`), and the log
in front of the file is emptied.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from tidegate.adapters.sql.contents_table import Seals, content_of, content_row, contents_ddl, resealed_rows
from tidegate.adapters.sqlite.file_thread import BUSY_TIMEOUT_S, FileThread, transaction
from tidegate.adapters.sqlite.wal import use_wal
from tidegate.live.contents import Erased, Resealed
from tidegate.live.ports import Content

__all__ = ["SqliteContents"]

INSERT = "INSERT OR IGNORE INTO call_contents VALUES (?, ?, ?, ?, ?, ?, ?)"
PRUNE = """DELETE FROM call_contents WHERE rowid IN
(SELECT rowid FROM call_contents WHERE expires_at_ms <= ? LIMIT ?)"""


class SqliteContents:
    """Fills `live.ports.Contents`, and control's `ContentStore`. Reading makes no file."""

    def __init__(self, file: Path, seals: Callable[[], Seals]) -> None:
        """`seals` opens the vault when it is first needed; it raises Invalid without a master key."""
        self._thread = FileThread(
            file, _prepare, cannot="Content cannot be kept or read in", code="contents_unavailable"
        )
        self._opening = seals
        self._seals: Seals | None = None

    async def put(self, batch: Sequence[Content]) -> None:
        """See `live.ports.Contents`; raises Invalid when there is no key to seal under."""
        if self._seals is None:
            await asyncio.to_thread(self._sealing)  # without a key, no file is made
        await self._thread.do(lambda connection: self._put(connection, batch))

    async def get(self, call_id: str) -> Content | None:
        """See `control.monitoring.ports.ContentStore`."""
        return await self._thread.look(lambda connection: self._get(connection, call_id), None)

    async def kept(self, call_ids: Sequence[str]) -> frozenset[str]:
        """See `control.monitoring.ports.ContentStore`."""
        return await self._thread.look(lambda connection: _kept(connection, call_ids), frozenset())

    async def erase(self, subject: str) -> Erased:
        """See `control.monitoring.ports.ContentStore`."""
        seals = self._sealing()
        hashes = tuple(seals.subject_hashes(subject))
        nothing = Erased(subject_hash=hashes[0], erased=0, unchecked=0)
        return await self._thread.look(lambda connection: _erase(connection, hashes, seals.key_ids), nothing)

    async def prune(self, now_ms: int, limit: int) -> int:
        """See `control.monitoring.ports.ContentStore`."""
        return await self._thread.look(lambda connection: connection.execute(PRUNE, (now_ms, limit)).rowcount, 0)

    async def reseal(self, after: str, limit: int) -> Resealed:
        """See `control.monitoring.ports.ContentStore`."""
        seals = self._sealing()
        return await self._thread.look(lambda connection: _reseal(connection, seals, after, limit), Resealed())

    async def close(self) -> None:
        """See `live.ports.Contents`."""
        await self._thread.close()

    def _put(self, connection: sqlite3.Connection, batch: Sequence[Content]) -> None:
        seals = self._sealing()
        rows = [content_row(content, seals) for content in batch]
        with transaction(connection):
            connection.executemany(INSERT, rows)

    def _get(self, connection: sqlite3.Connection, call_id: str) -> Content | None:
        row = connection.execute("SELECT body FROM call_contents WHERE call_id = ?", (call_id,)).fetchone()
        return None if row is None else content_of(call_id, row[0], self._sealing())

    def _sealing(self) -> Seals:
        if self._seals is None:
            self._seals = self._opening()
        return self._seals


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA secure_delete=ON")
    use_wal(connection, BUSY_TIMEOUT_S)
    connection.execute("PRAGMA synchronous=NORMAL")
    for statement in contents_ddl("sqlite"):
        connection.execute(statement)


def _kept(connection: sqlite3.Connection, call_ids: Sequence[str]) -> frozenset[str]:
    query = f"SELECT call_id FROM call_contents WHERE call_id IN ({_marks(call_ids)})"  # noqa: S608  # marks alone
    return frozenset(row[0] for row in connection.execute(query, tuple(call_ids)))


def _reseal(connection: sqlite3.Connection, seals: Seals, after: str, limit: int) -> Resealed:
    found = connection.execute(
        "SELECT call_id, body FROM call_contents WHERE key_id <> ? AND call_id > ? ORDER BY call_id LIMIT ?",
        (seals.key_ids[0], after, limit),
    ).fetchall()
    rows = resealed_rows(found, seals)
    with transaction(connection):  # what was erased meanwhile is not there to be changed
        connection.executemany(
            "UPDATE call_contents SET subject_hash = ?, key_id = ?, body = ? WHERE call_id = ?", rows
        )
    last = found[-1][0] if len(found) == limit else None
    return Resealed(resealed=len(rows), unopened=len(found) - len(rows), next=last)


def _erase(connection: sqlite3.Connection, hashes: tuple[str, ...], key_ids: tuple[str, ...]) -> Erased:
    theirs = f"subject_hash IN ({_marks(hashes)})"
    with transaction(connection):
        gone = connection.execute(
            "DELETE FROM call_contents WHERE shadow_of IN "  # noqa: S608  # marks alone
            f"(SELECT call_id FROM call_contents WHERE {theirs})",
            hashes,
        ).rowcount
        gone += connection.execute(f"DELETE FROM call_contents WHERE {theirs}", hashes).rowcount  # noqa: S608
        unchecked = connection.execute(
            "SELECT count(*) FROM call_contents WHERE subject_hash IS NOT NULL "  # noqa: S608  # marks alone
            f"AND key_id NOT IN ({_marks(key_ids)})",
            key_ids,
        ).fetchone()[0]
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Erased(subject_hash=hashes[0], erased=gone, unchecked=unchecked)


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
