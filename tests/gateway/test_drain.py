"""The drain: soon after what arrived, again while the store is away, and whole at the end."""

import asyncio

from tidegate.gateway.drain import Drain


class Queue:
    """A queue whose store may be away."""

    def __init__(self) -> None:
        self.waiting: list[int] = []
        self.stored: list[int] = []
        self.tries = 0
        self.away = False

    async def flush(self) -> bool:
        self.tries += 1
        if self.away and self.waiting:
            return False
        self.stored += self.waiting
        self.waiting.clear()
        return True


async def tried(queue: Queue, times: int) -> None:
    async with asyncio.timeout(10):
        while queue.tries < times:  # noqa: ASYNC110  # a drain tells nobody
            await asyncio.sleep(0.002)


async def test_what_arrives_together_is_flushed_together() -> None:
    queue = Queue()
    drain = Drain("test", queue.flush, lambda: 0.02, again_s=60)
    drain.start()
    for number in range(3):
        queue.waiting.append(number)
        drain.arrived.set()
        await asyncio.sleep(0)
    await tried(queue, 1)
    assert (queue.stored, queue.tries) == ([0, 1, 2], 1)
    await drain.close(1)


async def test_a_store_that_is_away_is_asked_again_without_a_new_arrival() -> None:
    queue = Queue()
    drain = Drain("test", queue.flush, lambda: 0.0, again_s=0.01)
    drain.start()
    queue.away = True
    queue.waiting.append(1)
    drain.arrived.set()
    await tried(queue, 3)
    queue.away = False
    await tried(queue, queue.tries + 1)
    assert queue.stored == [1]
    await drain.close(1)


async def test_the_end_waits_for_no_interval_and_has_patience_with_a_store_that_is_away() -> None:
    queue = Queue()
    drain = Drain("test", queue.flush, lambda: 3600, again_s=0.01)
    drain.start()
    queue.waiting.append(1)
    drain.arrived.set()
    queue.away = True
    closing = asyncio.create_task(drain.close(60))
    await tried(queue, 3)
    queue.away = False
    await asyncio.wait_for(closing, 10)
    assert queue.stored == [1]


async def test_the_end_comes_though_the_store_stays_away() -> None:
    queue = Queue()
    drain = Drain("test", queue.flush, lambda: 0.0, again_s=0.01)
    queue.waiting.append(1)
    queue.away = True
    await asyncio.wait_for(drain.close(0.05), 10)
    assert queue.waiting == [1]
