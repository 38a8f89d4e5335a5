"""The Records port's words, held by every adapter against the real store."""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.support.calls import a_record
from tests.support.postgres import PostgresServer
from tidegate.adapters.postgres.batches import PostgresBatches
from tidegate.adapters.postgres.records import PostgresRecords
from tidegate.adapters.sql.calls_table import CALLS_COLUMNS
from tidegate.adapters.sqlite import file_thread
from tidegate.adapters.sqlite.batches import unpack_batches
from tidegate.adapters.sqlite.records import SqliteRecords
from tidegate.gateway.journal import Journal
from tidegate.kernel.errors import Unavailable
from tidegate.live.calls import CallRecord
from tidegate.live.ports import Records

FULL = a_record(
    7, status=502, ending="cut", latency_ms=0.1, origin="eval", stream=True, environment="production", key_id="key_1",
    tags={"b": "2", "a": "é\"'\\"}, unit="ada", model_requested="prompt:x", prompt="x", prompt_version="1.0.0",
    release_id="rel_1", route="gpt", deployment="main", upstream_model="m", upstream_request_id="req_1",
    input_tokens=2**53, output_tokens=0, cached_input_tokens=1, cost_nano_usd=2**60, ttft_ms=1.5, tpot_ms=0.25,
    finish_reason="stop", error_code="provider_cut", generation=2**40,
)  # fmt: skip


@dataclass
class Store:
    """A place for records, and a way to look at them that is not ours."""

    records: Callable[[], Records]
    rows: Callable[[], Awaitable[list[dict[str, Any]]]]
    run: Callable[[str], Awaitable[None]]


def sqlite_store(file: Path) -> Store:
    async def rows() -> list[dict[str, Any]]:
        with closing(sqlite3.connect(file, isolation_level=None)) as db:
            while unpack_batches(db):
                pass
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute("SELECT * FROM calls ORDER BY gateway_id, seq")]

    async def run(statement: str) -> None:
        with closing(sqlite3.connect(file)) as db, db:
            db.execute(statement)

    return Store(lambda: SqliteRecords(file), rows, run)


