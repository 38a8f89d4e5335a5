"""A database under which the process dies: by kill -9, just before or just after one of its writes."""

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import UpdateBase

from tidegate.jobs.database import Database

__all__ = ["FaultyDatabase"]


class FaultyDatabase:
    """The Database port around another one. Points are counted in write transactions: before and after each INSERT,
    UPDATE and DELETE, and before and after COMMIT; at point number `dies_at` the process tells `dying` which it is, and
    is killed. 0: it lives.
    """

    def __init__(self, inner: Database, dies_at: int, dying: Callable[[str], None]) -> None:
        self._inner = inner
        self._left = dies_at
        self._dying = dying

    @property
    def dialect(self) -> str:
        """See `jobs.database.Database`."""
        return self._inner.dialect

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """See `jobs.database.Database`."""
        async with self._inner.write() as connection:
            yield _Wired(connection, self.point)  # type: ignore[misc]  # quacks like one
            self.point("before commit")
        self.point("after commit")

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """See `jobs.database.Database`."""
        return self._inner.read()

    async def now_ms(self, connection: AsyncConnection) -> int:
        """See `jobs.database.Database`."""
        return await self._inner.now_ms(connection)

    async def close(self) -> None:
        """See `jobs.database.Database`."""
        await self._inner.close()

    def point(self, name: str) -> None:
        """One point where the process may die."""
        self._left -= 1
        if self._left == 0:
            self._dying(name)
            os.kill(os.getpid(), signal.SIGKILL)


class _Wired:
    """A connection whose writes are points."""

    def __init__(self, connection: AsyncConnection, point: Callable[[str], None]) -> None:
        self._connection = connection
        self._point = point

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        """As the connection's own, with a point before and after what writes."""
        if not isinstance(statement, UpdateBase):
            return await self._connection.execute(statement, *arguments, **options)
        table = getattr(getattr(statement, "table", None), "name", "")
        what = f"{statement.__visit_name__} {table}"
        self._point(f"before {what}")
        found = await self._connection.execute(statement, *arguments, **options)
        self._point(f"after {what}")
        return found
