"""Thresholds that a reference sets by its own windows, and how often they were wrong on windows they had not seen."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from tidegate.stats.checks import BadSample, Floats, finite, probability
from tidegate.stats.drift.distances import TIES, Rows, whole
from tidegate.stats.results import Interval

__all__ = ["Calibrated", "Ruler", "Threshold", "Verdict", "ruler"]

Ruler = Callable[[Rows], Callable[[Rows], float]]
"""From base rows to the function that measures a window from them: the base is read once. Kernel.distance_from and
centroid_from are such.
"""


def ruler(distance: Callable[[Rows, Rows], Any]) -> Ruler:
    """A Ruler of a function of two samples whose result is, or by `float` becomes, one number: `ks`, `wasserstein`."""
    return lambda base: lambda window: float(distance(base, window))


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a distance must exceed to be an alarm, from distances of windows in which nothing had happened.

    `null` are those, in time order. Of `looks` windows `false_alarms` would have raised one by the threshold of the
    windows before them alone; `rate` is the exact 95% interval of their share. Where few windows came before, the
    threshold is stricter than alpha: with 20 to 39 of them the share to be expected is 1/21 to 1/40, not 1/20.
    """

    value: float
    alpha: float
    null: Floats
    looks: int
    false_alarms: int
    rate: Interval

    @classmethod
    def of(cls, null: npt.ArrayLike, *, alpha: float = 0.05) -> Self:
        """From distances in time order, at least 1/alpha - 1 of them (19 for 0.05); else BadSample.

        With K distances the threshold is the ceil((1 - alpha)(K + 1))-th smallest. Then P(alarm) <= alpha for one more
        window that is exchangeable with those, whatever their distribution. Vovk, Gammerman & Shafer 2005,
        doi:10.1007/b106715.
        """
        distances = finite("null", null)
        level = float(probability("alpha", alpha))
        least = _least(level)
        if distances.ndim != 1 or distances.size < least:
            raise BadSample(f"null must be at least {least} distances for alpha = {level:g}")
        alarms = [
            bool(_beyond(distances[number], _cut(distances[:number], level))) for number in range(least, distances.size)
        ]
        rate = _exact_interval(sum(alarms), len(alarms))
        return cls(_cut(distances, level), level, distances, len(alarms), sum(alarms), rate)

    @property
    def holds(self) -> bool:
        """False when more windows than alpha allows were false alarms: the reference itself drifts, and the threshold
        promises nothing.
        """
        return float(self.rate.low) <= self.alpha

    def alarms(self, distance: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether each distance lies above the threshold: the same as a p-value of at most alpha."""
        return _beyond(finite("distance", distance), self.value)

    def p_value(self, distance: npt.ArrayLike) -> Floats:
        """(1 + #{null >= distance}) / (K + 1) for each distance: its rank among the reference's own windows."""
        found = finite("distance", distance)
        below = np.searchsorted(np.sort(self.null), found - TIES * np.abs(found))
        return np.asarray((1.0 + self.null.size - below) / (self.null.size + 1.0))


@dataclass(frozen=True, slots=True)
class Verdict:
    """One window: its distance, its rank among the reference's own windows, and whether that is an alarm."""

    distance: float
    p_value: float
    alarm: bool


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A distance with a threshold for windows of `size` rows or more.

    Every look at a window without drift is an alarm with chance alpha, and so is every further distance: over several,
    correct the p-values for their number or take a smaller alpha.
    """

    threshold: Threshold
    size: int
    measure: Callable[[Rows], float]

    @classmethod
    def in_order(
        cls, reference: npt.ArrayLike, size: int, distance: Ruler, *, base_share: float = 0.5, alpha: float = 0.05
    ) -> Self:
        """From a reference whose rows are in time order: its first part is the base, its later blocks are the windows.

        The base, `base_share` of the rows, is what windows are measured from, now and later. The rest is cut into
        blocks of `size` consecutive rows; each must be as a window in production will be, and at least 1/alpha - 1 of
        them are needed, else BadSample. So whatever changes between one block and the next without being drift is
        within the threshold; a random split would hide it and alarm at it for ever.
        """
        rows = _rows(reference)
        begin = max(1, round(len(rows) * float(probability("base_share", base_share))))
        ends = range(begin + whole("size", size), len(rows) + 1, size)
        least = _least(float(probability("alpha", alpha)))
        if len(ends) < least:
            raise BadSample(
                f"reference has {len(ends)} windows of {size} rows after its base, and alpha = {alpha:g} needs "
                f"{least}: give more rows, smaller windows or a greater alpha"
            )
        measure = distance(rows[:begin])
        return cls(Threshold.of([measure(rows[end - size : end]) for end in ends], alpha=alpha), size, measure)

    @classmethod
    def unordered(
        cls,
        reference: npt.ArrayLike,
        size: int,
        distance: Ruler,
        rng: np.random.Generator,
        *,
        windows: int = 199,
        alpha: float = 0.05,
    ) -> Self:
        """From a reference whose rows have no order: windows are drawn at random and measured from the rows left over.

        At most half of the rows go into a window, else BadSample. Right only when rows are independent and production's
        windows will be so too: else in_order. Its false alarms are counted on other draws of the same rows, so they say
        nothing of change over time.
        """
        rows = _rows(reference)
        if 2 * whole("size", size) > len(rows):
            raise BadSample(f"size must be at most {len(rows) // 2}, half the reference")
        null = []
        for _ in range(whole("windows", windows)):
            order = rng.permutation(len(rows))
            null.append(distance(rows[order[size:]])(rows[order[:size]]))
        return cls(Threshold.of(null, alpha=alpha), size, distance(rows))

    def judge(self, window: npt.ArrayLike) -> Verdict:
        """Measure a window; raises BadSample when it has fewer rows than the threshold is for."""
        rows = _rows(window)
        if len(rows) < self.size:
            raise BadSample(f"window has {len(rows)} rows, and the threshold is for {self.size} or more: wait for more")
        found = self.measure(rows)
        return Verdict(found, float(self.threshold.p_value(found)), bool(self.threshold.alarms(found)))


def _rows(values: npt.ArrayLike) -> Rows:
    found = np.asarray(values)
    if found.ndim < 1 or len(found) < 1:
        raise BadSample("rows must be given: shape (rows,) or (rows, columns)")
    return found


def _spared(alpha: float, number: int) -> int:
    """How many of so many windows and a new one may lie beyond: floor(alpha (number + 1)), but for rounding."""
    return int(np.floor(alpha * (number + 1) * (1.0 + 1e-12)))


def _least(alpha: float) -> int:
    """The fewest windows that can set a threshold at alpha."""
    least = max(1, int(np.ceil(1.0 / alpha)) - 2)
    while _spared(alpha, least) < 1:
        least += 1
    return least


def _cut(null: Floats, alpha: float) -> float:
    """The distance above which a new one is in the last alpha of the ranks."""
    place = null.size - _spared(alpha, null.size)
    return float(np.partition(null, place)[place])


def _beyond(distance: npt.ArrayLike, value: float) -> npt.NDArray[np.bool_]:
    """Above the value by more than rounding."""
    found = np.asarray(distance, dtype=np.float64)
    return np.asarray(found - TIES * np.abs(found) > value)


def _exact_interval(hits: int, looks: int, level: float = 0.95) -> Interval:
    """Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404; from 0 to 1 when nothing was looked at."""
    tail = (1.0 - level) / 2.0
    low = betaincinv(hits, looks - hits + 1, tail) if hits else 0.0
    high = betaincinv(hits + 1, looks - hits, 1.0 - tail) if hits < looks else 1.0
    return Interval(np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64), level)
