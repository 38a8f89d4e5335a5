"""kill -9 between any two writes: what was committed is whole, what was not never happened."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.support.databases import fresh_sqlite
from tidegate.jobs.lease import LEASES, Lease

ROOT = Path(__file__).parents[2]
TOTAL = 100
WORDS = ("begun", "step 0", "step 1", "step 2", "committed")


@contextmanager
def process(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A child that talks in lines; it is dead afterwards, whatever happened."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def heard(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def say(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()


async def taken_over(lease: Lease) -> int:
    """Ask for the lease until it is ours: its second holder's."""
    for _ in range(500):
        if (epoch := await lease.acquire()) is not None:
            assert epoch == 2
            return epoch
        await asyncio.sleep(0.02)
    pytest.fail("the lease never ended")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "bank.db")) as connection:
        connection.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, amount INTEGER)")
        connection.execute("CREATE TABLE moves (number INTEGER PRIMARY KEY)")
        connection.executemany("INSERT INTO accounts VALUES (?, ?)", [(1, TOTAL), (2, 0)])
        connection.commit()
    return tmp_path / "bank.db"


@pytest.mark.parametrize("last", WORDS)
def test_killed_between_any_two_writes(file: Path, last: str) -> None:
    """One transfer is committed; in the second one the process is killed after the step `last`."""
    with process("tests.crash.writer", str(file), "2") as child:
        while (word := heard(child)) != f"1 {last}":
            assert word, "the child died by itself"
            say(child)
        child.send_signal(signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
    done = 2 if last == "committed" else 1
    with closing(sqlite3.connect(file)) as connection:
        amounts = [amount for (amount,) in connection.execute("SELECT amount FROM accounts ORDER BY id")]
        moves = [number for (number,) in connection.execute("SELECT number FROM moves")]
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert amounts == [TOTAL - done, done]
    assert moves == list(range(done))


async def test_a_frozen_leader_wakes_up_to_a_new_one_and_may_not_write(tmp_path: Path) -> None:
    db = await fresh_sqlite(tmp_path)
    async with db.write() as tx:
        await tx.execute(sa.text("CREATE TABLE acts (who TEXT)"))
    second = Lease(db, "leader", "second", 60_000)
    with process("tests.crash.leader", str(tmp_path / "control.db"), "60000") as first:
        assert await asyncio.to_thread(heard, first) == "epoch 1"
        first.send_signal(signal.SIGSTOP)
        assert await second.acquire() is None  # it is still the leader's
        async with db.write() as tx:
            await tx.execute(sa.update(LEASES).values(expires_at_ms=1))  # its minute goes by
        epoch = await taken_over(second)
        async with db.write() as tx:
            await second.guard(tx, epoch)
            await tx.execute(sa.text("INSERT INTO acts VALUES ('second')"))
        first.send_signal(signal.SIGCONT)
        say(first)
        assert await asyncio.to_thread(heard, first) == "lease_lost"
    async with db.read() as tx:
        assert (await tx.execute(sa.text("SELECT who FROM acts"))).scalars().all() == ["second"]
    await db.close()


async def test_a_leader_that_is_killed_is_followed_when_its_time_is_up(tmp_path: Path) -> None:
    db = await fresh_sqlite(tmp_path)
    second = Lease(db, "leader", "second", 60_000)
    with process("tests.crash.leader", str(tmp_path / "control.db"), "200") as first:
        assert await asyncio.to_thread(heard, first) == "epoch 1"
        first.kill()
        await taken_over(second)
    await db.close()
