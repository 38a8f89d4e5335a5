"""Faults of the databases, each produced and found."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from tests.app.doctor.ward import Ward
from tests.support.postgres import PostgresServer
from tidegate.adapters.sql.batches_table import batches_ddl

DAY_MS = 24 * 3600 * 1000


def run(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_workspace_without_a_database_yet_is_healthy(ward: Ward) -> None:
    for file in (ward.settings.control_db_file, ward.settings.calls_db_file):
        for part in file.parent.glob(f"{file.name}*"):
            part.unlink()
    assert ward.codes() == set()


@pytest.mark.parametrize("name", ["control.db", "calls.db"])
def test_database_unwritable(ward: Ward, name: str) -> None:
    file = ward.settings.state_dir / name
    for part in ward.settings.state_dir.glob(f"{name}*"):
        part.unlink()
    file.mkdir()
    assert name in ward.found("database_unwritable").what


def test_database_locked_names_who_has_it(ward: Ward) -> None:
    with closing(sqlite3.connect(ward.settings.control_db_file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        finding = ward.found("database_locked")
    assert "control.db" in finding.what


@pytest.mark.parametrize("damage", [lambda data: b"not a database" * 1000, lambda data: data[:4096] + b"\x07" * 40960])
def test_database_corrupt(ward: Ward, damage: Callable[[bytes], bytes]) -> None:
    file = ward.settings.control_db_file
    run(file, "PRAGMA wal_checkpoint(TRUNCATE)")
    file.write_bytes(damage(file.read_bytes()))
    assert "tidegate restore" in ward.found("database_corrupt").mend


def test_schema_pending(ward: Ward) -> None:
    run(ward.settings.control_db_file, "DELETE FROM alembic_version")
    assert "tidegate migrate" in ward.found("schema_pending").mend


def test_schema_newer(ward: Ward) -> None:
    run(ward.settings.control_db_file, "UPDATE alembic_version SET version_num = '9999'")
    finding = ward.found("schema_newer")
    assert "9999" in finding.what
    assert "Upgrade" in finding.mend


def test_postgres_unreachable(ward: Ward) -> None:
    ward.environ["TIDEGATE_DATABASE_URL"] = "postgresql://tidegate@127.0.0.1:1/tidegate"
    begun = time.monotonic()
    assert "TIDEGATE_DATABASE_URL" in ward.found("postgres_unreachable").mend
    assert time.monotonic() - begun < 8


class TestWithPostgres:
    @pytest.fixture
    def ill(self, ward: Ward, postgres_server: PostgresServer) -> Ward:
        ward.environ["TIDEGATE_DATABASE_URL"] = postgres_server.create_migrated()
        return ward

    def test_a_migrated_database_is_healthy(self, ill: Ward) -> None:
        assert ill.codes() == set()

    def test_an_empty_one_is_not_ready(self, ill: Ward, postgres_url: str) -> None:
        ill.environ["TIDEGATE_DATABASE_URL"] = postgres_url
        ill.found("schema_pending")

    async def test_batches_that_pile_up(self, ill: Ward) -> None:
        connection = await asyncpg.connect(ill.environ["TIDEGATE_DATABASE_URL"])
        for statement in batches_ddl("postgresql"):
            await connection.execute(statement)
        rows = [("gw_1", number, number, b"") for number in range(1_001)]
        await connection.copy_records_to_table("call_batches", records=rows)
        await connection.close()
        assert "1001 batches" in (await asyncio.to_thread(ill.found, "calls_waiting")).what

    def test_clock_skewed(self, ill: Ward) -> None:
        ill.machine = ill.machine._replace(now_ms=ill.machine.now_ms + 60_000)
        finding = ill.found("clock_skewed")
        assert "database" in finding.what


def test_calls_overdue_by_age(ward: Ward) -> None:
    add_call(ward, ward.machine.now_ms - 40 * DAY_MS)
    assert "40 days" in ward.found("calls_overdue").what


def test_calls_overdue_by_size(ward: Ward) -> None:
    ward.rewrite("calls_max_mb: 2048", "calls_max_mb: 16")
    run(
        ward.settings.calls_db_file,
        "CREATE TABLE ballast (stuff BLOB)",
        "INSERT INTO ballast VALUES (zeroblob(18 * 1024 * 1024))",
    )
    assert "of 16" in ward.found("calls_overdue").what


def test_space_that_pruning_freed_does_not_count(ward: Ward) -> None:
    ward.rewrite("calls_max_mb: 2048", "calls_max_mb: 16")
    run(
        ward.settings.calls_db_file,
        "CREATE TABLE ballast (stuff BLOB)",
        "INSERT INTO ballast VALUES (zeroblob(18 * 1024 * 1024))",
        "DROP TABLE ballast",
    )
    assert ward.codes() == {"config_not_applied"}


def test_a_record_within_the_bound_is_left_alone(ward: Ward) -> None:
    add_call(ward, ward.machine.now_ms - 30 * DAY_MS)
    assert ward.codes() == set()


def test_batches_that_pile_up_while_control_is_down(ward: Ward) -> None:
    leave_batches(ward, 1_000)
    assert "calls_waiting" not in ward.codes()
    leave_batches(ward, 1, first=1_001)
    finding = ward.found("calls_waiting")
    assert "1001 batches" in finding.what
    assert "tidegate control" in finding.mend


def test_batches_that_could_not_be_read(ward: Ward) -> None:
    leave_batches(ward, 2, table="call_batches_unread")
    assert "2 batches" in ward.found("calls_unread").what


def leave_batches(ward: Ward, count: int, *, first: int = 1, table: str = "call_batches") -> None:
    with closing(sqlite3.connect(ward.settings.calls_db_file)) as connection, connection:
        rows = [("gw_1", number, number, b"") for number in range(first, first + count)]
        connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?)", rows)  # noqa: S608  # our own names


def test_config_not_applied(ward: Ward) -> None:
    ward.rewrite("drain_timeout_s: 30", "drain_timeout_s: 31")
    (finding,) = (one for one in ward.examine() if one.level != "ok")
    assert finding.code == "config_not_applied"
    assert "drain_timeout_s" in finding.what
    assert "tidegate apply" in finding.mend


def add_call(ward: Ward, started_at_ms: int) -> None:
    with closing(sqlite3.connect(ward.settings.calls_db_file)) as connection:
        columns = [
            (row[1], row[2])
            for row in connection.execute("PRAGMA table_info(calls)")
            if row[3] or row[5] or row[1] == "started_at_ms"
        ]
        values = [
            started_at_ms if name == "started_at_ms" else 0 if "INT" in kind.upper() else "x" for name, kind in columns
        ]
        names = ", ".join(name for name, _ in columns)
        marks = ", ".join("?" for _ in columns)
        connection.execute(f"INSERT INTO calls ({names}) VALUES ({marks})", values)  # noqa: S608  # our own names
        connection.commit()
