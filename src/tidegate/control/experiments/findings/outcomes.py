"""From calls to outcomes: every unit is judged once, in one window, whatever comes later. Pure.

A unit comes in with its first call, `first`, and is judged at first + observe_s. What counts are its calls that started
by then and the scores that came in by then; with observe_s = 0 its first call, and scores that came before the window
of that call had ended. It belongs to the window in which it is judged. A window is given when it is over and all that
started in it has been written down: `settle_ms` and `GRACE_MS` later. A call that takes longer than settle_ms is left
out whenever one looks, else it would change what was said of its unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np
import numpy.typing as npt

from tidegate.control.experiments.findings.callvalues import (
    Calls,
    Whole,
    in_order,
    read_calls,
    scores_of,
    unit_values,
)
from tidegate.control.experiments.model import Definition, Metric
from tidegate.control.monitoring.exposures import Exposed, Exposures, Scored
from tidegate.stats.checks import Floats
from tidegate.stats.sequential.stratified import Moments

__all__ = [
    "GRACE_MS",
    "SETTLE_MS",
    "Arrivals",
    "Outcomes",
    "complete_windows",
    "covariates",
    "moments_of",
    "outcomes_of",
    "settle_ms",
]

GRACE_MS = 2000
"""What is over is in the store so much later."""

SETTLE_MS = 120_000
"""So long is waited for calls that are still under way when a window ends, but never longer than a window lasts."""

_FEWEST_FOR_THETA = 30
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Units as they came in, in the complete windows of their first calls: what the split is checked on."""

    variant: Whole
    window: Whole
    at_ms: Whole
    propensity: Floats

    @classmethod
    def none(cls) -> "Arrivals":
        """Nobody yet."""
        empty = np.zeros(0, dtype=np.int64)
        return cls(empty, empty, empty, np.zeros(0))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What the units of the complete `windows` did. Every array has an entry a unit: its variant's number and its
    window's (from 0), when it was judged, the propensity of its variant when it came, and by metric its value (NaN:
    none). `covariate`: what the primary metric was of it before the start; None without CUPED.

    `exposed` counts all units that came by variant, judged or not. `excluded` counts what was left out by why (`mixed`:
    units seen in two variants before they were judged; `unfinished`, `no_unit`, `unknown_variant`, `before_start`:
    calls). `switched` units were seen in another variant after they had been judged.
    """

    variant: Whole
    window: Whole
    at_ms: Whole
    propensity: Floats
    values: dict[str, Floats]
    covariate: Floats | None
    windows: int
    exposed: tuple[int, ...]
    excluded: dict[str, int]
    arrivals: Arrivals = field(default_factory=Arrivals.none)
    switched: int = 0

    def tables(self) -> dict[str, Moments]:
        """By metric the Moments of its values, of shape (variants, windows)."""
        return {name: self._table(values) for name, values in self.values.items()}

    def judged(self) -> Whole:
        """Units by variant and window, whether or not they have values."""
        return np.bincount(self._cell, minlength=self._cells).reshape(len(self.exposed), self.windows)

    def responders(self, metric: str) -> Whole:
        """Units with a value of the metric by variant and window."""
        known = ~np.isnan(self.values[metric])
        return np.bincount(self._cell[known], minlength=self._cells).reshape(len(self.exposed), self.windows)

    def adjusted(self, metric: str) -> Moments | None:
        """The metric's table after CUPED: values less theta times how far the unit's covariate lies from the usual.

        theta of a window comes from the windows before it (pooled within variants and windows), so that it was fixed
        before the window began: the difference of two variants keeps its expectation. None without a covariate.
        Deng, Xu, Kohavi & Walker 2013, doi:10.1145/2433396.2433413.
        """
        if self.covariate is None:
            return None
        values = self.values[metric]
        known = ~np.isnan(values)
        cell, y, x = self._cell[known], values[known], self.covariate[known]
        centred = [one - _cell_means(one, cell, self._cells)[cell] for one in (x, y)]
        within = [np.bincount(cell, centred[0] * one, minlength=self._cells) for one in centred]
        n = np.bincount(cell, minlength=self._cells)
        rows = [one.reshape(len(self.exposed), self.windows).sum(axis=0) for one in (*within, np.maximum(n - 1, 0))]
        squares, products, df = (np.concatenate([[0.0], np.cumsum(row)])[:-1] for row in rows)
        sure = (df >= _FEWEST_FOR_THETA) & (squares > 0)
        theta = np.where(sure, products / np.where(sure, squares, 1.0), 0.0)
        moved = np.where(known, values - theta[self.window] * self.covariate, np.nan)
        return self._table(moved)

    def _table(self, values: Floats) -> Moments:
        return moments_of(values, self._cell, (len(self.exposed), self.windows))

    @property
    def _cell(self) -> Whole:
        return np.asarray(self.variant * self.windows + self.window)

    @property
    def _cells(self) -> int:
        return len(self.exposed) * self.windows


def settle_ms(definition: Definition) -> int:
    """How long after a window's end calls may still be under way."""
    return min(definition.window_s * 1000, SETTLE_MS)


