"""The two questions a gate asks, as evidence that may be looked at any time. Arrays: windows last, any axes before.

| rule | shape | is there harm? H0 | is it surely not beyond the margin? H0 |
|---|---|---|---|
| Ratio, Drop | rate | the rates are alike, or better: `RateProcess(1)`, exact | see below |
| Ratio, lower is better | rate | | ratio >= margin: `RateProcess(margin, non_inferiority=True)`, exact; with
`negligible` the weighted mean of that and of `line_path` for the difference |
| Ratio, higher is better; Drop | rate | | on the line of the margin or beyond: `line_path`, exact |
| Absolute | rate | within the bound: `bound_path`, exact | at the bound or beyond: `bound_path`, exact |
| Ratio, Drop | mean | alike, or better: `StratifiedMeans`, asymptotic | at the margin or beyond: the same |
| Absolute | mean | within the bound: normal mixture, asymptotic | at the bound or beyond: the same |

A rate that should be high: "its events have become rarer" and "what is no event has become more frequent" are the same
hypothesis, and both tests of it are exact; the one whose events are rarer has the power. Their e-values are averaged,
which is an e-value and costs at most log 2. For the margin there is no such choice: "p_t <= m p_c" is no ratio of the
complements.

No test of a rate here is asymptotic: 0/1 values taken as means were wrongly passed at the margin in 7 % (1 % events,
drop 0.01) and 30 % (0.2 %) of rollouts at alpha 0.0125, by `line_path` in 0.2 % (simulated, 39 windows, 4,000 runs).
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from tidegate.control.gates.model import Absolute, Drop, Gate, Ratio
from tidegate.stats.checks import BadSample, Floats
from tidegate.stats.sequential.bounded_rates import bound_path, line_path
from tidegate.stats.sequential.evidence import Evidence
from tidegate.stats.sequential.means import BURN_IN, normal_mixture, rho_for
from tidegate.stats.sequential.rates import RISE_WEIGHTS, RISES, RateProcess, RateWindow
from tidegate.stats.sequential.stratified import MeanState, Moments, StratifiedMeans

__all__ = [
    "FEWEST_EVENTS",
    "TIGHTEST_AT",
    "both_kinds",
    "events_of",
    "harm",
    "line_of",
    "not_beyond",
    "one_mean",
    "rate_windows",
    "rho_of",
    "states",
]

TIGHTEST_AT = 500.0
"""Where tests of means are sharpest: n_c n_t / (n_c + n_t), which is 500 for 1,000 units an arm."""

FEWEST_EVENTS = 20
"""Units of each kind in each arm before means of 0 and 1 are compared; the exact tests of rates need none."""

_ROUNDING = 1e-9
_FINE_RISES = (1.05, 1.1, *RISES)
_FINE_RISE_WEIGHTS = (0.1, 0.1, *RISE_WEIGHTS)
_FINE_FALLS = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
_OF_NEGLIGIBLE = 0.1
"""The weight of "the difference is negligible" beside "the ratio is below the margin", which keeps its power."""

_WAYS_BACK = (0.5, 0.75, 1.0, 1.5, 2.5)
"""Of an alternative to "ratio >= margin": how many times the way from the margin to 1, in logarithms, it lies below."""


def harm(gate: Gate, control: Moments, treatment: Moments, level: float) -> Evidence:
    """The evidence against "no harm": no difference, or within the bound of Absolute. `level` is the test's alpha."""
    worse = _worse(gate)
    if isinstance(gate.rule, Absolute):
        return _alone(gate, treatment, level, worse)
    if gate.shape == "mean":
        return states(gate, control, treatment, (1.0, 0.0, worse), level)[1]
    windows = rate_windows(control, treatment)
    if gate.better == "lower":
        return _rising().path(windows)
    rest = RateWindow(
        windows.n_c - windows.events_c, windows.n_c, windows.n_t - windows.events_t, windows.n_t
    )  # what is no event
    rarer = RateProcess(non_inferiority=True, alternatives=_FINE_FALLS).path(windows)
    log_e = np.logaddexp(_rising().path(rest).log_e, rarer.log_e) - np.log(2)
    return Evidence(log_e, np.maximum(np.maximum.accumulate(log_e, axis=-1), 0.0))


