"""The Database port's words, held by every adapter against the real store."""

# ruff: noqa: PT012  # what is tried is a transaction with statements in it

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from tidegate.adapters.postgres.database import PostgresDatabase
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.jobs.database import Database, Tx
from tidegate.kernel.errors import TidegateError, Unavailable

Open = Callable[[float], Database]

NOTES = sa.Table(
    "notes",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("blob", sa.LargeBinary),
)


@pytest.fixture(params=["sqlite", "postgresql"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens the same store again and again, as several processes would; takes the busy timeout in seconds."""
    databases: list[Database] = []
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""

    def open_one(busy_timeout_s: float = 5.0) -> Database:
        if url:
            databases.append(PostgresDatabase(url, busy_timeout_s=busy_timeout_s))
        else:
            databases.append(SqliteDatabase(tmp_path / "some folder?#.db", busy_timeout_s=busy_timeout_s))
        return databases[-1]

    async with open_one().write() as tx:
        await tx.run_sync(NOTES.metadata.create_all)
    yield open_one
    for database in databases:
        await database.close()


@pytest.fixture
def db(opened: Open) -> Database:
    return opened(5.0)


async def put(tx: Tx, number: int, words: str = "hello") -> None:
    await tx.execute(sa.insert(NOTES).values(id=number, words=words))


async def count(tx: Tx) -> int:
    return (await tx.execute(sa.select(sa.func.count()).select_from(NOTES))).scalar_one()


async def counted(db: Database) -> int:
    async with db.read() as tx:
        return await count(tx)


def test_the_dialect_is_told(db: Database, request: pytest.FixtureRequest) -> None:
    assert db.dialect == request.node.callspec.params["opened"]


async def test_a_write_is_there_for_every_reader_once_it_is_left(opened: Open) -> None:
    db, other = opened(5.0), opened(5.0)
    async with db.write() as tx:
        await put(tx, 2**60, "Füße, 漢字, 🌊")
        await tx.execute(sa.update(NOTES).values(blob=b"\x00\xff"))
        assert await counted(other) == 0
    async with other.read() as tx:
        row = (await tx.execute(sa.select(NOTES))).one()
    assert (row.id, row.words, row.blob) == (2**60, "Füße, 漢字, 🌊", b"\x00\xff")


async def test_an_error_takes_everything_back(db: Database) -> None:
    with pytest.raises(RuntimeError, match="halfway"):
        async with db.write() as tx:
            await put(tx, 1)
            raise RuntimeError("halfway")
    assert await counted(db) == 0


async def test_a_reader_keeps_its_view_while_others_write(db: Database) -> None:
    async with db.read() as tx:
        assert await count(tx) == 0
        async with db.write() as writer:
            await put(writer, 1)
        assert await count(tx) == 0
    assert await counted(db) == 1


async def test_a_reader_cannot_write(db: Database) -> None:
    with pytest.raises(Unavailable) as caught:
        async with db.read() as tx:
            await put(tx, 1)
    assert caught.value.code == "database_readonly"
    assert await counted(db) == 0


async def test_time_is_the_store_s_and_moves_inside_a_transaction(db: Database) -> None:
    async with db.write() as tx:
        first = await db.now_ms(tx)
        await asyncio.sleep(0.005)
        second = await db.now_ms(tx)
    assert 4 <= second - first < 5_000
    assert abs(first - time.time() * 1000) < 5_000


async def test_no_update_is_lost_among_many_writers(opened: Open) -> None:
    """Read, think, write: twice forty of them, over two openings of the store."""
    databases = (opened(30.0), opened(30.0))
    async with databases[0].write() as tx:
        await put(tx, 1, "0")

    async def add_one(db: Database) -> None:
        async with db.write() as tx:
            words = (await tx.execute(sa.select(NOTES.c.words))).scalar_one()
            await asyncio.sleep(0)
            await tx.execute(sa.update(NOTES).values(words=str(int(words) + 1)))

    await asyncio.gather(*(add_one(db) for db in databases * 40))
    async with databases[0].read() as tx:
        assert (await tx.execute(sa.select(NOTES.c.words))).scalar_one() == "80"


async def test_writers_are_served_in_the_order_in_which_they_came(db: Database) -> None:
    served: list[int] = []

    async def write(number: int) -> None:
        async with db.write() as tx:
            served.append(number)
            await put(tx, number)

    await asyncio.gather(*(write(number) for number in range(30)))
    assert served == list(range(30))


async def test_readers_do_not_wait_for_a_writer(db: Database) -> None:
    async with db.write() as tx:
        await put(tx, 1)
        assert await asyncio.wait_for(counted(db), 10) == 0


async def test_a_writer_that_is_cancelled_leaves_the_way_free(db: Database) -> None:
    started = asyncio.Event()

    async def stay() -> None:
        async with db.write() as tx:
            await put(tx, 1)
            started.set()
            await asyncio.sleep(60)

    staying = asyncio.create_task(stay())
    await started.wait()
    waiting = [asyncio.create_task(stay()) for _ in range(3)]
    await asyncio.sleep(0.01)
    for task in (staying, *waiting):
        task.cancel()
    await asyncio.gather(staying, *waiting, return_exceptions=True)
    async with db.write() as tx:
        assert await count(tx) == 0
        await put(tx, 2)
    assert await counted(db) == 1


async def test_cancelling_at_any_moment_leaves_the_way_free(db: Database) -> None:
    """Each task is cancelled after one more turn of the loop than the one before: also between BEGIN and its answer."""

    async def write(number: int) -> None:
        async with db.write() as tx:
            await put(tx, number)

    for turns in range(40):
        task = asyncio.create_task(write(turns))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(10), db.write() as tx:
        await put(tx, 1_000)
    assert await counted(db) >= 1


async def test_a_write_inside_a_write_is_told_at_once(db: Database) -> None:
    with pytest.raises(TidegateError, match="inside another one"):
        async with db.write(), db.write():
            pytest.fail("it got in")
    async with db.write() as tx:
        await put(tx, 1)


async def test_a_store_that_another_one_holds_is_busy_and_then_free(opened: Open) -> None:
    holder, waiter = opened(5.0), opened(0.2)
    async with holder.write() as tx:
        await put(tx, 1)
        began = time.perf_counter()
        with pytest.raises(Unavailable) as caught:
            async with waiter.write():
                pytest.fail("it got in")
        assert 0.1 < time.perf_counter() - began < 3
    assert caught.value.code == "database_locked"
    assert caught.value.mend
    async with waiter.write() as tx:
        await put(tx, 2)
    assert await counted(waiter) == 2


async def test_a_long_queue_in_this_process_is_told_too(opened: Open) -> None:
    db = opened(0.1)

    async def late() -> None:
        async with db.write():
            pytest.fail("it got in")

    async with db.write():
        with pytest.raises(Unavailable) as caught:
            await asyncio.create_task(late())
    assert caught.value.code == "database_busy"


async def test_more_readers_than_connections_wait_their_turn(opened: Open) -> None:
    db = opened(5.0)
    assert await asyncio.gather(*(counted(db) for _ in range(40))) == [0] * 40


async def test_readers_that_never_let_go_make_others_fail_with_a_name(opened: Open) -> None:
    db = opened(0.1)
    enough = asyncio.Event()

    async def stay() -> None:
        async with db.read() as tx:
            await count(tx)
            await enough.wait()

    stays = [asyncio.create_task(stay()) for _ in range(12)]
    done, _ = await asyncio.wait(stays, return_when=asyncio.FIRST_COMPLETED)
    enough.set()
    await asyncio.gather(*stays, return_exceptions=True)
    error = done.pop().exception()
    assert isinstance(error, Unavailable)
    assert error.code == "database_busy"


async def test_a_missing_table_asks_for_a_migration(db: Database) -> None:
    with pytest.raises(Unavailable) as caught:
        async with db.read() as tx:
            await tx.execute(sa.text("SELECT * FROM not_there"))
    assert caught.value.code == "database_not_migrated"
    assert "tidegate migrate" in caught.value.mend


async def test_a_broken_rule_of_the_schema_stays_what_it_is(db: Database) -> None:
    """Not the store is away: the statement is wrong, which is a mistake of ours."""
    with pytest.raises(IntegrityError):
        async with db.write() as tx:
            await put(tx, 1)
            await put(tx, 1)
    assert await counted(db) == 0


async def test_a_closed_database_opens_again_when_it_is_used(db: Database) -> None:
    await db.close()
    assert await counted(db) == 0
