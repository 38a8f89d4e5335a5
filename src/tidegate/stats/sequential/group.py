"""A fixed plan with a few looks: Lan-DeMets boundaries, for A/B tests whose size is known beforehand.

With information fraction t (units so far / units planned) the statistic Z_k sqrt(t_k) of a test moves like Brownian
motion. A spending function says how much of alpha may be used by t; the boundary of each look spends exactly the
growth since the last one, given that nothing was crossed before. Looks need not be planned or evenly spaced: a
boundary depends on the looks up to its own. What must be fixed beforehand is the total, and looks must not be
moved because of what was seen. Against the e-processes of this package: more power at the end, slow for gross harm,
and void when the plan is overrun.

    O'Brien-Fleming type   a(t) = 2 - 2 Phi(z_{alpha/2} / sqrt(t))
    Pocock type            a(t) = alpha log(1 + (e - 1) t)

each for one side; two-sided spends alpha/2 on each by its own function. Boundaries come from numerical integration:
the density of the walk that has not crossed is carried from look to look on Gauss-Legendre nodes.

Assumes Z jointly normal with independent increments (large samples, units independent and as assigned).

Sources: Lan & DeMets 1983, doi:10.1093/biomet/70.3.659; Armitage, McPherson & Rowe 1969, doi:10.2307/2343787;
Fairbanks & Madsen 1982, doi:10.1093/biomet/69.1.69 (p-values by stage); Jennison & Turnbull 2000, ISBN 0849303168.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from tidegate.stats.checks import BadSample, Floats, finite, probability

__all__ = ["Boundaries", "GroupTest", "alpha_spent", "crossing_probabilities", "group_sequential_test", "lan_demets"]

Spending = Literal["obrien-fleming", "pocock"]

_POINTS, _POINT_WEIGHTS = np.polynomial.legendre.leggauss(8)
_PANEL = 1.5  # of a panel's width, in standard deviations of a step
_REACH = 8.5  # standard deviations beyond which the walk has no mass that counts
_FARTHEST = 37.0  # z beyond which a normal tail is not a number
_RUNS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Where to stop: reject at look k when Z_k (two-sided: its size) is at least `z[k]`, which is infinite where
    nothing may be spent yet. `spent` is the alpha used up to each look, both sides together.
    """

    fractions: Floats
    z: Floats
    spent: Floats
    two_sided: bool


@dataclass(frozen=True, slots=True)
class GroupTest:
    """What the looks so far say: whether a boundary was crossed, at which look first (from 1; 0: none), and the
    p-value by stage at that look, or at the last: only final once rejected or at the last look of the plan.
    """

    rejected: npt.NDArray[np.bool_]
    look: npt.NDArray[np.int64]
    p_value: Floats


@dataclass(frozen=True, slots=True)
class _Walk:
    """The walk that has not crossed by `time`: its mass on nodes."""

    time: float
    at: Floats
    mass: Floats

    def above(self, levels: Floats, step: float, drift: float = 0.0) -> Floats:
        """The chance of not having crossed before and being above each level after the step."""
        apart = (levels[..., None] - self.at - drift * step) / np.sqrt(step)
        return np.asarray(special.ndtr(-apart) @ self.mass)

    def beyond(self, z: Floats, step: float, two_sided: bool) -> Floats:
        """The chance of not having crossed before and being at z or farther after the step, without drift."""
        level = z * np.sqrt(self.time + step)
        one = self.above(level, step)
        return 2 * one if two_sided else one  # without drift both sides are alike

    def onward(self, step: float, next_step: float, edges: tuple[float, float], drift: float = 0.0) -> "_Walk":
        """What is left between the edges after the step; `next_step` says how fine the nodes must be."""
        time = self.time + step
        middle, reach = drift * time, _REACH * np.sqrt(time)
        low, high = max(edges[0], middle - reach), min(edges[1], middle + reach)
        if low >= high:
            return _Walk(time, np.zeros(1), np.zeros(1))
        panels = int(np.ceil((high - low) / (_PANEL * np.sqrt(min(step, next_step)))))
        half = (high - low) / panels / 2
        centres = low + half * (2 * np.arange(panels) + 1)
        at = (centres[:, None] + half * _POINTS).ravel()
        weights = np.tile(half * _POINT_WEIGHTS, panels)
        apart = (at[:, None] - self.at - drift * step) / np.sqrt(step)
        density = np.exp(-0.5 * np.minimum(apart * apart, 1400.0)) @ self.mass / np.sqrt(2 * np.pi * step)
        return _Walk(time, at, weights * density)


_START = (0.0, np.zeros(1), np.ones(1))


def alpha_spent(fraction: npt.ArrayLike, alpha: float = 0.05, spending: Spending = "obrien-fleming") -> Floats:
    """The alpha that one side may have used when `fraction` of the information is in; all of it from 1 on.

    Formulas at the module's head. Domain: fraction at least 0, alpha in (0, 1), else BadSample. Broadcasts.
    Lan & DeMets 1983.
    """
    t = np.minimum(finite("fraction", fraction), 1.0)
    if np.any(t < 0):
        raise BadSample("fraction must not be below 0")
    whole = float(probability("alpha", alpha))
    if spending == "pocock":
        return np.asarray(whole * np.log1p((np.e - 1) * t))
    if spending != "obrien-fleming":
        raise BadSample("spending must be obrien-fleming or pocock")
    far = -special.ndtri(whole / 2) / np.sqrt(np.maximum(t, 1e-300))
    return np.asarray(2 * special.ndtr(-far))


