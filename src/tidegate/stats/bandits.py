"""How to share traffic over arms while it is not known which is best, and when to stop.

Thompson sampling earns more while it learns (it regrets less), it does not decide sooner: with two arms it needs more
units than an equal split. Decide by `glr_stop` or by intervals on weighted means, never by the probability to be best:
read at every look, "95 % to be best" names a winner between two equal arms in more than half of all runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.checks import BadSample, Floats, finite, probability
from tidegate.stats.posteriors import Posterior, probability_best
from tidegate.stats.propensities import Logged, WeightedMean, aipw_difference, aipw_mean, ipw_mean
from tidegate.stats.results import Proportion, Sample

__all__ = [
    "Logged",
    "Stop",
    "WeightedMean",
    "aipw_difference",
    "aipw_mean",
    "glr_stop",
    "ipw_mean",
    "thompson",
    "top_two",
    "with_floor",
]

BOUNDS = ("proven", "usual")
SHARES = np.linspace(0.5, 1.0, 2002)[1:-1]
"""Where the bound for normal arms is looked for: a coarse search can only make it safer."""
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Stop:
    """Whether the `leader` (an arm's number) may be declared best. `statistic` is the evidence against its closest
    rival, `threshold` what it must exceed.
    """

    stop: npt.NDArray[np.bool_]
    leader: npt.NDArray[np.int64]
    statistic: Floats
    threshold: Floats


def thompson(arms: Sequence[Posterior], *, lowest: bool = False) -> Floats:
    """The share of traffic that Thompson sampling gives each arm, (..., arms): its probability to be best.

    Exact, so that a batch needs no draws and the propensities can be logged as they are. Errors as `probability_best`.
    A share can come so close to 0 that an arm is not seen again: see `with_floor`.
    Source: Thompson (1933), https://doi.org/10.1093/biomet/25.3-4.285.
    """
    return probability_best(arms, lowest=lowest)


def top_two(chances: npt.ArrayLike, *, share: float = 0.5) -> Floats:
    """The share that top-two Thompson sampling gives each arm, (..., arms), from the probabilities to be best:
    p_i (share + (1 - share) sum_{j != i} p_j / (1 - p_j)).

    The leader drawn is played with `share`, else the first other arm that is drawn. It finds the best of three and more
    arms sooner; with two arms and a share of 1/2 it is an equal split. Chances from 0 to 1 that sum to 1, at least two
    arms, share between 0 and 1; BadSample otherwise. Source: Russo (2020), https://doi.org/10.1287/opre.2019.1911.
    """
    found = _weights("chances", chances)
    kept = float(probability("share", share))
    others = np.stack([np.delete(found, arm, axis=-1).sum(axis=-1) for arm in range(found.shape[-1])], axis=-1)
    alone = others == 0
    rival = found[..., None, :] / np.where(alone, 1.0, others)[..., :, None]
    rival = np.where(alone[..., :, None], 1 / (found.shape[-1] - 1), rival) * (1 - np.eye(found.shape[-1]))
    shares = kept * found + (1 - kept) * np.einsum("...j,...ji->...i", found, rival)
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


def with_floor(weights: npt.ArrayLike, floor: npt.ArrayLike) -> Floats:
    """The weights, (..., arms), with none below its floor: who lies below is raised to the floor exactly, the others
    shrink in proportion, and all sum to 1.

    A floor keeps every arm observed, so that drift is noticed and weighted means stay finite. Weights of at least 0
    that sum to 1; floors (one for all, or one for each arm) of at least 0 that sum to at most 1; BadSample otherwise.
    """
    found = _weights("weights", weights)
    least = np.broadcast_to(probability("floor", floor, closed=True), found.shape)
    if np.any(least.sum(axis=-1) > 1 + ROUNDING):
        raise BadSample("floor must leave something: the floors of all arms sum to more than 1")
    held = np.zeros(found.shape, dtype=bool)
    shared = found
    for _ in range(found.shape[-1] + 1):
        free = 1 - np.where(held, least, 0.0).sum(axis=-1, keepdims=True)
        loose = np.where(held, 0.0, found)
        sum_of_loose = loose.sum(axis=-1, keepdims=True)
        scale = free / np.where(sum_of_loose > 0, sum_of_loose, 1.0)
        shared = np.where(held, least, loose * scale)
        below = ~held & (shared < least)
        if not np.any(below):
            break
        held = held | below
    return np.asarray(shared)


def glr_stop(arms: Proportion | Sample, *, delta: float = 0.05, lowest: bool = False, bound: str = "proven") -> Stop:
    """Whether the leading arm may be declared best, at any look and under any way of sharing the traffic, with an error
    of at most `delta`: the generalised likelihood ratio against each rival must exceed its threshold.

    The arms lie on the last axis. Rates: n_a d(p_a, m) + n_b d(p_b, m), with d the Bernoulli divergence and m the rate
    of both together, against log((arms - 1) / delta) + r_a + r_b, where r is by how much an arm's best likelihood
    exceeds its mixture over Beta(1/2, 1/2), at most log(2 sqrt(n)). Means: (x_a - x_b)^2 / (2 (s_a^2/n_a + s_b^2/n_b))
    against 2 log(4 + log n_a) + 2 log(4 + log n_b) + 2 C(log((arms - 1) / delta) / 2), with the sds taken as known:
    give each arm some 50 units first. With bound="usual" both are held against log((arms - 1) (1 + log n) / delta), n
    all units: it stops far sooner and held delta in simulations, but is not proven. At least two arms, delta between 0
    and 1, or BadSample. Source: Garivier & Kaufmann (2016), https://doi.org/10.48550/arXiv.1602.04589; for means
    Kaufmann & Koolen (2021), https://doi.org/10.48550/arXiv.1811.11419.
    """
    if bound not in BOUNDS:
        raise BadSample(f"bound must be one of {', '.join(BOUNDS)}")
    risk = float(probability("delta", delta))
    mean, spread = (arms.rate, arms.n) if isinstance(arms, Proportion) else (arms.mean, arms.sd)
    value, units, _ = np.broadcast_arrays(mean, arms.n, spread)
    if value.ndim == 0 or value.shape[-1] < 2:
        raise BadSample("arms must be at least two, along the last axis")
    leader = np.argmin(value, axis=-1) if lowest else np.argmax(value, axis=-1)
    if isinstance(arms, Proportion):
        evidence, threshold = _rates_apart(arms, leader, risk)
    else:
        evidence, threshold = _means_apart(arms, leader, risk)
    if bound == "usual":
        total = units.sum(axis=-1, keepdims=True)
        threshold = np.asarray(np.log((value.shape[-1] - 1) * (1 + np.log(total)) / risk))
    rivals = np.arange(value.shape[-1]) != leader[..., None]
    room = np.where(rivals, evidence - threshold, np.inf)
    closest = np.argmin(room, axis=-1)[..., None]
    statistic = np.take_along_axis(evidence, closest, axis=-1)[..., 0]
    needed = np.take_along_axis(np.broadcast_to(threshold, evidence.shape), closest, axis=-1)[..., 0]
    return Stop(np.asarray(statistic > needed), np.asarray(leader), statistic, needed)


def _rates_apart(arms: Proportion, leader: npt.NDArray[np.int64], risk: float) -> tuple[Floats, Floats]:
    successes, n = np.broadcast_arrays(arms.successes, arms.n)
    won, units = (np.take_along_axis(one, leader[..., None], axis=-1) for one in (successes, n))
    together = (won + successes) / (units + n)
    evidence = units * _divergence(won / units, together) + n * _divergence(successes / n, together)
    regret = _regret(won, units) + _regret(successes, n)
    return np.asarray(evidence), np.asarray(regret + np.log((n.shape[-1] - 1) / risk))


def _regret(successes: Floats, n: Floats) -> Floats:
    """The logarithm of the best likelihood over the mixture with Beta(1/2, 1/2), that of Krichevsky and Trofimov
    (1981), https://doi.org/10.1109/TIT.1981.1056331.
    """
    rest = n - successes
    best = special.xlogy(successes, successes / n) + special.xlogy(rest, rest / n)
    return np.asarray(np.maximum(best - special.betaln(successes + 0.5, rest + 0.5) + np.log(np.pi), 0.0))


def _means_apart(arms: Sample, leader: npt.NDArray[np.int64], risk: float) -> tuple[Floats, Floats]:
    mean, sd, n = np.broadcast_arrays(arms.mean, arms.sd, arms.n)
    best, spread, units = (np.take_along_axis(one, leader[..., None], axis=-1) for one in (mean, sd, n))
    variance = spread**2 / units + sd**2 / n
    apart = (best - mean) ** 2
    sure = np.where(apart > 0, np.inf, 0.0)
    evidence = np.where(variance > 0, apart / np.where(variance > 0, 2 * variance, 1.0), sure)
    looks = 2 * np.log(4 + np.log(units)) + 2 * np.log(4 + np.log(n))
    return np.asarray(evidence), np.asarray(looks + 2 * _bound(np.log((n.shape[-1] - 1) / risk) / 2))


def _bound(nats: float) -> float:
    """C(x) = min over l in (1/2, 1) of (2 l - 2 l log(4 l) + log zeta(2 l) - log(1 - l) / 2 + x) / l."""
    cost = 2 * SHARES - 2 * SHARES * np.log(4 * SHARES) + np.log(special.zeta(2 * SHARES)) - np.log1p(-SHARES) / 2
    return float(np.min((cost + nats) / SHARES))


def _divergence(rate: Floats, other: Floats) -> Floats:
    """Bernoulli's: rate log(rate / other) + (1 - rate) log((1 - rate) / (1 - other))."""
    return np.asarray(np.maximum(special.rel_entr(rate, other) + special.rel_entr(1 - rate, 1 - other), 0.0))


def _weights(name: str, value: npt.ArrayLike) -> Floats:
    found = finite(name, value)
    if found.ndim == 0 or found.shape[-1] < 2:
        raise BadSample(f"{name} must hold one for each of at least two arms")
    if np.any(found < 0) or np.any(np.abs(found.sum(axis=-1) - 1) > ROUNDING):
        raise BadSample(f"{name} must be at least 0 and sum to 1")
    return found