def not_beyond(gate: Gate, control: Moments, treatment: Moments, level: float) -> Evidence:
    """The evidence against "worse by the margin, or more"; for Absolute against "at the bound, or beyond"."""
    back: Literal["greater", "less"] = "less" if gate.better == "lower" else "greater"
    if isinstance(gate.rule, Absolute):
        return _alone(gate, treatment, level, back)
    slope, lift = line_of(gate)
    if gate.shape == "mean":
        return states(gate, control, treatment, (slope, lift, back), level)[1]
    windows = rate_windows(control, treatment)
    if isinstance(gate.rule, Ratio) and gate.better == "lower":
        return _below(gate.rule, windows)
    return line_path(windows, ratio=slope, margin=lift, alternative=back)


def line_of(gate: Gate, way: float = 1.0) -> tuple[float, float]:
    """(slope, lift) of the line treatment = slope control + lift that lies this share of the way to the margin."""
    match gate.rule:
        case Ratio(margin):
            return 1 + way * (margin - 1), 0.0
        case Drop(margin):
            return 1.0, way * (margin if gate.better == "lower" else -margin)
        case Absolute(bound):
            return 0.0, bound


def states(
    gate: Gate,
    control: Moments,
    treatment: Moments,
    hypothesis: tuple[float, float, Literal["greater", "less"]],
    level: float,
) -> tuple[MeanState, Evidence]:
    """The sums of StratifiedMeans for (ratio, margin, alternative) after each window, and the evidence in them.

    The mixture's rho is fixed by the gate's sd, or, when that is not known, by the variance of the windows until both
    arms had `burn_in` units, at which the first is said.
    """
    ratio, margin, alternative = hypothesis
    plan = StratifiedMeans(1.0, ratio=ratio, margin=margin, alternative=alternative, burn_in=gate.burn_in)
    found = plan.path(control, treatment)
    ready = (found.n_c >= gate.burn_in) & (found.n_t >= gate.burn_in) & (found.variance > 0)
    ready = ready & both_kinds(control, treatment)
    towards = found.total if alternative == "greater" else -found.total
    known = None if gate.sd is None else gate.sd**2 * (1 + ratio**2) / 2
    return found, _mixed(towards, found.variance, rho_of(found.variance, found.weight, ready, known, level), ready)


def rho_of(variance: Floats, weight: Floats, ready: npt.NDArray[np.bool_], known: float | None, level: float) -> Floats:
    """The rho that makes the test sharpest about `TIGHTEST_AT`, from one unit's variance or from the first that is
    `ready`; windows are kept as an axis of one.
    """
    if known is not None:
        return np.asarray(rho_for(known * TIGHTEST_AT, level, two_sided=False))[..., None]
    first = np.argmax(ready, axis=-1, keepdims=True)
    each = variance / np.where(weight > 0, weight, 1.0)
    learned = np.take_along_axis(each, first, axis=-1)
    some = np.take_along_axis(ready, first, axis=-1)
    return rho_for(np.where(some, learned, 1.0) * TIGHTEST_AT, level, two_sided=False)


