"""Hold: what one call has reserved, and how it ends."""

from collections.abc import Callable

from tidegate.gateway.ledger.slices import Slice

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
        touched: Callable[[Slice], None],
        over: Callable[[Slice], None],
    ) -> None:
        """`bounds`: at most so much money and so many tokens; what a limit that does not block counts for unknown."""
        self._needs = needs
        self._bounds = bounds
        self._touched = touched
        self._over = over
        self._settled = False

    def extend(self, nano_usd: int) -> bool:
        """See `gateway.ports.Hold`."""
        if self._settled:
            return False
        mine = [(place, need) for place, need in enumerate(self._needs) if need[0].rule.unit == "nano_usd"]
        blocking = [(place, need) for place, need in mine if need[0].rule.hard]
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
        for slice_, held in self._needs:
            unit = slice_.rule.unit
            if unit == "parallel":
                spent = 0
            elif unit == "requests":
                spent = 1
            else:
                told, most = (nano_usd, self._bounds[0]) if unit == "nano_usd" else (tokens, self._bounds[1])
                spent = min(told, LARGEST) if told is not None else held or most
            if slice_.settle(held, spent) and held:
                self._over(slice_)
            self._touched(slice_)
