"""Hold: what one call has reserved, and how it ends."""

from collections.abc import Callable, Sequence

from tidegate.gateway.ledger.slices import MONEY, TOKENS, Slice

__all__ = ["CallHold", "Need"]

LARGEST = 2**53 - 1
"""No store counts beyond: an amount above it is no amount."""

Need = tuple[Slice, int]
"""A slice, and how much of it a call needs; a limit that does not block needs 0."""


class CallHold:
    """Fills `gateway.ports.Hold`."""

    __slots__ = ("_bounds", "_needs", "_over", "_settled", "_touched")

    def __init__(
        self,
        needs: list[Need],
        bounds: tuple[int, int],
        touched: Callable[[Sequence[Need]], None],
        over: Callable[[Slice], None],
    ) -> None:
        """`bounds`: at most so many tokens and so much money; what a limit that does not block counts for unknown."""
        self._needs = needs
        self._bounds = bounds
        self._touched = touched
        self._over = over
        self._settled = False

    def extend(self, nano_usd: int) -> bool:
        """See `gateway.ports.Hold`."""
        if self._settled:
            return False
        blocking = [(place, need) for place, need in enumerate(self._needs) if need[0].holds == MONEY]
        if any(slice_.free < nano_usd for _, (slice_, _) in blocking):
            return False
        for place, (slice_, held) in blocking:
            slice_.free -= nano_usd
            slice_.held += nano_usd
            self._needs[place] = (slice_, held + nano_usd)
        return True

    def settle(self, nano_usd: int | None, tokens: int | None) -> None:
        """See `gateway.ports.Hold`."""
        if self._settled:
            return
        self._settled = True
        told = (0, 1, tokens, nano_usd)
        for slice_, held in self._needs:
            place = slice_.counts
            spent = told[place]
            if spent is None:
                spent = held or self._bounds[place - TOKENS]
            elif spent > LARGEST:
                spent = LARGEST
            if slice_.settle(held, spent) and held:
                self._over(slice_)
        self._touched(self._needs)
