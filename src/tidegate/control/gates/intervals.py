"""The always-valid interval of what a gate compares, at the last of the windows; (None, None) ends are unknown."""

import numpy as np

from tidegate.control.gates.model import Absolute, Gate, Ratio
from tidegate.control.gates.questions import events_of, one_mean, rate_windows, rho_of, states
from tidegate.stats.checks import Floats
from tidegate.stats.sequential.bounded_rates import bound_interval
from tidegate.stats.sequential.means import normal_mixture_bound
from tidegate.stats.sequential.rates import rate_ratio_interval
from tidegate.stats.sequential.stratified import Moments

__all__ = ["interval"]

Ends = tuple[float | None, float | None]

_BISECTIONS = 60
_REACH = 12.0
"""Of a ratio's logarithm: e^12 times the control's is as good as no bound."""


def interval(gate: Gate, control: Moments, treatment: Moments, alpha: float) -> Ends:
    """From low to high, wrong at any time with a chance of alpha at most; windows lie on the only axis.

    Rates: exact for a ratio where lower is better and for Absolute; the others, like all means, by normal mixtures of
    the windows' means, which is for display (the gate's own tests of rates are exact).
    """
    if isinstance(gate.rule, Absolute):
        return _alone(gate, treatment, alpha)
    if isinstance(gate.rule, Ratio) and gate.shape == "rate" and gate.better == "lower":
        found = rate_ratio_interval(rate_windows(control, treatment), level=1 - alpha)
        return (float(found.low), _known(float(found.high))) if _seen(control, treatment) else (None, None)
    sums, _ = states(gate, control, treatment, (1.0, 0.0, "greater"), alpha / 2)
    ready = (sums.n_c >= gate.burn_in) & (sums.n_t >= gate.burn_in) & (sums.variance > 0)
    if not ready[-1]:
        return None, None
    known = None if gate.sd is None else gate.sd**2
    rho = float(rho_of(sums.variance, sums.weight, ready, known, alpha / 2)[-1])
    if isinstance(gate.rule, Ratio):
        return _ratio(control, treatment, rho, alpha)
    half = float(normal_mixture_bound(sums.variance[-1], rho, alpha, two_sided=True) / sums.weight[-1])
    middle = float(sums.total[-1] / sums.weight[-1])
    return middle - half, middle + half


def _alone(gate: Gate, arm: Moments, alpha: float) -> Ends:
    if gate.shape == "rate":
        if not arm.n.sum() > 0:
            return None, None
        low, high = bound_interval(events_of(arm).sum(), arm.n.sum(), level=1 - alpha)
        return float(low), float(high)
    total, variance, units, ready = one_mean(gate, arm)
    if not ready[-1]:
        return None, None
    known = None if gate.sd is None else gate.sd**2
    rho = float(rho_of(variance, units, ready, known, alpha / 2)[-1])
    half = float(normal_mixture_bound(variance[-1], rho, alpha, two_sided=True) / units[-1])
    middle = float(total[-1] / units[-1]) + (gate.rule.bound if isinstance(gate.rule, Absolute) else 0.0)
    return middle - half, middle + half


def _ratio(control: Moments, treatment: Moments, rho: float, alpha: float) -> Ends:
    """The ratios r for which |T - r C| is within the bound of its variance, as Fieller's set: found from the estimate
    outwards; unknown where the control is not surely above 0.
    """
    used = (control.n >= 2) & (treatment.n >= 2)
    n_c, n_t = np.where(used, control.n, 2.0), np.where(used, treatment.n, 2.0)
    weight = np.where(used, n_c * n_t / (n_c + n_t), 0.0)
    (s_c, v_c), (s_t, v_t) = (
        (float((weight * arm.mean).sum()), float((weight**2 * arm.squares / (n - 1) / n).sum()))
        for arm, n in ((control, n_c), (treatment, n_t))
    )
    if s_c <= float(normal_mixture_bound(v_c, rho, alpha, two_sided=True)) or s_t <= 0:
        return None, None
    ends = []
    for sign in (-1.0, 1.0):
        near, far = np.log(s_t / s_c), sign * _REACH
        for _ in range(_BISECTIONS):
            middle = (near + far) / 2
            ratio = np.exp(middle)
            inside = abs(s_t - ratio * s_c) <= _bound(v_t + ratio**2 * v_c, rho, alpha)
            near, far = (middle, far) if inside else (near, middle)
        ends.append(None if abs(near) > _REACH - 0.01 else float(np.exp(near)))
    return ends[0], ends[1]


def _bound(variance: Floats | float, rho: float, alpha: float) -> float:
    return float(normal_mixture_bound(variance, rho, alpha, two_sided=True))


def _seen(control: Moments, treatment: Moments) -> bool:
    return bool((control.n * treatment.n).sum() > 0)


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
