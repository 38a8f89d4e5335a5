"""Ranks: does a value of the treatment tend to be above one of the control, whatever the scale?"""

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.checks import BadSample, Floats, finite
from tidegate.stats.means import welch_df
from tidegate.stats.results import Interval, Test
from tidegate.stats.tails import critical, one_sided, sided, standardised, tail, together

__all__ = ["mann_whitney", "superiority_interval"]

EXACT_SMALLER = 8
EXACT_PAIRS = 10_000
"""Up to so many values in the smaller arm and pairs of values, without ties, the exact distribution is taken."""
HALVINGS = 100


def mann_whitney(
    control: npt.ArrayLike,
    treatment: npt.ArrayLike,
    *,
    exact: bool | None = None,
    continuity: bool = True,
    alternative: str = "two-sided",
    level: float = 0.95,
) -> Test:
    """The Mann-Whitney U test that both arms have one distribution. Estimand: `effect` is the common-language effect
    P(T > C) + P(T = C) / 2, one half under the null: not a difference of medians or means.

    U = sum over pairs of [t > c] + [t = c] / 2 (`statistic`), effect = U / (n_c n_t). p: exact, or z = (|U - n_c n_t
    / 2| - 1/2) / s with s^2 = n_c n_t / 12 (N + 1 - sum(g^3 - g) / (N (N - 1))) over groups g of ties. `exact=None`
    takes the exact one when an arm has at most 8 values, there are at most 10,000 pairs and no ties in any row. All
    values alike: p = 1.

    The interval is that of `superiority_interval`: it allows arms that vary differently, which the null does not, so
    near the limit the two may differ. Values run along the last axis; the axes before it broadcast. Raises BadSample
    for values that are missing, an arm without any, `exact=True` with ties or more than 10,000 pairs, an unknown
    alternative or level. Mann & Whitney 1947, doi:10.1214/aoms/1177730491.
    """
    c, t = _arms(control, treatment)
    n_c, n_t = c.shape[-1], t.shape[-1]
    ranks, ties = _ranks(np.concatenate([c, t], axis=-1))
    u = ranks[..., n_c:].sum(axis=-1) - n_t * (n_t + 1) / 2
    pairs, n = n_c * n_t, n_c + n_t
    tied = bool(np.any(ties > 0))
    small = pairs <= EXACT_PAIRS
    if exact and (tied or not small):
        raise BadSample("exact must be left out for values with ties, and for more than 10,000 pairs")
    if exact or (exact is None and small and not tied and min(n_c, n_t) <= EXACT_SMALLER):
        p = _exact(u, n_c, n_t, alternative)
    else:
        spread = np.sqrt(np.maximum(pairs / 12 * (n + 1 - ties / max(n * (n - 1), 1)), 0.0))
        p = _normal(u - pairs / 2, spread, 0.5 if continuity else 0.0, alternative)
    interval = superiority_interval(c, t, alternative=alternative, level=level)
    return Test(
        np.asarray(u / pairs), interval, p, np.asarray(u), None, "Mann-Whitney U; effect P(T > C) + P(T = C) / 2"
    )


def superiority_interval(
    control: npt.ArrayLike, treatment: npt.ArrayLike, *, alternative: str = "two-sided", level: float = 0.95
) -> Interval:
    """The interval of the common-language effect theta = P(T > C) + P(T = C) / 2, from 0 to 1.

    Brunner and Munzel's variance v of theta from the placements of each value among the other arm, with its
    Welch-Satterthwaite df, on the logit scale: expit(logit theta -+ t sqrt(v) / (theta (1 - theta))). Where v is 0 or
    an arm has one value (the arms do not overlap, or all values are alike) it is unknown, and the ends solve
    Newcombe's |theta^ - theta| = z sqrt(theta (1 - theta) (1 + (m - 1) ((1 - theta) / (2 - theta) + theta / (1 +
    theta))) / (n_c n_t)) with m = (n_c + n_t) / 2. Values run along the last axis. Raises BadSample as
    `mann_whitney`. Brunner & Munzel 2000, doi:10.1002/(SICI)1521-4036(200001)42:1<17::AID-BIMJ17>3.0.CO;2-U; Newcombe
    2006, method 5, doi:10.1002/sim.2324.
    """
    c, t = _arms(control, treatment)
    n_c, n_t = c.shape[-1], t.shape[-1]
    ranks, _ = _ranks(np.concatenate([c, t], axis=-1))
    # how much of the other arm lies below each value
    below_c = (ranks[..., :n_c] - _ranks(c)[0]) / n_t
    below_t = (ranks[..., n_c:] - _ranks(t)[0]) / n_c
    theta, count_c, count_t = together(below_t.mean(axis=-1), float(n_c), float(n_t))
    low, high = _newcombe(theta, n_c, n_t, critical(level, alternative))
    if min(n_c, n_t) > 1:
        error_c = below_c.std(axis=-1, ddof=1) / np.sqrt(n_c)
        error_t = below_t.std(axis=-1, ddof=1) / np.sqrt(n_t)
        known = (np.hypot(error_c, error_t) > 0) & (theta > 0) & (theta < 1)
        inner = np.where(known, theta, 0.5)
        reach = critical(level, alternative, welch_df(error_c, count_c, error_t, count_t))
        reach = reach * np.hypot(error_c, error_t) / (inner * (1 - inner))
        low = np.where(known, special.expit(special.logit(inner) - reach), low)
        high = np.where(known, special.expit(special.logit(inner) + reach), high)
    return one_sided(low, high, alternative, level, (0.0, 1.0))


