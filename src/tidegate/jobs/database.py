"""The Database port: transactions over one SQL store. SQL is written once (SQLAlchemy Core), the dialects are thin."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["METADATA", "Database", "Publish", "Tx"]

METADATA = MetaData()
"""Every table of every slice is declared on this one, in the slice's `store.py`; Alembic migrations create them."""

Tx = AsyncConnection
"""An open transaction: what `write` and `read` give, and what every function of a `store.py` takes first."""

Publish = Callable[[Tx], Awaitable[int]]
"""Compose the Snapshot from the transaction's state, write it in there, return its generation. Bound by `app`."""


class Database(Protocol):
    """One SQL store."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        ...

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that may write: commits on leaving, rolls back on an error; raises Unavailable when the store
        is away or locked for longer than its busy timeout. One writer at a time (SQLite: BEGIN IMMEDIATE; PostgreSQL:
        an advisory lock), so what was read inside still holds at the commit."""
        ...

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that only reads, one consistent view."""
        ...

    async def now_ms(self, connection: AsyncConnection) -> int:
        """The database's Unix time in ms: the only time that decisions use."""
        ...

    async def close(self) -> None:
        """Give back connections and threads."""
        ...
