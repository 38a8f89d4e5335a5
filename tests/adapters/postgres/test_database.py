"""PostgresDatabase among the things that happen to servers: stopped, started, away, refusing, hanging up."""

# ruff: noqa: PT012  # what is tried is a transaction with statements in it

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.support.postgres import PostgresServer
from tidegate.adapters.postgres.database import PostgresDatabase
from tidegate.kernel.errors import Invalid, Unavailable

CONNECTIONS = """SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'tidegate'"""


@pytest.fixture
async def db(postgres_url: str) -> AsyncIterator[PostgresDatabase]:
    database = PostgresDatabase(postgres_url, busy_timeout_s=3)
    async with database.write() as tx:
        await tx.execute(sa.text("CREATE TABLE notes (words TEXT)"))
    yield database
    await database.close()


async def put(db: PostgresDatabase) -> None:
    async with db.write() as tx:
        await tx.execute(sa.text("INSERT INTO notes VALUES ('hello')"))


async def count(db: PostgresDatabase) -> int:
    async with db.read() as tx:
        return await count_in(tx)


async def count_in(tx: AsyncConnection) -> int:
    return int((await tx.execute(sa.text("SELECT count(*) FROM notes"))).scalar_one())


async def hang_up(url: str) -> None:
    """End every other connection to the database, as a restart or a firewall does."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()


async def test_a_server_that_stops_and_starts_again(db: PostgresDatabase, postgres_server: PostgresServer) -> None:
    await put(db)
    postgres_server.stop()
    try:
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                await put(db)
            assert caught.value.code == "database_away"
            assert caught.value.mend
        with pytest.raises(Unavailable):
            await count(db)
    finally:
        postgres_server.start()
    assert await count(db) == 1
    await put(db)
    assert await count(db) == 2


async def test_a_server_that_stops_during_a_transaction(db: PostgresDatabase, postgres_server: PostgresServer) -> None:
    with pytest.raises(Unavailable) as caught:
        async with db.write() as tx:
            await tx.execute(sa.text("INSERT INTO notes VALUES ('lost')"))
            postgres_server.stop()
            postgres_server.start()
            await tx.execute(sa.text("INSERT INTO notes VALUES ('lost')"))
    assert caught.value.code == "database_away"
    assert await count(db) == 0


async def test_a_connection_that_died_in_the_pool_is_replaced_unseen(db: PostgresDatabase, postgres_url: str) -> None:
    async with db.read() as one, db.read() as other:
        raws = [(await tx.get_raw_connection()).driver_connection for tx in (one, other)]
    await hang_up(postgres_url)
    async with asyncio.timeout(5):
        while not all(raw is not None and raw.is_closed() for raw in raws):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await put(db)
    assert await asyncio.gather(*(count(db) for _ in range(8))) == [1] * 8


async def test_a_transaction_whose_connection_dies_is_taken_back(db: PostgresDatabase, postgres_url: str) -> None:
    with pytest.raises(Unavailable):
        async with db.write() as tx:
            await tx.execute(sa.text("INSERT INTO notes VALUES ('lost')"))
            await hang_up(postgres_url)
            await tx.execute(sa.text("SELECT 1"))
    await put(db)
    assert await count(db) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("/test_", "/no_such_database_"), "database_gone"),
        (("postgres:@", "nobody:@"), "database_refused"),
        (("/data", "/elsewhere"), "database_away"),
    ],
)
async def test_what_a_wrong_url_means(postgres_url: str, change: tuple[str, str], code: str) -> None:
    database = PostgresDatabase(postgres_url.replace(*change))
    with pytest.raises(Unavailable) as caught:
        await count(database)
    assert caught.value.code == code
    assert caught.value.mend
    await database.close()


async def test_a_password_is_never_shown() -> None:
    database = PostgresDatabase("postgresql://someone:hunter2@127.0.0.1:1/tidegate")
    with pytest.raises(Unavailable) as caught:
        await count(database)
    assert "tidegate at 127.0.0.1:1" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    await database.close()


@pytest.mark.parametrize("url", ["postgresql://u:hunter2@[bad/x", "postgresql://u:hunter2@host:port/x"])
def test_what_is_not_a_url_is_refused_when_it_is_read(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        PostgresDatabase(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.mend


async def test_a_row_that_another_transaction_holds(db: PostgresDatabase, postgres_url: str) -> None:
    await put(db)
    connection = await asyncpg.connect(postgres_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("UPDATE notes SET words = 'held'")
    with pytest.raises(Unavailable) as caught:
        async with db.write() as tx:
            await tx.execute(sa.text("UPDATE notes SET words = 'wanted'"))
    assert caught.value.code == "database_locked"
    await transaction.rollback()
    await connection.close()


async def test_a_database_that_is_closed_under_transactions_closes_their_connections_after_them(
    db: PostgresDatabase, postgres_url: str
) -> None:
    async with db.read() as tx:
        await count_in(tx)
        async with db.write() as other:
            await db.close()
            await other.execute(sa.text("INSERT INTO notes VALUES ('kept')"))
        assert await count_in(tx) == 0
    connection = await asyncpg.connect(postgres_url)
    async with asyncio.timeout(5):
        while await connection.fetchval(CONNECTIONS):  # noqa: ASYNC110  # the server learns of it a moment later
            await asyncio.sleep(0.01)
    await connection.close()
    assert await count(db) == 1  # opened anew


async def test_a_statement_that_runs_too_long(db: PostgresDatabase) -> None:
    with pytest.raises(Unavailable) as caught:
        async with db.read() as tx:
            await tx.execute(sa.text("SET LOCAL statement_timeout = 20"))
            await tx.execute(sa.text("SELECT pg_sleep(5)"))
    assert caught.value.code == "database_busy"


async def test_the_session_tells_who_it_is(db: PostgresDatabase) -> None:
    async with db.read() as tx:
        assert (await tx.execute(sa.text("SHOW application_name"))).scalar_one() == "tidegate"
