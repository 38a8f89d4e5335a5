"""Opening, migrating and asking for the schema, as the commands do."""

# tests touch files

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.support.postgres import PostgresServer
from tests.support.postgres import postgres_server as postgres_server
from tests.support.postgres import postgres_url as postgres_url
from tidegate.adapters.sql import schema
from tidegate.app.databases import migrate, open_calls, open_database, schema_status
from tidegate.kernel.errors import Unavailable
from tidegate.settings import Settings


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "sqlite":
        return Settings(workspace=tmp_path)
    return Settings(workspace=tmp_path, database_url=request.getfixturevalue("postgres_url"))


async def run(settings: Settings, statement: str) -> None:
    database = open_database(settings)
    async with database.write() as tx:
        await tx.execute(sa.text(statement))
    await database.close()


async def test_an_empty_workspace_has_everything_before_it(settings: Settings) -> None:
    status = await schema_status(settings)
    assert (status.current, status.head, status.pending) == (None, schema.head(), schema.known())
    assert not settings.state_dir.exists()  # asking makes nothing


async def test_migrating_makes_all_that_is_needed_and_says_what_it_did(settings: Settings) -> None:
    done = await migrate(settings)
    assert (done.current, done.pending) == (None, schema.known())
    status = await schema_status(settings)
    assert (status.current, status.pending) == (schema.head(), ())
    again = await migrate(settings)
    assert (again.current, again.pending) == (schema.head(), ())
    calls = open_calls(settings)
    async with calls.read() as tx:
        assert (await tx.execute(sa.text("SELECT count(*) FROM calls"))).scalar_one() == 0
    await calls.close()


async def test_several_processes_may_migrate_at_once(settings: Settings) -> None:
    done = await asyncio.gather(*(migrate(settings) for _ in range(4)))
    assert sum(len(status.pending) for status in done) == len(schema.known())


async def test_a_database_of_a_newer_version_is_left_alone(settings: Settings) -> None:
    await migrate(settings)
    await run(settings, "UPDATE alembic_version SET version_num = '9999'")
    for attempt in (schema_status(settings), migrate(settings)):
        with pytest.raises(Unavailable) as caught:
            await attempt
        assert caught.value.code == "database_newer"
        assert "9999" in caught.value.message
        assert "Upgrade Tidegate" in caught.value.mend


async def test_a_step_that_fails_leaves_an_empty_database(settings: Settings) -> None:
    settings.state_dir.mkdir()
    await run(settings, "CREATE TABLE snapshots (mine TEXT)")
    with pytest.raises(sa.exc.DBAPIError):
        await migrate(settings)
    assert (await schema_status(settings)).current is None


async def test_the_files_of_a_workspace_are_private(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path / "new")
    await migrate(settings)
    assert settings.state_dir.stat().st_mode & 0o777 == 0o700
    for file in (settings.control_db_file, settings.calls_db_file):
        assert file.stat().st_mode & 0o777 == 0o600


async def test_a_damaged_file_of_calls_is_named(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path)
    settings.state_dir.mkdir()
    settings.calls_db_file.write_text("this is no database, and long enough to be seen as none\n" * 99)
    with pytest.raises(Unavailable) as caught:
        await migrate(settings)
    assert caught.value.code == "records_unavailable"
    assert "calls.db" in caught.value.message


async def test_postgres_away_is_said(tmp_path: Path, postgres_server: PostgresServer) -> None:
    settings = Settings(workspace=tmp_path, database_url=postgres_server.url("missing"))
    with pytest.raises(Unavailable) as caught:
        await schema_status(settings)
    assert caught.value.code == "database_gone"
    assert "createdb" in caught.value.mend


async def test_a_file_that_is_empty_is_an_empty_database(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path)
    settings.state_dir.mkdir()
    with closing(sqlite3.connect(settings.control_db_file)) as connection:
        connection.execute("PRAGMA user_version = 0")
    settings.control_db_file.touch()
    assert (await schema_status(settings)).current is None