def postgres_store(url: str) -> Store:
    async def rows() -> list[dict[str, Any]]:
        batches = PostgresBatches(url)
        while await batches.unpack():
            pass
        await batches.close()
        connection = await asyncpg.connect(url)
        found = await connection.fetch("SELECT * FROM calls ORDER BY gateway_id, seq")
        await connection.close()
        return [dict(row) for row in found]

    async def run(statement: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(statement)
        await connection.close()

    return Store(lambda: PostgresRecords(url), rows, run)


@pytest.fixture(scope="module")
def url(postgres_server: PostgresServer) -> Iterator[str]:
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture
async def emptied(url: str) -> Store:
    """PostgreSQL, without a table."""
    store = postgres_store(url)
    await store.run("DROP TABLE IF EXISTS calls, call_batches, call_batches_unread")
    return store


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return sqlite_store(tmp_path / "calls?#.db")
    store = postgres_store(request.getfixturevalue("url"))
    await store.run("DROP TABLE IF EXISTS calls, call_batches, call_batches_unread")
    return store


@pytest.fixture
async def records(store: Store) -> AsyncIterator[Records]:
    records = store.records()
    yield records
    await records.close()


def as_record(row: dict[str, Any]) -> CallRecord:
    values = {**row, "tags": json.loads(row["tags"]), "stream": bool(row["stream"])}
    return msgspec.convert(values, CallRecord)


async def test_a_record_comes_back_as_it_was(store: Store, records: Records) -> None:
    bare = a_record(8)
    await records.append([FULL, bare])
    assert [as_record(row) for row in await store.rows()] == [FULL, bare]
    assert set((await store.rows())[0]) == set(CALLS_COLUMNS)


async def test_a_batch_that_is_sent_twice_is_stored_once(store: Store, records: Records) -> None:
    batch = [a_record(seq) for seq in range(1, 101)]
    await records.append(batch)
    await records.append(batch)
    await records.append([*batch[50:], a_record(101)])
    assert [row["seq"] for row in await store.rows()] == list(range(1, 102))


async def test_two_processes_may_have_the_same_numbers(store: Store, records: Records) -> None:
    other = store.records()
    await asyncio.gather(
        records.append([a_record(seq, gateway_id="gw_a") for seq in range(1, 51)]),
        other.append([a_record(seq, gateway_id="gw_b") for seq in range(1, 51)]),
    )
    await other.close()
    assert len(await store.rows()) == 100


async def test_many_that_begin_at_once_make_one_table(store: Store) -> None:
    all_records = [store.records() for _ in range(6)]
    await asyncio.gather(*(r.append([a_record(1, gateway_id=f"gw_{n}")]) for n, r in enumerate(all_records)))
    for records in all_records:
        await records.close()
    assert len(await store.rows()) == 6


async def test_an_old_table_gets_the_new_columns(store: Store, records: Records) -> None:
    await records.append([a_record(1)])
    await store.rows()  # unpacks it
    await store.run("ALTER TABLE calls DROP COLUMN tpot_ms")
    await store.run("ALTER TABLE calls DROP COLUMN tags")
    later = store.records()
    await later.append([FULL])
    await later.close()
    old, new = await store.rows()
    assert (old["tags"], old["tpot_ms"]) == (None, None)
    assert as_record(new) == FULL


async def test_a_column_that_we_do_not_know_is_left_alone(store: Store, records: Records) -> None:
    await records.append([a_record(1)])
    await store.run("ALTER TABLE calls ADD COLUMN from_the_future TEXT")
    later = store.records()
    await later.append([a_record(2)])
    await records.append([a_record(3)])
    await later.close()
    assert [row["from_the_future"] for row in await store.rows()] == [None, None, None]


async def test_a_widened_table_does_not_disturb_who_has_it_open(store: Store, records: Records) -> None:
    await records.append([a_record(1)])
    await store.run("ALTER TABLE calls DROP COLUMN finish_reason")
    later = store.records()
    await later.append([a_record(2, finish_reason="stop")])
    await records.append([a_record(3, finish_reason="stop")])
    await later.close()
    assert [row["finish_reason"] for row in await store.rows()] == [None, "stop", "stop"]


async def test_odd_text_is_stored(store: Store, records: Records) -> None:
    odd = a_record(1, unit="a\0b", model_requested="'; DROP TABLE calls; --", tags={"k\0": "\0🌊"})
    await records.append([odd])
    (row,) = await store.rows()
    assert row["unit"] in ("a\0b", "a\ufffdb")
    assert row["model_requested"] == odd.model_requested
    assert json.loads(row["tags"]) == odd.tags


async def test_a_record_that_cannot_be_stored_is_told_from_a_store_that_is_away(store: Store, records: Records) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # whatever it is, it is not Unavailable
        await records.append([a_record(1), a_record(2, input_tokens=10**30)])
    assert not isinstance(caught.value, Unavailable)
    await records.append([a_record(1)])
    assert [row["seq"] for row in await store.rows()] == [1]


async def test_through_a_journal_one_bad_record_holds_nobody_up(store: Store) -> None:
    journal = Journal(store.records(), "gw_1", lambda: 1)
    journal.start()
    for seq in range(1, 41):
        journal.put(a_record(seq, input_tokens=10**30 if seq == 17 else 1))
    await journal.close()
    assert [row["seq"] for row in await store.rows()] == [*range(1, 17), *range(18, 41)]
    assert journal.dropped == 1


async def test_thousands_at_once_are_quick(store: Store, records: Records) -> None:
    await records.append([a_record(0)])
    batch = [msgspec.structs.replace(FULL, seq=seq) for seq in range(1, 5001)]
    begun = time.monotonic()
    await records.append(batch)
    assert time.monotonic() - begun < 10.0
    assert len(await store.rows()) == 5001


# Away and back.


async def test_postgres_away_and_back(postgres_server: PostgresServer, emptied: Store) -> None:
    store = emptied
    records = store.records()
    await records.append([a_record(1)])
    await asyncio.to_thread(postgres_server.stop)
    try:
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                await records.append([a_record(2)])
            assert caught.value.code == "records_unavailable"
    finally:
        await asyncio.to_thread(postgres_server.start)
    await records.append([a_record(2)])
    assert [row["seq"] for row in await store.rows()] == [1, 2]
    await records.close()


async def test_a_reader_of_a_whole_table_holds_no_writer_up(url: str, emptied: Store) -> None:
    store = emptied
    first = store.records()
    await first.append([a_record(1)])
    reader = await asyncpg.connect(url)
    async with reader.transaction():
        await reader.fetch("SELECT * FROM calls")
        other = store.records()
        async with asyncio.timeout(8):
            await other.append([a_record(2)])  # a process that opens the table anew must not want it for itself
        await other.close()
    await reader.close()
    await first.close()


async def test_sqlite_away_and_back(tmp_path: Path) -> None:
    file = tmp_path / "state" / "calls.db"
    records = SqliteRecords(file)
    with pytest.raises(Unavailable) as caught:
        await records.append([a_record(1)])
    assert caught.value.code == "records_unavailable"
    assert "calls.db" in str(caught.value)
    file.parent.mkdir()
    await records.append([a_record(1)])
    assert file.stat().st_mode & 0o777 == 0o600
    await records.close()


async def test_sqlite_locked_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_thread, "BUSY_TIMEOUT_S", 0.05)
    file = tmp_path / "calls.db"
    records = SqliteRecords(file)
    await records.append([a_record(1)])
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            await records.append([a_record(2)])
        other.execute("ROLLBACK")
    await records.append([a_record(2)])
    assert len(await sqlite_store(file).rows()) == 2
    await records.close()


async def test_a_file_that_was_moved_or_replaced_is_written_anew(tmp_path: Path) -> None:
    file = tmp_path / "calls.db"
    records = SqliteRecords(file)
    await records.append([a_record(1)])
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"calls.db{suffix}").rename(tmp_path / f"moved.db{suffix}")
    await records.append([a_record(2)])
    assert [row["seq"] for row in await sqlite_store(file).rows()] == [2]
    assert [row["seq"] for row in await sqlite_store(tmp_path / "moved.db").rows()] == [1]
    await records.close()


async def test_a_file_that_is_no_database_is_away(tmp_path: Path) -> None:
    file = tmp_path / "calls.db"
    file.write_bytes(b"not a database at all" * 100)
    records = SqliteRecords(file)
    with pytest.raises(Unavailable, match="not a database"):
        await records.append([a_record(1)])
    await records.close()


async def test_a_damaged_batch_is_kept_aside_and_holds_up_nobody(store: Store, records: Records) -> None:
    await records.append([a_record(1)])
    for number, body in enumerate(("9181a763616c6c5f6964a1ff", "6e6f6e73656e7365")):  # text that is no UTF-8; no batch
        value = f"X'{body}'" if isinstance(records, SqliteRecords) else f"'\\x{body}'::bytea"
        statement = "INSERT INTO call_batches VALUES ('gw_0', {0}, {0}, {1})"
        await store.run(statement.format(number, value))
    await records.append([a_record(2)])
    assert [row["seq"] for row in await store.rows()] == [1, 2]
