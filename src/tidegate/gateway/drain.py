"""The drain: empties a queue into its store in the background, off the path of the calls that fill it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

__all__ = ["Drain"]


class Drain:
    """Calls `flush` a moment after something `arrived`, again and again while the store is away, and a last time at
    the end. The queue, what is lost of it and what is counted are their owner's.
    """

    def __init__(
        self, name: str, flush: Callable[[], Awaitable[bool]], wait_s: Callable[[], float], *, again_s: float
    ) -> None:
        """`flush` takes what is there; False: the store is away, and something waits. It raises nothing. `wait_s` is
        how long what arrives may gather; `again_s` how long until the next try.
        """
        self.arrived = asyncio.Event()
        """Set by whoever puts something into the queue."""
        self._name = name
        self._flush = flush
        self._wait_s = wait_s
        self._again_s = again_s
        self._away = False
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to flush."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def close(self, patience_s: float) -> None:
        """Stop, then flush what is left; tries for so long if the store is away."""
        self._closing.set()
        self.arrived.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                if self._task is not None:
                    await asyncio.wait({self._task})
                while not await self._flush():  # noqa: ASYNC110  # the store tells nobody
                    await asyncio.sleep(self._again_s / 5)
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while not self._closing.is_set():
            await self.arrived.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._again_s if self._away else self._wait_s()):
                    await self._closing.wait()
            self.arrived.clear()
            self._away = not await self._flush()
            if self._away:
                self.arrived.set()
