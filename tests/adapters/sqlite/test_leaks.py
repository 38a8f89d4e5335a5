"""No connection of SqliteDatabase outlives its use: not in a caller's cancellation at any moment, not in a refusal, not
when the database is closed under a transaction.
"""

import asyncio
import gc
import sqlite3
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.kernel.errors import Unavailable

STEPS = 40

Use = Callable[[SqliteDatabase], Coroutine[None, None, None]]


async def reads(db: SqliteDatabase) -> None:
    async with db.read() as tx:
        await tx.exec_driver_sql("SELECT count(*) FROM notes")


async def writes(db: SqliteDatabase) -> None:
    async with db.write() as tx:
        await tx.exec_driver_sql("INSERT INTO notes VALUES ('never')")
        await asyncio.sleep(60)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "control.db")) as connection:
        connection.execute("CREATE TABLE notes (words TEXT)")
    return tmp_path / "control.db"


@pytest.fixture(autouse=True)
def no_leak() -> Iterator[None]:
    """Whatever was left open tells of itself when it is collected."""
    gc.collect()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(one.message) for one in told if issubclass(one.category, ResourceWarning)] == []


@pytest.mark.parametrize("use", [reads, writes])
@pytest.mark.parametrize("steps", range(0, STEPS, 2))
async def test_a_caller_that_is_cancelled_leaves_no_connection(file: Path, use: Use, steps: int) -> None:
    """The loop's steps wait a moment for SQLite's thread, so that every wait of the verb is met."""
    db = SqliteDatabase(file)
    asking = asyncio.create_task(use(db))
    for _ in range(steps):
        await asyncio.sleep(0.0001)
    asking.cancel()
    await asyncio.wait({asking})
    await reads(db)
    async with db.write() as tx:
        assert (await tx.exec_driver_sql("SELECT count(*) FROM notes")).scalar_one() == 0
    await db.close()


@pytest.mark.parametrize("use", [reads, writes])
async def test_a_locked_file_leaves_no_connection(file: Path, use: Use) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        db = SqliteDatabase(file, busy_timeout_s=0.05)
        with pytest.raises(Unavailable) as caught:
            await use(db)
        assert caught.value.code == "database_locked"
        other.execute("ROLLBACK")
    await reads(db)
    await db.close()


@pytest.mark.parametrize("verb", ["read", "write"])
async def test_a_database_that_is_closed_under_a_transaction_closes_its_connection_after_it(
    file: Path, verb: str
) -> None:
    db = SqliteDatabase(file)
    async with getattr(db, verb)() as tx:
        await tx.exec_driver_sql("SELECT count(*) FROM notes")
        await db.close()
        assert (await tx.exec_driver_sql("SELECT count(*) FROM notes")).scalar_one() == 0
    await reads(db)  # opened anew
    await db.close()


@pytest.mark.parametrize("steps", range(1, STEPS, 2))
async def test_a_database_that_is_closed_while_a_connection_is_made(file: Path, steps: int) -> None:
    db = SqliteDatabase(file)
    asking = [asyncio.create_task(reads(db)) for _ in range(6)]  # some wait for a connection
    for _ in range(steps):
        await asyncio.sleep(0)
    await db.close()
    await asyncio.gather(*asking)
