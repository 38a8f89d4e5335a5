"""Backup and restore: the same world afterwards, from any dialect to any other, and gateways that follow."""

# tests touch files

import gzip
import sqlite3
from collections.abc import Awaitable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.support.postgres import postgres_server as postgres_server
from tests.support.worlds import TOKEN, Place, World, call, publish, settle, world
from tests.support.worlds import place as place
from tidegate.adapters.postgres.board import PostgresBoard
from tidegate.adapters.sql import schema
from tidegate.adapters.sqlite.board import SqliteBoard
from tidegate.adapters.sqlite.records import SqliteRecords
from tidegate.app import archive
from tidegate.app.backup import backup, restore
from tidegate.app.databases import migrate, open_database
from tidegate.control.identity.model import SYSTEM, KeySpec
from tidegate.control.identity.service import Identity
from tidegate.jobs.database import Database
from tidegate.kernel.errors import TidegateError


def without_the_restore(after: World) -> World:
    """The world without what a restore itself adds: its audit row, and the snapshot under a new generation."""
    *audit, last = after["audit"]
    assert last["action"] == "backup.restore"
    return {**after, "audit": audit, "snapshots": after["snapshots"][:-1]}


async def code_of(attempt: Awaitable[object]) -> str:
    with pytest.raises(TidegateError) as caught:
        await attempt
    assert caught.value.mend
    return caught.value.code


@pytest.mark.parametrize("source", ["sqlite", "postgresql"])
@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
async def test_from_any_dialect_to_any_other(place: Place, tmp_path: Path, source: str, target: str) -> None:
    here, there = place(source, "here"), place(target, "there")
    await settle(here)
    before = await world(here)
    file = tmp_path / "backup.tar.gz"
    manifest = await backup(here, file, calls=True)
    assert (manifest.dialect, manifest.schema) == (source, schema.head())
    assert manifest.tables["calls"].rows == manifest.tables["feedback"].rows == 3
    assert manifest.tables["api_keys"].rows == 3
    await restore(there, file, force=False)
    after = without_the_restore(await world(there))
    assert after == before
    assert type(after["calls"][0]["stream"]) is (bool if target == "postgresql" else int)
    assert await world(here) == before

    database = open_database(there)
    identity = Identity(database, publish)
    admin = await identity.authenticate(TOKEN)
    created = await identity.create_key(admin, KeySpec(name="new"))  # life goes on, ids go on
    assert (await identity.list_audit(admin, limit=1))[0].audit_id == len(before["audit"]) + 2
    assert created.key in await identity.list_keys(admin)
    await database.close()


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
async def test_gateways_take_the_restored_world_over(place: Place, tmp_path: Path, dialect: str) -> None:
    """A gateway has seen generation 6; the backup is of generation 3; it must still be obeyed."""
    settings = place(dialect, "here")
    await settle(settings, keys=3)
    file = tmp_path / "backup.tar.gz"
    await backup(settings, file, calls=False)
    database = open_database(settings)
    for number in range(3):
        await Identity(database, publish).create_key(SYSTEM, KeySpec(name=f"later-{number}"))
    await database.close()
    board = PostgresBoard(settings.database_url) if settings.is_postgres else SqliteBoard(settings.control_db_file)
    seen = await board.latest()
    assert seen is not None
    assert (seen.generation, len(seen.keys)) == (6, 6)
    await restore(settings, file, force=True)
    news = await anext(board.changes(seen.generation))
    assert (news.generation, len(news.keys)) == (7, 3)
    await board.close()


async def test_a_gateway_of_a_world_without_snapshots_is_told_too(place: Place, tmp_path: Path) -> None:
    settings = place("sqlite", "here")
    await migrate(settings)
    file = tmp_path / "backup.tar.gz"
    await backup(settings, file, calls=False)
    await settle(settings, keys=2)
    await restore(settings, file, force=True)
    board = SqliteBoard(settings.control_db_file)
    news = await board.latest()
    assert news is not None
    assert (news.generation, news.keys) == (3, {})
    await board.close()


async def test_calls_stay_as_they_are_unless_the_backup_has_them(place: Place, tmp_path: Path) -> None:
    settings = place("sqlite", "here")
    await settle(settings)
    file = tmp_path / "backup.tar.gz"
    assert {"calls", "feedback"}.isdisjoint((await backup(settings, file, calls=False)).tables)
    await restore(settings, file, force=True)
    after = await world(settings)
    assert (len(after["calls"]), len(after["feedback"])) == (3, 3)


async def test_a_backup_of_before_there_was_feedback_leaves_it_as_it_is(place: Place, tmp_path: Path) -> None:
    old, settings = place("sqlite", "old"), place("sqlite", "here")
    await settle(old)
    await settle(settings)
    with closing(sqlite3.connect(old.calls_db_file)) as db:
        db.execute("DROP TABLE feedback")
    file = tmp_path / "backup.tar.gz"
    assert "feedback" not in (await backup(old, file, calls=True)).tables
    await restore(settings, file, force=True)
    assert len((await world(settings))["feedback"]) == 3


async def test_a_backup_is_taken_while_tidegate_works(place: Place, tmp_path: Path) -> None:
    settings = place("sqlite", "here")
    await settle(settings)
    database = open_database(settings)
    async with database.write() as tx:
        await tx.execute(sa.text("DELETE FROM api_keys"))
        manifest = await backup(settings, tmp_path / "backup.tar.gz", calls=True)
    await database.close()
    assert manifest.tables["api_keys"].rows == 3  # as it was before that writer commits


async def test_an_empty_workspace_has_nothing_to_back_up(place: Place, tmp_path: Path) -> None:
    settings = place("sqlite", "here")
    assert await code_of(backup(settings, tmp_path / "backup.tar.gz", calls=True)) == "database_not_migrated"
    assert not (tmp_path / "backup.tar.gz").exists()
    await migrate(settings)
    await backup(settings, tmp_path / "backup.tar.gz", calls=True)
    assert await code_of(backup(settings, tmp_path / "backup.tar.gz", calls=True)) == "backup_exists"


async def test_secrets_are_in_no_backup(place: Place, tmp_path: Path) -> None:
    settings = place("sqlite", "here")
    await migrate(settings)
    database: Database = open_database(settings)
    identity = Identity(database, publish)
    await identity.bootstrap(TOKEN)
    created = await identity.create_key(SYSTEM, KeySpec(name="shop"))
    await database.close()
    file = tmp_path / "backup.tar.gz"
    await backup(settings, file, calls=True)
    with gzip.open(file) as unzipped:
        content = unzipped.read()
    assert b"api_keys" in content
    for secret in (TOKEN, created.secret):
        assert secret[8:].encode() not in content


async def test_many_rows_go_through_in_batches(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = place("sqlite", "here"), place("postgresql", "there")
    await settle(here)
    records = SqliteRecords(here.calls_db_file)
    await records.append([call(seq) for seq in range(10, 2_010)])
    await records.close()
    monkeypatch.setattr(archive, "PART_BYTES", 100_000)
    manifest = await backup(here, tmp_path / "backup.tar.gz", calls=True)
    assert manifest.tables["calls"].rows == 2_003
    assert len(manifest.tables["calls"].parts) > 5
    await restore(there, tmp_path / "backup.tar.gz", force=False)
    assert (await world(there))["calls"] == [
        {**row, "stream": bool(row["stream"])} for row in (await world(here))["calls"]
    ]
