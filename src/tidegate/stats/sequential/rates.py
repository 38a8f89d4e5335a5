"""The ratio of two rates, watched for as long as one likes: has the treatment's rate of errors (refusals, slow calls,
failed judgements) risen above `ratio` times the control's? Rollouts roll back on this.

Time is cut into windows. Within one, both arms live through the same provider incident, hour and traffic, so only
the split of its events between the arms counts. With n_c and n_t units, x_c and x_t events, x = x_c + x_t and
s = n_t r0 / (n_t r0 + n_c), the share of the events that the treatment has when its rate is r0 times the control's,

    log L_k = sum over windows of  x_t log(rho_k) - x log(1 + s (rho_k - 1)),      E = sum over k of w_k L_k

is the likelihood ratio of "the rate ratio is rho_k r0" against "it is r0" given each event's window, mixed over a
grid of rho_k with weights w_k.

Why it holds (H0: in each window the expected rate of the treatment is at most r0 times the control's, whatever that
is). Write L_k of one window as a^x_t b^x_c with a = rho/(1 + s(rho - 1)), b = 1/(1 + s(rho - 1)). For independent
units with event probabilities p_i, E[a^X] = 1 + p_i (a - 1) <= exp(p_i (a - 1)), so with the mean probabilities p_t
and p_c of the arms E[L_k] <= exp(n_t p_t (a - 1) + n_c p_c (b - 1)). At p_t = r0 p_c the exponent is
p_c (n_t r0 + n_c) (s (a - 1) + (1 - s)(b - 1)) = 0; with rho > 1 it only falls as p_t falls. The bound is not
asymptotic: it holds for one unit, for rates near 1, for rates that differ between units and drift between windows.
Each window's factor has expectation <= 1 given the past, so E is a supermartingale: P(E ever >= 1/alpha) <= alpha.
It holds as well when the units differ at will, as in a burst of errors inside a window, and n_t of the n are drawn at
random for the treatment: unit i then multiplies E by 1 + t_i (A_i - n_t/n) on average, A_i its assignment and all t_i
of one sign, and such draws are negatively associated, so the expectation of the product is at most the product of the
expectations, 1 (Joag-Dev & Proschan 1983, doi:10.1214/aos/1176346079). With r0 = 1 outcomes may even be fixed, or
depend on each other: what counts is that units were assigned one by one.

What it needs:
- the unit counted is the unit assigned (a session or a user, not its calls): calls of one session fail together;
- a window's bounds, and the numbers of units in it, do not depend on its outcomes; later windows' shares may depend
  on everything seen before (stages);
- a window is given once, when it is complete: to look oftener make windows shorter, which costs nothing, instead of
  looking into an open one again and again (its share is not yet fixed, and the proof needs that);
- both arms are assigned at random within each window; control runs at the same time, never "last week".

Sources: Robbins 1970, doi:10.1214/aoms/1177696786 (mixtures); Lindon & Malek 2022, arXiv:2011.03567 (counts, time
cancels in their split); Turner, Ly & Grünwald 2024, doi:10.1016/j.jspi.2023.106116 (2 x 2 tables at any time).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.stats.checks import BadSample, Floats, counts, finite, positive, probability
from tidegate.stats.results import Interval
from tidegate.stats.sequential.evidence import Evidence

__all__ = ["FALLS", "RISES", "RISE_WEIGHTS", "RateProcess", "RateState", "RateWindow", "rate_ratio_interval"]

RISES = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
"""How many times r0 the rate ratio may truly be, where harm is looked for."""

RISE_WEIGHTS = (0.1, 0.25, 0.15, 0.15, 0.15, 0.1, 0.1)
"""How much each of `RISES` counts: most where harm is hard to tell from chance and still worth it, at 1.5 times r0. A
rise of 1.25 times is seldom found in one rollout whatever its weight; 10 and 30 times are found at once."""

FALLS = (0.4, 0.5, 0.6, 0.67, 0.8)
"""How many times r0 the rate ratio may truly be, where the absence of harm is looked for."""

_BISECTIONS = 60
_NUMBERS = ("log_peak", "weighed_c", "weighed_t")


@dataclass(frozen=True, slots=True)
class RateWindow:
    """Events and units of both arms in one window, or arrays of them: one entry a simulated run.

    Whole numbers; a unit has at most one event; an arm without units is allowed and says nothing. Raises BadSample.
    """

    events_c: Floats
    n_c: Floats
    events_t: Floats
    n_t: Floats

    def __init__(
        self, events_c: npt.ArrayLike, n_c: npt.ArrayLike, events_t: npt.ArrayLike, n_t: npt.ArrayLike
    ) -> None:
        object.__setattr__(self, "events_c", counts("events_c", events_c))
        object.__setattr__(self, "n_c", counts("n_c", n_c))
        object.__setattr__(self, "events_t", counts("events_t", events_t))
        object.__setattr__(self, "n_t", counts("n_t", n_t))
        try:
            np.broadcast_shapes(self.events_c.shape, self.n_c.shape, self.events_t.shape, self.n_t.shape)
        except ValueError as error:
            raise BadSample(f"events and units must fit together: {error}") from error
        for arm in ("c", "t"):
            if np.any(getattr(self, f"events_{arm}") > getattr(self, f"n_{arm}")):
                raise BadSample(f"events_{arm} must not be more than n_{arm}: count at most one event a unit")


@dataclass(frozen=True, slots=True)
class RateState(Evidence):
    """A RateProcess between two windows. `log_ratios` holds log L_k: one entry an alternative on the last axis;
    `weighed_c` and `weighed_t` are the sums of x_c n_t / n and of x_t n_c / n, n = n_c + n_t.
    """

    log_ratios: Floats
    weighed_c: Floats
    weighed_t: Floats

    @property
    def rate_ratio(self) -> Floats:
        """The estimate of the rate ratio over all windows, for display and not for decisions on its own:
        weighed_t / weighed_c (Mantel & Haenszel; Greenland & Robins 1985, doi:10.2307/2530643). Infinite where only the
        treatment had events, NaN while it is unknown because neither had any.
        """
        known = self.weighed_c > 0
        other = np.where(self.weighed_t > 0, np.inf, np.nan)
        return np.asarray(np.where(known, self.weighed_t / np.where(known, self.weighed_c, 1.0), other))


class RateProcess:
    """An e-process for H0 "the rate ratio is at most `ratio`"; with `non_inferiority` for H0 "it is at least `ratio`".

    Rejecting the first says harm; rejecting the second (at a margin such as 1.5) says no harm beyond the margin. Not
    rejecting says neither. `alternatives` are the rho_k, all above 1 (below 1 for non-inferiority); `weights` are
    above 0 and are scaled to sum to 1: `RISE_WEIGHTS` for `RISES`, equal for any other grid, unless said. Raises
    BadSample for what cannot be.

    The object is only the plan: `update` takes a state and a window and returns the next state, and changes neither.
    """

    __slots__ = ("_log_rho", "_log_weights", "alternatives", "non_inferiority", "ratio", "weights")

    def __init__(
        self,
        ratio: float = 1.0,
        *,
        non_inferiority: bool = False,
        alternatives: tuple[float, ...] | None = None,
        weights: tuple[float, ...] | None = None,
    ) -> None:
        grid = alternatives if alternatives is not None else FALLS if non_inferiority else RISES
        rho = positive("alternatives", grid)
        if rho.ndim != 1 or rho.size == 0 or not np.all(rho < 1 if non_inferiority else rho > 1):
            raise BadSample(f"alternatives must be a row of numbers {'below' if non_inferiority else 'above'} 1")
        share = positive("weights", _usual_weights(tuple(grid)) if weights is None else weights)
        if share.shape != rho.shape:
            raise BadSample("weights must be as many as alternatives")
        if positive("ratio", ratio).ndim != 0:
            raise BadSample("ratio must be one number")
        self.ratio = float(ratio)
        self.non_inferiority = non_inferiority
        self.alternatives = tuple(float(one) for one in rho)
        self.weights = tuple(float(one) for one in share / share.sum())
        self._log_rho = np.log(rho)
        self._log_weights = np.log(share / share.sum())

    def start(self, runs: int | None = None) -> RateState:
        """Before the first window: E = 1; for one process, or for `runs` of them on axis 0."""
        shape = () if runs is None else (runs,)
        nothing = np.zeros(shape)
        return RateState(nothing, nothing, np.zeros((*shape, len(self.alternatives))), nothing, nothing)

    def update(self, state: RateState, window: RateWindow) -> RateState:
        """The state after one more window: multiplies each L_k by the window's factor. Pure.

        Windows may come in any order and a window without events or without one of the arms changes nothing; log_peak
        is the highest value seen in the order given. A window given twice counts twice: the caller sees to that.
        """
        log_ratios = state.log_ratios + self._log_factors(window)
        log_e = self._mixed(log_ratios)
        weighed_c, weighed_t = _weighed(window)
        log_peak = np.maximum(state.log_peak, log_e)
        return RateState(log_e, log_peak, log_ratios, state.weighed_c + weighed_c, state.weighed_t + weighed_t)

    def path(self, windows: RateWindow) -> RateState:
        """The states after each of the windows on the last axis, from the start: log_e[..., w] is after window w."""
        factors = self._log_factors(windows)
        if factors.ndim < 2:
            raise BadSample("windows must lie on an axis")
        log_ratios = np.cumsum(factors, axis=-2)
        log_e = self._mixed(log_ratios)
        log_peak = np.maximum(np.maximum.accumulate(log_e, axis=-1), 0.0)
        weighed = (np.cumsum(np.broadcast_to(one, log_e.shape), axis=-1) for one in _weighed(windows))
        return RateState(log_e, log_peak, log_ratios, *weighed)

    def stored(self, state: RateState) -> dict[str, Any]:
        """The state of one process and the plan it belongs to, as plain floats, lists and names."""
        return {
            "ratio": self.ratio,
            "non_inferiority": self.non_inferiority,
            "alternatives": list(self.alternatives),
            "weights": list(self.weights),
            "log_ratios": state.log_ratios.tolist(),
            **{name: float(getattr(state, name)) for name in _NUMBERS},
        }

    def resumed(self, stored: Mapping[str, Any]) -> RateState:
        """The state again; raises BadSample when it is of another plan, since evidence is not handed over."""
        plan = (self.ratio, self.non_inferiority, list(self.alternatives), list(self.weights))
        if plan != tuple(stored.get(name) for name in ("ratio", "non_inferiority", "alternatives", "weights")):
            raise BadSample("the stored state is of another ratio or grid: start a new process")
        log_ratios = finite("log_ratios", stored.get("log_ratios", np.nan))
        if log_ratios.shape != self._log_rho.shape:
            raise BadSample("log_ratios must be as many as alternatives")
        log_e = self._mixed(log_ratios)
        log_peak, weighed_c, weighed_t = (finite(name, stored.get(name, np.nan)) for name in _NUMBERS)
        return RateState(log_e, np.maximum(log_peak, log_e), log_ratios, weighed_c, weighed_t)

    def _log_factors(self, window: RateWindow) -> Floats:
        return _log_factors(window, self._log_rho, np.asarray(self.ratio))

    def _mixed(self, log_ratios: Floats) -> Floats:
        weighed = log_ratios + self._log_weights
        most = weighed.max(axis=-1)
        return np.asarray(most + np.log(np.exp(weighed - most[..., None]).sum(axis=-1)))


def rate_ratio_interval(
    windows: RateWindow,
    *,
    level: float = 0.95,
    rises: tuple[float, ...] = RISES,
    falls: tuple[float, ...] = FALLS,
) -> Interval:
    """The rate ratios that no RateProcess has rejected by the last window: an interval that holds at all times.

    low = sup{r0: E of "ratio <= r0" >= 2/alpha}, high = inf{r0: E of "ratio >= r0" >= 2/alpha}, alpha = 1 - level;
    each found by bisection, since both E are monotone in r0. Windows lie on the last axis, the result has the shape
    of the others. P(the true ratio is ever outside) <= alpha when it is the same in all windows; otherwise low is a
    bound for the highest and high for the lowest ratio of any window. From 0 and to infinity where nothing is
    known. It is the interval of the last window, not the intersection with earlier ones. Assumptions as the module.
    """
    alpha = 1 - float(probability("level", level))
    up, down = RateProcess(alternatives=rises), RateProcess(non_inferiority=True, alternatives=falls)
    shape = np.broadcast_shapes(*(np.shape(getattr(windows, name)) for name in RateWindow.__slots__))
    if not shape:
        raise BadSample("windows must lie on an axis")
    needed = np.log(2 / alpha)
    found = []
    for process, rising in ((up, True), (down, False)):
        below, above = np.full(shape[:-1], -30.0), np.full(shape[:-1], 30.0)  # of log r0
        for _ in range(_BISECTIONS):
            middle = (below + above) / 2
            factors = _log_factors(windows, process._log_rho, np.exp(middle)[..., None])
            rejected = process._mixed(factors.sum(axis=-2)) >= needed
            below = np.where(rejected == rising, middle, below)
            above = np.where(rejected == rising, above, middle)
        found.append((below, above))
    (low, _), (_, high) = found
    return Interval(
        low=np.where(low <= -30.0, 0.0, np.exp(low)), high=np.where(high >= 30.0, np.inf, np.exp(high)), level=level
    )


def _usual_weights(grid: tuple[float, ...]) -> tuple[float, ...]:
    return RISE_WEIGHTS if grid == RISES else (1 / len(grid),) * len(grid)


def _weighed(window: RateWindow) -> tuple[Floats, Floats]:
    """What a window adds to both sums of the estimate."""
    n = np.maximum(window.n_c + window.n_t, 1.0)
    return np.asarray(window.events_c * window.n_t / n), np.asarray(window.events_t * window.n_c / n)


def _log_factors(window: RateWindow, log_rho: Floats, ratio: Floats) -> Floats:
    """log of a window's factor for each alternative, on a new last axis."""
    weighted = window.n_t * ratio
    whole = weighted + window.n_c
    share = np.divide(weighted, whole, out=np.zeros(np.shape(whole)), where=whole > 0)[..., None]
    events_t = window.events_t[..., None]
    events = events_t + window.events_c[..., None]
    return np.asarray(events_t * log_rho - events * np.log1p(share * np.expm1(log_rho)))
