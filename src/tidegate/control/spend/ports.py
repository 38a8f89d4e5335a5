"""What spending needs from outside: the counters that all gateways share, and what the call log says."""

from collections.abc import Sequence
from typing import Protocol

from tidegate.control.spend.model import CallTotals
from tidegate.live.births import Birth
from tidegate.live.counting import Counted

__all__ = ["CallLog", "Spending"]


class Spending(Protocol):
    """The shared counters, as control sees them."""

    async def standings(self) -> Sequence[Counted]:
        """Every counter's window that is remembered, in no order. Raises Unavailable when the store is away."""
        ...

    async def rebuild(self, counted: Sequence[Counted]) -> None:
        """Make each window's `settled` at least as given: what is known already is never lowered, and slices that are
        out stay out, for their gateways may live. A store that was closed because it had lost what it knew, or never
        knew anything, opens under a new birth mark. Raises Unavailable.
        """
        ...

    async def birth(self) -> Birth | None:
        """The store's birth mark; None: it has none, for nobody has used it or it has lost everything. Raises
        Unavailable.
        """
        ...

    async def lose(self) -> None:
        """Close the store until it is rebuilt: it is not the one that was known. Raises Unavailable."""
        ...

    async def close(self) -> None:
        """Give back connections and threads."""
        ...


class CallLog(Protocol):
    """The call log, summed up."""

    async def totals(self, begins_at_ms: int, ends_at_ms: int) -> Sequence[CallTotals]:
        """What users' calls that started in this stretch of time (the end excluded) used; `key` is the key's id."""
        ...
