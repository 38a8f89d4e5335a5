"""The Board on SQLite: the kernel rings when the database's log is written, and `PRAGMA data_version` tells whether
somebody committed.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

from tidegate.adapters.sqlite.bell import Bell
from tidegate.kernel.errors import Invalid, Unavailable
from tidegate.live.snapshot import Snapshot, decode_snapshot

__all__ = ["SqliteBoard"]

AWAY_S = 0.5
LOCKED_S = 0.2


class SqliteBoard:
    """Reads the newest Snapshot. All queries are point look-ups of microseconds, so they run on the loop itself.

    `data_version` (sqlite.org/pragma.html#pragma_data_version) changes when another connection commits; asking costs
    a few microseconds.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.fault: str | None = None
        self._connection: sqlite3.Connection | None = None
        self._bell: Bell | None = None

    async def latest(self) -> Snapshot | None:
        """See `live.ports.Board`."""
        return self._read(0)

    async def changes(self, after: int) -> AsyncIterator[Snapshot]:
        """See `live.ports.Board`."""
        bell = self._bell = Bell((self._file, self._file.with_name(f"{self._file.name}-wal")))
        seen = -1
        while True:
            try:
                bell.arm()
                version = self._version()
                self.fault = None
                if version != seen:
                    snapshot = self._read(after)
                    seen = version
                    if snapshot is not None:
                        after = snapshot.generation
                        yield snapshot
                await bell.wait()
            except (Unavailable, Invalid) as error:
                self.fault = str(error)
                seen = -1
                await asyncio.sleep(AWAY_S)

    async def close(self) -> None:
        """See `live.ports.Board`."""
        if self._bell is not None:
            self._bell.close()
        self._drop()

    def _version(self) -> int:
        try:
            row = self._open().execute("PRAGMA data_version").fetchone()
            self._check_same_file()
        except (sqlite3.Error, OSError) as error:
            raise self._away(error) from error
        return int(row[0])

    def _read(self, after: int) -> Snapshot | None:
        try:
            row = self._open().execute(
                "SELECT blob, sha256 FROM snapshots WHERE generation > ? ORDER BY generation DESC LIMIT 1", (after,)
            ).fetchone()  # fmt: skip
        except (sqlite3.Error, OSError) as error:
            raise self._away(error) from error
        return decode_snapshot(row[0], row[1]) if row else None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            uri = f"{self._file.absolute().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(uri, uri=True, timeout=LOCKED_S, isolation_level=None)
            self._inode = self._file.stat().st_ino
        return self._connection

    def _check_same_file(self) -> None:
        """A restored backup is another file under the same name: the old one would be watched for ever."""
        if self._file.stat().st_ino != self._inode:
            raise OSError("the database file was replaced")

    def _away(self, error: Exception) -> Unavailable:
        self._drop()
        return Unavailable(
            f"The control database {self._file.name} cannot be read: {error}.",
            mend="Start `tidegate control`, or run `tidegate doctor`.",
            code="database_unavailable",
        )

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
