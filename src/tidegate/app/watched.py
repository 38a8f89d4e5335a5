"""A database that says when something was committed, so that the outbox need not wait for its next tick."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.jobs.database import Database

__all__ = ["WatchedDatabase"]


class WatchedDatabase:
    """The Database port around another one."""

    def __init__(self, inner: Database, committed: Callable[[], None]) -> None:
        self.inner = inner
        self._committed = committed

    @property
    def dialect(self) -> str:
        """See `jobs.database.Database`."""
        return self.inner.dialect

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """See `jobs.database.Database`; tells after the commit."""
        async with self.inner.write() as connection:
            yield connection
        self._committed()

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """See `jobs.database.Database`."""
        return self.inner.read()

    async def now_ms(self, connection: AsyncConnection) -> int:
        """See `jobs.database.Database`."""
        return await self.inner.now_ms(connection)

    async def close(self) -> None:
        """See `jobs.database.Database`."""
        await self.inner.close()
