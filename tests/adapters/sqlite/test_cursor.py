"""OneTurnCursor: the same answers as before, in fewer turns of SQLite's thread."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiosqlite
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tidegate.adapters.sqlite.cursor import FIRST_ROWS
from tidegate.adapters.sqlite.database import SqliteDatabase

MANY = FIRST_ROWS * 3 + 7
SERIES = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :last) SELECT i FROM n")


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(tmp_path / "some.db")
    async with database.write() as tx:
        await tx.execute(text("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT UNIQUE)"))
    yield database
    await database.close()


@pytest.mark.parametrize("last", [1, FIRST_ROWS - 1, FIRST_ROWS, FIRST_ROWS + 1, MANY])
async def test_every_row_comes_once_and_in_order(db: SqliteDatabase, last: int) -> None:
    async with db.read() as tx:
        assert list((await tx.execute(SERIES, {"last": last})).scalars()) == list(range(1, last + 1))
        stream = await tx.stream(SERIES, {"last": last})
        assert [row.i async for row in stream] == list(range(1, last + 1))


async def test_a_stream_that_is_left_early_is_in_nobodys_way(db: SqliteDatabase) -> None:
    async with db.read() as tx:
        stream = await tx.stream(SERIES, {"last": 1_000_000_000})
        assert (await stream.first()).i == 1  # type: ignore[union-attr]
        assert (await tx.execute(SERIES, {"last": 2})).scalars().all() == [1, 2]
    async with db.write() as tx:
        await tx.execute(text("INSERT INTO things (name) VALUES ('a')"))


async def test_what_was_changed_is_counted_and_returned(db: SqliteDatabase) -> None:
    async with db.write() as tx:
        rows = [{"name": f"n{at}"} for at in range(5)]
        await tx.execute(text("INSERT INTO things (name) VALUES (:name)"), rows)
        back = await tx.execute(text("INSERT INTO things (name) VALUES ('x'), ('y') RETURNING id"))
        assert back.scalars().all() == [6, 7]
        assert (await tx.execute(text("UPDATE things SET name = name || '!' WHERE id > 5"))).rowcount == 2
        assert (await tx.execute(text("DELETE FROM things WHERE id > 100"))).rowcount == 0


async def test_an_error_ends_the_transaction_and_nothing_else(db: SqliteDatabase) -> None:
    with pytest.raises(IntegrityError):
        async with db.write() as tx:
            await tx.execute(text("INSERT INTO things (name) VALUES ('a'), ('a')"))
    async with db.write() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM things"))).scalar_one() == 0


async def test_a_short_statement_takes_one_turn(db: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = 0
    plain = aiosqlite.Connection._execute

    async def counted(self: aiosqlite.Connection, *arguments: object, **options: object) -> object:
        nonlocal turns
        turns += 1
        return await plain(self, *arguments, **options)

    async with db.read() as tx:
        await tx.execute(text("SELECT 1"))
        with monkeypatch.context() as patched:
            patched.setattr(aiosqlite.Connection, "_execute", counted)
            for _ in range(10):
                await tx.execute(text("SELECT 1"))
    assert turns == 10
