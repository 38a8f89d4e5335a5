"""Content on SQLite: a file of its own, sealed row by row. What is erased is overwritten (`secure_delete`), and the log
in front of the file is emptied.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tidegate.adapters.sql.contents_table import Seals, content_of, content_row, contents_ddl
from tidegate.adapters.sqlite.wal import use_wal
from tidegate.kernel.errors import Unavailable
from tidegate.live.contents import Erased
from tidegate.live.ports import Content

__all__ = ["SqliteContents"]

BUSY_TIMEOUT_S = 10.0

INSERT = "INSERT OR IGNORE INTO call_contents VALUES (?, ?, ?, ?, ?, ?, ?)"

T = TypeVar("T")


class SqliteContents:
    """Fills `live.ports.Contents`, and control's `ContentStore`, from one thread of its own. A file that was never
    written is not made by reading.
    """

    def __init__(self, file: Path, seals: Callable[[], Seals]) -> None:
        """`seals` opens the vault when it is first needed; it raises Invalid without a master key."""
        self._file = file
        self._opening = seals
        self._seals: Seals | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    async def put(self, batch: Sequence[Content]) -> None:
        """See `live.ports.Contents`; raises Invalid when there is no key to seal under."""
        await self._in_turn(lambda: self._put(batch))

    async def get(self, call_id: str) -> Content | None:
        """See `control.monitoring.ports.ContentStore`."""
        return await self._in_turn(lambda: self._get(call_id))

    async def erase(self, subject: str) -> Erased:
        """See `control.monitoring.ports.ContentStore`."""
        return await self._in_turn(lambda: self._erase(subject))

    async def prune(self, now_ms: int, limit: int) -> int:
        """See `control.monitoring.ports.ContentStore`."""
        return await self._in_turn(lambda: self._prune(now_ms, limit))

    async def close(self) -> None:
        """See `live.ports.Contents`."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown(wait=True)

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="contents")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work)
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(
                f"Content cannot be kept or read in {self._file.name}: {error}.",
                mend="Check the disk and the file's rights; `tidegate doctor` tells more.",
                code="contents_unavailable",
            ) from error

    def _guarded(self, work: Callable[[], T]) -> T:
        if self._connection is not None and not self._same_file():
            self._close()  # moved away, or put back from elsewhere
        try:
            return work()
        except sqlite3.Error:
            self._close()
            raise

    def _put(self, batch: Sequence[Content]) -> None:
        seals = self._sealing()
        rows = [content_row(content, seals) for content in batch]
        connection = self._connection or self._open()
        with connection:
            connection.executemany(INSERT, rows)

    def _get(self, call_id: str) -> Content | None:
        if not self._file.exists():
            return None
        connection = self._connection or self._open()
        row = connection.execute("SELECT body FROM call_contents WHERE call_id = ?", (call_id,)).fetchone()
        return None if row is None else content_of(call_id, row[0], self._sealing())

    def _erase(self, subject: str) -> Erased:
        seals = self._sealing()
        hashes = tuple(seals.subject_hashes(subject))
        if not self._file.exists():
            return Erased(subject_hash=hashes[0], erased=0, unchecked=0)
        connection = self._connection or self._open()
        theirs = f"subject_hash IN ({_marks(hashes)})"
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            gone = connection.execute(
                "DELETE FROM call_contents WHERE shadow_of IN "  # noqa: S608  # marks alone
                f"(SELECT call_id FROM call_contents WHERE {theirs})",
                hashes,
            ).rowcount
            gone += connection.execute(f"DELETE FROM call_contents WHERE {theirs}", hashes).rowcount  # noqa: S608
            unchecked = connection.execute(
                "SELECT count(*) FROM call_contents WHERE subject_hash IS NOT NULL "  # noqa: S608  # marks alone
                f"AND key_id NOT IN ({_marks(seals.key_ids)})",
                seals.key_ids,
            ).fetchone()[0]
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Erased(subject_hash=hashes[0], erased=gone, unchecked=unchecked)

    def _prune(self, now_ms: int, limit: int) -> int:
        if not self._file.exists():
            return 0
        connection = self._connection or self._open()
        with connection:
            return connection.execute(
                "DELETE FROM call_contents WHERE rowid IN "
                "(SELECT rowid FROM call_contents WHERE expires_at_ms <= ? LIMIT ?)",
                (now_ms, limit),
            ).rowcount

    def _sealing(self) -> Seals:
        if self._seals is None:
            self._seals = self._opening()
        return self._seals

    def _open(self) -> sqlite3.Connection:
        self._file.touch(mode=0o600)
        connection = sqlite3.connect(self._file, timeout=BUSY_TIMEOUT_S, isolation_level="IMMEDIATE")
        try:
            connection.execute("PRAGMA secure_delete=ON")
            use_wal(connection, BUSY_TIMEOUT_S)
            connection.execute("PRAGMA synchronous=NORMAL")
            for statement in contents_ddl("sqlite"):
                connection.execute(statement)
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


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
