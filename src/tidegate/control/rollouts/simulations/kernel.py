"""`step` for many rollouts at a time: canary stages, the split as it was meant, no people. A property test holds it to
`step` and `moved`, move for move. Arrays have an entry a rollout.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.control.rollouts.model import Plan
from tidegate.control.rollouts.step import BROKEN_SPLIT

__all__ = [
    "INCONCLUSIVE",
    "NEVER",
    "PAUSED",
    "PROMOTED",
    "ROLLED_BACK",
    "RUNNING",
    "STATES",
    "Looks",
    "Standing",
    "Walk",
    "begun",
    "look",
    "walk_of",
]

Whole = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

STATES = ("running", "paused", "inconclusive", "promoted", "rolled_back")
RUNNING, PAUSED, INCONCLUSIVE, PROMOTED, ROLLED_BACK = range(5)

NEVER = -1
"""`seen_at_ms` of a rollout of whose candidate nothing has been judged yet."""

_ENDLESS = np.iinfo(np.int64).max // 4


class Walk(NamedTuple):
    """The canary stages of a plan as arrays, an entry a stage; `needs` by stage and metric of `metrics`."""

    share_bp: Whole
    hold_ms: Whole
    longest_ms: Whole
    min_units: Whole
    needs: Bools
    metrics: tuple[str, ...]
    stale_ms: int
    pauses: bool


class Standing(NamedTuple):
    """Where rollouts stand: the number of their state in STATES, their stage, and when (ms) they came into it."""

    state: Whole
    stage: Whole
    entered_ms: Whole


class Looks(NamedTuple):
    """What is known at one look at each. `breached`: any gate that blocks; `holds` by metric; `units` of its stage."""

    at_ms: Whole
    breached: Bools
    holds: Bools
    units: Whole
    seen_at_ms: Whole
    split_p: Floats

    def of(self, some: Whole) -> "Looks":
        """Those of some rollouts."""
        return Looks(
            self.at_ms[some],
            self.breached[some],
            self.holds[some],
            self.units[some],
            self.seen_at_ms[some],
            self.split_p[some],
        )


def walk_of(plan: Plan) -> Walk:
    """The plan's canary stages; its other stages are taken as passed."""
    stages = [one for one in plan.stages if one.kind == "canary"]
    metrics = tuple(dict.fromkeys(gate.metric for gate in plan.gates))
    return Walk(
        share_bp=np.asarray([one.share_bp for one in stages], dtype=np.int64),
        hold_ms=np.asarray([one.hold_s * 1000 for one in stages], dtype=np.int64),
        longest_ms=np.asarray(
            [_ENDLESS if one.max_hold_s is None else one.max_hold_s * 1000 for one in stages], dtype=np.int64
        ),
        min_units=np.asarray([one.min_units for one in stages], dtype=np.int64),
        needs=np.asarray([[name in one.needs for name in metrics] for one in stages], dtype=np.bool_).reshape(
            len(stages), len(metrics)
        ),
        metrics=metrics,
        stale_ms=plan.stale_after_s * 1000,
        pauses=plan.on_breach == "pause",
    )


def begun(runs: int, at_ms: int = 0) -> Standing:
    """So many rollouts at the beginning of their first stage."""
    return Standing(*(np.full(runs, value, dtype=np.int64) for value in (RUNNING, 0, at_ms)))


def look(walk: Walk, standing: Standing, seen: Looks) -> Standing:
    """Where they stand after the look."""
    state, stage, entered = standing
    live = (state == RUNNING) | (state == PAUSED) | (state == INCONCLUSIVE)
    running = state == RUNNING
    elapsed = np.maximum(seen.at_ms - entered, 0)
    fresh = (seen.seen_at_ms != NEVER) & (seen.at_ms - seen.seen_at_ms <= walk.stale_ms)
    silent = seen.at_ms - np.maximum(entered, seen.seen_at_ms) > walk.stale_ms
    ready = (elapsed >= walk.hold_ms[stage]) & (seen.units >= walk.min_units[stage]) & fresh
    ready &= (seen.holds | ~walk.needs[stage]).all(axis=-1)
    last = stage == walk.share_bp.size - 1

    back = live & seen.breached & (not walk.pauses)
    halted = (running | (state == INCONCLUSIVE)) & seen.breached & walk.pauses
    due = running & ~back & ~halted & (seen.at_ms >= entered)
    broken = due & (seen.split_p < BROKEN_SPLIT)
    stale = due & ~broken & silent
    due &= ~broken & ~stale
    onward = due & ready
    late = due & ~ready & (elapsed >= walk.hold_ms[stage]) & (elapsed >= walk.longest_ms[stage])

    state = np.select(
        [back, halted | broken | stale, onward & last, late], [ROLLED_BACK, PAUSED, PROMOTED, INCONCLUSIVE], state
    )
    moves = onward & ~last
    return Standing(state, stage + moves, np.where(moves, seen.at_ms, entered))
