"""The cap: whatever calls cost within their bounds, and however they overlap, it is never exceeded."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.evals.purse import Exhausted, Purse


@given(
    st.integers(min_value=0, max_value=500),
    st.lists(st.tuples(st.integers(1, 100), st.floats(0, 1)), max_size=40),
    st.integers(1, 8),
    st.integers(0, 10**6),
)
def test_bounded_calls_never_exceed_the_cap(cap: int, calls: list[tuple[int, float]], workers: int, seed: int) -> None:
    draw, left = random.Random(seed), list(calls)

    async def work(purse: Purse) -> int:
        done = 0
        while left:
            bound, share = left.pop()
            try:
                reserved = await purse.take(bound)
            except Exhausted:
                left.clear()
                return done
            for _ in range(draw.randrange(4)):
                await asyncio.sleep(0)
            reserved.settle(int(bound * share))
            assert purse.spent <= cap
            done += 1
        return done

    async def run() -> tuple[int, Purse]:
        purse = Purse(cap)
        return sum(await asyncio.gather(*(work(purse) for _ in range(workers)))), purse

    done, purse = asyncio.run(run())
    assert purse.spent <= cap
    if sum(bound for bound, _ in calls) <= cap:
        assert done == len(calls)  # nothing is refused that fits


async def test_a_call_waits_for_those_under_way_before_it_is_refused() -> None:
    purse = Purse(100)
    first = await purse.take(80)
    waiting = asyncio.create_task(purse.take(60))
    await asyncio.sleep(0)
    assert not waiting.done()
    first.settle(10)
    second = await waiting
    assert second.reserved == 60
    refused = asyncio.create_task(purse.take(90))
    await asyncio.sleep(0)
    second.settle(60)
    with pytest.raises(Exhausted):
        await refused


async def test_without_bounds_the_first_call_goes_alone_and_the_mean_counts_then() -> None:
    purse = Purse(100)
    first = await purse.take(None)
    second = asyncio.create_task(purse.take(None))
    await asyncio.sleep(0)
    assert not second.done()
    first.settle(40, judges_cost=10)
    slot = await second
    assert slot.reserved == 50  # the mean of the answers, and of their judges
    slot.settle(40, judges_cost=10)
    with pytest.raises(Exhausted):
        await purse.take(None)


async def test_what_a_call_cost_is_its_bound_where_it_is_unknown() -> None:
    purse = Purse(100)
    (await purse.take(70)).settle(None)
    assert purse.spent == 70
    purse.charge(30)
    with pytest.raises(Exhausted):
        await purse.take(1)


async def test_without_a_cap_nothing_waits() -> None:
    purse = Purse(None)
    assert [(await purse.take(10**12)).reserved for _ in range(3)] == [0, 0, 0]


async def test_what_is_given_back_lets_others_in_and_tells_nothing_of_costs() -> None:
    purse = Purse(100)
    first = await purse.take(None)
    second = asyncio.create_task(purse.take(None))
    await asyncio.sleep(0)
    first.give_back()
    assert (await second).reserved == 0
    assert purse.spent == 0
