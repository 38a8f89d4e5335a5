"""Rates held against a bound that is no plain ratio of rare events: a fixed one (`bound_path`), or one on a line
through the control's rate (`line_path`): "the treatment succeeds at most 0.03 less often than the control".

One rate: the mixture of the likelihood ratios of a row of alternatives to the bound. Two: that of alternatives
(q_c, q_t) to points (p_c, p_t) of the line p_t = ratio p_c + margin, so laid in each window that each point is the one
of the line that is nearest to its alternative, in likelihood:

    n_c (q_c - p_c) / (p_c (1 - p_c)) + ratio n_t (q_t - p_t) / (p_t (1 - p_t)) = 0

Why it holds. The likelihood ratio of a window is a^x_t b^x_c / C, x the arms' events. For independent units whose
chances are p_t and p_c on average E[a^x_t b^x_c] is at most (1 + p_t (a - 1))^n_t (1 + p_c (b - 1))^n_c, by the
arithmetic and geometric means, and that is greatest on the line: off it, on the side of the hypothesis, it is less.
Along the line its logarithm is concave, the equation says that its derivative is 0 at the point, and there it is log C.
So the expectation of the factor is at most 1 whatever the rates are: exact for one unit, for rates near 0 and 1, for
rates that differ between units and drift between windows.

What it needs: units independent within a window; as `rates` for the rest (the unit is what was assigned, windows that
do not depend on their outcomes and are given once). Where the hypothesis is a ratio of rare events `rates` says the
same with fewer assumptions and, as it needs no guess of the base rate, sooner.

Sources: Robbins 1970, doi:10.1214/aoms/1177696786 (mixtures); Turner, Ly & Grünwald 2024,
doi:10.1016/j.jspi.2023.106116 (two by two tables at any time).
"""

import itertools
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.checks import BadSample, Floats, counts, finite, positive, probability
from tidegate.stats.sequential.evidence import Evidence
from tidegate.stats.sequential.rates import RateWindow

__all__ = ["BASES", "REACHES", "STEPS", "bound_interval", "bound_path", "line_path"]

Alternative = Literal["greater", "less"]

STEPS = (1.15, 1.35, 1.75, 2.5, 4.0, 10.0)
"""How many times the odds of the bound the odds may truly be (or one in so many), for one rate."""

BASES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99, 0.997, 0.999)
"""What the control's rate may be, for two: a guess that is three times too high or low costs little."""

REACHES = (0.5, 1.0, 2.0)
"""How far off the line the treatment's rate may truly be, in distances between the line and "no difference"."""

_BISECTIONS = 50
_EDGE = 1e-12
_ROOM = 0.9
"""How far an alternative may go towards a rate of 0 or 1, as a share of the way."""


def bound_path(
    events: npt.ArrayLike, n: npt.ArrayLike, bound: float, *, alternative: Alternative = "greater"
) -> Evidence:
    """The path of evidence against H0 "the rate is at most `bound`" ("greater"), or "at least" ("less").

    Windows lie on the last axis, other axes are runs; a window without units says nothing, their order does not matter
    for the last value. Whole numbers, events at most n, bound between 0 and 1; raises BadSample.
    """
    seen, units = _counted(events, n)
    total, whole = np.cumsum(seen, axis=-1), np.cumsum(units, axis=-1)
    return _risen(_log_bound(total, whole, np.asarray(float(probability("bound", bound))), alternative))


