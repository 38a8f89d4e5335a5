"""Tails that are watched: is p95 latency worse? And where is a quantile, at all times at once?

A guardrail on a quantile becomes one on a rate: freeze a threshold before the rollout (the baseline's p95, or 1.5
times it) and count who is above. With exceedances as the events, `rates.RateProcess` compares the arms window by
window: exact, two counts an arm in the database, and a slow provider cancels. "No more than `ratio` times as many are
slower than tau" is the hypothesis; it says about tau what "p95 has not moved" says about 0.95, without a density.

The quantile itself: of the first n values, k at or below q is binomial(n, P(X <= q)). Two mixtures of likelihood
ratios, of "P(X <= q) is below p" and of "P(X < q) is above p", weighted by the halves of a Beta(c p, c (1 - p)) on
their sides of p, are e-processes for every distribution, ties and gaps included. What neither rejects is an interval
of order statistics.

What both need: units independent and as assigned (one value a session, not one a call); the quantile alike over time
for the sequence; tau fixed before looking for the guardrail. No burn-in.

Sources: Howard & Ramdas 2022, doi:10.3150/21-BEJ1388 (sequences for quantiles; beta-binomial mixture); Lindon,
Sanden & Shirikian 2022, doi:10.1145/3534678.3539099 (canaries at Netflix).
"""

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.checks import BadSample, Floats, counts, finite, positive, probability
from tidegate.stats.results import Interval
from tidegate.stats.sequential.rates import RateWindow

__all__ = ["exceedance_window", "frozen_threshold", "quantile_ranks", "quantile_sequence"]

_TIGHTEST_AT = 500.0


def frozen_threshold(baseline: npt.ArrayLike, quantile: float = 0.95, *, factor: float = 1.0) -> float:
    """tau = factor times the baseline's quantile: the smallest value that at least that share is at or below.

    An order statistic, not interpolated, so that no more than 1 - quantile of the baseline is above it. Domain: finite
    values, at least one; quantile in (0, 1); factor above 0; else BadSample. Unit: that of the values.
    Call it once, before the first window, and store the result.
    """
    found = np.sort(finite("baseline", baseline).ravel())
    if found.size == 0:
        raise BadSample("baseline must hold at least one value")
    share = float(probability("quantile", quantile))
    rank = max(int(np.ceil(share * found.size - 1e-9)), 1)
    return float(found[rank - 1]) * float(positive("factor", factor))


def exceedance_window(control: npt.ArrayLike, treatment: npt.ArrayLike, threshold: float) -> RateWindow:
    """A window for RateProcess: how many values of each arm lie above the frozen threshold, and how many there are.

    Domain: finite values on the last axis, none allowed; other axes are runs. Raises BadSample. One value a unit.
    """
    tau = float(finite("threshold", threshold))
    c = np.atleast_1d(finite("control", control))
    t = np.atleast_1d(finite("treatment", treatment))
    return RateWindow((c > tau).sum(axis=-1), c.shape[-1], (t > tau).sum(axis=-1), t.shape[-1])


def quantile_ranks(
    n: npt.ArrayLike, quantile: float, *, level: float = 0.95, tightest_at: float = _TIGHTEST_AT
) -> tuple[Floats, Floats]:
    """The ranks (from 1) of the order statistics of n values between which the quantile lies, at all n at once.

    low = 1 + the largest k for which "at most k of n are at or below the quantile" is rejected, high = the smallest k
    for which "at least k are below" is; low = 0 stands for -inf and high = n + 1 for +inf. Each side spends
    (1 - level) / 2. The Beta's concentration c puts the bound's tightest place about n = tightest_at.
    Domain: n whole and at least 1, quantile and level in (0, 1), tightest_at above 0, else BadSample. Broadcasts in n.
    """
    sizes = counts("n", n, least=1)
    p = float(probability("quantile", quantile))
    alpha = 1 - float(probability("level", level))
    bits = 2 * np.log(2 / alpha)
    concentration = float(positive("tightest_at", tightest_at)) / (bits + np.log1p(bits))
    few = _fewest(sizes, p, alpha, concentration)
    # "at least k are below q" is "at most n - k are at or above it", the same test of 1 - p
    many = sizes - _fewest(sizes, 1 - p, alpha, concentration)
    return few + 1, many


def quantile_sequence(
    values: npt.ArrayLike, quantile: float, *, level: float = 0.95, tightest_at: float = _TIGHTEST_AT
) -> Interval:
    """The interval for a quantile from all values so far (any axes but the last are runs); it holds at every look.

    [X_(low), X_(high)] with quantile_ranks; -inf or inf where too few values are known. Domain: finite values, at
    least one, else BadSample. Unit: that of the values.
    """
    found = np.sort(np.atleast_1d(finite("values", values)), axis=-1)
    n = found.shape[-1]
    if n == 0:
        raise BadSample("values must be at least one")
    low, high = quantile_ranks(n, quantile, level=level, tightest_at=tightest_at)
    edge = np.full((*found.shape[:-1], 1), np.inf)
    padded = np.concatenate([-edge, found, edge], axis=-1)
    return Interval(low=padded[..., int(low)], high=padded[..., int(high)], level=float(level))


def _fewest(n: Floats, p: float, alpha: float, concentration: float) -> Floats:
    """The largest k for which "k of n succeed" rejects "each succeeds with chance p or more" at alpha/2; -1 if none."""
    below, above = np.full(n.shape, -1.0), n + 1  # of k: rejected (or none), not rejected
    for _ in range(int(np.ceil(np.log2(float(n.max()) + 2))) + 1):
        middle = np.floor((below + above) / 2)
        middle = np.where(middle <= below, above, middle)
        inside = middle < above
        rejected = inside & (_log_few(np.clip(middle, 0, n), n, p, concentration) >= np.log(2 / alpha))
        below = np.where(rejected, middle, below)
        above = np.where(inside & ~rejected, middle, above)
    return below


def _log_few(k: Floats, n: Floats, p: float, concentration: float) -> Floats:
    """log of the mixture over chances below p of the likelihood ratio to p, for k successes of n."""
    a, b = concentration * p, concentration * (1 - p)
    with np.errstate(divide="ignore"):
        posterior = np.log(special.betainc(a + k, b + n - k, p)) + special.betaln(a + k, b + n - k)
    prior = np.log(special.betainc(a, b, p)) + special.betaln(a, b)
    return np.asarray(posterior - prior - k * np.log(p) - (n - k) * np.log1p(-p))
