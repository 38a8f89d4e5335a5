"""The same units under both arms, a number each: a permutation test, and bootstraps of a mean, of a ratio of means and
of a ratio of quantiles. Whole clusters are drawn where units come in clusters.

Two rates of the same units stand in `proportions.mcnemar`. A bootstrap sees only what was seen: where all differences
are alike its interval is a point, however few they are. Who decides by it adds what could have been (see
`docs/explanation/eval-gates.md`).
"""

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.checks import BadSample, Floats, counts, finite, probability
from tidegate.stats.results import Interval, Test
from tidegate.stats.tails import level_of, sided

__all__ = ["bca", "cluster_sums", "mean_bootstrap", "quantile_ratio_bootstrap", "ratio_bootstrap", "sign_flips"]

EXACT_UP_TO = 14
"""So many differences other than 0: all their signs are tried; with more, some at random."""
CELLS = 1 << 20
"""At most so many numbers at a time."""
TIE = 1e-12


def sign_flips(
    differences: npt.ArrayLike, generator: np.random.Generator, *, flips: int = 10_000, alternative: str = "two-sided"
) -> Test:
    """The permutation test of paired values: under the null each difference is as likely with the other sign.
    Estimand: the mean difference, in the unit of the values.

    Up to 14 differences other than 0 all 2^k signs are tried, and p is exact; else `flips` of them at random, and p is
    (those at least as far + 1) / (flips + 1), never 0. Two-sided: twice the smaller tail. `statistic` is the sum.
    Domain: units that are independent (give one sum for each cluster where they are not), at least one; the interval
    is the point itself, take `mean_bootstrap` for one. Raises BadSample for values that are missing, fewer than 100
    flips, an unknown alternative. Fisher 1935; Phipson & Smyth 2010, doi:10.2202/1544-6115.1585.
    """
    values = _list("differences", differences)
    side, tries = sided(alternative), int(counts("flips", flips, least=100))
    moved = values[values != 0]
    seen, size = float(moved.sum()), float(np.abs(moved).sum())
    if len(moved) <= EXACT_UP_TO:
        sums, more = _all_signs(moved), 0
    else:
        sums, more = _some_signs(moved, generator, tries), 1
    above = (np.count_nonzero(sums >= seen - TIE * size) + more) / (len(sums) + more)
    below = (np.count_nonzero(sums <= seen + TIE * size) + more) / (len(sums) + more)
    p = {"greater": above, "less": below, "two-sided": min(1.0, 2 * min(above, below))}[side]
    effect = np.asarray(values.mean())
    method = f"permutation test of the mean difference, {'random' if more else 'all'} signs"
    return Test(effect, Interval(effect, effect, 0.0), np.asarray(p), np.asarray(seen), None, method)


def bca(distribution: npt.ArrayLike, estimate: float, leave_one_out: npt.ArrayLike, *, level: float = 0.95) -> Interval:
    """The bias-corrected and accelerated interval, from the figures of the resamples, the figure of the sample, and its
    figures with each unit left out.

    Ends: the resamples' quantiles at ndtr(z0 + (z0 + z) / (1 - a (z0 + z))), z0 the normal quantile of the share of
    resamples below the estimate (ties count half), a = sum(u^3) / (6 sum(u^2)^1.5) with u the mean of `leave_one_out`
    less each. Resamples or units that are all alike: the point. Raises BadSample for values that are missing, an
    unknown level. Efron 1987, doi:10.1080/01621459.1987.10478410.
    """
    drawn, left = _list("distribution", distribution), _list("leave_one_out", leave_one_out)
    beyond = (1 - level_of(level)) / 2
    if drawn.max() == drawn.min():
        return Interval(np.asarray(drawn[0]), np.asarray(drawn[0]), level)
    below = (np.count_nonzero(drawn < estimate) + np.count_nonzero(drawn <= estimate)) / (2 * len(drawn))
    away = left.mean() - left
    spread = float((away**2).sum())
    bend = float((away**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    bias = special.ndtri(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn)))
    reach = bias + special.ndtri(np.array([beyond, 1 - beyond]))
    scale = 1 - bend * reach
    # beyond this the correction has run away: the outermost resample is all that is known
    shares = np.where(scale > 0, special.ndtr(bias + reach / np.where(scale > 0, scale, 1.0)), [0.0, 1.0])
    low, high = np.quantile(drawn, shares)
    return Interval(np.asarray(low), np.asarray(high), level)


def mean_bootstrap(
    values: npt.ArrayLike,
    generator: np.random.Generator,
    *,
    clusters: npt.ArrayLike | None = None,
    corrected: bool = True,
    resamples: int = 5_000,
    level: float = 0.95,
) -> Interval:
    """The BCa interval of a mean (of paired differences, say), in the unit of the values; not `corrected`: the plain
    percentile interval.

    With `clusters`, one name for each value, whole clusters are drawn. Domain: at least two units or clusters; some
    twenty for an interval that holds. Raises BadSample for values that are missing, fewer than 100 resamples, one
    cluster. Efron 1987, see `bca`; Davison & Hinkley 1997, doi:10.1017/CBO9780511802843.
    """
    found = _list("values", values)
    samples = np.ones_like(found), found
    return ratio_bootstrap(samples, generator, clusters=clusters, corrected=corrected, resamples=resamples, level=level)