def bound_interval(events: npt.ArrayLike, n: npt.ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """The bounds that neither side of `bound_path` has rejected with these events of n: low and high, at all times.

    Each side spends (1 - level) / 2. From 0 to 1 where nothing is known. Same domain, no window axis; broadcasts.
    """
    seen, units = _counted(np.asarray(events)[..., None], np.asarray(n)[..., None])
    needed = np.log(2 / (1 - float(probability("level", level))))
    found = []
    sides: tuple[tuple[Alternative, bool], ...] = (("greater", True), ("less", False))
    for alternative, rising in sides:
        below, above = np.full(seen.shape, -25.0), np.full(seen.shape, 25.0)  # of log odds
        for _ in range(_BISECTIONS):
            middle = (below + above) / 2
            rejected = _log_bound(seen, units, special.expit(middle), alternative) >= needed
            below = np.where(rejected == rising, middle, below)
            above = np.where(rejected == rising, above, middle)
        found.append((below[..., 0], above[..., 0]))
    (low, _), (_, high) = found
    return np.where(low <= -25.0, 0.0, special.expit(low)), np.where(high >= 25.0, 1.0, special.expit(high))


def line_path(
    windows: RateWindow, *, ratio: float = 1.0, margin: float = 0.0, alternative: Alternative = "greater"
) -> Evidence:
    """The path of evidence against H0 "p_t <= ratio p_c + margin" ("greater"), or ">=" ("less"), in each window.

    Windows lie on the last axis. The line must be off "no difference" to the side of the hypothesis, as the line of
    "not worse by more than a margin" is: that is where the alternatives are laid. Ratio above 0, margin finite; raises
    BadSample, also when there is no alternative (a margin of 1 and more).
    """
    slope, lift = float(positive("ratio", ratio)), float(finite("margin", margin))
    if alternative not in ("greater", "less"):
        raise BadSample("alternative must be greater or less")
    shape = np.broadcast_shapes(*(np.shape(getattr(windows, name)) for name in RateWindow.__slots__))
    if not shape:
        raise BadSample("windows must lie on an axis")
    used = (windows.n_c > 0) & (windows.n_t > 0)
    found = np.full(shape, -np.inf)
    mixed = list(itertools.product(_places(slope, lift, alternative), REACHES))
    for place, reach in mixed:
        log_e = np.cumsum(np.where(used, _log_line(windows, place, slope, reach), 0.0), axis=-1)
        found = np.logaddexp(found, log_e)
    return _risen(found - np.log(len(mixed)))


def _places(slope: float, lift: float, alternative: Alternative) -> list[tuple[float, float]]:
    """The points of the line from which "no difference" lies beyond it."""
    line = [(base, slope * base + lift) for base in BASES]
    found = [(p_c, p_t) for p_c, p_t in line if 0 < p_t < 1 and (p_t < p_c if alternative == "greater" else p_t > p_c)]
    if not found:
        raise BadSample("margin leaves no rate between it and no difference: it must be on the hypothesis' side")
    return found


def _log_line(windows: RateWindow, place: tuple[float, float], slope: float, reach: float) -> Floats:
    """log of each window's likelihood ratio of the alternative `reach` distances off the line to the place on it."""
    (p_c, p_t), share = place, slope * windows.n_t / np.maximum(windows.n_c, 1.0)
    varies_c, varies_t = p_c * (1 - p_c), p_t * (1 - p_t)
    tilt = reach * (p_c - p_t) / (varies_t + slope * share * varies_c)
    room = np.minimum(1 / p_t, 1 / np.maximum(share * (1 - p_c), _EDGE))
    depth = np.minimum(1 / (1 - p_t), 1 / np.maximum(share * p_c, _EDGE))
    tilt = np.clip(tilt, -_ROOM * depth, _ROOM * room)
    more_t, more_c = tilt * varies_t, -share * tilt * varies_c
    return np.asarray(
        windows.events_t * np.log1p(more_t / p_t)
        + (windows.n_t - windows.events_t) * np.log1p(-more_t / (1 - p_t))
        + windows.events_c * np.log1p(more_c / p_c)
        + (windows.n_c - windows.events_c) * np.log1p(-more_c / (1 - p_c))
    )


def _log_bound(events: Floats, n: Floats, bound: Floats, alternative: Alternative) -> Floats:
    if alternative not in ("greater", "less"):
        raise BadSample("alternative must be greater or less")
    odds = np.log(bound) - np.log1p(-bound)
    sign = 1.0 if alternative == "greater" else -1.0
    found = np.full(np.broadcast_shapes(events.shape, bound.shape), -np.inf)
    for step in STEPS:
        moved = sign * np.log(step)
        found = np.logaddexp(found, events * moved + n * (special.log_expit(-odds - moved) - np.log1p(-bound)))
    return np.asarray(found - np.log(len(STEPS)))


def _risen(log_e: Floats) -> Evidence:
    return Evidence(log_e, np.maximum(np.maximum.accumulate(log_e, axis=-1), 0.0))


def _counted(events: npt.ArrayLike, n: npt.ArrayLike) -> tuple[Floats, Floats]:
    seen, units = np.broadcast_arrays(counts("events", events), counts("n", n))
    if seen.ndim == 0:
        raise BadSample("windows must lie on an axis")
    if np.any(seen > units):
        raise BadSample("events must not be more than n: count at most one event a unit")
    return seen, units
