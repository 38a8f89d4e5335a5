"""The ports of the border. Adapters fill them for SQLite, PostgreSQL and memory; one test suite holds every adapter
to the same words.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from tidegate.live.calls import CallRecord
from tidegate.live.snapshot import Snapshot

__all__ = ["Board", "Records"]


class Board(Protocol):
    """Where the gateway reads what is live."""

    @property
    def fault(self) -> str | None:
        """Why the store cannot be read just now; None while it can."""
        ...

    async def latest(self) -> Snapshot | None:
        """The newest Snapshot, None when none was ever written; raises Unavailable when the store is away."""
        ...

    def changes(self, after: int) -> AsyncIterator[Snapshot]:
        """Yield every newer Snapshot as it appears (an intermediate one may be skipped, a lower generation never
        comes).

        Ends only when closed. Survives the store's absence: it waits and goes on.
        """
        ...

    async def close(self) -> None:
        """Give back connections and threads."""
        ...


class Records(Protocol):
    """Where the gateway leaves what happened."""

    async def append(self, batch: Sequence[CallRecord]) -> None:
        """Store the batch whole; a record that is there already (same gateway_id and seq) is not doubled. Raises
        Unavailable.
        """
        ...

    async def close(self) -> None:
        """Give back connections and threads."""
        ...
