"""Means of two arms: Welch's t, paired t, and CUPED, which takes out what was known before the experiment."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidegate.stats.checks import BadSample, Floats, finite
from tidegate.stats.results import Sample, Test
from tidegate.stats.tails import by_error, together

__all__ = ["Cuped", "cuped", "paired_t", "welch", "welch_df"]


@dataclass(frozen=True, slots=True)
class Cuped:
    """Both arms after the adjustment; `theta` in units of y for one unit of x; `variance_reduction` the share of the
    variance of the difference that went, 0.36 for a correlation of 0.6 (below 0 where x told nothing and chance bent
    it).
    """

    control: Sample
    treatment: Sample
    theta: Floats
    variance_reduction: Floats


def welch(control: Sample, treatment: Sample, *, alternative: str = "two-sided", level: float = 0.95) -> Test:
    """Welch's t-test of mu_t = mu_c. Estimand: the difference mu_t - mu_c of the means, in the unit of the values.

    t = (m_t - m_c) / sqrt(s_c^2 / n_c + s_t^2 / n_t) with the Welch-Satterthwaite df; the arms may vary differently.
    Domain: n of at least 2 in each arm, values near normal or n large (skewed costs: some hundred units). Both sd 0:
    df is the smaller n - 1; t = 0 and p = 1 for equal means, t infinite and p = 0 (the limit) otherwise. The interval
    excludes 0 exactly when p < 1 - level. Raises BadSample for an unknown alternative or level. Welch 1947,
    doi:10.1093/biomet/34.1-2.28.
    """
    m_c, s_c, n_c, m_t, s_t, n_t = together(
        control.mean, control.sd, control.n, treatment.mean, treatment.sd, treatment.n
    )
    error_c, error_t = s_c / np.sqrt(n_c), s_t / np.sqrt(n_t)
    df = welch_df(error_c, n_c, error_t, n_t)
    method = "Welch's t-test of the difference of means"
    return by_error(m_t - m_c, np.hypot(error_c, error_t), df, alternative, level, method)


def paired_t(differences: Sample, *, alternative: str = "two-sided", level: float = 0.95) -> Test:
    """The t-test of paired values. Estimand: the mean of treatment minus control over units that saw both, in the
    unit of the values.

    t = m / (s / sqrt(n)), df = n - 1, of the differences `Sample.of(treatment - control)`. Domain: n of at least 2,
    differences near normal or n large. All differences alike: t = 0 and p = 1 where they are 0, t infinite and p = 0
    (the limit) otherwise. Raises BadSample for an unknown alternative or level. Student 1908,
    doi:10.1093/biomet/6.1.1.
    """
    error = differences.sd / np.sqrt(differences.n)
    method = "paired t-test of the mean difference"
    return by_error(differences.mean, error, differences.n - 1, alternative, level, method)


def cuped(y: npt.ArrayLike, x: npt.ArrayLike, group: npt.ArrayLike) -> Cuped:
    """CUPED: take out of the outcome `y` what a covariate `x` from before the experiment predicts, y - theta (x -
    mean x).

    theta = cov(y, x) / var(x) over all units of both arms together. The estimand stays mu_t - mu_c; its variance
    falls by the squared correlation. Put the two samples through `welch`. Units run along the last axis; `group` is
    one flag a unit, true for the treatment.

    Domain: at least two units an arm; x must be known before the unit met its arm, or the effect itself is taken out.
    A constant x: theta 0, nothing changes. An outcome that does not vary: a reduction of 0. Raises BadSample for
    values that are missing (give their mean, the same for both arms), lengths that differ, an arm with fewer than two
    units. Deng, Xu, Kohavi & Walker 2013, doi:10.1145/2433396.2433413.
    """
    outcome, covariate, treated = finite("y", y), finite("x", x), _flags(group)
    if outcome.ndim == 0 or not outcome.shape[-1:] == covariate.shape[-1:] == treated.shape:
        raise BadSample("y, x and group must have one entry for each unit along the last axis")
    away = covariate - covariate.mean(axis=-1, keepdims=True)
    spread = (away**2).sum(axis=-1, keepdims=True)
    shared = (away * (outcome - outcome.mean(axis=-1, keepdims=True))).sum(axis=-1, keepdims=True)
    varies = np.max(covariate, axis=-1, keepdims=True) > np.min(covariate, axis=-1, keepdims=True)
    theta = np.divide(shared, spread, out=np.zeros_like(shared), where=varies & (spread > 0))
    adjusted = outcome - theta * away
    before, after = _variance(outcome, treated), _variance(adjusted, treated)
    moves = np.max(outcome, axis=-1) > np.min(outcome, axis=-1)
    kept = np.divide(after, before, out=np.ones_like(after), where=moves & (before > 0))
    arms = (Sample.of(adjusted[..., ~treated]), Sample.of(adjusted[..., treated]))
    return Cuped(*arms, np.asarray(theta[..., 0]), np.asarray(1 - kept))


def welch_df(error_c: Floats, n_c: Floats, error_t: Floats, n_t: Floats) -> Floats:
    """The Welch-Satterthwaite degrees of freedom of a difference, from the standard error and the n of each arm.

    1 / (u^2 / (n_c - 1) + (1 - u)^2 / (n_t - 1)) with u the control's share of the variance: between the smaller n -
    1 and n_c + n_t - 2. The smaller n - 1 where both errors are 0. Satterthwaite 1946, doi:10.2307/3002019.
    """
    both = np.hypot(error_c, error_t)
    least = np.where(n_c <= n_t, 1.0, 0.0)
    share = np.divide(error_c, both, out=least, where=both > 0) ** 2
    return np.asarray(1 / (share**2 / (n_c - 1) + (1 - share) ** 2 / (n_t - 1)))


def _flags(group: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    found = finite("group", group)
    if found.ndim != 1 or not np.all((found == 0) | (found == 1)):
        raise BadSample("group must be one flag for each unit, true for the treatment")
    treated = np.asarray(found == 1)
    if min(treated.sum(), (~treated).sum()) < 2:
        raise BadSample("group must hold at least two units of each arm")
    return treated


def _variance(values: Floats, treated: npt.NDArray[np.bool_]) -> Floats:
    """The variance of the difference of the two means."""
    arms = (values[..., treated], values[..., ~treated])
    return np.asarray(sum(arm.var(axis=-1, ddof=1) / arm.shape[-1] for arm in arms))
