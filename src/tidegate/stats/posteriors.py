"""Arms compared by what is believed of them: probability to be best, expected loss, probability of an effect, interval.

All by quadrature over the exact posteriors, without simulation, so that every call gives the same: the errors are about
1e-10, for a Beta with alpha or beta below 1/2 up to 1e-7, for LogNormal of fewer than ten values up to 1e-5.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.checks import BadSample, Floats, finite, positive, probability
from tidegate.stats.conjugates import BetaBernoulli, Posterior
from tidegate.stats.lognormal import LogNormal
from tidegate.stats.quadrature import gauss_legendre, products_of_others
from tidegate.stats.results import Interval
from tidegate.stats.roots import crossing
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
MOST = 690.0
"""The logarithm of the greatest ratio."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What is believed of treatment minus control, or of their ratio: the median, and the credible interval."""

    median: Floats
    interval: Interval


def probability_best(arms: Sequence[Posterior], *, lowest: bool = False) -> Floats:
    """How probable it is of each arm that it is the best one, given independent beliefs: (..., arms), summing to 1.

    P(k best) = integral of f_k(x) prod_{j != k} F_j(x) dx, with 1 - F_j when the `lowest` is the best. Tiny
    probabilities keep their digits. BadSample for fewer than two arms or arms of several kinds. It is no stopping rule:
    read at every look, "stop at 95 %" picks a winner between two equal arms in more than half of all runs.
    Source: Gelman et al. (2013), https://doi.org/10.1201/b16018; Scott (2010), https://doi.org/10.1002/asmb.874.
    """
    shape = _shape(arms)
    places, weights = _grid(arms, shape)
    others = products_of_others(np.stack([arm.above(places) if lowest else arm.below(places) for arm in arms]))
    found = [np.sum(weights * arm.density(places) * rest, axis=-1) for arm, rest in zip(arms, others, strict=True)]
    chances = np.stack(found, axis=-1)
    return np.asarray(chances / chances.sum(axis=-1, keepdims=True))


def expected_loss(arms: Sequence[Posterior], *, lowest: bool = False) -> Floats:
    """What choosing each arm is expected to cost against the best one: E[max_j x_j - x_k], (..., arms), never below 0.

    = integral of F_k(x) (1 - prod_{j != k} F_j(x)) dx; mirrored when the `lowest` is the best. Unit: that of the rate
    or mean; for LogNormal the expected log ratio, a share of the mean. Infinite where two t distributions have df of 1
    or less; below df = 3 only about four digits hold. BadSample as `probability_best`.
    Source: Stucchio (2015), Bayesian A/B testing at VWO, section 5; Gelman et al. (2013), chapter 9.
    """
    shape = _shape(arms)
    places, weights = _grid(arms, shape, arms[0].bends)
    below, above = np.stack([arm.below(places) for arm in arms]), np.stack([arm.above(places) for arm in arms])
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
    if relative:
        return _above(control, treatment, (np.zeros_like(moved), positive("1 + margin", 1 + moved)), shape)
    return _above(control, treatment, (moved, np.ones_like(moved)), shape)


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
    wanted = np.array([0.5, (1 - asked) / 2, (1 + asked) / 2]).reshape(3, *(1 for _ in shape))
    rare = (1 - asked) / 4
    few, many = (np.array([arm.quantile(rare), arm.quantile(1 - rare)]) for arm in (control, treatment))
    if relative:
        few, many = np.log(few), np.log(many)

    def missed(size: Floats) -> Floats:
        by, times = (np.zeros_like(size), np.exp(size)) if relative else (size, np.ones_like(size))
        above = _above(control, treatment, (by, times), size.shape)
        return np.asarray(-np.clip(special.ndtri(np.clip(above, 0, 1)), -PROBIT, PROBIT) - special.ndtri(wanted))

    ends = (many[0] - few[1], many[1] - few[0])
    low, high = (np.broadcast_to(np.clip(end, -MOST, MOST) if relative else end, (3, *shape)) for end in ends)
    found = crossing(missed, low, high, within=1e-12)
    found = np.exp(found) if relative else found
    return Effect(found[0], Interval(found[1], found[2], asked))


def _above(control: Posterior, treatment: Posterior, line: tuple[Floats, Floats], shape: tuple[int, ...]) -> Floats:
    """P(treatment above control * times + by)."""
    shape = np.broadcast_shapes(shape, line[0].shape)
    by, times = (np.broadcast_to(part, shape)[..., None] for part in line)
    back = treatment.moved(_spread(treatment.marks(), shape), -by / times, 1 / times)
    places, weights = gauss_legendre(np.concatenate((_spread(control.marks(), shape), back), axis=-1))
    return np.asarray(
        np.sum(weights * control.density(places) * treatment.above(control.moved(places, by, times)), axis=-1)
    )


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
