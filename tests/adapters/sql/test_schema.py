"""The migrations: they make what the code's tables say, on both dialects, all or nothing, up and down."""

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from tests.support.databases import migrated_bytes
from tidegate.adapters.postgres.database import PostgresDatabase
from tidegate.adapters.sql import schema
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.app.revisions import declared_tables
from tidegate.jobs.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    database: Database
    if request.param == "sqlite":
        database = SqliteDatabase(tmp_path / "control.db")
    else:
        database = PostgresDatabase(request.getfixturevalue("postgres_url"))
    yield database
    await database.close()


@pytest.fixture(scope="module")
def metadata() -> sa.MetaData:
    return declared_tables()


async def migrate(db: Database, to: str = "head") -> None:
    async with db.write() as tx:
        await tx.run_sync(schema.upgrade, to)


async def tables(db: Database) -> set[str]:
    async with db.read() as tx:
        return set(await tx.run_sync(lambda connection: sa.inspect(connection).get_table_names()))


async def test_the_migrated_schema_is_what_the_code_declares(db: Database, metadata: sa.MetaData) -> None:
    await migrate(db)
    async with db.read() as tx:
        assert await tx.run_sync(schema.differences, metadata) == []
        assert await tx.run_sync(schema.current) == schema.head()
    assert await tables(db) == {*metadata.tables, schema.VERSION_TABLE} == {*schema.tables("head"), "alembic_version"}


async def test_primary_keys_agree_too(db: Database, metadata: sa.MetaData) -> None:
    """Alembic compares columns, indexes and constraints, but not which columns are the key."""

    def keys(connection: sa.Connection) -> dict[str, list[str]]:
        look = sa.inspect(connection)
        return {name: look.get_pk_constraint(name)["constrained_columns"] for name in metadata.tables}

    await migrate(db)
    async with db.read() as tx:
        found = await tx.run_sync(keys)
    assert found == {name: [key.name for key in table.primary_key] for name, table in metadata.tables.items()}


async def test_a_difference_would_be_seen(db: Database, metadata: sa.MetaData) -> None:
    await migrate(db)
    async with db.write() as tx:
        await tx.execute(sa.text("ALTER TABLE users ADD COLUMN shoe_size INTEGER"))
        assert len(await tx.run_sync(schema.differences, metadata)) == 1


async def test_the_table_of_calls_is_left_alone(db: Database, metadata: sa.MetaData) -> None:
    await migrate(db)
    async with db.write() as tx:
        await tx.execute(sa.text("CREATE TABLE calls (call_id TEXT)"))
        assert await tx.run_sync(schema.differences, metadata) == []


async def test_migrating_twice_changes_nothing(db: Database) -> None:
    await migrate(db)
    await migrate(db)
    async with db.read() as tx:
        assert await tx.run_sync(schema.current) == schema.head()


async def test_a_step_that_fails_leaves_nothing_behind(db: Database) -> None:
    async with db.write() as tx:
        await tx.execute(sa.text("CREATE TABLE snapshots (mine TEXT)"))
    with pytest.raises(sa.exc.DBAPIError):
        await migrate(db)
    assert await tables(db) == {"snapshots"}


async def test_down_to_nothing_and_up_again(db: Database) -> None:
    await migrate(db)
    async with db.write() as tx:
        await tx.run_sync(lambda connection: command.downgrade(schema.configured(connection), "base"))
    assert await tables(db) == {schema.VERSION_TABLE}
    await migrate(db)
    async with db.read() as tx:
        assert await tx.run_sync(schema.current) == schema.head()


async def test_a_new_step_is_written_from_the_difference(db: Database, tmp_path: Path) -> None:
    await migrate(db)
    changed = sa.MetaData()
    sa.Table("budgets", changed, sa.Column("name", sa.Text, primary_key=True))
    async with db.write() as tx:
        path = await tx.run_sync(schema.write_revision, changed, "add budgets", tmp_path)
    assert path.name == f"r{int(schema.head()) + 1:04d}_add_budgets.py"
    spec = importlib.util.spec_from_file_location("step", path)
    assert spec is not None
    assert spec.loader is not None
    step = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(step)
    assert step.down_revision == schema.head()
    assert "create_table('budgets'" in path.read_text()


def test_steps_are_numbered_without_a_gap() -> None:
    assert schema.known() == tuple(f"{number:04d}" for number in range(1, len(schema.known()) + 1))
    assert schema.pending(None) == schema.known()
    assert schema.pending(schema.head()) == ()


def test_the_template_of_the_tests_is_a_whole_file() -> None:
    assert migrated_bytes().startswith(b"SQLite format 3\x00")
