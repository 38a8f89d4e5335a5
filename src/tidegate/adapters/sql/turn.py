"""Turn: the queue in which one process's writers wait, first come first served, before they ask the store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tidegate.kernel.errors import TidegateError, Unavailable

__all__ = ["Turn"]


class Turn:
    """One writer at a time. Waiting here is fair; the store would poll, and the newest might win."""

    def __init__(self, store: str, *, timeout_s: float) -> None:
        self._store = store
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[object] | None = None

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Hold the turn; raises Unavailable when it does not come within the timeout."""
        me = asyncio.current_task()
        if self._holder is not None and self._holder is me:
            raise TidegateError(
                f"A write to {self._store} was begun inside another one.",
                mend="Hand the open transaction down instead.",
            )
        await self._wait()
        self._holder = me
        try:
            yield
        finally:
            self._holder = None
            self._lock.release()

    async def _wait(self) -> None:
        if not self._lock.locked():
            await self._lock.acquire()
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._lock.acquire()
        except TimeoutError as error:
            raise Unavailable(
                f"{self._store} has been busy with other writers for {self._timeout_s:g} s.",
                mend="Try again; if it stays so, look for a long restore or a slow disk.",
                code="database_busy",
            ) from error
