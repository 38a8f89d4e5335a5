"""One metric of a treatment against the control, window by window: estimate, interval and p-values that hold at every
look. Pure; everything before the windows' axis are runs, so that analysis and simulation are the same code.

Method `difference`: `StratifiedMeans` in both directions. Method `ratio`: `RateProcess` in both directions. Units are
compared only inside a window, so what drifts for all variants at once, whatever their shares, is not seen as an effect.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidegate.control.experiments.model import Definition, Metric
from tidegate.control.gates.questions import both_kinds
from tidegate.stats.checks import Floats
from tidegate.stats.sequential.bounded_rates import BASES, line_path
from tidegate.stats.sequential.evidence import always_valid_p
from tidegate.stats.sequential.means import normal_mixture, normal_mixture_bound, rho_for
from tidegate.stats.sequential.rates import RateProcess, RateWindow, rate_ratio_interval
from tidegate.stats.sequential.stratified import Moments, StratifiedMeans

__all__ = ["Track", "events_of", "mixing", "ratio_intervals", "surely_less_than", "track", "unit_sd"]

LARGEST_MARGIN = max(BASES) - min(BASES)
"""Of a difference of rates that can be ruled out."""


@dataclass(frozen=True, slots=True)
class Track:
    """A contrast after each window, arrays of shape (..., windows).

    `estimate`, `low` and `high` are treatment minus control in the metric's unit, or their ratio; NaN for an estimate
    and -inf, inf (ratio: 0, inf) for an interval while nothing is known. `error` is the estimate's standard error. Of a
    ratio low, high and error are NaN: `ratio_intervals` has them for single looks. `p_better` is the one-sided
    always-valid p-value of "not better" and `p_worse` of "not worse"; neither ever rises. n_c, n_t: units so far.
    """

    estimate: Floats
    low: Floats
    high: Floats
    error: Floats
    p_better: Floats
    p_worse: Floats
    n_c: Floats
    n_t: Floats

    @property
    def p(self) -> Floats:
        """Two-sided: min(1, 2 min(p_better, p_worse))."""
        return np.asarray(np.minimum(1.0, 2 * np.minimum(self.p_better, self.p_worse)))

    @property
    def ahead(self) -> npt.NDArray[np.bool_]:
        """Whether p speaks for the treatment."""
        return np.asarray(self.p_better < self.p_worse)


def track(metric: Metric, control: Moments, treatment: Moments, *, definition: Definition) -> Track:
    """The contrast after each window, with intervals at 1 - definition.alpha."""
    if metric.method == "ratio":
        return _ratio(metric, events_of(control, treatment))
    return _difference(metric, control, treatment, definition)


def surely_less_than(
    metric: Metric, found: Track, arms: tuple[Moments, Moments], *, definition: Definition
) -> npt.NDArray[np.bool_]:
    """Whether, after each window, no improvement as large as the metric's `effect` is left in the interval at
    1 - definition.alpha; `found` is the track of the two `arms`. False where the metric has no effect. Of a ratio:
    that which the effect makes of the baseline; where that is unknown, by the exact test of a difference of rates.
    """
    higher = metric.better == "higher"
    nothing = np.zeros(found.p_better.shape, dtype=np.bool_)
    if metric.effect is None:
        return nothing
    if metric.method == "difference":
        return np.asarray(found.high < metric.effect if higher else found.low > -metric.effect)
    windows, effect = events_of(*arms), metric.effect if higher else -metric.effect
    if metric.baseline:
        margin = 1 + effect / metric.baseline
        if margin <= 0:
            return nothing
        log_e = RateProcess(margin, non_inferiority=higher).path(windows).log_e
    elif 0 < metric.effect < LARGEST_MARGIN:
        log_e = line_path(windows, margin=effect, alternative="less" if higher else "greater").log_e
    else:
        return nothing
    return np.asarray(log_e >= np.log(2 / definition.alpha))


def ratio_intervals(control: Moments, treatment: Moments, looks: npt.NDArray[np.int64], *, level: float) -> Floats:
    """Low and high of one run's rate ratio after each of the windows `looks` (numbers from 0): shape (2, looks)."""
    windows = events_of(control, treatment)
    eventful = np.flatnonzero(windows.events_c + windows.events_t)  # others say nothing of the ratio
    if not eventful.size or not looks.size:
        return np.stack([np.zeros(looks.size), np.full(looks.size, np.inf)])
    seen = eventful <= looks[:, None]
    parts = (getattr(windows, name)[eventful] for name in ("events_c", "n_c", "events_t", "n_t"))
    found = rate_ratio_interval(RateWindow(*(np.where(seen, part, 0.0) for part in parts)), level=level)
    return np.stack([found.low, found.high])


