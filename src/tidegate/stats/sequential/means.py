"""Means that are watched: bounds and e-values for sums of what varies around its mean, at all times at once.

Everything here mixes exp(l S - l^2 V / 2), a supermartingale when S is a sum of deviations with variance V and
normal (or sub-Gaussian) tails, over l ~ Normal(0, 1/rho):

    two-sided   E = sqrt(rho / (V + rho)) exp(S^2 / (2 (V + rho)))
    one-sided   E = 2 sqrt(rho / (V + rho)) exp(S^2 / (2 (V + rho))) Phi(S / sqrt(V + rho))       (l >= 0 only)

`rho` has the unit of V and is fixed before the data are seen: `rho_for(v)` makes the bound tightest about V = v.
With a variance that is known or bounded this is exact. With one that is estimated from the same data
(`asymptotic_sequence`, `stratified.StratifiedMeans`) it is asymptotic: nothing is said before `burn_in` units. How
often a 95 % sequence for one mean is ever wrong over 2,000 units (simulated; 5 % are allowed), two-sided and, where it
is worst, as an upper bound only:

    burn-in   normal        exponential   log-normal 0.6   log-normal 0.9   log-normal 1.5
       50     3.2 %, 3.2 %  5.0 %, 6.9 %   4.7 %, 6.9 %     8.5 %, 11.6 %    26 %, 30 %
      200     2.6 %, 2.5 %  3.3 %, 4.7 %   3.3 %, 5.1 %     5.1 %, 7.3 %     15 %, 19 %
      500     1.6 %, 1.6 %  1.9 %, 2.9 %   1.9 %, 3.0 %     2.8 %, 4.3 %      8 %, 12 %

So 500 units are the default, which hold for cost (log-normal 0.9; over 10,000 units 4.1 %); 50 do two-sided for what is
no more skewed than an exponential. What is more skewed than cost must be winsorised at a bound fixed beforehand. A
difference of two equally large arms is less skewed than either: 2.5 % at 50 units an arm, log-normal 0.9 or 1.5; with
one unit in twenty in the treatment it is as skewed as one mean (8.0 %, at 500 2.7 %). For scores in [0, 1] with few
units see `scores`, for events `rates`.

Sources: Robbins 1970, doi:10.1214/aoms/1177696786; Howard, Ramdas, McAuliffe & Sekhon 2021, doi:10.1214/20-AOS1991;
Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, doi:10.1214/24-AOS2408.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.checks import BadSample, Floats, finite, positive, probability
from tidegate.stats.results import Interval, Sample

__all__ = [
    "BURN_IN",
    "asymptotic_difference",
    "asymptotic_sequence",
    "msprt",
    "normal_mixture",
    "normal_mixture_bound",
    "rho_for",
    "running_sample",
]

Side = Literal["both", "low", "high"]

BURN_IN = 500
"""Units before which an asymptotic sequence says nothing, unless said: the module's table says what that buys."""

_LARGEST_LOG = 700.0
_NEWTON_STEPS = 60


def rho_for(variance: npt.ArrayLike, alpha: npt.ArrayLike, *, two_sided: bool = True) -> Floats:
    """The rho that makes the bound at `alpha` tightest where V is `variance`; where units are standardised V is n.

    rho = v / (x - 1), where x - log x = 1 + 2 log(1/alpha): the minimum of (v + rho) log((v + rho) / (rho alpha^2)),
    Howard et al. 2021. One-sided: for twice alpha, close to the minimum; alpha is then below 1/2.
    Domain: variance above 0, alpha in (0, 1). Broadcasts. Raises BadSample. Unit: that of variance.
    """
    spent = probability("alpha", alpha) * (1 if two_sided else 2)
    if np.any(spent >= 1):
        raise BadSample("alpha must be below 1/2 for a one-sided bound")
    bits = np.minimum(1 - 2 * np.log(spent), _LARGEST_LOG)
    ratio = -special.lambertw(-np.exp(-bits), k=-1).real
    return np.asarray(positive("variance", variance) / (ratio - 1))


