"""Ratios: of sums over clusters, of two means, and the linear test of a ratio that needs no division.

A rate a call, when users were assigned, is a ratio of two sums over users: its variance is between users, not between
calls. Each function says which estimand its p-value is about.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from tidegate.stats.checks import BadSample, Floats, finite, positive
from tidegate.stats.means import welch_df
from tidegate.stats.results import Interval, Sample, Test
from tidegate.stats.tails import by_error, critical, level_of, together

__all__ = ["Clusters", "Fieller", "delta_ratio", "fieller", "linear_ratio_test", "ratio_and_error", "relative_effect"]

BOUNDED, OUTSIDE, HALF_LINE, WHOLE_LINE = "bounded", "outside", "half-line", "whole line"
"""The shapes of Fieller's set."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """The numerator and the denominator summed for each cluster (user, session), as two samples over clusters, with
    their covariance (with n - 1 below it).

    Raises BadSample when the two have different n, when a mean denominator is not above 0, or when the covariance is
    more than the deviations allow.
    """

    numerator: Sample
    denominator: Sample
    covariance: Floats

    def __init__(self, numerator: Sample, denominator: Sample, covariance: npt.ArrayLike) -> None:
        object.__setattr__(self, "numerator", numerator)
        object.__setattr__(self, "denominator", denominator)
        object.__setattr__(self, "covariance", finite("covariance", covariance))
        positive("the mean of the denominator", denominator.mean)
        if np.any(numerator.n != denominator.n):
            raise BadSample("numerator and denominator must have the same n: one of each for every cluster")
        if np.any(np.abs(self.covariance) > numerator.sd * denominator.sd * (1 + 1e-9)):
            raise BadSample("covariance must not be more than the product of the two sd")

    @classmethod
    def of(cls, numerators: npt.ArrayLike, denominators: npt.ArrayLike) -> Self:
        """From the sums of each cluster, along the last axis; at least two clusters."""
        above, below = finite("numerators", numerators), finite("denominators", denominators)
        if above.shape != below.shape:
            raise BadSample("numerators and denominators must have one entry for each cluster")
        numerator, denominator = Sample.of(above), Sample.of(below)
        away = (above - above.mean(axis=-1, keepdims=True)) * (below - below.mean(axis=-1, keepdims=True))
        bound = numerator.sd * denominator.sd
        return cls(numerator, denominator, np.clip(away.sum(axis=-1) / (above.shape[-1] - 1), -bound, bound))


@dataclass(frozen=True, slots=True)
class Fieller:
    """Fieller's set for a ratio. `shape`, a word for each: `bounded` is low..high; `outside` everything but what lies
    between high and low (high < low); `half-line` has one infinite end; `whole line` is every number: the data say
    nothing of the ratio.
    """

    ratio: Floats
    interval: Interval
    shape: npt.NDArray[np.str_]


def delta_ratio(control: Clusters, treatment: Clusters, *, alternative: str = "two-sided", level: float = 0.95) -> Test:
    """The test of R_t = R_c for ratios of sums over clusters. Estimand: the difference R_t - R_c with R =
    sum(numerator) / sum(denominator), in numerators a denominator.

    Delta method: var R = (s_a^2 - 2 R s_ab + R^2 s_b^2) / (k m_b^2) over k clusters with mean denominator m_b; t with
    the Welch-Satterthwaite df of k - 1 in each arm. Clusters must be what was assigned, and independent. Domain: some
    tens of clusters an arm, denominators above 0 on the whole. No variance: as `means.welch`. Raises BadSample for an
    unknown alternative or level. Deng, Knoblich & Lu 2018, doi:10.1145/3219819.3219919.
    """
    r_c, e_c, n_c = ratio_and_error(control)
    r_t, e_t, n_t = ratio_and_error(treatment)
    r_c, e_c, n_c, r_t, e_t, n_t = together(r_c, e_c, n_c, r_t, e_t, n_t)
    df = welch_df(e_c, n_c, e_t, n_t)
    return by_error(
        r_t - r_c, np.hypot(e_c, e_t), df, alternative, level, "delta-method t-test of a difference of ratios"
    )


def relative_effect(control: Sample, treatment: Sample, *, alternative: str = "two-sided", level: float = 0.95) -> Test:
    """The test of mu_t / mu_c = 1. Estimand: the relative effect mu_t / mu_c - 1, without unit.

    Delta method: var = s_t^2 / (n_t m_c^2) + s_c^2 m_t^2 / (n_c m_c^4), t with the Welch-Satterthwaite df of the
    difference. Its p-value is not that of `welch` or of `proportions.z_test`: the variance is taken at the ratio
    seen, not at 1. Domain: mean of the control well above 0 (three standard errors); nearer, `fieller` or
    `linear_ratio_test`; below 0 the effect changes its sign. Raises BadSample for a mean of the control that is 0, an
    unknown alternative or level. Deng, Knoblich & Lu 2018, doi:10.1145/3219819.3219919.
    """
    m_c, s_c, n_c, m_t, s_t, n_t = together(
        control.mean, control.sd, control.n, treatment.mean, treatment.sd, treatment.n
    )
    e_c, e_t = s_c / np.sqrt(n_c), s_t / np.sqrt(n_t)
    with np.errstate(all="ignore"):
        effect, error = (m_t - m_c) / m_c, np.hypot(e_t / m_c, e_c / m_c * (m_t / m_c))
    if not np.all(np.isfinite(effect) & np.isfinite(error)):
        raise BadSample("the mean of the control must not be 0: take linear_ratio_test, which does not divide")
    df = welch_df(e_c, n_c, e_t, n_t)
    return by_error(effect, error, df, alternative, level, "delta-method t-test of the relative effect")


def linear_ratio_test(
    control: Sample, treatment: Sample, ratio: npt.ArrayLike, *, alternative: str = "two-sided", level: float = 0.95
) -> Test:
    """The test of mu_t = ratio mu_c. Estimand: mu_t - ratio mu_c, in the unit of the values: 0 where the ratio of the
    means is `ratio`, and above 0 where it is more (for means above 0).

    t = (m_t - r m_c) / sqrt(s_t^2 / n_t + r^2 s_c^2 / n_c) with the Welch-Satterthwaite df. It never divides by a
    mean, so it holds near 0. Non-inferiority of a cost at a margin of 1.2: `ratio=1.2, alternative="less"`. No
    variance: as `means.welch`. Raises BadSample for a ratio that is not above 0, an unknown alternative or level.
    Fieller 1954, doi:10.1111/j.2517-6161.1954.tb00159.x.
    """
    r, m_c, s_c, n_c, m_t, s_t, n_t = together(
        positive("ratio", ratio), control.mean, control.sd, control.n, treatment.mean, treatment.sd, treatment.n
    )
    e_c, e_t = r * s_c / np.sqrt(n_c), s_t / np.sqrt(n_t)
    df = welch_df(e_c, n_c, e_t, n_t)
    method = "linear t-test of mean_t - ratio * mean_c"
    return by_error(m_t - r * m_c, np.hypot(e_c, e_t), df, alternative, level, method)


def fieller(
    control: Sample,
    treatment: Sample,
    *,
    covariance: npt.ArrayLike = 0.0,
    df: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Fieller:
    """Fieller's set for the ratio mu_t / mu_c: all r with |m_t - r m_c| <= q sqrt(v_t - 2 r v_tc + r^2 v_c), v = s^2
    / n.

    q is normal, or Student's t for a `df`; `covariance` is v_tc, that of the two means, 0 for separate arms. With A =
    m_c^2 - q^2 v_c, B = m_t m_c - q^2 v_tc, C = m_t^2 - q^2 v_t the ends are (B -+ sqrt(B^2 - A C)) / A. Where the
    mean of the control is not clearly away from 0 (A <= 0) the set has no two ends, and `shape` says so; a control
    that is 0 everywhere has no ratio, and is given the whole line. The coverage is the level whatever the means are.
    `ratio` is m_t / m_c, NaN where m_c is 0: unknown then. Raises BadSample for a covariance that cannot be, a df
    that is not above 0, an unknown level. Fieller 1954, doi:10.1111/j.2517-6161.1954.tb00159.x.
    """
    m_c, v_c, m_t, v_t, shared = together(
        control.mean,
        control.sd**2 / control.n,
        treatment.mean,
        treatment.sd**2 / treatment.n,
        finite("covariance", covariance),
    )
    if np.any(np.abs(shared) > np.sqrt(v_c * v_t) * (1 + 1e-9)):
        raise BadSample("covariance is that of the two means: not more than the product of their standard errors")
    q = critical(level, "two-sided", None if df is None else positive("df", df)) ** 2
    a, b, c, q = together(m_c**2 - q * v_c, m_t * m_c - q * shared, m_t**2 - q * v_t, q)
    # B^2 - A C, without the terms that cancel
    inside = q * (m_c**2 * v_t - 2 * m_c * m_t * shared + m_t**2 * v_c - q * (v_c * v_t - shared**2))
    # the two roots, each by the sum that does not cancel; where A or B is 0, or as good as, one of them is at infinity
    far = b + np.copysign(np.sqrt(np.maximum(inside, 0.0)), b)
    with np.errstate(over="ignore"):
        first = np.divide(far, a, out=np.asarray(np.copysign(np.inf, b)), where=a != 0)
        second = np.divide(c, far, out=np.zeros_like(a), where=far != 0)
        ratio = np.divide(m_t, m_c, out=np.full_like(a, np.nan), where=m_c != 0)
    shape = np.select(
        [a > 0, (a < 0) & (inside > 0), (a == 0) & (b != 0)], [BOUNDED, OUTSIDE, HALF_LINE], default=WHOLE_LINE
    )
    less, more = np.minimum(first, second), np.maximum(first, second)
    low = np.where(shape == WHOLE_LINE, -np.inf, np.where(shape == OUTSIDE, more, less))
    high = np.where(shape == WHOLE_LINE, np.inf, np.where(shape == OUTSIDE, less, more))
    return Fieller(ratio, Interval(low, high, level_of(level)), shape)


def ratio_and_error(arm: Clusters) -> tuple[Floats, Floats, Floats]:
    """The ratio of sums over clusters, its standard error by the delta method (as in `delta_ratio`), and the number of
    clusters.
    """
    mean = arm.denominator.mean
    ratio = arm.numerator.mean / mean
    a, b = arm.numerator.sd, ratio * arm.denominator.sd
    variance = np.maximum(a * a - 2 * ratio * arm.covariance + b * b, 0.0)
    return np.asarray(ratio), np.asarray(np.sqrt(variance / arm.numerator.n) / mean), arm.numerator.n
