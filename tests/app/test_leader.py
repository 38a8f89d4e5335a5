"""One leader at a time; duties run, fail, and go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.databases import fresh_sqlite
from tests.support.waiting import until
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.app.leader import Duty, Leader
from tidegate.jobs.lease import Lease
from tidegate.kernel.errors import Unavailable

TTL_S = 0.3


@asynccontextmanager
async def leading(db: SqliteDatabase, name: str, *duties: Duty) -> AsyncIterator[Leader]:
    leader = Leader(Lease(db, "leader", name, round(TTL_S * 1000)), TTL_S, duties)
    leader.start()
    yield leader
    await leader.stop()


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = await fresh_sqlite(tmp_path)
    yield database
    await database.close()


async def test_only_the_leader_does_the_duties_and_another_takes_over(db: SqliteDatabase) -> None:
    rounds = {"a": 0, "b": 0, "both": 0}

    def duty(name: str, *, everywhere: bool = False) -> Duty:
        async def count() -> None:
            rounds[name] += 1

        return Duty(name, 0.01, count, everywhere=everywhere)

    async with leading(db, "a", duty("a"), duty("both", everywhere=True)) as first:
        await until(lambda: rounds["a"] > 2)
        async with leading(db, "b", duty("b"), duty("both", everywhere=True)) as second:
            await until(lambda: rounds["both"] > 9)
            assert (first.leads, second.leads) == (True, False)
            assert rounds["b"] == 0
            await first.stop()
            await until(lambda: rounds["b"] > 2)
            assert (first.leads, second.leads) == (False, True)


async def test_a_duty_that_fails_is_told_and_done_again(db: SqliteDatabase, caplog: pytest.LogCaptureFixture) -> None:
    outcomes: list[Exception | None] = [Unavailable("Away.", mend="Wait."), Unavailable("Away."), KeyError("bug"), None]
    done = 0

    async def work() -> None:
        nonlocal done
        outcome = outcomes[min(done, 3)]
        done += 1
        if outcome is not None:
            raise outcome

    async with leading(db, "a", Duty("work", 0.02, work)) as leader:
        await until(lambda: done == 1)
        await until(lambda: leader.complaints == {"work": "Away."})
        await until(lambda: done > 3)
        await until(lambda: leader.complaints == {})
    told = [record.message for record in caplog.records]
    assert told == ["work: Away. Wait.", "the duty work failed"]


async def test_a_wake_calls_at_once(db: SqliteDatabase) -> None:
    wake = asyncio.Event()
    done = 0

    async def work() -> None:
        nonlocal done
        done += 1

    async with leading(db, "a", Duty("work", 60.0, work, wake=wake)):
        await until(lambda: done == 1)
        wake.set()
        await until(lambda: done == 2)
        wake.set()
        await until(lambda: done == 3)


async def test_without_its_database_nobody_leads_and_it_is_taken_up_again(db: SqliteDatabase, tmp_path: Path) -> None:
    file, aside = tmp_path / "control.db", tmp_path / "aside.db"
    async with leading(db, "a") as leader:
        await until(lambda: leader.leads)
        file.rename(aside)
        await until(lambda: not leader.leads)
        assert "lease" in leader.complaints
        aside.rename(file)
        await until(lambda: leader.leads)
        assert leader.complaints == {}
