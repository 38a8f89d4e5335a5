"""The lease: one holder at a time, an epoch that only grows, and no writing with an old one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.databases import fresh_sqlite
from tidegate.jobs.database import Database
from tidegate.jobs.lease import Lease, living_holders
from tidegate.kernel.errors import Conflict

LONG_MS = 60_000
SHORT_MS = 20


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await fresh_sqlite(tmp_path)
    yield database
    await database.close()


async def guarded(db: Database, lease: Lease, epoch: int) -> None:
    async with db.write() as tx:
        await lease.guard(tx, epoch)


async def test_the_first_one_gets_it_and_the_second_one_waits(db: Database) -> None:
    mine, yours = Lease(db, "leader", "a", LONG_MS), Lease(db, "leader", "b", LONG_MS)
    assert await mine.acquire() == 1
    assert await yours.acquire() is None
    assert await mine.acquire() == 1  # holding on keeps the epoch
    await guarded(db, mine, 1)
    async with db.read() as tx:
        assert await living_holders(tx, await db.now_ms(tx)) == {"leader": "a"}


async def test_leases_of_different_names_do_not_meet(db: Database) -> None:
    assert await Lease(db, "leader", "a", LONG_MS).acquire() == 1
    assert await Lease(db, "scores", "b", LONG_MS).acquire() == 1


async def test_a_release_lets_the_next_one_in_at_once(db: Database) -> None:
    mine, yours = Lease(db, "leader", "a", LONG_MS), Lease(db, "leader", "b", LONG_MS)
    assert await mine.acquire() == 1
    await mine.release(1)
    assert await mine.renew(1) is False
    with pytest.raises(Conflict):
        await guarded(db, mine, 1)
    assert await yours.acquire() == 2
    await mine.release(1)  # too late to take anything away
    await guarded(db, yours, 2)


async def test_a_holder_that_slept_finds_out_before_it_does_harm(db: Database) -> None:
    mine, yours = Lease(db, "leader", "a", SHORT_MS), Lease(db, "leader", "b", LONG_MS)
    assert await mine.acquire() == 1
    await asyncio.sleep(SHORT_MS / 1000 + 0.01)
    assert await yours.acquire() == 2
    with pytest.raises(Conflict) as caught:
        await guarded(db, mine, 1)
    assert caught.value.code == "lease_lost"
    assert await mine.renew(1) is False
    assert await mine.acquire() is None


async def test_a_lease_that_ran_out_and_was_not_taken_is_still_ours(db: Database) -> None:
    mine = Lease(db, "leader", "a", SHORT_MS)
    assert await mine.acquire() == 1
    await asyncio.sleep(SHORT_MS / 1000 + 0.01)
    await guarded(db, mine, 1)
    assert await mine.renew(1) is True


async def test_an_epoch_never_comes_twice_to_different_lives(db: Database) -> None:
    epochs = []
    for number in range(5):
        lease = Lease(db, "leader", f"life-{number}", LONG_MS)
        epoch = await lease.acquire()
        assert epoch is not None
        epochs.append(epoch)
        await lease.release(epoch)
    assert epochs == [1, 2, 3, 4, 5]


async def test_of_many_at_once_one_wins(db: Database) -> None:
    leases = [Lease(db, "leader", f"life-{number}", LONG_MS) for number in range(20)]
    found = await asyncio.gather(*(lease.acquire() for lease in leases))
    assert sorted(found, key=str) == [1] + [None] * 19
