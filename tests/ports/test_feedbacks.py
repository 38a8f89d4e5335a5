"""The Feedbacks port's words, held by every adapter against the real store."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.calls import a_record
from tests.support.postgres import PostgresServer
from tidegate.adapters.memory.feedbacks import MemoryFeedbacks
from tidegate.adapters.postgres.feedbacks import PostgresFeedbacks
from tidegate.adapters.postgres.records import PostgresRecords
from tidegate.adapters.sqlite import file_thread
from tidegate.adapters.sqlite.feedbacks import SqliteFeedbacks
from tidegate.adapters.sqlite.records import SqliteRecords
from tidegate.kernel.errors import Unavailable
from tidegate.live.feedback import Feedback
from tidegate.live.ports import Feedbacks, Records

COLUMNS = ["feedback_id", "call_id", "name", "value", "at_ms", "environment", "key_id"]
ROWS = "SELECT * FROM feedback ORDER BY feedback_id, name"
INDEXES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
    "postgresql": "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'",
}


def given(number: int, **fields: Any) -> Feedback:
    """A score of one call."""
    values: dict[str, Any] = {
        "feedback_id": f"fb_{number:03d}",
        "call_id": f"call_{number:032x}",
        "name": "resolved",
        "value": 1.0,
        "at_ms": number,
        "environment": "production",
        "key_id": "key_1",
    }
    return Feedback(**(values | fields))


NEWER_INDEXES = ("calls_of_experiments", "calls_of_units", "calls_that_took_long")


@dataclass
class Store:
    """A place for feedback, and a way to look at it that is not ours."""

    dialect: str
    feedbacks: Callable[[], Feedbacks]
    records: Callable[[], Records]
    ask: Callable[[str], Awaitable[list[dict[str, Any]]]]


def sqlite_store(file: Path) -> Store:
    async def ask(statement: str) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(file)) as db, db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(statement)]

    return Store("sqlite", lambda: SqliteFeedbacks(file), lambda: SqliteRecords(file), ask)


def postgres_store(url: str) -> Store:
    async def ask(statement: str) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(url)
        found = await connection.fetch(statement)
        await connection.close()
        return [dict(row) for row in found]

    return Store("postgresql", lambda: PostgresFeedbacks(url), lambda: PostgresRecords(url), ask)


@pytest.fixture(scope="module")
def url(postgres_server: PostgresServer) -> Iterator[str]:
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture
async def emptied(url: str) -> Store:
    """PostgreSQL, without a table."""
    store = postgres_store(url)
    await store.ask("DROP TABLE IF EXISTS calls, call_batches, call_batches_unread, feedback")
    return store


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return sqlite_store(tmp_path / "calls?#.db")
    store = postgres_store(request.getfixturevalue("url"))
    await store.ask("DROP TABLE IF EXISTS calls, call_batches, call_batches_unread, feedback")
    return store


@pytest.fixture
async def feedbacks(store: Store) -> AsyncIterator[Feedbacks]:
    feedbacks = store.feedbacks()
    yield feedbacks
    await feedbacks.close()


async def test_a_score_comes_back_as_it_was(store: Store, feedbacks: Feedbacks) -> None:
    odd = given(2, name="tone", value=-1.7976931348623157e308, at_ms=2**53 + 1, environment="größe", key_id="é'\"\\")
    tiny = given(3, value=5e-324)
    await feedbacks.put([given(1), odd, tiny])
    rows = await store.ask(ROWS)
    assert [Feedback(**row) for row in rows] == [given(1), odd, tiny]
    assert list(rows[0]) == COLUMNS
    assert all(isinstance(row["value"], float) for row in rows)


async def test_what_is_stored_is_seen_by_others_at_once(store: Store, feedbacks: Feedbacks) -> None:
    for number in range(5):
        await feedbacks.put([given(number)])
        assert len(await store.ask(ROWS)) == number + 1


async def test_several_scores_share_an_id_and_none_is_doubled(store: Store, feedbacks: Feedbacks) -> None:
    await feedbacks.put([given(1), given(1, name="tone", value=0.5)])
    await feedbacks.put([given(1, value=0.0), given(1, name="speed", value=2.0), given(2)])
    rows = await store.ask(ROWS)
    assert [(row["feedback_id"], row["name"], row["value"]) for row in rows] == [
        ("fb_001", "resolved", 1.0),
        ("fb_001", "speed", 2.0),
        ("fb_001", "tone", 0.5),
        ("fb_002", "resolved", 1.0),
    ]


async def test_nothing_to_store_is_no_fault(store: Store, feedbacks: Feedbacks) -> None:
    await feedbacks.put([])
    assert await store.ask(ROWS) == []


async def test_many_that_begin_at_once_make_one_table(store: Store) -> None:
    many = [store.feedbacks() for _ in range(4)]
    records = [store.records() for _ in range(3)]
    await asyncio.gather(
        *(one.put([given(number)]) for number, one in enumerate(many)),
        *(one.append([a_record(1, gateway_id=f"gw_{number}")]) for number, one in enumerate(records)),
    )
    await asyncio.gather(*(one.close() for one in many), *(one.close() for one in records))
    assert len(await store.ask(ROWS)) == 4


async def test_one_that_is_asked_by_many_at_once_stores_all(store: Store, feedbacks: Feedbacks) -> None:
    await asyncio.gather(*(feedbacks.put([given(number)]) for number in range(40)))
    assert len(await store.ask(ROWS)) == 40


async def test_a_store_of_before_gets_the_table_and_the_indexes(store: Store, feedbacks: Feedbacks) -> None:
    records = store.records()
    await records.append([a_record(1)])
    await records.close()
    await store.ask("DROP TABLE feedback")
    for index in NEWER_INDEXES:
        await store.ask(f"DROP INDEX {index}")
    for column in ("experiment_id", "variant", "experiment_unit", "propensity"):
        await store.ask(f"ALTER TABLE calls DROP COLUMN {column}")
    await feedbacks.put([given(1)])
    assert len(await store.ask(ROWS)) == 1
    assert await store.ask("SELECT experiment_id, variant, experiment_unit, propensity FROM calls") == []
    there = {next(iter(row.values())) for row in await store.ask(INDEXES[store.dialect])}
    assert {*NEWER_INDEXES, "feedback_by_call", "feedback_by_time"} <= there


async def test_feedback_of_a_call_is_found_without_looking_at_all(store: Store, feedbacks: Feedbacks) -> None:
    await feedbacks.put([given(number) for number in range(300)])
    question = "SELECT value FROM feedback WHERE call_id = 'call_1'"
    if store.dialect == "sqlite":
        plan = await store.ask(f"EXPLAIN QUERY PLAN {question}")
    else:
        await store.ask("ANALYZE feedback")
        plan = await store.ask(f"EXPLAIN {question}")
    assert any("feedback_by_call" in str(row) for row in plan)


# Away and back.


async def test_postgres_away_and_back(postgres_server: PostgresServer, emptied: Store) -> None:
    feedbacks = emptied.feedbacks()
    await feedbacks.put([given(1)])
    await asyncio.to_thread(postgres_server.stop)
    try:
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                await feedbacks.put([given(2)])
            assert caught.value.code == "feedback_unavailable"
    finally:
        await asyncio.to_thread(postgres_server.start)
    await feedbacks.put([given(2)])
    assert len(await emptied.ask(ROWS)) == 2
    await feedbacks.close()


async def test_sqlite_away_and_back(tmp_path: Path) -> None:
    file = tmp_path / "state" / "calls.db"
    feedbacks = SqliteFeedbacks(file)
    with pytest.raises(Unavailable) as caught:
        await feedbacks.put([given(1)])
    assert caught.value.code == "feedback_unavailable"
    assert "calls.db" in str(caught.value)
    file.parent.mkdir()
    await feedbacks.put([given(1)])
    assert file.stat().st_mode & 0o777 == 0o600
    await feedbacks.close()


async def test_sqlite_locked_is_away_and_nothing_is_left_of_the_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_thread, "BUSY_TIMEOUT_S", 0.05)
    file = tmp_path / "calls.db"
    feedbacks = SqliteFeedbacks(file)
    await feedbacks.put([given(1)])
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked"):
            await feedbacks.put([given(2)])
        other.execute("ROLLBACK")
    await feedbacks.put([given(3)])
    assert [row["feedback_id"] for row in await sqlite_store(file).ask(ROWS)] == ["fb_001", "fb_003"]
    await feedbacks.close()


async def test_memory_answers_as_the_others_do() -> None:
    feedbacks = MemoryFeedbacks()
    await feedbacks.put([given(1), given(1, name="tone")])
    await feedbacks.put([given(1, value=0.0), given(2)])
    assert feedbacks.stored == [given(1), given(1, name="tone"), given(2)]
    feedbacks.away = True
    with pytest.raises(Unavailable):
        await feedbacks.put([given(3)])
    await feedbacks.close()
