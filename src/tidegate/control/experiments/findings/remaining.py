"""How many units an undecided experiment still needs. Pure."""

import math
from collections.abc import Callable

import numpy as np
from scipy import special

from tidegate.control.experiments.findings.compare import Track, events_of, mixing, unit_sd
from tidegate.control.experiments.model import Definition
from tidegate.control.experiments.rules.judging import named, rule_of
from tidegate.stats.sequential.means import normal_mixture_bound
from tidegate.stats.sequential.rates import RateProcess
from tidegate.stats.sequential.stratified import Moments

__all__ = ["units_missing"]

_MOST = 1e12
_BISECTIONS = 80


def units_missing(
    definition: Definition, found: Track, arms: tuple[Moments, Moments], difference: float, shares: tuple[float, float]
) -> float:
    """Units of both `arms` together (control and treatment, one axis of windows) that are still to come until the
    primary metric is found to differ with the definition's power, if it truly differs by `difference` (treatment minus
    control, in its unit, not 0). From the evidence as it stands in `found`, which is undecided and may be lucky or not.

    They come in `shares` of what comes for all variants, and the result counts all of that. alpha is shared equally
    among the family, as Bonferroni's would be: `definition` and rule as given. Infinite where nothing is known.
    """
    if definition.metric(definition.primary).method == "ratio":
        return _events_missing(definition, arms, difference, shares)
    return _values_missing(definition, found, difference, shares)


def _values_missing(definition: Definition, found: Track, difference: float, shares: tuple[float, float]) -> float:
    """The least N at which S + d h >= bound(V + sd^2 h) + z sd sqrt(h), where h = N w_c w_t / (w_c + w_t) is what N
    units add to the information. Before anything is said S, V and the information are as the difference would make
    them on average.
    """
    n_c, n_t, estimate, error = (float(one[-1]) for one in (found.n_c, found.n_t, found.estimate, found.error))
    seen = n_c * n_t / (n_c + n_t) if n_c and n_t else 0.0
    known = math.isfinite(error) and error > 0
    sd = error * math.sqrt(seen) if known else unit_sd(definition.metric(definition.primary))
    if sd is None or not min(shares) > 0 or not difference:
        return math.inf
    sign = 1.0 if difference > 0 else -1.0
    total = sign * (estimate if known else difference) * seen
    rho, z = mixing(definition, unit_sd(definition.metric(definition.primary)) or sd), _power_z(definition)
    each = shares[0] * shares[1] / (shares[0] + shares[1])

    def enough(units: float) -> bool:
        more = units * each
        bound = float(normal_mixture_bound(sd * sd * (seen + more), rho, _level(definition), two_sided=True))
        return total + abs(difference) * more >= bound + z * sd * math.sqrt(more)

    return _least(enough, 1.0)


def _events_missing(
    definition: Definition, arms: tuple[Moments, Moments], difference: float, shares: tuple[float, float]
) -> float:
    """The same of RateProcess: of x further events, which N units bring on average, the treatment has its share less z
    standard deviations, as drawn without replacement; added to the log likelihoods of each alternative.
    """
    metric, windows = definition.metric(definition.primary), events_of(*arms)
    units_c = float(windows.n_c.sum())
    rate_c = float(windows.events_c.sum()) / units_c if units_c else 0.0
    rate_c = rate_c or metric.baseline or 0.0
    ratio = 1 + difference / (metric.baseline or rate_c) if rate_c > 0 else 1.0
    if not 0 <= ratio * rate_c <= 1 or ratio == 1 or not min(shares) > 0:
        return math.inf
    rises = ratio > 1
    process = RateProcess(non_inferiority=not rises)
    held = process.path(windows).log_ratios[-1] if windows.n_c.size else np.zeros(len(process.alternatives))
    rho, weights = np.log(process.alternatives), np.log(process.weights)
    needed, z = math.log(2 / _level(definition)), _power_z(definition)

    def enough(units: float) -> bool:
        n_c, n_t = units * shares[0], units * shares[1]
        events = n_c * rate_c + n_t * rate_c * ratio
        part = n_t * ratio / (n_c + n_t * ratio)
        spread = math.sqrt(events * part * (1 - part) * max(1 - events / (n_c + n_t), 0.0))
        ours = events * part - z * spread if rises else events * part + z * spread
        ours = min(max(ours, 0.0), events)
        log_ratios = held + ours * rho - events * np.log1p(n_t / (n_c + n_t) * np.expm1(rho))
        return float(special.logsumexp(log_ratios + weights)) >= needed

    return _least(enough, 1.0)


def _least(enough: Callable[[float], bool], low: float) -> float:
    """The least number, from `low` on, that is enough; infinite above 10^12."""
    high = _MOST
    if not enough(high):
        return math.inf
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _power_z(definition: Definition) -> float:
    return float(special.ndtri(definition.power))


def _level(definition: Definition) -> float:
    """What one test of the family has of alpha, two-sided."""
    family = len(named(rule_of(definition), definition)) * len(definition.treatments)
    return definition.alpha if definition.correction == "none" else definition.alpha / family
