"""An identity over a real database, with its first admin, and a press that keeps what gateways would be told."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.databases import fresh_sqlite
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.control.identity import store
from tidegate.control.identity.model import Actor
from tidegate.control.identity.service import Identity
from tidegate.jobs.database import Tx
from tidegate.live.snapshot import KeyGrant

__all__ = ["ADMIN_TOKEN", "Press"]

ADMIN_TOKEN = "tgt-" + "ab" * 20


class Press:
    """A Publish that keeps what the gateway would be told of keys."""

    def __init__(self, db: SqliteDatabase) -> None:
        self._db = db
        self.editions: list[dict[str, KeyGrant]] = []

    async def __call__(self, tx: Tx) -> int:
        self.editions.append(await store.grants(tx, now_ms=await self._db.now_ms(tx)))
        return len(self.editions)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = await fresh_sqlite(tmp_path)
    yield database
    await database.close()


@pytest.fixture
def press(db: SqliteDatabase) -> Press:
    return Press(db)


@pytest.fixture
async def identity(db: SqliteDatabase, press: Press) -> Identity:
    identity = Identity(db, press)
    await identity.bootstrap(ADMIN_TOKEN)
    return identity


@pytest.fixture
async def admin(identity: Identity) -> Actor:
    return await identity.authenticate(ADMIN_TOKEN)
