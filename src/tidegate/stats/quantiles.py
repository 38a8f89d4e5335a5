"""Quantiles (p50, p95 of a latency): intervals and differences that assume no density.

The estimate is the value at rank ceil(n q), one that was seen (`method="inverted_cdf"` of numpy.quantile). An
interval goes from one value seen to another, so it holds for any distribution; it is infinite on a side where the
values are too few.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.binomial import at_least, at_most, ranks_around
from tidegate.stats.checks import BadSample, Floats, counts, finite, probability
from tidegate.stats.results import Interval, Test
from tidegate.stats.tails import level_of, one_sided, sided, together

__all__ = [
    "Clustered",
    "Quantile",
    "clustered_quantile_difference",
    "clustered_quantile_interval",
    "quantile_bootstrap",
    "quantile_difference",
    "quantile_interval",
    "quantile_ranks",
]

ANYWHERE = (-np.inf, np.inf)
P_HALVINGS = 50
LEAST_P = 1e-300
DEVIATIONS, COUNTS = 40.0, 700.0
"""So many standard deviations and counts out, a binomial tail is below the least p, also where it is skewed."""

Reach = Callable[[float], tuple[float, float]]
"""The ends of an arm's interval that leaves a share of this size out on each side."""


@dataclass(frozen=True, slots=True)
class Quantile:
    """An estimate with its interval, in the unit of the values, and the chance that such an interval holds the
    quantile: never below the level where it is exact.
    """

    estimate: float
    interval: Interval
    coverage: float


@dataclass(frozen=True, slots=True)
class Clustered:
    """Values with the cluster (user, session) of each: two arrays of one length; at least two clusters.

    Raises BadSample for values that are missing and for lengths that differ.
    """

    values: Floats
    clusters: npt.NDArray[np.int64]

    def __init__(self, values: npt.ArrayLike, clusters: npt.ArrayLike) -> None:
        found = _values("values", values)
        names, index = np.unique(np.asarray(clusters), return_inverse=True)
        if index.shape != found.shape:
            raise BadSample("clusters must name one cluster for each value")
        if len(names) < 2:
            raise BadSample("clusters must be at least two: one alone tells nothing of the variation between them")
        order = np.argsort(found, kind="stable")
        object.__setattr__(self, "values", found[order])
        object.__setattr__(self, "clusters", index[order].astype(np.int64))


