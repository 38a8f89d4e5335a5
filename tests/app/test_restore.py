"""What a restore refuses, and that a refusal changes nothing."""

# tests touch files

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from tests.app.test_archive import rewrite
from tests.support.postgres import postgres_server as postgres_server
from tests.support.worlds import Place, settle, world
from tests.support.worlds import place as place
from tidegate.app.archive import verified
from tidegate.app.backup import backup, restore
from tidegate.app.databases import open_database, schema_status
from tidegate.jobs.database import Tx
from tidegate.jobs.lease import Lease
from tidegate.kernel.errors import TidegateError, Unavailable


async def code_of(attempt: Awaitable[object]) -> str:
    with pytest.raises(TidegateError) as caught:
        await attempt
    assert caught.value.mend
    return caught.value.code


async def test_a_database_with_something_in_it_asks_for_force(place: Place, tmp_path: Path) -> None:
    settings = place("sqlite", "here")
    await settle(settings)
    file = tmp_path / "backup.tar.gz"
    await backup(settings, file, calls=True)
    before = await world(settings)
    assert await code_of(restore(settings, file, force=False)) == "database_not_empty"
    assert await world(settings) == before
    await restore(settings, file, force=True)
    assert (await world(settings))["api_keys"] == before["api_keys"]


async def test_a_running_control_is_not_pulled_from_under(place: Place, tmp_path: Path) -> None:
    settings = place("sqlite", "here")
    await settle(settings)
    file = tmp_path / "backup.tar.gz"
    await backup(settings, file, calls=True)
    database = open_database(settings)
    lease = Lease(database, "leader", "control_1", 60_000)
    assert await lease.acquire() == 1
    before = await world(settings)
    assert await code_of(restore(settings, file, force=True)) == "control_running"
    assert await world(settings) == before
    await lease.release(1)
    await restore(settings, file, force=True)
    assert await lease.acquire() == 2  # epochs do not go back
    await database.close()


async def test_a_damaged_backup_changes_nothing(place: Place, tmp_path: Path) -> None:
    settings = place("sqlite", "here")
    await settle(settings)
    file = tmp_path / "backup.tar.gz"
    await backup(settings, file, calls=True)
    before = await world(settings)
    whole = file.read_bytes()
    file.write_bytes(whole[:-200])
    assert await code_of(restore(settings, file, force=True)) == "backup_damaged"
    file.write_bytes(whole.replace(whole[200:210], b"0123456789"))
    assert await code_of(restore(settings, file, force=True)) == "backup_damaged"
    file.write_bytes(b"")
    assert await code_of(restore(settings, file, force=True)) == "backup_damaged"
    assert await world(settings) == before


def forge(file: Path, table: str, change: Callable[[bytes], bytes]) -> None:
    """Change a table's rows and the manifest with them, so that only the database itself can object."""
    manifest = msgspec.to_builtins(verified(file))

    def edit(name: str, blob: bytes) -> list[tuple[str, bytes]]:
        if name.startswith(f"tables/{table}-"):
            blob = change(blob)
            part = manifest["tables"][table]["parts"][0]
            part.update(sha256=hashlib.sha256(blob).hexdigest(), rows=blob.count(b"\n"))
        return [(name, msgspec.json.encode(manifest) if name == "manifest.json" else blob)]

    rewrite(file, edit)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
async def test_rows_that_do_not_fit_change_nothing(place: Place, tmp_path: Path, dialect: str) -> None:
    settings = place(dialect, "here")
    await settle(settings)
    file = tmp_path / "backup.tar.gz"
    await backup(settings, file, calls=True)
    before = await world(settings)
    whole = file.read_bytes()
    changes: tuple[Callable[[bytes], bytes], ...] = (
        lambda blob: blob + blob,  # a key twice
        lambda blob: blob.replace(b'"created_at_ms":', b'"created":'),  # a column that is not there
        lambda blob: blob.replace(b'"name":"key-1"', b'"name":null'),  # nothing where something must be
        lambda blob: blob.replace(b'"created_by":"', b'"created_at_ms":"x","created_by":"'),  # words for a number
        lambda blob: b"[]\n" * blob.count(b"\n"),
    )
    for change in changes if dialect == "sqlite" else changes[::3]:
        file.write_bytes(whole)
        forge(file, "api_keys", change)
        verified(file)
        assert await code_of(restore(settings, file, force=True)) == "backup_damaged"
        assert await world(settings) == before


async def with_manifest(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    def edit(name: str, blob: bytes) -> list[tuple[str, bytes]]:
        if name != "manifest.json":
            return [(name, blob)]
        manifest = msgspec.json.decode(blob)
        change(manifest)
        return [(name, msgspec.json.encode(manifest))]

    rewrite(file, edit)


async def test_a_backup_of_a_newer_version_is_refused(place: Place, tmp_path: Path) -> None:
    settings = place("sqlite", "here")
    await settle(settings)
    file = tmp_path / "backup.tar.gz"
    await backup(settings, file, calls=True)
    before = await world(settings)
    whole = file.read_bytes()
    await with_manifest(file, lambda manifest: manifest.update(schema="9999"))
    assert await code_of(restore(settings, file, force=True)) == "backup_newer"
    file.write_bytes(whole)
    await with_manifest(file, lambda manifest: manifest["tables"]["calls"]["columns"].append("mood"))
    assert await code_of(restore(settings, file, force=True)) == "backup_newer"
    file.write_bytes(whole)
    await with_manifest(file, lambda manifest: manifest["tables"].update(moods=manifest["tables"]["configs"]))
    assert await code_of(restore(settings, file, force=True)) == "backup_damaged"
    assert await world(settings) == before


async def test_older_call_records_leave_new_columns_unknown(place: Place, tmp_path: Path) -> None:
    settings = place("sqlite", "here")
    await settle(settings)
    file = tmp_path / "backup.tar.gz"
    await backup(settings, file, calls=True)
    await with_manifest(file, lambda manifest: manifest["tables"]["calls"]["columns"].remove("ttft_ms"))
    await restore(settings, file, force=True)
    assert [row["ttft_ms"] for row in (await world(settings))["calls"]] == [None] * 3


async def test_a_database_of_a_newer_version_is_not_overwritten(place: Place, tmp_path: Path) -> None:
    settings = place("sqlite", "here")
    await settle(settings)
    file = tmp_path / "backup.tar.gz"
    await backup(settings, file, calls=True)
    database = open_database(settings)
    async with database.write() as tx:
        await tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    assert await code_of(restore(settings, file, force=True)) == "database_newer"


async def test_a_full_disk_during_a_restore_changes_nothing(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = place("sqlite", "here")
    await settle(settings)
    file = tmp_path / "backup.tar.gz"
    await backup(settings, file, calls=True)
    before = await world(settings)

    async def small(table: Tx, *arguments: Any) -> None:
        await table.exec_driver_sql("PRAGMA max_page_count = 1")
        await table.exec_driver_sql("CREATE TABLE fill AS SELECT zeroblob(10000000)")

    monkeypatch.setattr("tidegate.app.backup._load", small)
    with pytest.raises(Unavailable) as caught:
        await restore(settings, file, force=True)
    assert caught.value.code == "disk_full"
    assert await world(settings) == before
    assert (await schema_status(settings)).pending == ()