def lan_demets(
    fractions: npt.ArrayLike, *, alpha: float = 0.05, spending: Spending = "obrien-fleming", two_sided: bool = True
) -> Boundaries:
    """The boundaries of looks at the information fractions given.

    Domain: fractions rising, in (0, 1], at least one; alpha in (0, 1); else BadSample. Two-sided: symmetric, alpha/2
    for each side. Good to 1e-6 in z. Time grows with the cube of the number of looks: 40 take less than a second;
    for hundreds use an e-process. Lan & DeMets 1983; Armitage, McPherson & Rowe 1969.
    """
    times = _rising(fractions)
    used = alpha_spent(times, alpha / 2 if two_sided else alpha, spending) * (2 if two_sided else 1)
    bounds = np.full(times.shape, np.inf)
    walk, before = _Walk(*_START), 0.0
    for k, (step, next_step) in enumerate(_steps(times)):
        bounds[k] = _bound(walk, step, used[k] - before, two_sided)
        before = used[k]
        edge = bounds[k] * float(np.sqrt(times[k]))
        walk = walk.onward(step, next_step, (-edge if two_sided else -np.inf, edge))
    return Boundaries(times, bounds, used, two_sided)


def crossing_probabilities(boundaries: Boundaries, drift: float = 0.0) -> Floats:
    """The chance to cross first at each look, when Z's expectation at the planned total is `drift`.

    Their sum is the power (at drift 0: alpha); either side counts where two-sided. For a fixed-size test of power
    1 - b at alpha, drift is z_{alpha/2} + z_b. Domain: drift finite, else BadSample. Jennison & Turnbull 2000, ch. 19.
    """
    toward = float(finite("drift", drift))
    found = np.zeros(boundaries.fractions.shape)
    walk = _Walk(*_START)
    for k, (step, next_step) in enumerate(_steps(boundaries.fractions)):
        edge = float(boundaries.z[k] * np.sqrt(boundaries.fractions[k]))
        found[k] = float(walk.above(np.asarray(edge), step, toward)) if np.isfinite(edge) else 0.0
        if boundaries.two_sided and np.isfinite(edge):
            found[k] += float(walk.mass.sum()) - float(walk.above(np.asarray(-edge), step, toward))
        walk = walk.onward(step, next_step, (-edge if boundaries.two_sided else -np.inf, edge), toward)
    return np.maximum(found, 0.0)


def group_sequential_test(z: npt.ArrayLike, boundaries: Boundaries) -> GroupTest:
    """What the statistics of the looks so far (last axis, at most as many as boundaries; other axes are runs) say.

    The p-value orders outcomes by stage: chance under H0 to have crossed at an earlier look, or to be at or beyond the
    statistic at this one. It is below alpha exactly when a boundary is crossed. Domain: finite z, at least one look,
    else BadSample. Z is that of treatment minus control; one-sided rejects when it is large. Fairbanks & Madsen 1982.
    """
    looks = finite("z", z)
    if looks.ndim == 0 or not 1 <= looks.shape[-1] <= boundaries.z.size:
        raise BadSample(f"z must have from 1 to {boundaries.z.size} looks on its last axis")
    size = np.abs(looks) if boundaries.two_sided else looks
    count = looks.shape[-1]
    crossed = size >= boundaries.z[:count]
    rejected = np.asarray(crossed.any(axis=-1))
    last = np.where(rejected, crossed.argmax(axis=-1), count - 1)
    flat, chosen = size.reshape(-1, count), last.reshape(-1)
    p_value = np.zeros(chosen.shape)
    walk, before = _Walk(*_START), 0.0
    for k, (step, next_step) in enumerate(_steps(boundaries.fractions[:count])):
        for rows in np.array_split(np.flatnonzero(chosen == k), max(1, int((chosen == k).sum()) // _RUNS_AT_ONCE)):
            p_value[rows] = before + walk.beyond(flat[rows, k], step, boundaries.two_sided)
        before = float(boundaries.spent[k])
        edge = float(boundaries.z[k] * np.sqrt(boundaries.fractions[k]))
        walk = walk.onward(step, next_step, (-edge if boundaries.two_sided else -np.inf, edge))
    look = np.where(rejected, last + 1, 0)
    return GroupTest(rejected, look, np.minimum(p_value, 1.0).reshape(last.shape))


def _bound(walk: _Walk, step: float, wanted: float, two_sided: bool) -> float:
    """The z beyond which the walk is after the step with the wanted chance; infinite where none may be spent."""

    def missing(z: float) -> float:
        return float(walk.beyond(np.asarray(z), step, two_sided)) - wanted

    lowest = 0.0 if two_sided else -_FARTHEST
    if wanted <= 0 or missing(_FARTHEST) >= 0:
        return float(np.inf)
    if missing(lowest) <= 0:
        return lowest
    return float(optimize.brentq(missing, lowest, _FARTHEST, xtol=1e-12))


def _steps(times: Floats) -> list[tuple[float, float]]:
    steps = np.diff(times, prepend=0.0)
    return [(float(step), float(after)) for step, after in zip(steps, np.append(steps[1:], steps[-1]), strict=True)]


def _rising(fractions: npt.ArrayLike) -> Floats:
    found = np.atleast_1d(finite("fractions", fractions))
    if found.ndim != 1 or found.size == 0 or np.any(found <= 0) or np.any(found > 1) or np.any(np.diff(found) <= 0):
        raise BadSample("fractions must rise, from above 0 to at most 1")
    return found
