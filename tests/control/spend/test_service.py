"""Budgets told once, shown, and rebuilt from the call log, over a real database."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.control.policies.configs import MINIMAL
from tests.support.databases import fresh_sqlite
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.control.identity.model import SYSTEM, Actor
from tidegate.control.policies.service import Policies
from tidegate.control.spend.model import CallTotals
from tidegate.control.spend.service import Spend
from tidegate.jobs.outbox import OUTBOX
from tidegate.kernel.errors import Forbidden, NotFound
from tidegate.kernel.ids import new_id
from tidegate.kernel.money import Price
from tidegate.live.births import LOST, NEW, REBUILT, Birth, reopened
from tidegate.live.counting import Counted
from tidegate.live.windows import window_at

CONFIG = MINIMAL + "budgets: [{name: all-day, usd: 10, per: day}, {name: by-team, each: [team], usd: 1, per: month}]\n"
USD = 1_000_000_000


class Shared:
    """A Spending in memory."""

    def __init__(self) -> None:
        self.counted: list[Counted] = []
        self.born: Birth | None = None

    def lose_all(self) -> None:
        self.counted, self.born = [], None

    async def standings(self) -> Sequence[Counted]:
        return self.counted

    async def rebuild(self, counted: Sequence[Counted]) -> None:
        self.counted = [*counted]
        self.born = reopened(self.born, new_id("store"))

    async def birth(self) -> Birth | None:
        return self.born

    async def lose(self) -> None:
        self.born = Birth("closed" if self.born is None else self.born.mark, LOST)

    async def close(self) -> None:
        pass


class Log:
    """A CallLog with two calls in every stretch of time."""

    async def totals(self, begins_at_ms: int, ends_at_ms: int) -> Sequence[CallTotals]:
        return [
            CallTotals(
                key="key_1", model="chat", environment="dev", tags={"team": team}, requests=1, tokens=5, nano_usd=cost
            )
            for team, cost in (("red", 2 * USD), ("blue", 3 * USD))
        ]


class NoPrices:
    def price(self, provider_or_base_url: str, model: str) -> Price | None:
        return None


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = await fresh_sqlite(tmp_path)

    async def publish(tx: object) -> int:
        return 1

    await Policies(database, publish, NoPrices()).apply(SYSTEM, CONFIG)
    yield database
    await database.close()


@pytest.fixture
def shared() -> Shared:
    return Shared()


@pytest.fixture
def spend(db: SqliteDatabase, shared: Shared) -> Spend:
    return Spend(db, shared, Log())


async def spent(db: SqliteDatabase, shared: Shared, settled: int) -> None:
    async with db.read() as tx:
        window = window_at("day", "UTC", await db.now_ms(tx))
    one = Counted(
        counter="all-day", window=window.name, cap=10 * USD, settled=settled, held=0, ends_at_ms=window.ends_at_ms
    )
    shared.counted = [one]


async def told(db: SqliteDatabase) -> list[str]:
    async with db.read() as tx:
        rows = (await tx.execute(select(OUTBOX.c.payload).order_by(OUTBOX.c.id))).scalars()
        return [text for text in rows if '"budget.' in text]


async def test_a_budget_is_told_when_it_is_soft_and_when_it_is_out_and_once(
    db: SqliteDatabase, spend: Spend, shared: Shared
) -> None:
    assert await spend.tell() == 0
    await spent(db, shared, 8 * USD)
    assert [await spend.tell(), await spend.tell()] == [1, 0]
    await spent(db, shared, 10 * USD)
    assert [await spend.tell(), await spend.tell()] == [1, 0]
    soft, out = await told(db)
    assert '"budget.soft"' in soft
    assert "$8.00" in soft
    assert '"budget.exhausted"' in out


async def test_another_leader_does_not_tell_it_again(db: SqliteDatabase, spend: Spend, shared: Shared) -> None:
    await spent(db, shared, 10 * USD)
    assert await spend.tell() == 2
    assert await Spend(db, shared, Log()).tell() == 0


async def test_a_budget_that_is_not_there_is_named(spend: Spend) -> None:
    with pytest.raises(NotFound, match="al-day") as caught:
        await spend.show("al-day")
    assert "all-day" in caught.value.mend


async def test_rebuilding_takes_the_call_logs_word(spend: Spend, shared: Shared) -> None:
    states = await spend.rebuild(SYSTEM)
    assert {state.counter: state.settled for state in states} == {
        "all-day": 5 * USD,
        "by-team|team=blue": 3 * USD,
        "by-team|team=red": 2 * USD,
    }
    assert {one.counter for one in shared.counted} == {state.counter for state in states}
    assert [state.state for state in await spend.show("by-team")] == ["exhausted", "exhausted"]


async def test_rebuilding_is_for_those_who_may_apply(spend: Spend) -> None:
    with pytest.raises(Forbidden):
        await spend.rebuild(Actor("user_1", "ed", ("editor",)))


def in_store(db: SqliteDatabase, shared: Shared, name: str = "sqlite") -> Spend:
    """A control process that has just begun."""
    return Spend(db, shared, Log(), store=name)


async def test_a_store_that_is_seen_for_the_first_time_begins_with_the_call_log(
    db: SqliteDatabase, shared: Shared
) -> None:
    shared.born = Birth("a gateway's", NEW)  # a gateway was faster
    await in_store(db, shared).tell()
    assert {one.counter: one.settled for one in shared.counted}["all-day"] == 5 * USD
    shared.counted = []
    await in_store(db, shared).tell()
    assert shared.counted == []  # once
    await in_store(db, shared, "another").tell()
    assert shared.counted != []


@pytest.mark.parametrize("begun_anew", [False, True], ids=["the same process", "a new process"])
@pytest.mark.parametrize("found", [None, Birth("new", NEW), Birth("new", LOST)])
async def test_a_store_that_has_lost_what_it_counted_is_closed_until_somebody_rebuilds_it(
    db: SqliteDatabase, shared: Shared, caplog: pytest.LogCaptureFixture, found: Birth | None, begun_anew: bool
) -> None:
    spend = in_store(db, shared)
    await spend.tell()
    shared.lose_all()
    shared.born = found
    for _ in range(3):
        spend = in_store(db, shared) if begun_anew else spend
        await spend.tell()
        assert shared.born is not None
        assert (shared.born.state, shared.counted) == (LOST, [])
    assert "tidegate budget rebuild" in caplog.text
    await spend.rebuild(SYSTEM)
    assert {one.counter: one.settled for one in shared.counted}["all-day"] == 5 * USD
    for one in (spend, in_store(db, shared)):
        await one.tell()
        assert shared.born is not None
        assert shared.born.state == REBUILT


async def test_a_store_that_another_control_process_rebuilt_is_gone_on_with(db: SqliteDatabase, shared: Shared) -> None:
    first, second = in_store(db, shared), in_store(db, shared)
    await first.tell()
    await second.tell()
    shared.lose_all()
    await second.rebuild(SYSTEM)
    await first.tell()
    assert shared.born is not None
    assert shared.born.state == REBUILT
