"""The feedback log: committed before it answers, many scores in few commits, and nobody waits for a store that is
away.
"""

import asyncio
from collections.abc import Sequence

import pytest

from tests.ports.test_feedbacks import given
from tidegate.adapters.memory.feedbacks import MemoryFeedbacks
from tidegate.gateway import feedback
from tidegate.gateway.feedback import FeedbackLog
from tidegate.kernel.errors import Unavailable
from tidegate.live.feedback import Feedback


class SlowFeedbacks(MemoryFeedbacks):
    """Commits when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.commit = asyncio.Event()

    async def put(self, batch: Sequence[Feedback]) -> None:
        self.asked.set()
        await self.commit.wait()
        await super().put(batch)


async def test_it_answers_after_the_commit_and_what_comes_meanwhile_shares_the_next() -> None:
    store = SlowFeedbacks()
    log = FeedbackLog(store)
    first = asyncio.create_task(log.put([given(0)]))
    await store.asked.wait()
    others = [asyncio.create_task(log.put([given(number)])) for number in range(1, 51)]
    await asyncio.sleep(0)
    assert not first.done()
    assert store.stored == []
    store.commit.set()
    await asyncio.gather(first, *others)
    assert store.batches == [1, 50]
    assert store.stored == [given(number) for number in range(51)]
    await log.close()


async def test_each_is_told_of_a_store_that_is_away_and_the_next_is_tried_again() -> None:
    store = MemoryFeedbacks()
    log = FeedbackLog(store)
    store.away = True
    told = await asyncio.gather(*(log.put([given(number)]) for number in range(3)), return_exceptions=True)
    assert [type(one) for one in told] == [Unavailable] * 3
    assert len({id(one) for one in told}) == 3
    assert log.fault is not None
    store.away = False
    await log.put([given(9)])
    assert store.stored == [given(9)]
    assert log.fault is None


async def test_who_leaves_before_the_commit_has_given_it_all_the_same() -> None:
    store = SlowFeedbacks()
    log = FeedbackLog(store)
    leaving = asyncio.create_task(log.put([given(1)]))
    await store.asked.wait()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    store.commit.set()
    await log.put([given(2)])
    assert store.stored == [given(1), given(2)]


async def test_closing_stores_what_waits() -> None:
    store = SlowFeedbacks()
    log = FeedbackLog(store)
    waiting = asyncio.create_task(log.put([given(1)]))
    await store.asked.wait()
    store.commit.set()
    await log.close()
    await waiting
    assert store.stored == [given(1)]


async def test_no_more_waits_than_memory_bears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "MAX_WAITING", 3)
    store = SlowFeedbacks()
    log = FeedbackLog(store)
    first = asyncio.create_task(log.put([given(0)]))
    await store.asked.wait()
    others = [asyncio.create_task(log.put([given(number)])) for number in (1, 2, 3)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="Too much feedback waits"):
        await log.put([given(4)])
    store.commit.set()
    await asyncio.gather(first, *others)
    assert store.stored == [given(number) for number in range(4)]


async def test_a_bug_of_the_stores_is_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryFeedbacks):
        async def put(self, batch: Sequence[Feedback]) -> None:
            raise ZeroDivisionError

    with pytest.raises(Unavailable, match="ZeroDivisionError"):
        await FeedbackLog(Broken()).put([given(1)])
    assert "feedback cannot be stored" in caplog.text


async def test_without_a_store_nothing_is_taken() -> None:
    log = FeedbackLog(None)
    assert log.fault is not None
    with pytest.raises(Unavailable, match="no store"):
        await log.put([given(1)])
    await log.close()
