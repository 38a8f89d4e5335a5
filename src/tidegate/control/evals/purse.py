"""The cap on what a run may cost: a call is begun only when even its bound still fits."""

import asyncio

__all__ = ["Exhausted", "Purse", "Slot"]


class Exhausted(Exception):
    """The next call could exceed the cap."""


class Purse:
    """Nano-dollars. A call whose bound is unknown is taken to cost the mean of those before it (the first one goes
    alone, to learn it); what its judges cost is foreseen likewise.
    """

    def __init__(self, cap_nano_usd: int | None) -> None:
        self.cap = cap_nano_usd
        self.spent = 0
        self._reserved = 0
        self._under_way = 0
        self._answers = 0
        self._answers_cost = 0
        self._judged = 0
        self._judges_cost = 0
        self._changed = asyncio.Event()

    async def take(self, bound: int | None) -> "Slot":
        """Reserve for one call, which must be settled or given back; waits for calls under way, and raises Exhausted
        when even without them it does not fit.
        """
        while True:
            need = self._need(bound) if self.cap is not None else 0
            alone = need is None and not self._under_way and self.spent < (self.cap or 0)
            if alone or (need is not None and self._fits(need)):
                self._reserved += need or 0
                self._under_way += 1
                return Slot(self, need or 0)
            if not self._under_way:
                raise Exhausted
            self._changed.clear()
            await self._changed.wait()

    def charge(self, cost: int | None) -> None:
        """A try that failed and may be billed all the same has cost so much at most."""
        self.spent += cost or 0

    def settle(self, reserved: int, cost: int | None, judges_cost: int | None = None) -> None:
        """See `Slot.settle`."""
        self.spent += (reserved if cost is None else cost) + (judges_cost or 0)
        if cost is not None:
            self._answers += 1
            self._answers_cost += cost
        if judges_cost is not None:
            self._judged += 1
            self._judges_cost += judges_cost
        self.give_back(reserved)

    def give_back(self, reserved: int) -> None:
        """See `Slot.give_back`."""
        self._reserved -= reserved
        self._under_way -= 1
        self._changed.set()

    def _fits(self, need: int) -> bool:
        return self.cap is None or self.spent + self._reserved + need <= self.cap

    def _need(self, bound: int | None) -> int | None:
        judges = -(-self._judges_cost // self._judged) if self._judged else 0
        if bound is not None:
            return bound + judges
        return -(-self._answers_cost // self._answers) + judges if self._answers else None


class Slot:
    """What one call holds: `reserved` nano-dollars. Ended once."""

    __slots__ = ("_purse", "reserved")

    def __init__(self, purse: Purse, reserved: int) -> None:
        self._purse = purse
        self.reserved = reserved

    def settle(self, cost: int | None, judges_cost: int | None = None) -> None:
        """The call has cost so much (None: unknown, then what was reserved is taken for it)."""
        self._purse.settle(self.reserved, cost, judges_cost)

    def give_back(self) -> None:
        """The call has cost nothing, and says nothing of what others will."""
        self._purse.give_back(self.reserved)
