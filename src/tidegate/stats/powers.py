"""The probability that a test finds an effect of a given size, for sizes that are given.

`ratio` is treatment units a control unit; `n_c` is the control's number, and the treatment has ratio times as many.
"""

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.checks import BadSample, Floats, finite, positive, probability
from tidegate.stats.chi_square import noncentral_t_below
from tidegate.stats.results import ALTERNATIVES
from tidegate.stats.roots import crossing

__all__ = [
    "arcsine_shift",
    "mirrored",
    "needed_shift",
    "normal_power",
    "one_alternative",
    "power_and_alpha",
    "power_of_difference",
    "power_of_means",
    "power_of_z_test",
    "split_share",
    "student_power",
    "towards",
    "uneven_power",
    "z_test_spread",
]

SURE = 1e-300


def power_of_difference(
    p_c: npt.ArrayLike,
    p_t: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    alpha: npt.ArrayLike = 0.05,
    ratio: npt.ArrayLike = 1.0,
    alternative: str = "two-sided",
) -> Floats:
    """The probability to tell two rates apart with n_c control units and ratio times as many treated ones.

    = Phi(v - z) + Phi(-v - z) with v = h sqrt(n_c ratio / (1 + ratio)), h as in `n_for_difference`, z the quantile of
    1 - alpha / 2; one term with 1 - alpha for a one-sided alternative. It is alpha where the rates are equal. BadSample
    for what cannot be. Source: as `n_for_difference`.
    """
    shift = arcsine_shift(p_c, p_t) * np.sqrt(positive("n_c", n_c) * split_share(ratio))
    return normal_power(shift, probability("alpha", alpha), one_alternative(alternative))


def power_of_z_test(
    p_c: npt.ArrayLike,
    p_t: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    alpha: npt.ArrayLike = 0.05,
    ratio: npt.ArrayLike = 1.0,
    alternative: str = "two-sided",
) -> Floats:
    """The probability that the pooled z-test finds the difference: Phi((d sqrt(n_c) - z s_0) / s_1) and its mirror.

    Symbols, domain and errors as `n_for_z_test`. Source: Fleiss, Levin & Paik (2003), section 4.4,
    https://doi.org/10.1002/0471445428.
    """
    under_none, under_effect, apart = z_test_spread(p_c, p_t, ratio)
    moved = apart * np.sqrt(positive("n_c", n_c))
    return uneven_power(moved, (under_none, under_effect), probability("alpha", alpha), one_alternative(alternative))


def power_of_means(
    difference: npt.ArrayLike,
    sd: npt.ArrayLike,
    n_c: npt.ArrayLike,
    *,
    alpha: npt.ArrayLike = 0.05,
    ratio: npt.ArrayLike = 1.0,
    alternative: str = "two-sided",
) -> Floats:
    """The probability that a t-test finds a difference of means: that a noncentral t with n_c + n_t - 2 degrees of
    freedom, shifted by difference / sd sqrt(n_c ratio / (1 + ratio)), is beyond the quantiles of alpha.

    sd is that of one unit, in both arms, in the unit of the difference. Both arms together must have at least 3 units,
    sd and ratio be above 0; BadSample otherwise. Source: Cohen (1988), chapter 2,
    https://doi.org/10.4324/9780203771587.
    """
    shift, units = finite("difference", difference) / positive("sd", sd), positive("n_c", n_c)
    level, rate = probability("alpha", alpha), positive("ratio", ratio)
    if np.any(units * (1 + rate) < 3):
        raise BadSample("n_c must leave at least 3 units in both arms together")
    return student_power(shift, units, (level, rate), one_alternative(alternative))


def arcsine_shift(p_c: npt.ArrayLike, p_t: npt.ArrayLike) -> Floats:
    """2 asin sqrt(p_t) - 2 asin sqrt(p_c), as 2 asin((p_t - p_c) / (sqrt(p_t q_c) + sqrt(p_c q_t))), which keeps the
    digits of rates that lie close together.
    """
    control, treatment = probability("p_c", p_c, closed=True), probability("p_t", p_t, closed=True)
    whole = np.sqrt(treatment * (1 - control)) + np.sqrt(control * (1 - treatment))
    return np.asarray(2 * np.arcsin(np.clip((treatment - control) / np.where(whole > 0, whole, 1.0), -1, 1)))


