"""The calls' store on both databases, written as the gateway writes it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.postgres import PostgresServer
from tests.support.postgres import postgres_server as postgres_server
from tidegate.adapters.postgres.batches import PostgresBatches
from tidegate.adapters.postgres.database import PostgresDatabase
from tidegate.adapters.postgres.records import PostgresRecords
from tidegate.adapters.sqlite.batches import SqliteBatches
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.adapters.sqlite.records import SqliteRecords
from tidegate.control.monitoring.ports import Batches
from tidegate.jobs.database import Database
from tidegate.live.ports import Records


class Store:
    """A database with the table `calls`, and the gateway's way to write it."""

    def __init__(self, db: Database, records: Records, batches: Batches) -> None:
        self.db = db
        self.records = records
        self.batches = batches


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "sqlite":
        file = tmp_path / "calls.db"
        async with _opened(SqliteDatabase(file), SqliteRecords(file), SqliteBatches(file)) as opened:
            yield opened
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = await asyncio.to_thread(server.create)
    async with _opened(PostgresDatabase(url), PostgresRecords(url), PostgresBatches(url)) as opened:
        yield opened
    await asyncio.to_thread(server.drop, url)


@asynccontextmanager
async def _opened(db: Database, records: Records, batches: Batches) -> AsyncIterator[Store]:
    await records.append([])
    yield Store(db, records, batches)
    await records.close()
    await batches.close()
    await db.close()
