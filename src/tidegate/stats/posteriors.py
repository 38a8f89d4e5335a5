"""Arms compared by what is believed of them: probability to be best, expected loss, probability of an effect, interval.

All by quadrature over the exact posteriors, without simulation, so that every call gives the same: the errors are about
1e-10, for a Beta with alpha or beta below 1/2 up to 1e-7, for LogNormal of fewer than ten values up to 1e-5. Two arms
take the fast way of `tidegate.stats.pairs` where both beliefs are smooth.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.beliefs import Posterior
from tidegate.stats.checks import BadSample, Floats, finite, positive, probability
from tidegate.stats.conjugates import BetaBernoulli
from tidegate.stats.lognormal import LogNormal
from tidegate.stats.pairs import chances_of_two, effect_near, losses_of_two, moved_above, part_of
from tidegate.stats.quadrature import gauss_legendre, products_of_others
from tidegate.stats.results import Interval
from tidegate.stats.roots import crossing, secant
from tidegate.stats.student import NormalNormal, NormalPrior

__all__ = [
    "BetaBernoulli",
    "Effect",
    "LogNormal",
    "NormalNormal",
    "NormalPrior",
    "Posterior",
    "effect",
    "expected_loss",
    "probability_best",
    "probability_of_effect_above",
]

PROBIT = 38.0
NOTHING = 1e-20
MOST = 690.0
"""The logarithm of the greatest ratio."""

Where = npt.NDArray[np.bool_]
Above = Callable[[Floats, Floats], Floats]
Way = Callable[[Posterior, Posterior], Above]
Quick = Callable[[Posterior, Posterior], Floats]
Slow = Callable[[Sequence[Posterior], tuple[int, ...], bool], Floats]


@dataclass(frozen=True, slots=True)
class Effect:
    """What is believed of treatment minus control, or of their ratio: the median, and the credible interval."""

    median: Floats
    interval: Interval


def probability_best(arms: Sequence[Posterior], *, lowest: bool = False) -> Floats:
    """How probable it is of each arm that it is the best one, given independent beliefs: (..., arms), summing to 1.

    P(k best) = integral of f_k(x) prod_{j != k} F_j(x) dx, with 1 - F_j when the `lowest` is the best. Probabilities
    down to 1e-20 keep their digits (1e-13 for LogNormal). BadSample for fewer than two arms or arms of several kinds.
    It is no stopping rule: read at every look, "stop at 95 %" picks a winner between two equal arms in more than half
    of all runs.
    Source: Gelman et al. (2013), https://doi.org/10.1201/b16018; Scott (2010), https://doi.org/10.1002/asmb.874.
    """
    shape = _shape(arms)
    if len(arms) == 2:
        return _of_two(arms[0], arms[1], shape, (chances_of_two, _chances), lowest)
    return _chances(arms, shape, lowest)


def _chances(arms: Sequence[Posterior], shape: tuple[int, ...], lowest: bool) -> Floats:
    places, weights = _grid(arms, shape)
    others = products_of_others(np.stack([arm.above(places) if lowest else arm.below(places) for arm in arms]))
    found = [np.sum(weights * arm.density(places) * rest, axis=-1) for arm, rest in zip(arms, others, strict=True)]
    chances = np.stack(found, axis=-1)
    return np.asarray(chances / chances.sum(axis=-1, keepdims=True))


def expected_loss(arms: Sequence[Posterior], *, lowest: bool = False) -> Floats:
    """What choosing each arm is expected to cost against the best one: E[max_j x_j - x_k], (..., arms), never below 0.

    = integral of F_k(x) (1 - prod_{j != k} F_j(x)) dx, which for two arms is that of f_k(x) E[(x_j - x)+]; mirrored
    when the `lowest` is the best. Unit: that of the rate or mean; for LogNormal the expected log ratio, a share of the
    mean. Infinite where two t distributions have df of 1 or less; below df = 3 only about four digits hold. BadSample
    as `probability_best`.
    Source: Stucchio (2015), Bayesian A/B testing at VWO, section 5; Gelman et al. (2013), chapter 9.
    """
    shape = _shape(arms)
    if len(arms) == 2:
        return _of_two(arms[0], arms[1], shape, (losses_of_two, _losses), lowest)
    return _losses(arms, shape, lowest)


def _losses(arms: Sequence[Posterior], shape: tuple[int, ...], lowest: bool) -> Floats:
    places, weights = _grid(arms, shape, arms[0].bends)
    below, above = (np.stack(ends) for ends in zip(*(arm.tails(places) for arm in arms), strict=True))
    short, past = (above, below) if lowest else (below, above)
    with np.errstate(divide="ignore"):
        logs = np.log1p(-np.minimum(past, 1.0))
    beaten = np.stack([-np.expm1(np.delete(logs, k, axis=0).sum(axis=0)) for k in range(len(arms))])
    lost = np.sum(weights * arms[0].slope(places) * short * beaten, axis=-1)
    settled = np.logical_and.reduce([np.broadcast_to(arm.settled, shape) for arm in arms])
    return np.asarray(np.where(settled[..., None], np.moveaxis(lost, 0, -1), np.inf))


def probability_of_effect_above(
    control: Posterior, treatment: Posterior, margin: npt.ArrayLike = 0.0, *, relative: bool = False
) -> Floats:
    """How probable it is that treatment - control is above `margin`, or, when `relative`, treatment above
    (1 + margin) control.

    = integral of f_c(x) (1 - F_t(x + margin)) dx, or of f_c(x) (1 - F_t((1 + margin) x)) dx. A margin below 0 asks
    whether the treatment is not worse by more than that. `relative` needs a margin above -1, and is the only way for
    LogNormal; BadSample otherwise. Source: Gelman et al. (2013), https://doi.org/10.1201/b16018.
    """
    shape = _shape((control, treatment))
    moved = finite("margin", margin)
    by, times = (np.zeros_like(moved), positive("1 + margin", 1 + moved)) if relative else (moved, np.ones_like(moved))
    shape = np.broadcast_shapes(shape, moved.shape)
    by, times = (np.broadcast_to(part, shape) for part in (by, times))
    found = np.empty(shape)
    for which, way in _ways(control, treatment, shape, relative):
        pair = part_of(control, shape, which), part_of(treatment, shape, which)
        found[which] = way(*pair)(by[which], times[which])
    return found


def effect(control: Posterior, treatment: Posterior, *, level: float = 0.95, relative: bool = False) -> Effect:
    """What is believed of treatment - control, or, when `relative`, of treatment / control: median and credible
    interval, with (1 - level) / 2 of the belief on either side.

    Found where P(effect above m) is 1/2, (1 + level) / 2 and (1 - level) / 2. LogNormal has ratios alone; NormalNormal
    differences alone, for a mean may be negative (`tidegate.stats.ratios.fieller` is for its ratios); BadSample
    otherwise. Unit: that of the values, or none. Source: as `probability_of_effect_above`.
    """
    shape = _shape((control, treatment))
    asked = float(probability("level", level))
    if relative and isinstance(control, NormalNormal):
        raise BadSample("a ratio of means that may be negative has no such interval: ask for the difference")
    levels = np.array([0.5, (1 - asked) / 2, (1 + asked) / 2])
    found = np.empty((3, *shape))
    for which, way in _ways(control, treatment, shape, relative):
        pair = part_of(control, shape, which), part_of(treatment, shape, which)
        found[:, which] = _quantiles(*pair, levels, relative, way(*pair))
    found = np.exp(found) if relative else found
    return Effect(found[0], Interval(found[1], found[2], asked))


def _quantiles(control: Posterior, treatment: Posterior, levels: Floats, relative: bool, above: Above) -> Floats:
    """Where the effect, or its logarithm, lies below with these probabilities: (levels, problems)."""
    scores = special.ndtri(levels)[:, None]

    def missed(size: Floats) -> Floats:
        by, times = (np.zeros_like(size), np.exp(size)) if relative else (size, np.ones_like(size))
        return np.asarray(-np.clip(special.ndtri(np.clip(above(by, times), 0, 1)), -PROBIT, PROBIT) - scores)

    found, done = secant(missed, *effect_near(control, treatment, scores[:, 0], relative))
    if np.all(done):
        return found
    rare = float(np.min(levels)) / 2
    few, many = (np.array([arm.quantile(rare), arm.quantile(1 - rare)]) for arm in (control, treatment))
    if relative:
        few, many = np.log(few), np.log(many)
    ends = (many[0] - few[1], many[1] - few[0])
    low, high = (np.broadcast_to(np.clip(end, -MOST, MOST) if relative else end, found.shape) for end in ends)
    return np.where(done, found, crossing(missed, low, high, within=1e-12))


def _above(control: Posterior, treatment: Posterior) -> Above:
    """A function of (by, times): P(treatment above control * times + by)."""
    marks = control.marks(), treatment.marks()
    nodes = max(control.order, treatment.order)

    def above(by: Floats, times: Floats) -> Floats:
        shape, by, times = by.shape, by[..., None], times[..., None]
        back = treatment.moved(_spread(marks[1], shape), -by / times, 1 / times)
        places, weights = gauss_legendre(np.concatenate((_spread(marks[0], shape), back), axis=-1), nodes)
        masses = weights * control.density(places)
        kept = np.any(masses > NOTHING, axis=tuple(range(masses.ndim - 1)))
        at = control.moved(places[..., kept], by, times)
        return np.asarray(np.sum(masses[..., kept] * treatment.tails(at)[1], axis=-1))

    return above


def _of_two(
    first: Posterior,
    second: Posterior,
    shape: tuple[int, ...],
    ways: tuple[Quick, Slow],
    lowest: bool,
) -> Floats:
    """What two arms give, (..., 2), by the fast way where it is exact, by the other where not."""
    quick, slow = ways
    easy = _easy(first, second, shape)
    if np.all(easy):
        found = quick(first, second)
        return np.asarray(found[..., ::-1] if lowest else found)
    found = np.empty((*shape, 2))
    if np.any(easy):
        found[easy] = quick(part_of(first, shape, easy), part_of(second, shape, easy))[:, :: -1 if lowest else 1]
    hard = part_of(first, shape, ~easy), part_of(second, shape, ~easy)
    found[~easy] = slow(hard, (int((~easy).sum()),), lowest)
    return found


def _easy(first: Posterior, second: Posterior, shape: tuple[int, ...]) -> Where:
    return np.broadcast_to(first.smooth() & second.smooth(), shape)


def _ways(control: Posterior, treatment: Posterior, shape: tuple[int, ...], relative: bool) -> list[tuple[Where, Way]]:
    """The problems that the fast way is exact for, and those that it is not for, as far as there are any."""
    smooth = [one.smooth(by=not relative, times=relative) for one in (control, treatment)]
    easy = np.broadcast_to(smooth[0] & smooth[1], shape)
    ways: list[tuple[Where, Way]] = [(easy, partial(moved_above, relative=relative)), (~easy, _above)]
    return [(which, way) for which, way in ways if np.any(which)]


def _shape(arms: Sequence[Posterior]) -> tuple[int, ...]:
    if len(arms) < 2:
        raise BadSample("arms must be at least two")
    if len({type(arm) for arm in arms}) > 1:
        raise BadSample("arms must be beliefs of one kind: rates with rates, means with means")
    return np.broadcast_shapes(*(arm.shape for arm in arms))


def _grid(arms: Sequence[Posterior], shape: tuple[int, ...], bends: tuple[float, ...] = ()) -> tuple[Floats, Floats]:
    """Places and weights fine enough for every arm."""
    marks = np.concatenate([_spread(arm.marks(), shape) for arm in arms], axis=-1)
    between = np.clip(np.array(bends), marks.min(axis=-1, keepdims=True), marks.max(axis=-1, keepdims=True))
    return gauss_legendre(np.concatenate((marks, between), axis=-1))


def _spread(marks: Floats, shape: tuple[int, ...]) -> Floats:
    return np.broadcast_to(marks, (*shape, marks.shape[-1]))
