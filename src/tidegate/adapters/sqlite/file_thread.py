"""FileThread: one SQLite file with a thread of its own and one connection in it, so that no loop waits for a disk."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tidegate.kernel.errors import Unavailable

__all__ = ["FileThread", "transaction"]

BUSY_TIMEOUT_S = 10.0

T = TypeVar("T")


class FileThread:
    """Does one piece of work at a time. The file is opened when it is first needed, and anew when it was moved away or
    put back from elsewhere: what is written to the old one would be lost. Opened again when used after `close`.
    """

    def __init__(self, file: Path, prepare: Callable[[sqlite3.Connection], None], *, cannot: str, code: str) -> None:
        """`prepare` makes a new connection ready (log, tables). A failure is told as "`cannot` FILE: why", with the
        error's `code`.
        """
        self.file = file
        self._prepare = prepare
        self._cannot = cannot
        self._code = code
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    async def do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work in the thread; a file that is not there is made. Raises Unavailable."""
        return await self._in_turn(lambda: self._done(work))

    async def look(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """The same, but a file that is not there is not made: then the answer is `otherwise`. Raises Unavailable."""
        return await self._in_turn(lambda: self._done(work) if self.file.exists() else otherwise)

    async def close(self) -> None:
        """Close the connection and end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown(wait=True)

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=self.file.stem)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(
                f"{self._cannot} {self.file.name}: {error}.",
                mend="Check the disk and the file's rights; `tidegate doctor` tells more.",
                code=self._code,
            ) from error

    def _done(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is not None and not self._same_file():
            self._close()
        try:
            return work(self._connection or self._open())
        except sqlite3.Error:
            self._close()  # what was begun is rolled back
            raise

    def _open(self) -> sqlite3.Connection:
        self.file.touch(mode=0o600)
        connection = sqlite3.connect(self.file, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._inode = self.file.stat().st_ino
        self._connection = connection
        return connection

    def _same_file(self) -> bool:
        try:
            return self.file.stat().st_ino == self._inode
        except OSError:
            return False

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Under the write lock from its first statement on: all of it, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