def split_share(ratio: npt.ArrayLike) -> Floats:
    """ratio / (1 + ratio): how much of the control's information is left once both arms are uncertain."""
    rate = positive("ratio", ratio)
    return np.asarray(rate / (1 + rate))


def one_alternative(alternative: str) -> str:
    """The alternative itself; BadSample for any other word."""
    if alternative not in ALTERNATIVES:
        raise BadSample(f"alternative must be one of {', '.join(ALTERNATIVES)}")
    return alternative


def z_test_spread(p_c: npt.ArrayLike, p_t: npt.ArrayLike, ratio: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """What one control unit leaves uncertain with no effect and with it, and the difference of the rates."""
    control, treatment = probability("p_c", p_c, closed=True), probability("p_t", p_t, closed=True)
    rate = positive("ratio", ratio)
    pooled = (control + rate * treatment) / (1 + rate)
    under_none = np.sqrt(pooled * (1 - pooled) * (1 + 1 / rate))
    under_effect = np.sqrt(control * (1 - control) + treatment * (1 - treatment) / rate)
    return under_none, under_effect, treatment - control


def normal_power(shift: Floats, alpha: Floats, alternative: str) -> Floats:
    """The probability of a standard normal, moved by `shift`, to lie beyond the quantiles of alpha."""
    one = np.ones_like(shift)
    return uneven_power(shift, (one, one), alpha, alternative)


def uneven_power(moved: Floats, spreads: tuple[Floats, Floats], alpha: Floats, alternative: str) -> Floats:
    """The same where the quantiles are scaled by the first spread and the normal by the second."""
    under_none, under_effect = spreads
    wide = np.maximum(under_effect, SURE)
    edge = -special.ndtri(alpha / 2 if alternative == "two-sided" else alpha) * under_none
    with np.errstate(over="ignore"):
        up, down = special.ndtr((moved - edge) / wide), special.ndtr((-moved - edge) / wide)
    found = up + down if alternative == "two-sided" else up if alternative == "greater" else down
    return np.asarray(np.where(under_none > 0, np.minimum(found, 1.0), 0.0))


def student_power(shift: Floats, n_c: Floats, plan: tuple[Floats, Floats], alternative: str) -> Floats:
    """The power of a t-test with one standard deviation as unit; the plan is alpha and ratio."""
    alpha, ratio = plan
    df = n_c * (1 + ratio) - 2
    moved = shift * np.sqrt(n_c * ratio / (1 + ratio))
    edge = -special.stdtrit(df, alpha / 2 if alternative == "two-sided" else alpha)
    size = np.abs(moved)
    near, far = noncentral_t_below(df, -size, -edge), noncentral_t_below(df, size, -edge)
    if alternative == "two-sided":
        return np.asarray(np.minimum(near + far, 1.0))
    return np.asarray(np.where((moved >= 0) == (alternative == "greater"), near, far))


def power_and_alpha(power: npt.ArrayLike, alpha: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Both; BadSample unless the power is above alpha."""
    wanted, level = probability("power", power), probability("alpha", alpha)
    if np.any(wanted <= level):
        raise BadSample("power must be above alpha, which a test of nothing has")
    return wanted, level


def needed_shift(power: npt.ArrayLike, alpha: npt.ArrayLike, alternative: str) -> Floats:
    """How many standard errors the effect must measure for the test to have the power."""
    wanted, level = power_and_alpha(power, alpha)
    if one_alternative(alternative) != "two-sided":
        return np.asarray(special.ndtri(wanted) - special.ndtri(level))
    most = special.ndtri(wanted) - special.ndtri(level / 2)
    return crossing(
        lambda shift: normal_power(shift, level, alternative) - wanted, np.zeros_like(most), most * (1 + 1e-12)
    )


def towards(shift: Floats, alternative: str) -> None:
    """Refuses an effect that is none, or that lies where the alternative does not look."""
    one_alternative(alternative)
    if np.any(shift == 0):
        raise BadSample("control and treatment must differ: no number of units tells equal ones apart")
    if (alternative == "greater" and np.any(shift < 0)) or (alternative == "less" and np.any(shift > 0)):
        raise BadSample(f"the treatment must be {alternative}: turn the alternative, or exchange the arms")


def mirrored(alternative: str) -> str:
    """The alternative once the effect's sign was dropped."""
    return "greater" if alternative == "less" else alternative
