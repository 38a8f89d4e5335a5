"""SqliteDatabase: the Database port over one file in WAL mode, with one writer and a few readers."""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tidegate.adapters.sql.retire import retire
from tidegate.adapters.sql.turn import Turn
from tidegate.adapters.sqlite.cursor import in_one_turn
from tidegate.adapters.sqlite.faults import gone, sqlite_fault, unopenable
from tidegate.kernel.errors import Unavailable

__all__ = ["SqliteDatabase"]

BUSY_TIMEOUT_S = 5.0
READERS = 4
RETRY_S = 0.005
SET_UP = "PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA journal_size_limit=67108864;"  # 64 MiB

# 'now' is whole milliseconds since the Julian epoch inside SQLite; 2440587.5 is the day of 1970-01-01T00:00Z.
_NOW_MS = text("SELECT CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)")


class SqliteDatabase:
    """One SQLite file, created (mode 0600) when first needed; once seen, it is never silently made anew.

    Durability: WAL with synchronous NORMAL. A killed process loses nothing that was committed; a power cut
    may lose the last commits, never the file's consistency.
    """

    dialect = "sqlite"

    def __init__(self, file: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._file = file.absolute()
        self._seen = False
        self._busy_timeout_s = busy_timeout_s
        self._turn = Turn(f"The database {self._file}", timeout_s=busy_timeout_s)
        self._engines: tuple[AsyncEngine, AsyncEngine] | None = None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction under the write lock: what it reads cannot change underneath. Raises Unavailable."""
        async with self._turn.take(), self._mended(), self._opened()[1].connect() as connection:
            transaction = await connection.begin()
            try:
                yield connection
                self._still_there(connection)
            except BaseException:
                await transaction.rollback()
                raise
            await transaction.commit()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view from its first statement on; never waits for a writer. Raises Unavailable."""
        async with self._mended(), self._opened()[0].connect() as connection:
            yield connection

    async def now_ms(self, connection: AsyncConnection) -> int:
        """Unix time in ms, as SQLite tells it."""
        return int((await connection.execute(_NOW_MS)).scalar_one())

    async def close(self) -> None:
        """Close every connection and end its thread; those in use are closed at the end of their transactions."""
        engines, self._engines = self._engines, None
        await retire(*engines or ())

    def _opened(self) -> tuple[AsyncEngine, AsyncEngine]:
        """The readers and the writer, new ones after `close`."""
        if self._engines is None:
            self._engines = (
                self._engine(connections=READERS, begin="BEGIN", query_only=True),
                self._engine(connections=1, begin="BEGIN IMMEDIATE"),
            )
        return self._engines

    def _engine(self, *, connections: int, begin: str, query_only: bool = False) -> AsyncEngine:
        engine = create_async_engine(
            "sqlite+aiosqlite:///file:tidegate?uri=true",  # the path itself is given at each connect
            connect_args={"isolation_level": None, "timeout": self._busy_timeout_s, "uri": True},
            pool_size=connections,
            max_overflow=0,
            pool_timeout=self._busy_timeout_s,
            pool_reset_on_return=None,  # a transaction always ends by itself: one turn of the thread less
        )
        sync = engine.sync_engine
        event.listen(sync, "do_connect", self._place)
        event.listen(sync, "connect", in_one_turn)
        event.listen(sync, "connect", lambda raw, record: self._prepare(raw, record, query_only))
        event.listen(sync, "checkout", self._check_out)
        event.listen(sync, "begin", lambda connection: _begin(connection, begin))
        return engine

    def _place(self, dialect: object, record: object, arguments: list[Any], options: dict[str, Any]) -> None:
        """Before a connection is made: where the file is, whether it may be created, what is wrong with it.

        An existing file is only looked at: opening and closing it here would end this process's locks on it.
        """
        if not self._file.exists():
            if self._seen:
                raise gone(self._file)
            self._create()
        elif self._file.is_dir() or not os.access(self._file, os.R_OK | os.W_OK):
            raise unopenable(self._file, "it is a folder" if self._file.is_dir() else "its mode forbids it")
        arguments[:] = [f"{self._file.as_uri()}?mode=rw"]

    def _create(self) -> None:
        try:
            os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return  # another process was faster
        except OSError as error:
            raise unopenable(self._file, error.strerror or str(error)) from error

    def _prepare(self, connection: Any, record: Any, query_only: bool) -> None:
        connection.run_async(lambda raw: self._set_up(raw, query_only))
        self._seen = True
        record.info["file"] = _identity(self._file)

    async def _set_up(self, raw: aiosqlite.Connection, query_only: bool) -> None:
        """Into WAL mode, which SQLite refuses at once, without its busy timeout, while another process is at it."""
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                cursor = await raw.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(RETRY_S)
            else:
                await cursor.close()
                break
        await raw.executescript(f"{SET_UP} PRAGMA query_only={query_only:d};")

    def _check_out(self, connection: object, record: Any, proxy: object) -> None:
        """A file that was replaced (a restore) is opened anew; one that is gone is said to be gone."""
        found = _identity(self._file)
        if found is None:
            raise gone(self._file)
        if found != record.info.get("file"):
            raise DisconnectionError("The database file was replaced.")

    def _still_there(self, connection: AsyncConnection) -> None:
        """SQLite would commit into an unlinked file without a word."""
        raw = connection.sync_connection
        if raw is not None and raw.connection.info.get("file") != _identity(self._file):
            raise gone(self._file)

    @asynccontextmanager
    async def _mended(self) -> AsyncIterator[None]:
        try:
            yield
        except DBAPIError as error:
            fault = sqlite_fault(self._file, error)
            if fault is None:
                raise
            raise fault from error
        except PoolTimeout as error:
            raise Unavailable(
                f"Every reader of the database {self._file} is busy.", mend="Try again.", code="database_busy"
            ) from error


def _begin(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_dev, status.st_ino