def quantile_ranks(n: npt.ArrayLike, q: npt.ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """The ranks (1 for the smallest) of the two values between which the quantile lies: exact, from the sizes alone.

    low is the largest l with P(B < l) <= (1 - level) / 2 and high the smallest u with P(B >= u) <= (1 - level) / 2, B
    binomial of n and q. 0 and n + 1 say that no value is far enough out. Arrays broadcast; n to 10^15. Raises
    BadSample for an n below 1, a q or a level that is not between 0 and 1. Conover 1999, Practical Nonparametric
    Statistics, section 3.2; Hahn & Meeker 1991, doi:10.1002/9780470316771.
    """
    size, share = together(counts("n", n, least=1), probability("q", q))
    return ranks_around(size, share, (1 - level_of(level)) / 2)


def quantile_interval(values: npt.ArrayLike, q: float, *, level: float = 0.95) -> Quantile:
    """The exact interval of one quantile: from the value at the low rank to the one at the high rank of
    `quantile_ranks`.

    Domain: independent values of any distribution, at least one; infinite ends where they are too few (p95 at level
    0.95: 72 values give a high end). `coverage` is exact for a continuous distribution and a lower bound otherwise.
    Raises BadSample for values that are missing, a q or a level that is not between 0 and 1. Sources:
    `quantile_ranks`.
    """
    ordered = np.sort(_values("values", values))
    n, share = float(len(ordered)), float(probability("q", q))
    low, high = quantile_ranks(n, share, level)
    coverage = float(at_most(high - 1, n, share) - at_most(low - 1, n, share))
    ends = Interval(np.asarray(_at(ordered, float(low))), np.asarray(_at(ordered, float(high))), level_of(level))
    return Quantile(_at(ordered, _rank(n, share)), ends, coverage)


def clustered_quantile_interval(sample: Clustered, q: float, *, level: float = 0.95) -> Quantile:
    """The interval of one quantile of values that come in clusters (the calls of a user).

    The share of values at or below the estimate is a ratio of sums over clusters, with the delta-method error e of
    `ratios.delta_ratio`; the ends are the values at ranks n (q -+ z e), rounded outwards. `coverage` is the level: it
    holds in the limit, for some tens of clusters. Raises BadSample for a q or a level that is not between 0 and 1.
    Deng, Knoblich & Lu 2018, section 4.2, doi:10.1145/3219819.3219919.
    """
    share = float(probability("q", q))
    low, high = _clustered_reach(sample, share)((1 - level_of(level)) / 2)
    estimate = _at(sample.values, _rank(float(len(sample.values)), share))
    return Quantile(estimate, Interval(np.asarray(low), np.asarray(high), level_of(level)), level_of(level))


def quantile_difference(
    control: npt.ArrayLike, treatment: npt.ArrayLike, q: float, *, alternative: str = "two-sided", level: float = 0.95
) -> Test:
    """The test that both arms have one q-quantile. Estimand: the quantile of the treatment minus that of the control,
    in the unit of the values; not the quantile of differences.

    The two exact intervals (`quantile_interval`) are joined by the squares of their reaches: low = d - sqrt((t -
    l_t)^2 + (u_c - c)^2), high = d + sqrt((u_t - t)^2 + (c - l_c)^2). p is the inversion: 1 minus the highest level
    whose interval excludes 0, so both always agree; `statistic` is d. No density is estimated and no shift assumed.

    Domain: two separate samples of independent values, ties allowed. Too few values for the quantile: infinite ends
    and a large p; a one-sided p above one half is given as 1. It is conservative for a density that is nearly flat
    and for few values. Raises BadSample for values that are missing, an unknown alternative, a q or a level that is
    not between 0 and 1. Zou & Donner 2008, doi:10.1002/sim.3095.
    """
    arms = [np.sort(_values(name, each)) for name, each in (("control", control), ("treatment", treatment))]
    share = float(probability("q", q))
    estimates = [_at(arm, _rank(float(len(arm)), share)) for arm in arms]
    reaches = [_exact_reach(arm, share) for arm in arms]
    method = f"difference of the {share:g}-quantiles, joined exact intervals"
    return _joined((estimates[0], reaches[0]), (estimates[1], reaches[1]), alternative, level, method)


def clustered_quantile_difference(
    control: Clustered, treatment: Clustered, q: float, *, alternative: str = "two-sided", level: float = 0.95
) -> Test:
    """`quantile_difference` for values that come in clusters, from the intervals of `clustered_quantile_interval`.

    Estimand: the quantile over all values of the treatment minus that of the control. Domain: clusters are what was
    assigned, and some tens of them in each arm. Raises BadSample as `quantile_difference`. Deng, Knoblich & Lu 2018,
    doi:10.1145/3219819.3219919; Zou & Donner 2008, doi:10.1002/sim.3095.
    """
    share = float(probability("q", q))
    arms = [
        (_at(arm.values, _rank(float(len(arm.values)), share)), _clustered_reach(arm, share))
        for arm in (control, treatment)
    ]
    method = f"difference of the {share:g}-quantiles, joined intervals by clusters"
    return _joined(arms[0], arms[1], alternative, level, method)


def quantile_bootstrap(
    samples: tuple[npt.ArrayLike, npt.ArrayLike],
    q: float,
    generator: np.random.Generator,
    *,
    resamples: int = 10_000,
    alternative: str = "two-sided",
    level: float = 0.95,
) -> Test:
    """The bootstrap of a difference of quantiles, control first. Estimand: as `quantile_difference`.

    A resample's quantile is the value at a rank whose distribution is known, ceil(n U) with U from Beta(k, n - k +
    1), k = ceil(n q): so nothing is resampled, and millions of values cost no more than hundreds. The interval is the
    percentile one; p counts the resamples on the other side of 0, with one added: never below 1 / (resamples + 1),
    twice that for two sides. `statistic` is the difference. Domain: independent values, n q and n (1 - q) of at least
    about 10.

    Raises BadSample for values that are missing, fewer than 100 resamples, an unknown alternative, a q or a level
    that is not between 0 and 1. Schultzberg & Ankargren 2022, doi:10.48550/arXiv.2202.10992.
    """
    share, draws = float(probability("q", q)), int(counts("resamples", resamples, least=100))
    arms = [np.sort(_values(name, each)) for name, each in zip(("control", "treatment"), samples, strict=True)]
    control, treatment = (_resampled(arm, share, generator, draws) for arm in arms)
    effects = treatment - control
    tails = (np.count_nonzero(effects <= 0) + 1) / (draws + 1), (np.count_nonzero(effects >= 0) + 1) / (draws + 1)
    p = {"greater": tails[0], "less": tails[1], "two-sided": min(1.0, 2 * min(tails))}[sided(alternative)]
    beyond = (1 - level_of(level)) / (2 if alternative == "two-sided" else 1)
    ends = np.quantile(effects, [beyond, 1 - beyond], method="inverted_cdf")
    interval = one_sided(np.asarray(ends[0]), np.asarray(ends[1]), alternative, level, ANYWHERE)
    quantiles = [_at(arm, _rank(float(len(arm)), share)) for arm in arms]
    effect = np.asarray(quantiles[1] - quantiles[0])
    return Test(effect, interval, np.asarray(p), effect, None, f"difference of the {share:g}-quantiles, bootstrap")


def _joined(
    control: tuple[float, Reach], treatment: tuple[float, Reach], alternative: str, level: float, method: str
) -> Test:
    """The difference of two estimates with the joined interval, and the p-value that inverts it."""
    (c, reach_c), (t, reach_t) = control, treatment
    effect = t - c

    def ends(beyond: float) -> tuple[float, float]:
        (low_c, high_c), (low_t, high_t) = reach_c(beyond), reach_t(beyond)
        return effect - float(np.hypot(t - low_t, high_c - c)), effect + float(np.hypot(high_t - t, c - low_c))

    sides = 2 if sided(alternative) == "two-sided" else 1
    low, high = ends((1 - level_of(level)) / sides)
    interval = one_sided(np.asarray(low), np.asarray(high), alternative, level, ANYWHERE)
    above, below = _inverted(lambda beyond: ends(beyond)[0] > 0), _inverted(lambda beyond: ends(beyond)[1] < 0)
    p = {"greater": above, "less": below, "two-sided": min(1.0, 2 * min(above, below))}[alternative]
    return Test(np.asarray(effect), interval, np.asarray(p), np.asarray(effect), None, method)


def _inverted(excludes: Callable[[float], bool]) -> float:
    """The least share left out on one side for which the interval excludes 0; 1 when none of up to one half does."""
    low, high = np.log(LEAST_P), np.log(0.5)
    if not excludes(0.5):
        return 1.0
    for _ in range(P_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if excludes(float(np.exp(middle))) else (middle, high)
    return float(np.exp(high))


def _exact_reach(ordered: Floats, q: float) -> Reach:
    n = len(ordered)
    middle = _rank(float(n), q)
    # both tails once, as far out as a double tells them from 0: the inversion asks for many levels
    far = DEVIATIONS * math.sqrt(n * q * (1 - q)) + COUNTS
    first, last = max(0, math.floor(n * q - far)), min(n, math.ceil(n * q + far))
    places = np.arange(first, last + 1, dtype=np.float64)
    rising, falling = at_most(places, n, q), at_least(places, n, q)[::-1]

    def reach(beyond: float) -> tuple[float, float]:
        low = first + int(np.searchsorted(rising, beyond, side="right"))
        high = last + 1 - int(np.searchsorted(falling, beyond, side="right"))
        return _at(ordered, min(low, middle)), _at(ordered, max(high, middle))

    return reach


def _clustered_reach(sample: Clustered, q: float) -> Reach:
    n = len(sample.values)
    middle = _rank(float(n), q)
    sizes = np.bincount(sample.clusters).astype(np.float64)
    under = np.bincount(sample.clusters[sample.values <= sample.values[int(middle) - 1]], minlength=len(sizes))
    # residuals of the ratio of sums: their mean is 0
    residuals = under - under.sum() / n * sizes
    error = float(np.sqrt((residuals**2).sum() / (len(sizes) - 1) * len(sizes)) / n)

    def reach(beyond: float) -> tuple[float, float]:
        away = -float(special.ndtri(beyond)) * error
        low, high = np.floor(n * (q - away)), np.ceil(n * (q + away))
        return _at(sample.values, min(low, middle)), _at(sample.values, max(high, middle))

    return reach


def _resampled(ordered: Floats, q: float, generator: np.random.Generator, draws: int) -> Floats:
    n = len(ordered)
    k = _rank(float(n), q)
    ranks = np.ceil(n * generator.beta(k, n - k + 1, size=draws))
    return ordered[np.clip(ranks, 1, n).astype(np.int64) - 1]


def _rank(n: float, q: float) -> float:
    """The rank of the estimate."""
    return float(np.clip(np.ceil(n * q), 1, n))


def _at(ordered: Floats, rank: float) -> float:
    """The value of a rank; infinite beyond the first and the last."""
    if rank < 1:
        return -np.inf
    return float(ordered[int(rank) - 1]) if rank <= len(ordered) else np.inf


def _values(name: str, values: npt.ArrayLike) -> Floats:
    found = finite(name, values)
    if found.ndim != 1 or not len(found):
        raise BadSample(f"{name} must be a list of at least one value")
    return found