def _normal(away: Floats, spread: Floats, continuity: float, alternative: str) -> Floats:
    """The p-value of a U that is `away` from its mean."""
    if sided(alternative) == "two-sided":
        return np.asarray(np.minimum(2 * tail(standardised(np.abs(away) - continuity, spread), "greater"), 1.0))
    toward = away if alternative == "greater" else -away
    # no spread: every value is alike, and U is at its mean
    z = np.where(spread > 0, standardised(toward - continuity, spread), -np.inf)
    return tail(z, "greater")


def _exact(u: Floats, n_c: int, n_t: int, alternative: str) -> Floats:
    """The p-value by the distribution of U over all orders of values without ties."""
    upto = np.minimum(np.cumsum(_distribution(n_c, n_t)), 1.0)
    at_most = upto[u.astype(np.int64)]
    at_least = upto[(n_c * n_t - u).astype(np.int64)]  # U is symmetric
    both = np.minimum(2 * np.minimum(at_most, at_least), 1.0)
    return np.asarray({"two-sided": both, "greater": at_least, "less": at_most}[sided(alternative)])


def _distribution(n_c: int, n_t: int) -> Floats:
    """P(U = u) for u in 0..n_c n_t, by taking away the largest value again and again; nothing is ever subtracted."""
    few, many = min(n_c, n_t), max(n_c, n_t)
    row = [np.ones(1) for _ in range(few + 1)]
    for j in range(1, many + 1):
        for i in range(1, few + 1):
            # the largest of i + j values is one of the i, above all j, or one of the j
            found = np.zeros(i * j + 1)
            found[j:] += i / (i + j) * row[i - 1]
            found[: len(row[i])] += j / (i + j) * row[i]
            row[i] = found
    return row[few]


def _newcombe(theta: Floats, n_c: int, n_t: int, z: Floats) -> tuple[Floats, Floats]:
    m = (n_c + n_t) / 2

    def outside(end: Floats) -> npt.NDArray[np.bool_]:
        part = 1 + (m - 1) * ((1 - end) / (2 - end) + end / (1 + end))
        return np.abs(theta - end) > np.abs(z) * np.sqrt(end * (1 - end) * part / (n_c * n_t))

    ends = []
    for far in (np.zeros_like(theta), np.ones_like(theta)):
        inner, outer = theta, far
        for _ in range(HALVINGS):
            middle = (inner + outer) / 2
            out = outside(middle)
            inner, outer = np.where(out, inner, middle), np.where(out, middle, outer)
        ends.append((inner + outer) / 2)
    return ends[0], ends[1]


def _ranks(values: Floats) -> tuple[Floats, Floats]:
    """The ranks along the last axis, the mean one for ties; and sum(g^3 - g) over the groups of ties."""
    order = np.argsort(values, axis=-1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=-1)
    n = values.shape[-1]
    new = np.ones(values.shape, dtype=np.bool_)
    new[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    last = np.ones(values.shape, dtype=np.bool_)
    last[..., :-1] = new[..., 1:]
    place = np.arange(n)
    first = np.maximum.accumulate(np.where(new, place, 0), axis=-1)
    final = np.minimum.accumulate(np.where(last, place, n - 1)[..., ::-1], axis=-1)[..., ::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + final) / 2 + 1, axis=-1)
    size = (final - first + 1).astype(np.float64)
    return ranks, np.asarray((size * size - 1).sum(axis=-1))


def _arms(control: npt.ArrayLike, treatment: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Both arms with the same axes before the last one."""
    c, t = finite("control", control), finite("treatment", treatment)
    for name, arm in (("control", c), ("treatment", t)):
        if arm.ndim == 0 or arm.shape[-1] == 0:
            raise BadSample(f"{name} must hold at least one value")
    try:
        shape = np.broadcast_shapes(c.shape[:-1], t.shape[:-1])
    except ValueError as error:
        raise BadSample(f"control and treatment must agree in the axes before the last one: {error}") from error
    return np.broadcast_to(c, (*shape, c.shape[-1])), np.broadcast_to(t, (*shape, t.shape[-1]))
