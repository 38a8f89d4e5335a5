"""The Counters port's words, held by every adapter against the real store."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.redis import RedisServer
from tidegate.adapters.memory.counters import MemoryCounters
from tidegate.adapters.postgres.counters import PostgresCounters
from tidegate.adapters.redis.counters import RedisCounters
from tidegate.adapters.sqlite.counters import SqliteCounters
from tidegate.kernel.errors import Unavailable
from tidegate.live.counting import Counted
from tidegate.live.ports import Counters, Line

CAP = 1_000_000_000
FAR_MS = 4_000_000_000_000

Open = Callable[[], Any]


@pytest.fixture(params=["memory", "sqlite", "postgresql", "redis"])
async def opening(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens the store, again and again: what one process wrote another one reads."""
    kind = request.param
    opened: list[Counters] = []
    if kind == "memory":
        one = MemoryCounters()
        made: Open = lambda: one  # noqa: E731
    elif kind == "sqlite":
        made = lambda: SqliteCounters(tmp_path / "counters.db")  # noqa: E731
    elif kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
        made = lambda: PostgresCounters(url)  # noqa: E731
    else:
        url = request.getfixturevalue("redis_url")
        first = RedisCounters(url)
        await first.begin()
        await first.close()
        made = lambda: RedisCounters(url)  # noqa: E731

    def open_one() -> Counters:
        opened.append(made())
        return opened[-1]

    yield open_one
    for counters in opened:
        await counters.close()


def a_line(**fields: Any) -> Line:
    base: dict[str, Any] = {
        "counter": "team|team=a%20b", "window": "2026-11 UTC", "ends_at_ms": FAR_MS, "cap": CAP, "generation": 1,
    }  # fmt: skip
    return Line(**(base | fields))