def normal_mixture(
    total: npt.ArrayLike, variance: npt.ArrayLike, rho: npt.ArrayLike, *, two_sided: bool = False
) -> Floats:
    """log E of the module's mixture at S = `total`, V = `variance`: against "the mean is at most 0", or "is 0".

    Domain: total any finite number, variance at least 0, rho above 0, else BadSample. Broadcasts. V must be the
    variance of the sum (or the sub-Gaussian bound: n/4 for values in [0, 1]), not an estimate, for the result to be
    exact. One-sided E stays valid when the mean is below 0, since E falls with S.
    """
    s, v, prior = finite("total", total), _not_negative("variance", variance), positive("rho", rho)
    whole = v + prior
    log_e = 0.5 * np.log(prior / whole) + s * s / (2 * whole)
    if not two_sided:
        log_e = log_e + np.log(2) + special.log_ndtr(s / np.sqrt(whole))
    return np.asarray(log_e)


def normal_mixture_bound(
    variance: npt.ArrayLike, rho: npt.ArrayLike, alpha: npt.ArrayLike, *, two_sided: bool = False
) -> Floats:
    """How far S may go by chance: P(S, or its size, ever reaches the bound at its V) <= alpha.

    Two-sided sqrt((V + rho) log((V + rho) / (rho alpha^2))). One-sided z sqrt(V + rho), where z solves
    exp(z^2 / 2) Phi(z) = sqrt((V + rho) / rho) / (2 alpha): to take Phi as 1, which gives the two-sided bound of twice
    alpha, would be slightly too low. Domain: variance at least 0, rho above 0, alpha in (0, 1), else BadSample.
    Broadcasts; unit: that of S. Howard et al. 2021, on normal mixtures.
    """
    v, prior, spent = _not_negative("variance", variance), positive("rho", rho), probability("alpha", alpha)
    whole = v + prior
    target = 0.5 * np.log(whole / prior) - np.log(spent)
    if two_sided:
        return np.asarray(np.sqrt(2 * whole * target))
    target = target - np.log(2)
    z = np.sqrt(2 * np.logaddexp(0.0, target))  # at or above the root of a convex, rising function
    for _ in range(_NEWTON_STEPS):
        log_phi = special.log_ndtr(z)
        slope = z + np.exp(-0.5 * z * z - log_phi) / np.sqrt(2 * np.pi)
        step = (0.5 * z * z + log_phi - target) / slope
        z = z - step
        if np.all(np.abs(step) <= 1e-14 * (1 + np.abs(z))):
            break
    return np.asarray(z * np.sqrt(whole))


def asymptotic_sequence(
    sample: Sample, rho: npt.ArrayLike, *, level: float = 0.95, side: Side = "both", burn_in: int = BURN_IN
) -> Interval:
    """An interval for a mean that holds at all sizes n at once, from the mean and standard deviation so far.

    mean +- sd / sqrt(n) sqrt((1 + rho/n) log((n + rho) / (rho alpha^2))), that is the normal-mixture bound at V = n;
    `side="low"` gives only a lower bound (one-sided, at alpha), "high" only an upper. rho is in units: rho_for(n*,
    alpha) is tightest about n = n*. (GrowthBook's rho squared is 1 / rho.)
    Domain: as Sample; broadcasts; burn_in at least 2. From -inf to inf while n < burn_in or sd is 0, where nothing
    is known yet. Asymptotic: units independent with a finite variance; the default burn-in holds `level` for log-normal
    values of sigma 0.9 and for all that is less skewed, more skewed ones want more. Waudby-Smith et al. 2024,
    Theorem 2.2. Raises BadSample. Unit: that of the mean.
    """
    return _around(sample.mean, sample.sd / np.sqrt(sample.n), sample.n, rho, (level, side, sample.n >= burn_in))


