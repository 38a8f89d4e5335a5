"""Means of arms whose share of the traffic depended on what was seen before: each reward weighed by its propensity.

A plain mean of an arm that a bandit fed is biased (it was fed less after bad luck), and a plain t-test on it is wrong.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.checks import BadSample, Floats, finite, probability
from tidegate.stats.results import Interval

__all__ = ["Logged", "WeightedMean", "aipw_difference", "aipw_mean", "ipw_mean"]


@dataclass(frozen=True, slots=True)
class WeightedMean:
    """A mean (or a difference of means), its standard error and its interval."""

    mean: Floats
    standard_error: Floats
    interval: Interval


@dataclass(frozen=True, slots=True)
class Logged:
    """One arm's log, (..., rounds) in their order: whether it was `taken`, with which `propensity` (its share of the
    traffic at that time, above 0), and the `reward` where it was taken (what stands elsewhere is not read).

    At least two rounds; BadSample for what cannot be.
    """

    reward: Floats
    taken: Floats
    propensity: Floats

    def __init__(self, reward: npt.ArrayLike, taken: npt.ArrayLike, propensity: npt.ArrayLike) -> None:
        chosen, chance = finite("taken", taken), probability("propensity", propensity, closed=True)
        if not np.all((chosen == 0) | (chosen == 1)):
            raise BadSample("taken must be true or false in each round")
        if not np.all(chance > 0):
            raise BadSample("propensity must be above 0: an arm that cannot be taken tells nothing of its mean")
        given = np.asarray(reward, dtype=np.float64)
        seen, chosen, chance = np.broadcast_arrays(given, chosen, chance)
        if seen.ndim == 0 or seen.shape[-1] < 2:
            raise BadSample("taken must hold at least two rounds")
        object.__setattr__(self, "reward", finite("reward", np.where(chosen == 1, seen, 0.0)))
        object.__setattr__(self, "taken", chosen)
        object.__setattr__(self, "propensity", chance)


def ipw_mean(logged: Logged, *, level: float = 0.95, tightest_at: float | None = None) -> WeightedMean:
    """The mean that the arm would have if it were always taken: the average of taken reward / propensity.

    Unbiased, with an interval that is right for many rounds; its width grows as 1 / propensity. With `tightest_at` the
    interval is a confidence sequence, which may be read at every round and is narrowest at that one. Unit: that of the
    reward. Source: Horvitz & Thompson (1952), https://doi.org/10.1080/01621459.1952.10483446; for the sequence
    Waudby-Smith et al. (2024), https://doi.org/10.1214/24-AOS2408.
    """
    return _averaged(logged.taken * logged.reward / logged.propensity, level, tightest_at)


def aipw_mean(
    logged: Logged, *, level: float = 0.95, tightest_at: float | None = None, steadied: bool = False
) -> WeightedMean:
    """As `ipw_mean`, with less noise: the average of m + taken (reward - m) / propensity, where m is the arm's mean of
    the rounds before, so that only what m did not foresee is weighed.

    `steadied` weighs each round by the square root of its propensity, which keeps the interval right where a bandit
    starves the arm; it has no confidence sequence (BadSample with `tightest_at`). Source: Robins, Rotnitzky & Zhao
    (1994), https://doi.org/10.1080/01621459.1994.10476818; steadied: Hadad et al. (2021),
    https://doi.org/10.1073/pnas.2014602118; the sequence as `ipw_mean`.
    """
    scores = _scores(logged)
    if not steadied:
        return _averaged(scores, level, tightest_at)
    if tightest_at is not None:
        raise BadSample("steadied means have no confidence sequence: leave out tightest_at")
    weights = np.sqrt(logged.propensity)
    whole = weights.sum(axis=-1)
    mean = np.asarray((weights * scores).sum(axis=-1) / whole)
    error = np.sqrt((weights**2 * (scores - mean[..., None]) ** 2).sum(axis=-1)) / whole
    return _within(mean, np.asarray(error), level, special.ndtri((1 + float(probability("level", level))) / 2))


def aipw_difference(
    control: Logged, treatment: Logged, *, level: float = 0.95, tightest_at: float | None = None
) -> WeightedMean:
    """Treatment minus control, round by round on the scores of `aipw_mean`, so that their correlation counts.

    Both logs are of the same rounds, of which each took at most one of the two; BadSample otherwise. Unit, interval and
    sources as `aipw_mean`.
    """
    if control.reward.shape[-1] != treatment.reward.shape[-1]:
        raise BadSample("control and treatment must be logs of the same rounds")
    if np.any(control.taken * treatment.taken == 1):
        raise BadSample("control and treatment cannot both be taken in one round")
    return _averaged(_scores(treatment) - _scores(control), level, tightest_at)


def _scores(logged: Logged) -> Floats:
    """m + taken (reward - m) / propensity; m is 0 until the arm was taken once."""
    before = np.cumsum(logged.taken, axis=-1) - logged.taken
    earned = np.cumsum(logged.reward, axis=-1) - logged.reward
    foreseen = np.where(before > 0, earned / np.maximum(before, 1.0), 0.0)
    return np.asarray(foreseen + logged.taken * (logged.reward - foreseen) / logged.propensity)


def _averaged(scores: Floats, level: float, tightest_at: float | None) -> WeightedMean:
    rounds = scores.shape[-1]
    alpha = 1 - float(probability("level", level))
    mean, error = scores.mean(axis=-1), scores.std(axis=-1, ddof=1) / np.sqrt(rounds)
    if tightest_at is None:
        return _within(mean, error, level, float(-special.ndtri(alpha / 2)))
    if not tightest_at > 0:
        raise BadSample("tightest_at must be a number of rounds above 0")
    nats = -2 * np.log(alpha)
    grown = rounds * (nats + np.log1p(nats)) / tightest_at
    return _within(mean, error, level, float(np.sqrt((1 + 1 / grown) * (np.log1p(grown) + nats))))


def _within(mean: Floats, error: Floats, level: float, times: float) -> WeightedMean:
    return WeightedMean(mean, error, Interval(mean - times * error, mean + times * error, level))