def both_kinds(control: Moments, treatment: Moments) -> npt.NDArray[np.bool_]:
    """Whether each arm has had FEWEST_EVENTS units with 1 and as many with 0, of values that were nothing else so far:
    before, a few of them make the difference, and the variance of the smaller arm is too low just when it had none.
    Other values need not.
    """
    used = (control.n >= 2) & (treatment.n >= 2)
    binary, enough = used | True, used | True
    for arm in (control, treatment):
        ones = arm.n * arm.mean
        zeros = arm.n - ones
        apart = np.abs(arm.squares - arm.mean * zeros) + np.abs(ones - np.rint(ones))
        binary = binary & (apart <= _ROUNDING * np.maximum(arm.n, 1.0))
        for kind in (ones, zeros):
            enough = enough & (np.cumsum(np.where(used, kind, 0.0), axis=-1) >= FEWEST_EVENTS)
    return np.asarray(enough | ~np.logical_and.accumulate(binary, axis=-1))


def one_mean(gate: Gate, arm: Moments) -> tuple[Floats, Floats, Floats, npt.NDArray[np.bool_]]:
    """Of one arm's mean against the bound after each window: S = sum of n (mean - bound), its V, the units, and whether
    they are enough. A single mean is as skewed as its values, so that it needs `BURN_IN` units and not 50.
    """
    bound = line_of(gate)[1]
    used = arm.n >= 2
    n = np.where(used, arm.n, 0.0)
    total = np.cumsum(n * (arm.mean - bound), axis=-1)
    variance = np.cumsum(np.where(used, arm.squares / np.maximum(n - 1, 1.0) * n, 0.0), axis=-1)
    units = np.cumsum(n, axis=-1)
    return total, variance, units, (units >= max(gate.burn_in, BURN_IN)) & (variance > 0)


def rate_windows(control: Moments, treatment: Moments) -> RateWindow:
    """The moments of 0/1 values as counts."""
    return RateWindow(events_of(control), control.n, events_of(treatment), treatment.n)


def events_of(arm: Moments) -> Floats:
    """How many units had the event; BadSample where the mean is not that of 0/1 values."""
    found = np.rint(arm.mean * arm.n)
    if np.any(np.abs(found - arm.mean * arm.n) > 1e-6 * np.maximum(arm.n, 1.0)):
        raise BadSample("a rate's mean must be a share of its units: events are 0 or 1, one a unit")
    return np.asarray(found)


def _alone(gate: Gate, arm: Moments, level: float, alternative: Literal["greater", "less"]) -> Evidence:
    if gate.shape == "rate":
        return bound_path(events_of(arm), arm.n, line_of(gate)[1], alternative=alternative)
    total, variance, units, ready = one_mean(gate, arm)
    known = None if gate.sd is None else gate.sd**2
    towards = total if alternative == "greater" else -total
    return _mixed(towards, variance, rho_of(variance, units, ready, known, level), ready)


def _mixed(total: Floats, variance: Floats, rho: Floats, ready: npt.NDArray[np.bool_]) -> Evidence:
    log_e = np.where(ready, normal_mixture(total, variance, rho), 0.0)
    return Evidence(log_e, np.maximum(np.maximum.accumulate(log_e, axis=-1), 0.0))


def _below(rule: Ratio, windows: RateWindow) -> Evidence:
    """Against "ratio >= margin"; where so much more is negligible, against that "and more than so much": the weighted
    mean of both e-values is one for what both reject.
    """
    grid = tuple(rule.margin**-way for way in _WAYS_BACK)
    ratio = RateProcess(rule.margin, non_inferiority=True, alternatives=grid).path(windows)
    if not rule.negligible:
        return ratio
    small = line_path(windows, ratio=1.0, margin=rule.negligible, alternative="less")
    log_e = np.logaddexp(np.log1p(-_OF_NEGLIGIBLE) + ratio.log_e, np.log(_OF_NEGLIGIBLE) + small.log_e)
    return Evidence(log_e, np.maximum(np.maximum.accumulate(log_e, axis=-1), 0.0))


def _rising() -> RateProcess:
    return RateProcess(alternatives=_FINE_RISES, weights=_FINE_RISE_WEIGHTS)


def _worse(gate: Gate) -> Literal["greater", "less"]:
    return "greater" if gate.better == "lower" else "less"