def asymptotic_difference(
    control: Sample,
    treatment: Sample,
    rho: npt.ArrayLike,
    *,
    level: float = 0.95,
    side: Side = "both",
    burn_in: int = BURN_IN,
) -> Interval:
    """An interval for mean of treatment minus mean of control that holds at all sizes at once.

    As asymptotic_sequence, with the standard error sqrt(sd_c^2 / n_c + sd_t^2 / n_t) and n = n_c + n_t; burn_in is
    for each arm (50 will do where both are equally large). Assumes independent units, a share of treatment that
    settles, and no drift that differs between the arms; when the share changes while the mean drifts, use
    stratified.StratifiedMeans. Waudby-Smith et al. 2024, on randomised experiments. Raises BadSample. Unit: that of
    the mean.
    """
    error = np.sqrt(control.sd**2 / control.n + treatment.sd**2 / treatment.n)
    ready = (control.n >= burn_in) & (treatment.n >= burn_in)
    return _around(treatment.mean - control.mean, error, control.n + treatment.n, rho, (level, side, ready))


def msprt(difference: npt.ArrayLike, variance: npt.ArrayLike, tau: npt.ArrayLike) -> Floats:
    """log of the mixture sequential probability ratio of "the difference is Normal(0, tau^2)" to "it is 0".

    log Lambda = log(V / (V + tau^2)) / 2 + tau^2 d^2 / (2 V (V + tau^2)), d the estimate and V its variance now;
    always_valid_p makes the p-values of a path of it. The same as two-sided normal_mixture with S = d / V,
    variance 1 / V and rho = 1 / tau^2. Domain: variance and tau above 0, else BadSample; broadcasts. Exact for normal
    data of known variance, asymptotic otherwise. Johari, Koomen, Pekelis & Walsh 2022, doi:10.1287/opre.2021.2135.
    """
    d, v, prior = finite("difference", difference), positive("variance", variance), positive("tau", tau) ** 2
    return np.asarray(0.5 * np.log(v / (v + prior)) + 0.5 * d * d / v * (prior / (v + prior)))


def running_sample(values: npt.ArrayLike) -> Sample:
    """The samples of the first 2, 3, ..., n values of the last axis: a path for asymptotic_sequence.

    Domain: finite values, at least two along the axis, else BadSample. Shape: one shorter on the last axis.
    """
    found = finite("values", values)
    if found.ndim == 0 or found.shape[-1] < 2:
        raise BadSample("values must be at least two")
    first = found[..., :1]
    moved = found - first
    n = np.arange(1.0, found.shape[-1] + 1)
    mean = np.cumsum(moved, axis=-1) / n
    before = np.concatenate([np.zeros_like(first), mean[..., :-1]], axis=-1)
    squares = np.cumsum((moved - before) * (moved - mean), axis=-1)
    return Sample((mean + first)[..., 1:], np.sqrt(np.maximum(squares[..., 1:], 0) / (n[1:] - 1)), n[1:])


def _around(
    centre: Floats,
    error: Floats,
    n: Floats,
    rho: npt.ArrayLike,
    how: tuple[float, Side, npt.NDArray[np.bool_]],
) -> Interval:
    level, side, ready = how
    if side not in ("both", "low", "high"):
        raise BadSample("side must be both, low or high")
    alpha = 1 - probability("level", level)
    half = error / np.sqrt(n) * normal_mixture_bound(n, rho, alpha, two_sided=side == "both")
    half = np.where(ready & (error > 0), half, np.inf)
    low = np.where(side == "high", -np.inf, centre - half)
    return Interval(low=low, high=np.where(side == "low", np.inf, centre + half), level=float(level))


def _not_negative(name: str, value: npt.ArrayLike) -> Floats:
    found = finite(name, value)
    if np.any(found < 0):
        raise BadSample(f"{name} must not be below 0")
    return found
