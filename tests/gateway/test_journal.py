"""The journal: in batches, in time, in order, bounded, and complete at the end."""

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest

from tests.support.calls import a_record
from tidegate.gateway import journal as module
from tidegate.gateway.journal import Journal
from tidegate.kernel.errors import Unavailable
from tidegate.live.calls import CallRecord


class Store:
    """Records with moods: away, slow, or unable to take some."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.tries = 0
        self.away = False
        self.delay_s = 0.0
        self.poison: set[int] = set()
        self.closed = False

    async def append(self, batch: Sequence[CallRecord]) -> None:
        self.tries += 1
        await asyncio.sleep(self.delay_s)
        if self.away:
            raise Unavailable("away")
        if self.poison & {record.seq for record in batch}:
            raise ValueError("this one cannot be stored")
        self.batches.append([record.seq for record in batch])

    async def close(self) -> None:
        self.closed = True

    @property
    def kept(self) -> list[int]:
        return [seq for batch in self.batches for seq in batch]


def begun(store: Store, flush_ms: int = 10, patience_s: float = 0.3) -> Journal:
    journal = Journal(store, "gw_1", lambda: flush_ms, patience_s=patience_s)
    journal.start()
    return journal


def put(journal: Journal, count: int) -> None:
    for _ in range(count):
        journal.put(a_record(journal.next_seq()))


async def until(condition: Callable[[], bool], timeout_s: float = 3.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  # the journal tells nobody
            await asyncio.sleep(0.002)


async def test_records_go_in_batches_within_the_flush_interval() -> None:
    store = Store()
    journal = begun(store, flush_ms=30)
    begin = time.monotonic()
    put(journal, 100)
    assert journal.waiting == 100
    await until(lambda: journal.waiting == 0)
    assert 0.02 < time.monotonic() - begin < 3
    assert [len(batch) for batch in store.batches] == [100]
    await journal.close()


async def test_an_idle_journal_asks_the_store_nothing() -> None:
    store = Store()
    journal = begun(store, flush_ms=1)
    await asyncio.sleep(0.05)
    await journal.close()
    assert (store.tries, store.closed) == (0, True)


async def test_numbers_have_no_hole() -> None:
    store = Store()
    journal = begun(store, flush_ms=1)
    for _ in range(20):
        put(journal, 7)
        await asyncio.sleep(0.001)
    await journal.close()
    assert store.kept == list(range(1, 141))


async def test_large_batches_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BATCH", 40)
    store = Store()
    journal = begun(store)
    put(journal, 100)
    await journal.close()
    assert [len(batch) for batch in store.batches] == [40, 40, 20]


async def test_what_comes_while_a_batch_is_stored_is_not_lost() -> None:
    store = Store()
    store.delay_s = 0.03
    journal = begun(store, flush_ms=1)
    put(journal, 3)
    await until(lambda: store.tries == 1)
    put(journal, 4)
    await journal.close()
    assert store.kept == [1, 2, 3, 4, 5, 6, 7]


# The store away.


async def test_records_wait_for_a_store_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.02)
    store = Store()
    store.away = True
    journal = begun(store, flush_ms=1)
    put(journal, 5)
    await until(lambda: store.tries >= 3)
    assert journal.store_error == "away"
    assert (journal.waiting, journal.dropped) == (5, 0)
    put(journal, 2)
    store.away = False
    await until(lambda: journal.waiting == 0 and journal.store_error is None)
    assert store.kept == [1, 2, 3, 4, 5, 6, 7]
    await journal.close()


async def test_a_store_that_is_away_is_not_asked_all_the_time() -> None:
    store = Store()
    store.away = True
    journal = begun(store, flush_ms=1)
    put(journal, 1)
    await asyncio.sleep(0.2)
    assert store.tries <= 2
    await journal.close()


async def test_memory_is_bounded_and_the_loss_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 10)
    monkeypatch.setattr(module, "AGAIN_S", 0.02)
    store = Store()
    store.away = True
    journal = begun(store, flush_ms=1)
    put(journal, 15)
    assert (journal.waiting, journal.dropped) == (10, 5)
    store.away = False
    await until(lambda: journal.waiting == 0)
    put(journal, 2)
    await journal.close()
    assert store.kept == [*range(1, 11), 16, 17]


async def test_a_record_that_cannot_be_stored_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.poison = {4, 9}
    journal = begun(store, flush_ms=1)
    put(journal, 12)
    await until(lambda: journal.waiting == 0)
    put(journal, 1)
    await journal.close()
    assert sorted(store.kept) == [1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13]
    assert journal.dropped == 2
    assert "call_4 cannot be stored" in caplog.text


# The end.


async def test_close_stores_what_is_left_at_once() -> None:
    store = Store()
    journal = begun(store, flush_ms=60_000)
    put(journal, 500)
    begin = time.monotonic()
    await journal.close()
    assert time.monotonic() - begin < 5
    assert (len(store.kept), store.closed) == (500, True)


async def test_close_waits_for_a_batch_that_is_on_its_way() -> None:
    store = Store()
    store.delay_s = 0.05
    journal = begun(store, flush_ms=1)
    put(journal, 5)
    await until(lambda: store.tries == 1)
    await journal.close()
    assert store.batches == [[1, 2, 3, 4, 5]]


async def test_close_tries_for_a_while_when_the_store_is_away() -> None:
    store = Store()
    store.away = True
    journal = begun(store, flush_ms=1, patience_s=2.0)
    put(journal, 5)
    closing = asyncio.create_task(journal.close())
    await until(lambda: store.tries >= 2)
    store.away = False
    await closing
    assert store.kept == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("delay_s", [0.0, 60.0], ids=["away", "hanging"])
async def test_close_gives_up_and_says_how_many_were_lost(caplog: pytest.LogCaptureFixture, delay_s: float) -> None:
    store = Store()
    store.away = True
    store.delay_s = delay_s
    journal = begun(store, flush_ms=1, patience_s=0.2)
    put(journal, 5)
    begin = time.monotonic()
    await journal.close()
    assert time.monotonic() - begin < 10
    assert "5 call records could not be stored" in caplog.text
    assert store.closed


async def test_a_journal_that_never_began_can_be_closed() -> None:
    store = Store()
    journal = Journal(store, "gw_1", lambda: 1)
    put(journal, 2)
    await journal.close()
    assert store.kept == [1, 2]
