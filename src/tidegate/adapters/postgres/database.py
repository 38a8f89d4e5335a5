"""PostgresDatabase: the Database port over a PostgreSQL server, with a pool that heals by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tidegate.adapters.postgres.faults import away, postgres_fault
from tidegate.adapters.sql.retire import retire
from tidegate.adapters.sql.turn import Turn
from tidegate.kernel.errors import Invalid, Unavailable

__all__ = ["WRITER_LOCK", "PostgresDatabase"]

BUSY_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 60.0
CONNECTIONS = 8

WRITER_LOCK = 0x7469646567617465
"""The advisory lock that writers hold ("tidegate" in ASCII), in the database they write to."""

_LOCK = text(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
_NOW_MS = text("SELECT CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS bigint)")


class PostgresDatabase:
    """One PostgreSQL database, named by a `postgresql://` URL with libpq's options.

    Writers take turns, in this process and across processes (an advisory lock for each transaction): control
    writes little, and so no generation is ever decided on a view older than its predecessor's. When the
    server is away every verb raises Unavailable; the next call after its return works.
    If it goes away during COMMIT, nobody can say whether the commit happened: read again before repeating.
    """

    dialect = "postgresql"

    def __init__(self, url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._url = url
        self._name = _shown(url)
        self._busy_timeout_s = busy_timeout_s
        self._turn = Turn(f"The database {self._name}", timeout_s=busy_timeout_s)
        self._engines: tuple[AsyncEngine, AsyncEngine] | None = None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction with the writers' lock: what it reads stays as it is. Raises Unavailable."""
        async with self._turn.take(), self._mended(), self._opened()[1].begin() as connection:
            await connection.execute(_LOCK)
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view from its first statement on; never waits for a writer. Raises Unavailable."""
        async with self._mended(), self._opened()[0].connect() as connection:
            yield connection

    async def now_ms(self, connection: AsyncConnection) -> int:
        """Unix time in ms, as the server tells it: the moment of the statement, not of the transaction."""
        return int((await connection.execute(_NOW_MS)).scalar_one())

    async def close(self) -> None:
        """Close every connection; those in use are closed at the end of their transactions."""
        engines, self._engines = self._engines, None
        await retire(*(engines or ())[1:])  # both have one pool

    def _opened(self) -> tuple[AsyncEngine, AsyncEngine]:
        """What readers and what writers ask, over one pool; a new one after `close`."""
        if self._engines is None:
            engine = create_async_engine(
                "postgresql+asyncpg://",
                async_creator=self._connect,
                pool_size=CONNECTIONS,
                max_overflow=0,
                pool_timeout=self._busy_timeout_s,
            )
            event.listen(engine.sync_engine, "checkout", _check_out)
            reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self._engines = (reader, engine)
        return self._engines

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        try:
            connection = await asyncpg.connect(
                self._url,
                timeout=self._busy_timeout_s,
                command_timeout=COMMAND_TIMEOUT_S,
                server_settings={"application_name": "tidegate"},
            )
            try:
                await connection.execute(f"SET lock_timeout = {round(self._busy_timeout_s * 1000)}")
            except BaseException:
                connection.terminate()
                raise
        except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise (postgres_fault(self._name, error) or away(self._name, error)) from error
        return connection

    @asynccontextmanager
    async def _mended(self) -> AsyncIterator[None]:
        try:
            yield
        except DBAPIError as error:
            fault = postgres_fault(self._name, error)
            if fault is None:
                raise
            raise fault from error
        except PoolTimeout as error:
            raise Unavailable(
                f"Every connection to the database {self._name} is busy.",
                mend="Try again.",
                code="database_busy",
            ) from error
        except (ConnectionError, TimeoutError) as error:
            raise away(self._name, error) from error


def _check_out(connection: Any, record: object, proxy: object) -> None:
    """A connection that the server closed while it lay in the pool is replaced before anyone uses it."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError("The server closed this connection.")


def _shown(url: str) -> str:
    """The URL without its password and options."""
    try:
        parts = urlsplit(url)
        where = (parts.hostname or "the local socket") + (f":{parts.port}" if parts.port else "")
    except ValueError as error:
        raise Invalid(
            f"database_url is not a URL: {error}.",
            mend="Write postgresql://USER:PASSWORD@HOST:PORT/NAME, with %-escapes in the password.",
            code="invalid_setting",
        ) from error
    return f"{parts.path.lstrip('/') or 'postgres'} at {where}"