def events_of(control: Moments, treatment: Moments) -> RateWindow:
    """The windows of a rate, whose mean is its events a unit."""
    return RateWindow(np.rint(control.mean * control.n), control.n, np.rint(treatment.mean * treatment.n), treatment.n)


def unit_sd(metric: Metric) -> float | None:
    """What is expected of the standard deviation of one unit; None when nothing is."""
    if metric.sd is not None and metric.sd > 0:
        return metric.sd
    if metric.shape == "rate" and metric.baseline is not None and 0 < metric.baseline < 1:
        return float(np.sqrt(metric.baseline * (1 - metric.baseline)))
    return None


def mixing(definition: Definition, sd: Floats | float) -> Floats:
    """The rho at which bounds are tightest when each variant has min_samples units with this standard deviation."""
    return rho_for(np.square(sd) * max(definition.min_samples, 2) / 2, definition.alpha)


def _difference(metric: Metric, control: Moments, treatment: Moments, definition: Definition) -> Track:
    burn_in = max(metric.burn_in, 2)
    state = StratifiedMeans(1.0, burn_in=burn_in).path(control, treatment)
    expected = unit_sd(metric)
    ready = (state.n_c >= burn_in) & (state.n_t >= burn_in) & (state.variance > 0)
    ready = ready & both_kinds(control, treatment)
    sd = _learned_sd(control, treatment, ready) if expected is None else np.asarray([expected])
    rho = mixing(definition, sd)
    rises, falls = (
        always_valid_p(np.where(ready, normal_mixture(sign * state.total, state.variance, rho), 0.0))
        for sign in (1.0, -1.0)
    )
    weight = np.where(state.weight > 0, state.weight, np.nan)
    estimate = state.total / weight
    bound = normal_mixture_bound(state.variance, rho, definition.alpha, two_sided=True)
    half = np.where(ready, bound / weight, np.inf)
    middle = np.where(ready, estimate, 0.0)
    higher = metric.better == "higher"
    return Track(
        estimate=estimate,
        low=middle - half,
        high=middle + half,
        error=np.where(ready, np.sqrt(state.variance) / weight, np.nan),
        p_better=rises if higher else falls,
        p_worse=falls if higher else rises,
        n_c=np.cumsum(np.broadcast_to(control.n, estimate.shape), axis=-1),
        n_t=np.cumsum(np.broadcast_to(treatment.n, estimate.shape), axis=-1),
    )


def _ratio(metric: Metric, windows: RateWindow) -> Track:
    up, down = RateProcess().path(windows), RateProcess(non_inferiority=True).path(windows)
    unknown = np.full(up.log_e.shape, np.nan)
    higher = metric.better == "higher"
    return Track(
        estimate=up.rate_ratio,
        low=unknown,
        high=unknown,
        error=unknown,
        p_better=up.p_value if higher else down.p_value,
        p_worse=down.p_value if higher else up.p_value,
        n_c=np.cumsum(np.broadcast_to(windows.n_c, unknown.shape), axis=-1),
        n_t=np.cumsum(np.broadcast_to(windows.n_t, unknown.shape), axis=-1),
    )


def _learned_sd(control: Moments, treatment: Moments, ready: npt.NDArray[np.bool_]) -> Floats:
    """The standard deviation within arms of the windows until the first that is `ready`, (..., 1); 1 where none is yet,
    which nothing is said from.
    """
    if not ready.shape[-1]:
        return np.ones((*ready.shape[:-1], 1))
    used = (control.n >= 2) & (treatment.n >= 2)
    squares, df = (
        np.cumsum(np.where(used, part, 0.0), axis=-1)
        for part in (control.squares + treatment.squares, control.n + treatment.n - 2)
    )
    first = np.argmax(ready, axis=-1, keepdims=True)
    variance = np.take_along_axis(squares, first, -1) / np.maximum(np.take_along_axis(df, first, -1), 1.0)
    return np.asarray(np.sqrt(np.where(ready.any(axis=-1, keepdims=True), variance, 1.0)))
