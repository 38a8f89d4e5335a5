"""The birth mark of a store of counters, by which a store that has lost what it knew, or was put in another's place, is
told from the one that was known: an empty one would give everybody a second budget. Pure.
"""

from typing import NamedTuple

import msgspec

from tidegate.kernel.errors import Unavailable

__all__ = ["FORGOTTEN", "LOST", "NEW", "REBUILT", "Birth", "Meeting", "counters_lost", "meet", "reopened"]

NEW, REBUILT, LOST = "new", "rebuilt", "lost"
FORGOTTEN = "-"
"""Known by a process that was told of the loss and holds nothing any more: it goes on with what was rebuilt alone."""


class Birth(msgspec.Struct, frozen=True):
    """When the store began, as a mark that no other one has. `state`: `new` (made by the first who asked), `rebuilt`
    (made or opened by control, with what the call log says), `lost` (closed until it is rebuilt).
    """

    mark: str
    state: str


class Meeting(NamedTuple):
    """What a process makes of the birth that it finds: the mark to know from now on, what to write into the store
    (None: nothing), and whether what the process holds of the store is worth nothing.
    """

    known: str | None
    write: Birth | None
    lost: bool


def meet(known: str | None, found: Birth | None, fresh: str) -> Meeting:
    """A process that knows one mark (None: it has just begun) finds this birth in the store (None: none), and could
    write a `fresh` mark. A store that is rebuilt is gone on with, after what was held of its predecessor is forgotten.
    """
    if found is None:
        return (
            Meeting(fresh, Birth(fresh, NEW), False) if known is None else Meeting(FORGOTTEN, Birth(fresh, LOST), True)
        )
    if found.state == LOST:
        return Meeting(FORGOTTEN, None, True)
    if known is None or found.mark == known:
        return Meeting(found.mark, None, False)
    if found.state == REBUILT:
        return Meeting(found.mark, None, known != FORGOTTEN)
    return Meeting(FORGOTTEN, Birth(found.mark, LOST), True)


def reopened(found: Birth | None, fresh: str) -> Birth:
    """The birth after a rebuild: a store that was well keeps its own, for slices of it are out."""
    return Birth(fresh, REBUILT) if found is None or found.state == LOST else Birth(found.mark, REBUILT)


def counters_lost(store: str) -> Unavailable:
    """The error for a store that is not, or no longer, the one that was known."""
    return Unavailable(
        f"{store} does not know the counters (any more).",
        mend="Run `tidegate budget rebuild`: it counts anew from the call log.",
        code="counters_lost",
    )
