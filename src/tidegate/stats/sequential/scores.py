"""Means of scores in [0, 1], with few of them and no approximation: betting.

A gambler who believes the mean is above m bets on it: her capital K+ = product of (1 + l_t (X_t - m)), l_t chosen
from the scores before X_t alone, has expectation 1 when the mean is m and at most 1 when it is below, for every
distribution on [0, 1]. K- bets that it is below. What m she grows rich against is not the mean:
{m : max(K+(m), K-(m)) / 2 < 1/alpha} holds the mean at all times at once with chance >= 1 - alpha (Ville).

Bets: l_t = sqrt(2 log(2/alpha) / (v_{t-1} t log(1 + t))), v the running variance with one prior score at 1/2 of
variance 1/4, cut off at c/m for K+ and c/(1 - m) for K- so that a bet never takes all (c = 1/2).
K+ falls and K- rises in m, so the set is an interval; a grid of `cells` steps finds it, rounded outwards.

What it needs: scores come in an order that does not depend on their values, each with the same mean given those
before (units independent, as assigned; no drift). No burn-in: it holds from the first score.

Sources: Waudby-Smith & Ramdas 2024, doi:10.1093/jrsssb/qkad009 (hedged capital, predictable plug-in bets).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tidegate.stats.checks import BadSample, Floats, counts, finite, probability
from tidegate.stats.results import Interval
from tidegate.stats.sequential.evidence import Evidence

__all__ = [
    "BettingScores",
    "BettingState",
    "betting_evidence",
    "betting_sequence",
    "difference_by_union",
    "paired_difference",
]

_CAP = 0.5


@dataclass(frozen=True, slots=True)
class BettingState:
    """A BettingScores between two scores: what the next bet is made from, log K+ and log K- on the grid (last axis),
    and the narrowest bounds so far.
    """

    n: Floats
    total: Floats
    squares: Floats
    log_up: Floats
    log_down: Floats
    low: Floats
    high: Floats


class BettingScores:
    """A confidence sequence for the mean of scores in [0, 1], score by score.

    `level` in (0, 1); `cells` steps of the grid: bounds are rounded outwards by at most 1/cells. Raises BadSample. The
    object is only the plan: states are values, a state of several runs has them on axis 0.
    """

    __slots__ = ("_grid", "_needed", "cells", "level")

    def __init__(self, *, level: float = 0.95, cells: int = 500) -> None:
        self.level = float(probability("level", level))
        self.cells = int(counts("cells", cells, least=2))
        self._grid = np.linspace(0.0, 1.0, self.cells + 1)
        self._needed = float(np.log(2 / (1 - self.level)))

    def start(self, runs: int | None = None) -> BettingState:
        """Before the first score: the interval is [0, 1]; for one process, or for `runs` of them on axis 0."""
        shape = () if runs is None else (runs,)
        nothing, capital = np.zeros(shape), np.zeros((*shape, self.cells + 1))
        return BettingState(nothing, nothing, nothing, capital, capital, nothing, np.ones(shape))

    def update(self, state: BettingState, values: npt.ArrayLike) -> BettingState:
        """The state after the scores on the last axis, in their order; there may be none. Pure.

        Raises BadSample for a score outside [0, 1].
        """
        found = _scores("values", values)
        for at in range(found.shape[-1]):
            state = self._step(state, found[..., at])
        return state

    def interval(self, state: BettingState) -> Interval:
        """The narrowest interval so far. Should later scores contradict it altogether, which has chance <= 1 - level
        while the assumptions hold, it stays at the last one that was not empty.
        """
        return Interval(low=state.low, high=state.high, level=self.level)

    def path(self, values: npt.ArrayLike) -> Interval:
        """The intervals after each score on the last axis; other axes are runs of their own."""
        found = _scores("values", values)
        state = self.start() if found.ndim == 1 else self.start(found.shape[0])
        lows, highs = [], []
        for at in range(found.shape[-1]):
            state = self._step(state, found[..., at])
            lows.append(state.low)
            highs.append(state.high)
        if not lows:
            raise BadSample("values must be at least one")
        return Interval(low=np.stack(lows, axis=-1), high=np.stack(highs, axis=-1), level=self.level)

    def stored(self, state: BettingState) -> dict[str, Any]:
        """The state of one process and the plan it belongs to, as plain floats, lists and names."""
        found = {name: np.asarray(getattr(state, name)).tolist() for name in BettingState.__slots__}
        return {"level": self.level, "cells": self.cells, **found}

    def resumed(self, stored: Mapping[str, Any]) -> BettingState:
        """The state again; raises BadSample when it is of another level or grid."""
        if (stored.get("level"), stored.get("cells")) != (self.level, self.cells):
            raise BadSample("the stored state is of another level or grid: start a new sequence")
        state = BettingState(*(finite(name, stored.get(name, np.nan)) for name in BettingState.__slots__))
        if state.log_up.shape != self._grid.shape or state.log_down.shape != self._grid.shape:
            raise BadSample("log_up and log_down must be as many as cells, and one")
        return state

    def _step(self, state: BettingState, score: Floats) -> BettingState:
        bet = _bet(state.n, state.squares, 1 - self.level)[..., None]
        away = score[..., None] - self._grid
        log_up = state.log_up + np.log1p(_capped(bet, self._grid) * away)
        log_down = state.log_down + np.log1p(-_capped(bet, 1 - self._grid) * away)
        low = np.maximum((log_up >= self._needed).sum(axis=-1) - 1, 0) / self.cells
        high = 1 - np.maximum((log_down >= self._needed).sum(axis=-1) - 1, 0) / self.cells
        low, high = np.maximum(low, state.low), np.minimum(high, state.high)
        some = low <= high
        n, total, squares = _learned(state.n, state.total, state.squares, score)
        return BettingState(
            n, total, squares, log_up, log_down, np.where(some, low, state.low), np.where(some, high, state.high)
        )


def betting_sequence(values: npt.ArrayLike, *, level: float = 0.95, cells: int = 500) -> Interval:
    """The intervals for the mean after each of the scores on the last axis; BettingScores in one call.

    Domain: scores in [0, 1], at least one; one axis, or runs on axis 0. Raises BadSample. Unit: that of the score.
    """
    return BettingScores(level=level, cells=cells).path(values)


def betting_evidence(
    values: npt.ArrayLike, mean: float, *, alternative: Literal["greater", "less"] = "greater", alpha: float = 0.05
) -> Evidence:
    """The path of e-values against H0 "the mean is at most `mean`" (alternative "greater"), or "at least" ("less").

    K+ or K- of the module at m = mean, after each score on the last axis; `alpha` only sets the size of the bets.
    Domain: scores in [0, 1], mean in (0, 1); raises BadSample. For pairs give (1 + treatment - control) / 2.
    """
    if alternative not in ("greater", "less"):
        raise BadSample("alternative must be greater or less")
    found, middle = _scores("values", values), float(probability("mean", mean))
    sign, room = (1.0, middle) if alternative == "greater" else (-1.0, 1 - middle)
    spent = float(probability("alpha", alpha))
    n = total = squares = np.zeros(found.shape[:-1])
    steps = np.empty(found.shape)
    for at in range(found.shape[-1]):
        bet = _capped(_bet(n, squares, spent), np.asarray(room))
        steps[..., at] = np.log1p(sign * bet * (found[..., at] - middle))
        n, total, squares = _learned(n, total, squares, found[..., at])
    log_e = np.cumsum(steps, axis=-1)
    return Evidence(log_e, np.maximum(np.maximum.accumulate(log_e, axis=-1), 0.0))


def difference_by_union(control: Interval, treatment: Interval) -> Interval:
    """An interval for treatment minus control from one for each arm, however the arms' units interleave.

    (low_t - high_c, high_t - low_c); the chances to be wrong add: two of level 0.975 make one of 0.95. Wider than
    needed, valid whatever the dependence. Raises BadSample when nothing would be left of the level.
    """
    level = control.level + treatment.level - 1
    if level <= 0:
        raise BadSample("the levels leave nothing: each arm needs one above 1/2, such as 0.975")
    return Interval(low=treatment.low - control.high, high=treatment.high - control.low, level=level)


def paired_difference(
    control: npt.ArrayLike, treatment: npt.ArrayLike, *, level: float = 0.95, cells: int = 500
) -> Interval:
    """The intervals for mean treatment minus control after each pair on the last axis: both judged on the same input.

    betting_sequence of (1 + treatment - control) / 2, put back by 2 m - 1. Domain: scores in [0, 1], as many in both,
    else BadSample. Unit: that of the score.
    """
    c, t = _scores("control", control), _scores("treatment", treatment)
    if c.shape != t.shape:
        raise BadSample("control and treatment must be pairs: as many scores in both")
    found = betting_sequence((1 + t - c) / 2, level=level, cells=cells)
    return Interval(low=2 * found.low - 1, high=2 * found.high - 1, level=found.level)


def _bet(n: Floats, squares: Floats, alpha: float) -> Floats:
    at = n + 1
    return np.asarray(np.sqrt(2 * np.log(2 / alpha) / ((0.25 + squares) / at * at * np.log1p(at))))


def _capped(bet: Floats, room: Floats) -> Floats:
    """The bet, but at most c / room; where there is no room, nothing can be lost and the bet stands."""
    return np.asarray(np.minimum(bet * room, _CAP) / np.where(room > 0, room, 1.0) + np.where(room > 0, 0.0, bet))


def _learned(n: Floats, total: Floats, squares: Floats, score: Floats) -> tuple[Floats, Floats, Floats]:
    n, total = np.asarray(n + 1), np.asarray(total + score)
    return n, total, np.asarray(squares + np.square(score - (0.5 + total) / (n + 1)))


def _scores(name: str, values: npt.ArrayLike) -> Floats:
    found = np.atleast_1d(probability(name, np.asarray(values, dtype=np.float64), closed=True))
    if found.ndim > 2:
        raise BadSample(f"{name} must have one axis of scores, or two: runs and scores")
    return found
