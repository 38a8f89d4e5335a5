"""Which calls of a rollout, and what is found, as plain values.

A call counts at its start, if it was over `settle_ms` later; one that took longer counts when it was over, less
settle_ms. So every call counts once, and what counts before a time is known settle_ms after it, however long a call
takes: one that hangs is not overlooked.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tidegate.control.monitoring.exposures import Exposed, Scored

__all__ = ["NOTHING", "Rolled", "Stretch"]


class Stretch(NamedTuple):
    """Calls of a rollout that count in [from_ms, until_ms) (Unix ms). `once`: each call is a unit of its own, so that
    nothing before needs to be looked for.
    """

    rollout_id: str
    from_ms: int
    until_ms: int
    settle_ms: int
    once: bool = False


class Rolled(NamedTuple):
    """Calls in the order in which they count (`started_at_ms` is when), and their scores as they came in. `seen`: of
    which units calls counted before the stretch, in any arm. A unit's calls of an arm of one weight are left out where
    one counted before. Of copies, `copied` tells the user's call of each.
    """

    calls: Sequence[Exposed]
    scores: Sequence[Scored]
    seen: frozenset[str] = frozenset()
    copied: Mapping[str, Exposed] = {}


NOTHING = Rolled((), ())
