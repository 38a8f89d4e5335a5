"""The rules that people write first, as the contrast. Each says whether it fires at each look: (runs, windows)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy import special

from bench.statistics.plan import ALPHA, ERRORS, LOOKS, STAGE, Bools, Floats
from tidegate.stats.sequential.rates import RateWindow

TIMES = 1.5
LEAST_UNITS = 100
CHECKS = 5

Rule = Callable[[RateWindow], Bools]


def stratified_z(seen: RateWindow) -> Floats:
    """Mantel and Haenszel's z of all windows so far, one-sided for harm; 0 while there were no events."""
    n = np.asarray(seen.n_c + seen.n_t)
    x = seen.events_c + seen.events_t
    expected = x * seen.n_t / n
    spread = seen.n_c * seen.n_t / n**2 * x * (n - x) / (n - 1)
    apart, variance = np.cumsum(seen.events_t - expected, axis=-1), np.cumsum(spread, axis=-1)
    return np.asarray(apart / np.sqrt(np.where(variance > 0, variance, np.inf)))


def _worse(x_c: npt.ArrayLike, n_c: npt.ArrayLike, x_t: npt.ArrayLike, n_t: npt.ArrayLike) -> Bools:
    """More than 1.5 times the control's rate; with no error in the control, one in the candidate is enough."""
    return np.asarray(np.asarray(x_t) * np.asarray(n_c) > TIMES * np.asarray(x_c) * np.asarray(n_t))


def _window(seen: RateWindow) -> Bools:
    return _worse(seen.events_c, seen.n_c, seen.events_t, seen.n_t)


def _historical(seen: RateWindow) -> Bools:
    """Against a rate that was recorded earlier, as if it were known."""
    return np.asarray(seen.events_t > TIMES * ERRORS * seen.n_t)


def _enough(seen: RateWindow) -> Bools:
    return np.asarray(_window(seen) & (seen.n_t >= LEAST_UNITS))


def _stage_so_far(seen: RateWindow) -> Bools:
    return np.concatenate([_worse(*_cumulated(seen, stage == STAGE)) for stage in np.unique(STAGE)], axis=-1)


def _stage_end(seen: RateWindow) -> Bools:
    ends = np.append(np.diff(STAGE) > 0, True)
    return np.asarray(_stage_so_far(seen) & ends)


def _three_in_a_row(seen: RateWindow) -> Bools:
    bad = _window(seen)
    fires = np.zeros_like(bad)
    fires[..., 2:] = bad[..., 2:] & bad[..., 1:-1] & bad[..., :-2]
    return fires


def _five_failed(seen: RateWindow) -> Bools:
    return np.asarray(np.cumsum(_window(seen), axis=-1) >= CHECKS)


def _peeking(seen: RateWindow) -> Bools:
    return np.asarray(stratified_z(seen) > -special.ndtri(0.05))


def _bonferroni(seen: RateWindow) -> Bools:
    return np.asarray(stratified_z(seen) > -special.ndtri(ALPHA / LOOKS))


def _cumulated(seen: RateWindow, inside: Bools) -> tuple[Floats, ...]:
    parts = (seen.events_c, seen.n_c, seen.events_t, seen.n_t)
    return tuple(np.asarray(np.cumsum(one[..., inside], axis=-1)) for one in parts)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "N0 window > 1.5 x last week's 1%": _historical,
        "N1 window > 1.5 x control": _window,
        "N2 the same, from 100 units on": _enough,
        "N3 stage so far > 1.5 x": _stage_so_far,
        "N4 only at a stage's end": _stage_end,
        "N5 3 windows in a row": _three_in_a_row,
        "N6 5 failed checks": _five_failed,
        "N7 z-test p < 0.05 at every look": _peeking,
        "N8 z-test, alpha / 39 looks": _bonferroni,
    }
)