def ratio_bootstrap(
    samples: tuple[npt.ArrayLike, npt.ArrayLike],
    generator: np.random.Generator,
    *,
    clusters: npt.ArrayLike | None = None,
    corrected: bool = True,
    resamples: int = 5_000,
    level: float = 0.95,
) -> Interval:
    """The BCa interval of mean_t / mean_c over the same units, control first: pairs are drawn, not values. Not
    `corrected`: the plain
    percentile interval.

    Domain: values of the control whose mean is above 0 also in resamples (costs, times). Raises BadSample for values
    that are missing, lengths that differ, a control that is 0 in some resample, and as `mean_bootstrap`. Sources:
    `mean_bootstrap`.
    """
    below, above = _pair(*samples)
    if clusters is not None:
        (below, above), _ = cluster_sums((below, above), clusters)
    size, draws = len(below), int(counts("resamples", resamples, least=100))
    if size < 2:
        raise BadSample("the units must be at least two")
    drawn = np.empty(draws)
    step = max(1, CELLS // size)
    for start in range(0, draws, step):
        picks = generator.integers(0, size, size=(min(step, draws - start), size))
        drawn[start : start + len(picks)] = _ratio(above[picks].sum(axis=1), below[picks].sum(axis=1))
    if not corrected:
        beyond = (1 - level_of(level)) / 2
        low, high = np.quantile(drawn, [beyond, 1 - beyond])
        return Interval(np.asarray(low), np.asarray(high), level)
    whole = float(_ratio(above.sum(), below.sum()))
    return bca(drawn, whole, _ratio(above.sum() - above, below.sum() - below), level=level)


def quantile_ratio_bootstrap(
    samples: tuple[npt.ArrayLike, npt.ArrayLike],
    q: float,
    generator: np.random.Generator,
    *,
    clusters: npt.ArrayLike | None = None,
    resamples: int = 2_000,
    level: float = 0.95,
) -> Interval:
    """The percentile interval of the treatment's q-quantile over the control's, of the same units, control first: pairs
    are drawn.

    A quantile is the value at rank ceil(n q). Domain: n (1 - q) of at least some 3 to 5, for what lies further out was
    not seen (299 units until a p99 has a one-sided bound at 95% at all); a control whose quantile is above 0. Raises
    BadSample as `ratio_bootstrap`, and for a q that is not between 0 and 1. Davison & Hinkley 1997,
    doi:10.1017/CBO9780511802843.
    """
    below, above = _pair(*samples)
    share, draws = float(probability("q", q)), int(counts("resamples", resamples, least=100))
    names = np.arange(len(below)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    groups = int(names.max()) + 1
    if groups < 2:
        raise BadSample("the units must be at least two")
    order_c, order_t = np.argsort(below, kind="stable"), np.argsort(above, kind="stable")
    sorted_c, sorted_t, names_c, names_t = below[order_c], above[order_t], names[order_c], names[order_t]
    drawn = np.empty(draws)
    for at in range(draws):
        times = np.bincount(generator.integers(0, groups, size=groups), minlength=groups)
        drawn[at] = _ratio(_weighted(sorted_t, times[names_t], share), _weighted(sorted_c, times[names_c], share))
    beyond = (1 - level_of(level)) / 2
    low, high = np.quantile(drawn, [beyond, 1 - beyond], method="inverted_cdf")
    return Interval(np.asarray(low), np.asarray(high), level)


def cluster_sums(
    values: tuple[Floats, ...], clusters: npt.ArrayLike
) -> tuple[tuple[Floats, ...], npt.NDArray[np.int64]]:
    """Each list of values as one sum for each cluster, in the order of the clusters' names, and the clusters' sizes."""
    index = np.unique(np.asarray(clusters), return_inverse=True)[1]
    if any(len(index) != len(each) for each in values):
        raise BadSample("clusters must name one cluster for each value")
    sums = tuple(np.asarray(np.bincount(index, weights=each), dtype=np.float64) for each in values)
    return sums, np.bincount(index).astype(np.int64)


def _all_signs(values: Floats) -> Floats:
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums + value, sums - value))
    return sums


def _some_signs(values: Floats, generator: np.random.Generator, tries: int) -> Floats:
    sums = np.empty(tries)
    step = max(1, CELLS // len(values))
    for start in range(0, tries, step):
        several = min(step, tries - start)
        kept = generator.integers(0, 2, size=(several, len(values)), dtype=np.int8)
        sums[start : start + several] = 2 * (kept @ values) - values.sum()
    return sums


def _weighted(ordered: Floats, times: npt.NDArray[np.int64], q: float) -> float:
    """The q-quantile of ordered values that count so many times each."""
    reached = np.cumsum(times)
    return float(ordered[min(int(np.searchsorted(reached, np.ceil(q * reached[-1] - 1e-9))), len(ordered) - 1)])


def _ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> Floats:
    if np.any(np.asarray(below) == 0):
        raise BadSample("the control must not be 0 on the whole, nor in a resample: there is no ratio")
    return np.asarray(np.asarray(above) / np.asarray(below), dtype=np.float64)


def _pair(control: npt.ArrayLike, treatment: npt.ArrayLike) -> tuple[Floats, Floats]:
    below, above = _list("control", control), _list("treatment", treatment)
    if len(below) != len(above):
        raise BadSample("control and treatment must hold one value of each unit, in one order")
    return below, above


def _list(name: str, values: npt.ArrayLike) -> Floats:
    found = finite(name, values)
    if found.ndim != 1 or not len(found):
        raise BadSample(f"{name} must be a list of at least one value")
    return found
