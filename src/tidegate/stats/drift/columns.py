"""Distances between single numbers such as lengths, latencies and scores: Kolmogorov-Smirnov and Wasserstein.

Both read the same walk: over all values in order, up by one step for a value of the reference, down by one for a value
of the window. Values of shape (rows, columns) give one distance for each column.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.special import kolmogorov

from tidegate.stats.checks import BadSample, Floats
from tidegate.stats.drift.distances import Distance, columns, rank_p_value, whole

__all__ = ["ks", "wasserstein"]

EXACT_PATHS = 4_000_000
EXACT_STEPS = 10_000
"""Up to this product and this sum of the two sizes the p-value of Kolmogorov-Smirnov is counted, not approximated."""

AT_ONCE = 2_000_000
"""Steps of permuted walks that are held at one time (16 MB)."""

Steps = npt.NDArray[np.int64]


def ks(reference: npt.ArrayLike, window: npt.ArrayLike, *, test: bool = True) -> Distance:
    """The greatest gap between the two empirical distribution functions, with its p-value.

    D = sup |F_reference(x) - F_window(x)|, 0 to 1, no unit. Values: (rows,) or (rows, columns), at least one row each;
    else BadSample. The p-value is two-sided: exact by counting lattice paths while the sizes' sum is at most 10,000 and
    their product 4,000,000 (Hodges 1958, doi:10.1007/BF02589501), else Kolmogorov's limit at D sqrt(n m / (n + m)),
    which is too great where one sample is small. Where values are tied it is an upper bound. Columns are tested one by
    one: correct for their number. Without `test` the p-value is None, and nothing is counted.
    """
    known, seen = _pair(reference, window)
    n, m = len(known), len(seen)
    heights = np.array([_height(*_walk(*pair)) for pair in _sorted_columns(known, seen)], dtype=np.int64)
    distance = heights / (float(n) * m)
    p_value = _shaped(_chance(heights, n, m), reference) if test else None
    return Distance(_shaped(distance, reference), p_value, n, m, "Kolmogorov-Smirnov, greatest gap of shares")


def wasserstein(
    reference: npt.ArrayLike,
    window: npt.ArrayLike,
    *,
    rng: np.random.Generator | None = None,
    permutations: int = 999,
) -> Distance:
    """How far values must move, on average, to turn one distribution into the other, in reference standard deviations.

    W = integral |F_reference(x) - F_window(x)| dx / sd(reference), with n - 1 below the variance; at least 0, no upper
    bound. A constant reference gives 0 when the window is the same constant and infinity otherwise. Values: (rows,) or
    (rows, columns), at least two rows of reference and one of window; else BadSample. With `rng` the p-value is
    rank_p_value over `permutations` exchanges of rows (the same ones for all columns): valid where rows are
    exchangeable. Vallender 1974, doi:10.1137/1118101.
    """
    known, seen = _pair(reference, window, least=2)
    n, m = len(known), len(seen)
    area = np.array([_area(*_walk(*pair)) for pair in _sorted_columns(known, seen)]) / (float(n) * m)
    p_value: Floats | None = None
    if rng is not None:
        drawn = _permuted_areas(np.concatenate([known, seen]), n, rng, whole("permutations", permutations))
        p_value = _shaped(rank_p_value(area, drawn), reference)
    spread = known.std(axis=0, ddof=1)
    spread[known.min(axis=0) == known.max(axis=0)] = 0.0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scaled = np.where(area > 0.0, area / spread, 0.0)
    return Distance(_shaped(scaled, reference), p_value, n, m, "Wasserstein, in standard deviations of the reference")


def _pair(reference: npt.ArrayLike, window: npt.ArrayLike, least: int = 1) -> tuple[Floats, Floats]:
    known, seen = columns("reference", reference, least), columns("window", window)
    if known.shape[1] != seen.shape[1]:
        raise BadSample(f"window has {seen.shape[1]} columns and reference {known.shape[1]}: they must be the same")
    return known, seen


def _sorted_columns(known: Floats, seen: Floats) -> Iterator[tuple[Floats, Floats]]:
    return ((np.sort(known[:, one]), np.sort(seen[:, one])) for one in range(known.shape[1]))


def _shaped(values: Floats, like: npt.ArrayLike) -> Floats:
    """One number for one-dimensional values, else one for each column."""
    return np.asarray(values[0]) if np.ndim(like) == 1 else np.asarray(values)


def _walk(known: Floats, seen: Floats) -> tuple[Floats, Steps]:
    """All values in order, and after each one n m (F_reference - F_window): whole numbers, so ties stay ties."""
    values = np.concatenate([known, seen])
    order = np.argsort(values, kind="stable")  # two sorted runs are only merged
    steps = np.where(order < len(known), len(seen), -len(known)).astype(np.int64)
    return values[order], np.cumsum(steps)


def _height(values: Floats, walk: Steps) -> int:
    """The greatest distance of the walk from 0, looked at only after the last of equal values."""
    last = np.append(values[1:] != values[:-1], True)
    return int(np.abs(walk[last]).max())


def _area(values: Floats, walk: Steps) -> float:
    return float(np.sum(np.abs(walk[:-1]) * np.diff(values)))


def _chance(heights: Steps, n: int, m: int) -> Floats:
    """How often walks of one distribution reach each height: counted, or in the limit."""
    if n * m > EXACT_PATHS or n + m > EXACT_STEPS:
        return np.asarray(kolmogorov(heights / np.sqrt(float(n) * m * (n + m))))
    levels, where = np.unique(heights, return_inverse=True)
    return _paths_that_reach(levels, min(n, m), max(n, m))[where]


def _paths_that_reach(levels: Steps, n: int, m: int) -> Floats:
    """For each level, the share of all walks with n steps of +m and m of -n that ever are so far from 0.

    Of all walks with i up among their first s steps, the last step was up in i / s of them. So the share that has
    reached the level is followed from s to s + 1, for all i at once: sums of positive numbers, accurate however small.
    """
    ups = np.arange(n + 1)
    top = int(levels.max())
    reached = np.zeros((len(levels), n + 3))  # column i + 1 is i ups
    reached[levels == 0, 1] = 1.0
    for taken in range(1, n + m + 1):
        low = max(0, taken - m, -((top - taken * n) // (n + m)))  # all beyond these two have reached every level
        high = min(n, taken, (top + taken * n) // (n + m))
        part = ups[low : high + 1]
        share = part / taken
        here = share * reached[:, low : high + 1] + (1.0 - share) * reached[:, low + 1 : high + 2]
        here[np.abs(part * m - (taken - part) * n) >= levels[:, np.newaxis]] = 1.0
        reached[:, low + 1 : high + 2] = here
        reached[:, low] = reached[:, high + 2] = 1.0
    return np.asarray(np.minimum(reached[:, n + 1], 1.0))


def _permuted_areas(values: Floats, n: int, rng: np.random.Generator, permutations: int) -> Floats:
    """The areas under the walks when rows change sides at random; shape (permutations, columns)."""
    total = len(values)
    order = np.argsort(values, axis=0, kind="stable")
    widths = np.diff(np.take_along_axis(values, order, axis=0), axis=0)
    batch = max(1, AT_ONCE // total)
    found = np.empty((permutations, values.shape[1]))
    sides = np.where(np.arange(total) < n, total - n, -n).astype(np.int64)
    for begin in range(0, permutations, batch):
        some = min(batch, permutations - begin)
        moved = rng.permuted(np.tile(sides, (some, 1)), axis=1)
        for one in range(values.shape[1]):
            walks = np.cumsum(moved[:, order[:, one]], axis=1)
            found[begin : begin + some, one] = np.abs(walks[:, :-1]) @ widths[:, one]
    return found / (float(n) * (total - n))
