"""How many units a question needs, how many days they take, and what so many units can show.

`ratio` is treatment units a control unit; every `n` is that of the control arm, rounded up, and the treatment arm then
needs ratio times as many. `power` is the probability to find an effect of the size named.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.checks import BadSample, Floats, finite, positive, probability
from tidegate.stats.powers import (
    arcsine_shift,
    mirrored,
    needed_shift,
    one_alternative,
    power_and_alpha,
    power_of_difference,
    power_of_means,
    power_of_z_test,
    split_share,
    student_power,
    towards,
    uneven_power,
    z_test_spread,
)
from tidegate.stats.roots import crossing

__all__ = [
    "MinimumEffect",
    "days_for",
    "minimum_detectable_effect",
    "minimum_detectable_mean_effect",
    "n_for_difference",
    "n_for_means",
    "n_for_noninferiority",
    "n_for_noninferiority_of_means",
    "n_for_noninferiority_ratio",
    "n_for_precision",
    "n_for_z_test",
    "power_of_difference",
    "power_of_means",
    "power_of_z_test",
]

ROUNDING = 1e-12
MOST = 1e15
"""Above this floats no longer count single units."""


@dataclass(frozen=True, slots=True)
class MinimumEffect:
    """The least differences that are found with the power asked for: `down` below 0, `up` above. NaN where no rate
    between 0 and 1 lies far enough away.
    """

    down: Floats
    up: Floats


def n_for_precision(p: npt.ArrayLike, margin: npt.ArrayLike, *, level: float = 0.95) -> Floats:
    """Units to estimate ONE rate within +- margin: ceil(z^2 p (1-p) / margin^2), with z the normal's quantile.

    For p = 0.90 and margin = 0.01 that is 3,458 (3,457.3, which 3,457 does not reach). It is no size for a comparison:
    3,457 an arm find .90 against .89 with a power of 27 %, see `n_for_difference`. p between 0 and 1, margin above 0,
    or BadSample. Source: Cochran (1977), Sampling Techniques, section 4.4.
    """
    rate, within = probability("p", p), positive("margin", margin)
    z = special.ndtri((1 + float(probability("level", level))) / 2)
    with np.errstate(over="ignore"):
        return _whole((z / within) ** 2 * (rate * (1 - rate)))


def n_for_difference(
    p_c: npt.ArrayLike,
    p_t: npt.ArrayLike,
    *,
    power: npt.ArrayLike = 0.8,
    alpha: npt.ArrayLike = 0.05,
    ratio: npt.ArrayLike = 1.0,
    alternative: str = "two-sided",
) -> Floats:
    """Control units to tell two rates apart: ceil((v / h)^2 (1 + ratio) / ratio), where h = 2 asin sqrt(p_t) -
    2 asin sqrt(p_c) and v is the shift at which the test has the power.

    14,745 an arm for .90 against .89 at the defaults. The arcsine keeps the variance equal at every rate; a pooled
    z-test needs nearly the same (14,751 here), see `n_for_z_test`. Rates from 0 to 1 that differ, in the direction of
    the alternative; power above alpha; BadSample otherwise. Unit: units an arm. Source: Cohen (1988), Statistical Power
    Analysis, chapter 6, https://doi.org/10.4324/9780203771587.
    """
    shift = arcsine_shift(p_c, p_t)
    towards(shift, alternative)
    needed = needed_shift(power, alpha, alternative)
    return _whole((needed / shift) ** 2 / split_share(ratio))


def n_for_z_test(
    p_c: npt.ArrayLike,
    p_t: npt.ArrayLike,
    *,
    power: npt.ArrayLike = 0.8,
    alpha: npt.ArrayLike = 0.05,
    ratio: npt.ArrayLike = 1.0,
    alternative: str = "two-sided",
) -> Floats:
    """Control units for the pooled z-test: the least n at which `power_of_z_test` is reached, about
    ((z_alpha s_0 + z_power s_1) / (p_t - p_c))^2, with s_0^2 = p q (1 + 1/ratio) of the pooled rate p and
    s_1^2 = p_c q_c + p_t q_t / ratio.

    Domain, errors and unit as `n_for_difference`. Source: Fleiss, Levin & Paik (2003), Statistical Methods for Rates
    and Proportions, section 4.2, https://doi.org/10.1002/0471445428.
    """
    under_none, under_effect, apart = z_test_spread(p_c, p_t, ratio)
    towards(apart, alternative)
    wanted, level = power_and_alpha(power, alpha)
    tails = level / 2 if alternative == "two-sided" else level
    reach = (-special.ndtri(tails) * under_none + np.maximum(special.ndtri(wanted), 0) * under_effect) / np.abs(apart)
    size = np.abs(apart)

    def missed(root: Floats) -> Floats:
        return np.asarray(uneven_power(size * root, (under_none, under_effect), level, mirrored(alternative)) - wanted)

    least, most = np.zeros_like(reach), reach * (1 + ROUNDING)
    return _whole(np.where(missed(least) >= 0, 0.0, crossing(missed, least, most)) ** 2)


def minimum_detectable_effect(
    p_c: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    power: npt.ArrayLike = 0.8,
    alpha: npt.ArrayLike = 0.05,
    ratio: npt.ArrayLike = 1.0,
    alternative: str = "two-sided",
) -> MinimumEffect:
    """The least p_t - p_c, downwards and upwards, that n_c control units find with the power: the inverse of
    `power_of_difference`, sin(h / 2) sin(2 asin sqrt(p_c) + h / 2) at the h where the power is met.

    A one-sided alternative leaves the other direction NaN, and so does a rate so near to 0 or 1 that nothing lies far
    enough away. BadSample for what cannot be. Source: as `n_for_difference`.
    """
    angle = np.arcsin(np.sqrt(probability("p_c", p_c, closed=True)))
    half = needed_shift(power, alpha, alternative) / np.sqrt(positive("n_c", n_c) * split_share(ratio)) / 2
    down = np.where(angle - half >= 0, -np.sin(half) * np.sin(2 * angle - half), np.nan)
    up = np.where(angle + half <= np.pi / 2, np.sin(half) * np.sin(2 * angle + half), np.nan)
    nothing = np.full_like(down, np.nan)
    return MinimumEffect(nothing if alternative == "greater" else down, nothing if alternative == "less" else up)


def n_for_means(
    difference: npt.ArrayLike,
    sd: npt.ArrayLike,
    *,
    power: npt.ArrayLike = 0.8,
    alpha: npt.ArrayLike = 0.05,
    ratio: npt.ArrayLike = 1.0,
    alternative: str = "two-sided",
) -> Floats:
    """Control units for a t-test to find a difference of means: the least whole n at which `power_of_means` is reached.

    `difference` is not 0, sd (that of one unit, in both arms) above 0, power above alpha, or BadSample. Unit:
    difference and sd in one and the same unit. Source: Cohen (1988), chapter 2,
    https://doi.org/10.4324/9780203771587.
    """
    shift = finite("difference", difference) / positive("sd", sd)
    towards(shift, alternative)
    wanted, level = power_and_alpha(power, alpha)
    rate = positive("ratio", ratio)
    shift, wanted, level, rate = np.broadcast_arrays(np.abs(shift), wanted, level, rate)
    with np.errstate(over="ignore"):
        normal = (needed_shift(wanted, level, alternative) / shift) ** 2 / split_share(rate)
    least, most = np.log(np.maximum(2.0, 1 / rate)), np.log(np.minimum(normal, MOST) * 4 + 400 * (1 + 1 / rate))

    def missed(size: Floats) -> Floats:
        return np.asarray(student_power(shift, np.exp(size), (level, rate), mirrored(alternative)) - wanted)

    found = np.where(missed(least) >= 0, np.exp(least), np.exp(crossing(missed, least, most)))
    return _whole(np.where(normal > MOST, normal, found))


def minimum_detectable_mean_effect(
    sd: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    power: npt.ArrayLike = 0.8,
    alpha: npt.ArrayLike = 0.05,
    ratio: npt.ArrayLike = 1.0,
    alternative: str = "two-sided",
) -> Floats:
    """The least difference of means, above 0, that a t-test with n_c control units finds with the power: the inverse of
    `power_of_means`; the mirrored difference is found as well.

    Domain and errors as `power_of_means`. Unit: that of sd. Source: Cohen (1988), chapter 2,
    https://doi.org/10.4324/9780203771587.
    """
    spread, units, rate = positive("sd", sd), positive("n_c", n_c), positive("ratio", ratio)
    wanted, level = power_and_alpha(power, alpha)
    one_alternative(alternative)
    spread, units, rate, wanted, level = np.broadcast_arrays(spread, units, rate, wanted, level)
    df = units * (1 + rate) - 2
    if np.any(df < 1):
        raise BadSample("n_c must leave at least 3 units in both arms together")
    tails = level / 2 if alternative == "two-sided" else level
    most = 4 * (10 - special.stdtrit(df, tails)) * (1 + np.abs(special.stdtrit(df, wanted)))

    root = np.sqrt(units * split_share(rate))

    def missed(moved: Floats) -> Floats:
        return np.asarray(student_power(moved / root, units, (level, rate), mirrored(alternative)) - wanted)

    return np.asarray(crossing(missed, np.zeros_like(most), most) / root * spread)


def n_for_noninferiority(
    p_c: npt.ArrayLike,
    p_t: npt.ArrayLike,
    margin: npt.ArrayLike,
    *,
    power: npt.ArrayLike = 0.8,
    alpha: npt.ArrayLike = 0.05,
    ratio: npt.ArrayLike = 1.0,
) -> Floats:
    """Control units to show that a success rate is not lower by `margin` or more, when the true rates are p_c and p_t:
    ceil(((z_alpha + z_power) / (p_t - p_c + margin))^2 (p_c q_c + p_t q_t / ratio)), one-sided.

    For rates of failures give 1 - rate. p_t must lie above p_c - margin, power above alpha, or BadSample.
    Source: Chow, Shao, Wang & Lokhnygina (2017), Sample Size Calculations in Clinical Research, section 4.2,
    https://doi.org/10.1201/9781315183084.
    """
    _, spread, apart = z_test_spread(p_c, p_t, ratio)
    room = apart + positive("margin", margin)
    if np.any(room <= ROUNDING):
        raise BadSample("margin must reach below the difference that is true, p_t - p_c")
    return _whole((needed_shift(power, alpha, "greater") * spread / room) ** 2)


def n_for_noninferiority_ratio(
    p_c: npt.ArrayLike,
    p_t: npt.ArrayLike,
    limit: npt.ArrayLike,
    *,
    power: npt.ArrayLike = 0.8,
    alpha: npt.ArrayLike = 0.05,
    ratio: npt.ArrayLike = 1.0,
) -> Floats:
    """Control units to show that a rate of failures is below `limit` times the control's, such as 1.5:
    ceil(((z_alpha + z_power) / log(limit p_c / p_t))^2 (q_c / p_c + q_t / (ratio p_t))), one-sided.

    Rates between 0 and 1; p_t below limit * p_c; power above alpha; BadSample otherwise. Source: Katz et al. (1978),
    https://doi.org/10.2307/2530610, for the variance of a log ratio.
    """
    control, treatment = probability("p_c", p_c), probability("p_t", p_t)
    room = np.log(positive("limit", limit)) + np.log(control) - np.log(treatment)
    if np.any(room <= ROUNDING):
        raise BadSample("limit must be above the ratio that is true, p_t / p_c")
    variance = (1 - control) / control + (1 - treatment) / treatment / positive("ratio", ratio)
    return _whole((needed_shift(power, alpha, "greater") / room) ** 2 * variance)


def n_for_noninferiority_of_means(
    difference: npt.ArrayLike,
    margin: npt.ArrayLike,
    sd: npt.ArrayLike,
    *,
    power: npt.ArrayLike = 0.8,
    alpha: npt.ArrayLike = 0.05,
    ratio: npt.ArrayLike = 1.0,
) -> Floats:
    """Control units to show by a one-sided t-test that a mean is not lower by `margin` or more, when the true
    difference is `difference`: `n_for_means` of difference + margin.

    For what should be low give the difference with its sign turned. difference above -margin, or BadSample. Unit: all
    three in one and the same. Source: Chow et al. (2017), section 3.2, https://doi.org/10.1201/9781315183084.
    """
    room = finite("difference", difference) + positive("margin", margin)
    if np.any(room <= ROUNDING):
        raise BadSample("margin must reach below the difference that is true")
    return n_for_means(room, sd, power=power, alpha=alpha, ratio=ratio, alternative="greater")


def days_for(n_total: npt.ArrayLike, units_per_day: npt.ArrayLike, share: npt.ArrayLike = 1.0) -> Floats:
    """Whole days until `n_total` units (all arms together) have come: ceil(n_total / (units_per_day share)).

    `share` is the part of the traffic that takes part, above 0 and at most 1. New units each day: who comes back is no
    new unit. BadSample for what cannot be.
    """
    part = positive("share", probability("share", share, closed=True))
    return _whole(positive("n_total", n_total) / (positive("units_per_day", units_per_day) * part))


def _whole(size: Floats) -> Floats:
    """The least whole number that is not below, but for the rounding of the formula; at least 1."""
    return np.asarray(np.maximum(np.ceil(size - np.minimum(size * ROUNDING, 1e-6)), 1.0))