def complete_windows(definition: Definition, *, started_at_ms: int, now_ms: int, ended_at_ms: int | None = None) -> int:
    """How many windows can be given: over and written down, and over before the experiment ended."""
    until = now_ms - GRACE_MS - settle_ms(definition)
    if ended_at_ms is not None:
        until = min(until, ended_at_ms)
    return max(0, (until - started_at_ms) // (definition.window_s * 1000))


def outcomes_of(
    definition: Definition,
    exposures: Exposures,
    *,
    started_at_ms: int,
    now_ms: int,
    history: Exposures | None = None,
    ended_at_ms: int | None = None,
) -> Outcomes:
    """The outcomes at a time. `history` are the calls of the same units before the start, for CUPED."""
    calls, excluded = _in_experiment(definition, exposures.calls, started_at_ms, now_ms)
    windows = complete_windows(definition, started_at_ms=started_at_ms, now_ms=now_ms, ended_at_ms=ended_at_ms)
    names: dict[str, int] = {}
    unit = np.asarray([names.setdefault(one, len(names)) for one in calls.units], dtype=np.int64)
    arms = {one.name: at for at, one in enumerate(definition.variants)}
    arm_of_call = np.asarray([arms[one] for one in calls.variants], dtype=np.int64)
    first = np.zeros(len(names), dtype=np.int64)
    first[unit[::-1]] = np.arange(len(calls))[::-1]
    came, arm = calls.started_at_ms[first], arm_of_call[first]
    observe_ms, window_ms = definition.observe_s * 1000, definition.window_s * 1000
    judged = came + observe_ms
    window = (judged - started_at_ms) // window_ms

    early = calls.started_at_ms <= judged[unit] if observe_ms else np.arange(len(calls)) == first[unit]
    elsewhere = arm_of_call != arm[unit]
    mixed = _units_with(unit, early & elsewhere, len(names))
    later = _units_with(unit, elsewhere & ~early, len(names)) & ~mixed
    complete = window < windows
    kept = complete if definition.bandit is not None else complete & ~mixed
    if definition.bandit is None:
        excluded["mixed"] = int(mixed.sum())

    counted = early & ~elsewhere
    until = judged if observe_ms else started_at_ms + (window + 1) * window_ms - 1
    values = _values(
        definition.measured, (calls, exposures.scores, until[unit]), np.where(counted, unit, -1), len(names)
    )
    came_in = (came - started_at_ms) // window_ms
    given = came_in < windows
    return Outcomes(
        variant=arm[kept],
        window=window[kept],
        at_ms=judged[kept],
        propensity=calls.propensity[first][kept],
        values={name: one[kept] for name, one in values.items()},
        covariate=_covariate(definition, history, started_at_ms, list(compress(names, kept))),
        windows=windows,
        exposed=tuple(int(one) for one in np.bincount(arm, minlength=len(arms))),
        excluded={why: number for why, number in excluded.items() if number},
        arrivals=Arrivals(arm[given], came_in[given], came[given], calls.propensity[first][given]),
        switched=int(later.sum()),
    )


def covariates(metric: Metric, history: Exposures, started_at_ms: int, lookback_s: int) -> dict[str, float]:
    """What the metric was of each unit in the time before the start: its calls then, and their scores by then."""
    since = started_at_ms - lookback_s * 1000
    calls = read_calls(
        in_order([one for one in history.calls if one.unit and since <= one.started_at_ms < started_at_ms])
    )
    names: dict[str, int] = {}
    unit = np.asarray([names.setdefault(one, len(names)) for one in calls.units], dtype=np.int64)
    until = np.full(len(calls), started_at_ms - 1)
    values = _values((metric,), (calls, history.scores, until), unit, len(names))[metric.name]
    return {name: float(one) for name, one in zip(names, values, strict=True) if not np.isnan(one)}


def moments_of(values: Floats, cell: Whole, shape: tuple[int, int]) -> Moments:
    """The Moments of the values that are known in each cell; a cell whose values are all alike has squares of 0."""
    cells = shape[0] * shape[1]
    known = ~np.isnan(values)
    value, of = values[known], cell[known]
    n = np.bincount(of, minlength=cells)
    start = np.zeros(cells)
    start[of[::-1]] = value[::-1]
    moved = value - start[of]
    step = np.bincount(of, moved, minlength=cells) / np.maximum(n, 1)
    squares = np.bincount(of, np.square(moved - step[of]), minlength=cells)
    return Moments(n.reshape(shape), (start + step).reshape(shape), squares.reshape(shape))


def _cell_means(values: Floats, cell: Whole, cells: int) -> Floats:
    return np.asarray(np.bincount(cell, values, minlength=cells) / np.maximum(np.bincount(cell, minlength=cells), 1))


def _units_with(unit: Whole, flag: npt.NDArray[np.bool_], units: int) -> npt.NDArray[np.bool_]:
    """Which units have a call with the flag."""
    found = np.zeros(units, dtype=np.bool_)
    found[unit[flag]] = True
    return found


def _in_experiment(
    definition: Definition, calls: Sequence[Exposed], started_at_ms: int, now_ms: int
) -> tuple[Calls, dict[str, int]]:
    """The calls that can count, in order, and how many cannot by why."""
    longest = settle_ms(definition)
    arms = {one.name for one in definition.variants}
    excluded = {"mixed": 0, "no_unit": 0, "unknown_variant": 0, "before_start": 0, "unfinished": 0}
    kept: list[Exposed] = []
    for one in calls:
        if one.started_at_ms > now_ms:
            continue
        if not one.unit:
            excluded["no_unit"] += 1
        elif one.variant not in arms:
            excluded["unknown_variant"] += 1
        elif one.started_at_ms < started_at_ms:
            excluded["before_start"] += 1
        elif one.latency_ms > longest:
            excluded["unfinished"] += 1
        else:
            kept.append(one)
    return read_calls(in_order(kept)), excluded


def _values(
    metrics: Sequence[Metric], seen: tuple[Calls, Sequence[Scored], Whole], unit: Whole, units: int
) -> dict[str, Floats]:
    """By metric one value a unit; calls of unit -1 do not count."""
    calls, scores, until = seen
    counted = unit >= 0
    given = scores_of(scores, calls, until)
    nothing = np.full(len(calls), np.nan)
    found = {}
    for metric in metrics:
        column = calls.field(metric.field) if metric.source == "call" else given.get(metric.field, nothing)
        found[metric.name] = unit_values(metric, column[counted], unit[counted], units)
    return found


def _covariate(
    definition: Definition, history: Exposures | None, started_at_ms: int, units: Sequence[str]
) -> Floats | None:
    """Each unit's covariate less the mean of all units of the history; a unit that has none is taken for usual: 0."""
    if definition.cuped is None or history is None:
        return None
    primary = definition.metric(definition.primary)
    before = covariates(primary, history, started_at_ms, definition.cuped.lookback_s)
    if not before:
        return None
    usual = float(np.mean(list(before.values())))
    return np.asarray([before.get(one, usual) - usual for one in units], dtype=np.float64)