async def test_a_slice_is_given_reported_and_given_back(opening: Open) -> None:
    counters = opening()
    [first] = await counters.exchange("gw_1", 1, [a_line(wanted=CAP // 2, least=1)])
    assert (first.granted, first.settled, first.held, first.others_hold) == (CAP // 2, 0, CAP // 2, False)
    [second] = await opening().exchange("gw_2", 1, [a_line(wanted=CAP, least=CAP // 4)])
    assert (second.granted, second.held, second.others_hold) == (CAP // 2, CAP, True)
    [third] = await counters.exchange("gw_1", 2, [a_line(settled=3, returned=CAP // 2 - 3)])
    assert (third.granted, third.settled, third.held) == (0, 3, CAP // 2)
    [fourth] = await opening().exchange("gw_2", 2, [a_line(wanted=CAP, least=CAP)])
    assert fourth.granted == 0
    [fifth] = await opening().exchange("gw_2", 3, [a_line(wanted=CAP, least=1)])
    assert fifth.granted == CAP // 2 - 3


async def test_asked_again_it_answers_the_same_and_changes_nothing(opening: Open) -> None:
    lines = [a_line(wanted=10, least=10), a_line(counter="other", wanted=5, least=5)]
    first = await opening().exchange("gw_1", 1, lines)
    assert list(await opening().exchange("gw_1", 1, lines)) == list(first)
    [now] = await opening().exchange("gw_2", 1, [a_line()])
    assert now.held == 10


async def test_a_window_is_a_counter_of_its_own(opening: Open) -> None:
    counters = opening()
    await counters.exchange("gw_1", 1, [a_line(wanted=CAP, least=CAP)])
    [new] = await counters.exchange("gw_1", 2, [a_line(window="2026-12 UTC", wanted=CAP, least=CAP)])
    assert new.granted == CAP


async def test_the_newest_generations_cap_holds(opening: Open) -> None:
    counters = opening()
    await counters.exchange("gw_1", 1, [a_line(generation=5, cap=100, wanted=50, least=50)])
    [old] = await counters.exchange("gw_2", 1, [a_line(generation=4, cap=1000, wanted=60, least=60)])
    assert (old.granted, old.cap) == (0, 100)
    [lowered] = await counters.exchange("gw_2", 2, [a_line(generation=6, cap=40, wanted=1, least=1)])
    assert (lowered.granted, lowered.cap) == (0, 40)


async def test_what_is_spent_without_a_slice_is_counted(opening: Open) -> None:
    [one] = await opening().exchange("gw_1", 1, [a_line(cap=10, settled=25, returned=-25)])
    assert (one.settled, one.held) == (25, 0)


async def test_places_of_a_silent_process_come_back_and_money_does_not(opening: Open) -> None:
    counters = opening()
    for attempt, expires_s in enumerate((0.3, 1.0, 3.0, 9.0)):  # a busy machine may be silent for longer than it wants
        if await _lives(counters, f"places {attempt}", expires_s):
            return
    pytest.fail("the machine never gave a sign of life in time")


async def _lives(counters: Counters, name: str, expires_s: float) -> bool:
    """False when a sign of life came too late for its places to be still there."""
    places: dict[str, Any] = {"counter": name, "window": "always", "cap": 2, "expires_s": expires_s}
    money: dict[str, Any] = {"counter": f"money {name}", "cap": 2}
    first, second = f"gw_1 {name}", f"gw_2 {name}"
    signs_s = [time.monotonic()]
    await counters.exchange(first, 1, [a_line(**places, wanted=2, least=2), a_line(**money, wanted=2, least=2)])
    [full] = await counters.exchange(second, 1, [a_line(**places, wanted=1, least=1)])
    for seq in range(2, 6):
        await asyncio.sleep(expires_s / 3)
        await counters.exchange(first, seq, [])
        signs_s.append(time.monotonic())
    [still] = await counters.exchange(second, 2, [a_line(**places, wanted=1, least=1)])
    signs_s.append(time.monotonic())
    if max(after - before for before, after in pairwise(signs_s)) > expires_s * 0.9:
        return False
    assert (full.granted, still.granted) == (0, 0)
    await asyncio.sleep(expires_s * 1.3)
    after = await counters.exchange(
        second, 3, [a_line(**places, wanted=1, least=1), a_line(**money, wanted=1, least=1)]
    )
    assert [one.granted for one in after] == [1, 0]
    [back] = await counters.exchange(first, 6, [a_line(**places, returned=2)])
    assert back.held == 1
    return True


async def test_many_processes_at_once_never_get_more_than_the_cap(opening: Open) -> None:
    async def one(number: int) -> int:
        counters, got = opening(), 0
        for seq in range(1, 8):
            lines = [a_line(counter=name, cap=100, wanted=random.randint(1, 20), least=1) for name in ("a", "b")]
            random.shuffle(lines)
            standings = await counters.exchange(f"gw_{number}", seq, lines)
            assert all(standing.settled + standing.held <= 100 for standing in standings)
            got += sum(standing.granted for standing in standings if standing.counter == "a")
        return got

    assert sum(await asyncio.gather(*(one(number) for number in range(6)))) == 100


async def test_control_sees_where_every_counter_stands_and_builds_anew(opening: Open) -> None:
    counters = opening()
    if isinstance(counters, MemoryCounters):
        return
    await counters.exchange("gw_1", 1, [a_line(wanted=30, least=30)])
    await counters.exchange("gw_1", 2, [a_line(settled=10)])
    [seen] = await counters.standings()
    assert seen == Counted(
        counter="team|team=a%20b", window="2026-11 UTC", cap=CAP, settled=10, held=20, ends_at_ms=FAR_MS
    )
    await opening().rebuild([Counted(
        counter="team|team=a%20b", window="2026-11 UTC", cap=CAP, settled=25, held=0, ends_at_ms=FAR_MS
    )])  # fmt: skip
    [after] = await opening().standings()
    assert (after.settled, after.held) == (25, 20)  # what is out stays out: its gateway may live


async def test_a_redis_that_lost_the_counters_is_closed_until_they_are_rebuilt(
    redis_url: str, redis_server: RedisServer
) -> None:
    counters = RedisCounters(redis_url)
    with pytest.raises(Unavailable) as never:
        await counters.exchange("gw_1", 1, [a_line(wanted=1, least=1)])
    assert never.value.code == "counters_lost"
    await counters.begin()
    await counters.exchange("gw_1", 1, [a_line(wanted=1, least=1)])
    redis_server.stop()
    with pytest.raises(Unavailable) as away:
        await counters.exchange("gw_1", 2, [a_line()])
    assert away.value.code == "budget_store_unavailable"
    redis_server.start()
    with pytest.raises(Unavailable) as lost:
        await counters.exchange("gw_1", 2, [a_line()])
    assert lost.value.code == "counters_lost"
    await counters.rebuild([Counted(counter="c", window="w", cap=10, settled=9, held=0, ends_at_ms=FAR_MS)])
    [now] = await counters.exchange("gw_1", 2, [a_line(counter="c", window="w", cap=10, wanted=2, least=2)])
    assert (now.granted, now.settled) == (0, 9)
    await counters.close()


LINES = st.builds(
    a_line,
    counter=st.sampled_from(["a", "b"]),
    cap=st.just(50),
    settled=st.integers(0, 9),
    returned=st.integers(-3, 9),
    wanted=st.integers(0, 30),
    least=st.integers(0, 10),
    generation=st.integers(1, 3),
)


@given(steps=st.lists(st.tuples(st.sampled_from(["gw_1", "gw_2", "gw_3"]), st.lists(LINES, max_size=3)), max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_store_counts_as_memory_does(
    steps: list[tuple[str, list[Line]]], redis_url: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    redis_server.empty()
    redis, memory = RedisCounters(redis_url), MemoryCounters()
    await redis.begin()
    file = tmp_path / "counters.db"
    file.unlink(missing_ok=True)
    sqlite = SqliteCounters(file)
    seqs: dict[str, int] = {}
    try:
        for gateway, lines in steps:
            seqs[gateway] = seqs.get(gateway, 0) + 1
            answers = [await one.exchange(gateway, seqs[gateway], lines) for one in (memory, redis, sqlite)]
            assert list(answers[1]) == list(answers[0])
            assert list(answers[2]) == list(answers[0])
    finally:
        await redis.close()
        await sqlite.close()
