"""Many simulated rollouts on their way: windows are drawn, the real gates judge all windows so far, and every look is
decided by `decide`, which is the kernel, or, as the benchmark has it, `step` itself.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.control.gates.judge import judge
from tidegate.control.rollouts.model import Plan
from tidegate.control.rollouts.simulations import kernel
from tidegate.control.rollouts.simulations.drawing import Drawing
from tidegate.control.rollouts.simulations.kernel import NEVER, RUNNING, Looks, Standing, Walk
from tidegate.stats.sequential.stratified import Moments

__all__ = ["Decide", "Ended", "Ticking", "joined_ends", "walked"]

Whole = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

LONGEST_STRETCH = 96
"""Windows that are drawn and judged at once, at most; those after a move are drawn anew."""
SHORTEST_STRETCH = 6

_UNSPLIT = 1.0


class Ticking(NamedTuple):
    """Looks are every `tick_s`, at windows as long, each known `lag_s` after its end."""

    tick_s: int
    lag_s: int = 0


class Seen(NamedTuple):
    """Judged windows of some rollouts: by gate whether it is breached and whether it holds, (rollouts, windows)."""

    breached: dict[int, Bools]
    holds: dict[int, Bools]


class Ended(NamedTuple):
    """Where rollouts ended (numbers of kernel.STATES), after how many ms, how many units the candidate had served by
    then, the gates that were breached (rollouts, gates), and in which stage.
    """

    state: Whole
    after_ms: Whole
    served: Whole
    breached: Bools
    stage: Whole


Decide = Callable[[Standing, Looks, Bools], Standing]
"""Where rollouts stand after a look; the last is `breached` by gate."""


class _Paths:
    """Windows so far of every rollout, each at its own place: room that grows. Empty windows come last."""

    def __init__(self, runs: int, metrics: tuple[str, ...]) -> None:
        self.length = np.zeros(runs, dtype=np.int64)
        self.units = np.zeros((runs, 0))
        self._rows = {(name, arm): np.zeros((3, runs, 0)) for name in metrics for arm in (0, 1)}

    def append(self, rows: Whole, n_t: Whole, found: dict[str, tuple[Moments, Moments]]) -> Whole:
        """Write windows behind those of some rollouts; returns their places, (rollouts, windows)."""
        places = self.length[rows, None] + np.arange(n_t.shape[1])
        self._room(int(places.max()) + 1)
        self.units[rows[:, None], places] = n_t
        for (name, arm), room in self._rows.items():
            one = found[name][arm]
            for number, figures in enumerate((one.n, one.mean, one.squares)):
                room[number, rows[:, None], places] = figures
        return places

    def keep(self, rows: Whole, length: Whole) -> None:
        """So many windows count of some rollouts; what stands behind them is as if it never was."""
        self.length[rows] = length
        gone = np.arange(self.units.shape[1]) >= length[:, None]
        self.units[rows] = np.where(gone, 0, self.units[rows])
        for room in self._rows.values():
            room[:, rows] = np.where(gone, 0.0, room[:, rows])

    def moments(self, name: str, arm: int, rows: Whole, until: int) -> Moments:
        """The windows of a metric in an arm."""
        return Moments(*(figures[rows, :until] for figures in self._rows[name, arm]))

    def _room(self, windows: int) -> None:
        missing = windows - self.units.shape[1]
        if missing > 0:
            self.units = np.pad(self.units, ((0, 0), (0, missing)))
            self._rows = {key: np.pad(room, ((0, 0), (0, 0), (0, missing))) for key, room in self._rows.items()}


def walked(
    plan: Plan, drawing: Drawing, ticking: Ticking, random: np.random.Generator, how: tuple[int, Decide | None]
) -> Ended:
    """So many rollouts from the first canary stage to their end. `how`: the number of runs, and what decides (None:
    the kernel).
    """
    runs, decide = how
    walk = kernel.walk_of(plan)
    chosen: Decide = decide or (lambda standing, seen, _: kernel.look(walk, standing, seen))
    paths = _Paths(runs, tuple(drawing.expected))
    standing = kernel.begun(runs)
    caught = np.zeros((runs, len(plan.gates)), dtype=np.bool_)
    before = np.zeros(runs, dtype=np.int64)  # windows before the stage
    stretch = SHORTEST_STRETCH
    while (rows := np.flatnonzero(standing.state == RUNNING)).size:
        width = _width(walk, standing, ticking, (rows, paths.length[rows], stretch))
        share = np.broadcast_to(walk.share_bp[standing.stage[rows], None] / 10_000, (rows.size, width))
        _, n_t, found = drawing.windows(random, share, rows)
        places = paths.append(rows, n_t, found)
        seen = _judged(plan, paths, rows, int(places.max()) + 1)
        now = Standing(*(one[rows] for one in standing))
        after, length, breached = _looked((plan, walk, chosen), now, paths, (rows, places, seen, before[rows]), ticking)
        moved_on = after.stage != now.stage
        stretch = SHORTEST_STRETCH if moved_on.any() else min(stretch * 2, LONGEST_STRETCH)
        paths.keep(rows, length)
        before[rows] = np.where(moved_on, length, before[rows])
        for whole, part in zip(standing, after, strict=True):
            whole[rows] = part
        over = after.state != RUNNING
        caught[rows[over]] = breached[over]
    after_ms = (paths.length * ticking.tick_s + ticking.lag_s) * 1000
    return Ended(standing.state, after_ms, paths.units.sum(axis=1).astype(np.int64), caught, standing.stage)


def joined_ends(parts: list[Ended]) -> Ended:
    """Several as one."""
    return Ended(
        np.concatenate([one.state for one in parts]),
        np.concatenate([one.after_ms for one in parts]),
        np.concatenate([one.served for one in parts]),
        np.concatenate([one.breached for one in parts]),
        np.concatenate([one.stage for one in parts]),
    )


def _width(walk: Walk, standing: Standing, ticking: Ticking, those: tuple[Whole, Whole, int]) -> int:
    """How many windows until the last of them may leave its stage, or so many as are tried at once."""
    rows, length, stretch = those
    at_ms = (length * ticking.tick_s + ticking.lag_s * (length > 0)) * 1000
    left_ms = standing.entered_ms[rows] + walk.hold_ms[standing.stage[rows]] - at_ms
    ticks = -(-left_ms // (ticking.tick_s * 1000))
    return int(np.clip(np.maximum(ticks, stretch if (ticks <= 0).any() else 1).max(), 1, LONGEST_STRETCH))


def _judged(plan: Plan, paths: _Paths, rows: Whole, until: int) -> Seen:
    breached, holds = {}, {}
    for number, gate in enumerate(plan.gates):
        control, candidate = (paths.moments(gate.metric, arm, rows, until) for arm in (0, 1))
        found = judge(gate, control, candidate, alpha=plan.alpha)
        breached[number], holds[number] = found.breached, found.holds
    return Seen(breached, holds)


def _looked(
    by: tuple[Plan, Walk, Decide],
    now: Standing,
    paths: _Paths,
    those: tuple[Whole, Whole, Seen, Whole],
    ticking: Ticking,
) -> tuple[Standing, Whole, Bools]:
    """Where they stand after the windows at `places`, each at its first move; how many windows it then had, and which
    gates were breached.
    """
    plan, walk, decide = by
    rows, places, seen, before = those
    each = np.arange(rows.size)
    length = places[:, 0].copy()
    breached = np.zeros((rows.size, len(plan.gates)), dtype=np.bool_)
    units = np.cumsum(paths.units[rows], axis=1)
    earlier = np.where(before > 0, units[each, np.maximum(before - 1, 0)], 0)
    newest = _newest(paths.units[rows])
    going, after = np.ones(rows.size, dtype=np.bool_), now
    for column in range(places.shape[1]):
        if not going.any():
            break
        at = places[:, column]
        flags = np.stack([one[each, at] for one in seen.breached.values()], axis=-1) if seen.breached else breached
        looks = Looks(
            at_ms=((at + 1) * ticking.tick_s + ticking.lag_s) * 1000,
            breached=_any_blocking(plan, flags),
            holds=_holds(plan, walk, seen, (each, at)),
            units=(units[each, at] - earlier).astype(np.int64),
            seen_at_ms=np.where(newest[each, at] == NEVER, NEVER, (newest[each, at] + 1) * ticking.tick_s * 1000),
            split_p=np.full(rows.size, _UNSPLIT),
        )
        some = np.flatnonzero(going)
        part = decide(Standing(*(one[some] for one in after)), looks.of(some), flags[some])
        changed = Standing(*(one.copy() for one in after))
        for whole, new in zip(changed, part, strict=True):
            whole[some] = new
        length = np.where(going, at + 1, length)
        going_now = going
        going = going & (changed.state == after.state) & (changed.stage == after.stage)
        ends = going_now & (changed.state != after.state)
        breached = np.where(ends[:, None], flags, breached)
        after = changed
    return after, length, breached


def _newest(units: Floats) -> Whole:
    """The number of the newest window with a unit of the candidate, up to each window."""
    numbers = np.where(units > 0, np.arange(units.shape[1]), NEVER)
    return np.maximum.accumulate(numbers, axis=1)


def _any_blocking(plan: Plan, flags: Bools) -> Bools:
    blocks = np.asarray([gate.block for gate in plan.gates], dtype=np.bool_)
    return np.asarray((flags & blocks).any(axis=-1))


def _holds(plan: Plan, walk: Walk, seen: Seen, at: tuple[Whole, Whole]) -> Bools:
    """By metric: every gate of it that blocks holds, and none is breached."""
    found = np.ones((at[0].size, len(walk.metrics)), dtype=np.bool_)
    for number, gate in enumerate(plan.gates):
        column = walk.metrics.index(gate.metric)
        if gate.block or not any(one.block for one in plan.gates if one.metric == gate.metric):
            found[:, column] &= seen.holds[number][at] & ~seen.breached[number][at]
    return found
