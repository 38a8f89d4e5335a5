"""The outbox: nothing lost, each kind in its order, failures tried again ever more slowly."""

# ruff: noqa: PT012  # what is tried is a transaction with statements in it

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from tests.support.databases import fresh_sqlite
from tidegate.jobs.database import Database
from tidegate.jobs.outbox import LONGEST_BACKOFF_MS, OUTBOX, Outbox, backoff_ms, enqueue


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await fresh_sqlite(tmp_path)
    yield database
    await database.close()


class Hands:
    """A handler that remembers what it was given, and fails while told to."""

    def __init__(self, name: str = "hands", log: list[tuple[str, int]] | None = None) -> None:
        self.name = name
        self.log: list[tuple[str, int]] = [] if log is None else log
        self.broken: set[int] = set()

    async def __call__(self, payload: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        if payload["n"] in self.broken:
            raise ConnectionError(f"no route to {payload['n']}")
        self.log.append((self.name, payload["n"]))


async def put(db: Database, kind: str, *numbers: int) -> None:
    async with db.write() as tx:
        now_ms = await db.now_ms(tx)
        for number in numbers:
            await enqueue(tx, at_ms=now_ms, kind=kind, payload={"n": number})


async def make_due(db: Database) -> None:
    async with db.write() as tx:
        await tx.execute(sa.update(OUTBOX).values(next_at_ms=0))


async def test_errands_are_done_once_in_their_order(db: Database) -> None:
    hands = Hands()
    outbox = Outbox(db, {"notify": hands})
    await put(db, "notify", 1, 2, 3)
    assert [errand.payload["n"] for errand in await outbox.waiting()] == [1, 2, 3]
    assert await outbox.deliver() == 3
    assert await outbox.deliver() == 0
    assert hands.log == [("hands", 1), ("hands", 2), ("hands", 3)]
    assert await outbox.waiting() == []


async def test_an_errand_of_a_transaction_that_failed_never_happens(db: Database) -> None:
    outbox = Outbox(db, {"notify": Hands()})
    with pytest.raises(RuntimeError):
        async with db.write() as tx:
            await enqueue(tx, at_ms=0, kind="notify", payload={"n": 1})
            raise RuntimeError("no")
    assert await outbox.deliver() == 0


async def test_a_failure_holds_its_kind_back_and_no_other(db: Database) -> None:
    log: list[tuple[str, int]] = []
    git, hook = Hands("git", log), Hands("hook", log)
    outbox = Outbox(db, {"git.push": git, "notify": hook})
    git.broken.add(2)
    await put(db, "git.push", 1, 2, 3)
    await put(db, "notify", 10, 11)
    assert await outbox.deliver() == 3
    assert sorted(log) == [("git", 1), ("hook", 10), ("hook", 11)]
    first, second = await outbox.waiting()
    assert (first.payload["n"], first.attempts, second.attempts) == (2, 1, 0)
    assert first.last_error == "ConnectionError: no route to 2"
    assert await outbox.deliver() == 0  # not due yet
    assert (await outbox.waiting())[0].attempts == 1
    git.broken.clear()
    await make_due(db)
    assert await outbox.deliver() == 2
    assert log[-2:] == [("git", 2), ("git", 3)]


async def test_waiting_gets_longer_with_each_failure(db: Database) -> None:
    hands = Hands()
    hands.broken.add(1)
    outbox = Outbox(db, {"notify": hands})
    await put(db, "notify", 1)
    waits = []
    for _ in range(3):
        await make_due(db)
        await outbox.deliver()
        async with db.read() as tx:
            waits.append((await outbox.waiting())[0].next_at_ms - await db.now_ms(tx))
    assert 500 < waits[0] <= 1_000 < waits[1] <= 2_000 < waits[2] <= 4_000


async def test_a_handler_that_hangs_is_stopped(db: Database) -> None:
    async def hang(payload: dict[str, Any]) -> None:
        await asyncio.sleep(60)

    outbox = Outbox(db, {"notify": hang}, timeout_s=0.02)
    await put(db, "notify", 1)
    assert await outbox.deliver() == 0
    assert (await outbox.waiting())[0].last_error == "It took longer than 0.02 s."


async def test_a_kind_that_nobody_handles_is_kept_and_said(db: Database) -> None:
    outbox = Outbox(db, {})
    await put(db, "carrier.pigeon", 1)
    assert await outbox.deliver() == 0
    assert "carrier.pigeon" in ((await outbox.waiting())[0].last_error or "")
    assert await Outbox(db, {"carrier.pigeon": Hands()}).deliver() == 0
    await make_due(db)
    assert await Outbox(db, {"carrier.pigeon": Hands()}).deliver() == 1


async def test_a_process_that_dies_after_the_act_repeats_it(db: Database) -> None:
    """Cancelled between the act and its note: at least once, never less."""
    acts: list[int] = []

    async def act_and_die(payload: dict[str, Any]) -> None:
        acts.append(payload["n"])
        raise asyncio.CancelledError

    await put(db, "notify", 1)
    with pytest.raises(asyncio.CancelledError):
        await Outbox(db, {"notify": act_and_die}).deliver()
    hands = Hands()
    assert await Outbox(db, {"notify": hands}).deliver() == 1
    assert (acts, hands.log) == ([1], [("hands", 1)])


async def test_a_limit_leaves_the_rest_for_later(db: Database) -> None:
    outbox = Outbox(db, {"notify": Hands()})
    await put(db, "notify", *range(5))
    assert [await outbox.deliver(limit=2) for _ in range(4)] == [2, 2, 1, 0]


async def test_pruning_forgets_what_is_done_and_old_but_never_what_waits(db: Database) -> None:
    hands = Hands()
    hands.broken.add(3)
    outbox = Outbox(db, {"notify": hands, "git.push": hands})
    await put(db, "notify", 1, 2, 3)
    await outbox.deliver()
    assert await outbox.prune(older_than_ms=0) == 0
    assert await outbox.prune(older_than_ms=2**60) == 2
    assert [errand.payload["n"] for errand in await outbox.waiting()] == [3]
    hands.broken.clear()
    await make_due(db)
    await outbox.deliver()
    assert await outbox.prune(older_than_ms=2**60) == 0  # the newest id stays: ids go on from it
    await put(db, "git.push", 4)
    assert [errand.id for errand in await outbox.waiting()] == [4]


@given(st.integers(min_value=1, max_value=10**9))
def test_backoff_grows_to_its_cap_and_stays(attempts: int) -> None:
    assert 1_000 <= backoff_ms(attempts) <= backoff_ms(attempts + 1) <= LONGEST_BACKOFF_MS
