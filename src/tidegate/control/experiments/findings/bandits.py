"""Bandits: which shares the variants get next, and where one stands. Pure.

Shares follow what was judged, and nothing else: an outcome that is still to come counts when it has come, and time that
passes without one changes nothing. Whom the posterior thinks best is shown and decides the shares, never the end: read
at every look, "95 % to be best" names a winner between two equal variants in more than half of all runs. The end is the
generalised likelihood ratio's, which holds at every look and under any shares (`tidegate.stats.bandits.glr_stop`), and
which must be borne out inside windows, where what drifts for all variants cancels.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.control.experiments.findings.compare import track
from tidegate.control.experiments.findings.outcomes import Outcomes
from tidegate.control.experiments.model import BanditReport, Definition, Metric
from tidegate.control.experiments.placing import shares
from tidegate.control.gates.questions import FEWEST_EVENTS
from tidegate.kernel.errors import Invalid
from tidegate.live.assignment import BUCKETS
from tidegate.stats.bandits import glr_stop, thompson, top_two, with_floor
from tidegate.stats.checks import Floats
from tidegate.stats.posteriors import BetaBernoulli, NormalNormal, NormalPrior, Posterior
from tidegate.stats.propensities import Logged, aipw_mean
from tidegate.stats.results import Proportion, Sample
from tidegate.stats.sequential.stratified import Moments

__all__ = ["MOST_POINTS", "bandit_report", "next_weights"]

WeightsLog: TypeAlias = Sequence[tuple[int, tuple[int, ...]]]
Chosen: TypeAlias = npt.NDArray[np.bool_]

MOST_POINTS = 200
"""Of a regret's path."""

_LEVEL = 0.95
_FEWEST = 2
_PRIOR_UNITS = 1.0
_PRIOR_DF = 2.0
"""What a mean is believed to be before its own values: worth one unit around the mean of all, with a heavy tail."""
_ROUNDING = 1e-6


def next_weights(definition: Definition, outcomes: Outcomes, now_ms: int, started_at_ms: int) -> tuple[int, ...]:
    """The shares of 10,000 for the units that come next, in the variants' order; none below the floor.

    Thompson: each variant's probability to be best; top-two: half for it, half for its likeliest rival. What counts are
    the rewards (the primary metric) judged since `started_at_ms` and by `now_ms`; with a memory only those of the last
    `memory_s` up to the newest. Before there is any, the shares are the definition's. Invalid without a bandit.
    """
    if definition.bandit is None:
        raise Invalid(
            f"The experiment {definition.name} is no bandit: its weights stay as they are.",
            mend="Add a `bandit` block.",
            code="no_bandit",
        )
    metric, at_ms = definition.metric(definition.primary), outcomes.at_ms
    counted = ~np.isnan(outcomes.values[metric.name]) & (at_ms >= started_at_ms) & (at_ms <= now_ms)
    if definition.bandit.memory_s is not None and np.any(counted):
        counted &= at_ms > at_ms[counted].max() - definition.bandit.memory_s * 1000
    beliefs = _beliefs(definition, outcomes, counted)
    if beliefs is None:
        return shares([variant.weight_bp for variant in definition.variants])
    chances = thompson(beliefs, lowest=metric.better == "lower")
    if definition.bandit.algorithm == "top-two":
        chances = top_two(chances)
    floor_bp = _floor_bp(definition.bandit.floor, len(definition.variants))
    return _rounded(with_floor(chances, floor_bp / BUCKETS), floor_bp)


def bandit_report(definition: Definition, outcomes: Outcomes, weights_log: WeightsLog) -> BanditReport:
    """Where a bandit stands by all that was judged.

    Posterior means with their 95 % intervals and the probability to be best (empty before any outcome); means corrected
    for the shares, by the logged propensities (augmented, with an interval that may be read at any time; None before
    `burn_in` units of the variant); the regret by the posterior means as they are now, over all judged units; whether
    the leader may be declared best with an error of alpha.
    """
    metric = definition.metric(definition.primary)
    counted = ~np.isnan(outcomes.values[metric.name])
    beliefs = _beliefs(definition, outcomes, counted)
    lowest = metric.better == "lower"
    best = () if beliefs is None else tuple(float(one) for one in thompson(beliefs, lowest=lowest))
    posterior = () if beliefs is None else tuple(_believed(one) for one in beliefs)
    leader, may_stop = _stop(definition, outcomes, counted)
    if leader is None:
        leader = int(np.argmax(best)) if best else 0
    path = _regret_path(outcomes, [mean for mean, _, _ in posterior], lowest)
    return BanditReport(
        weights=tuple((at, tuple(weights)) for at, weights in weights_log),
        posterior=posterior,
        best=best,
        weighted_means=tuple(_corrected(definition, outcomes, counted, at) for at in range(len(definition.variants))),
        regret=path[-1][1] if path else None,
        regret_path=path,
        leader=definition.variants[leader].name,
        may_stop=may_stop,
    )


def _beliefs(definition: Definition, outcomes: Outcomes, counted: Chosen) -> list[Posterior] | None:
    """What is believed of each variant's mean reward; None where nothing tells one from the other yet."""
    metric = definition.metric(definition.primary)
    if not np.any(counted):
        return None
    rewards = _rewards(definition, outcomes, counted)
    if metric.shape == "rate":
        return [BetaBernoulli().after(float(arm.sum()), arm.size) for arm in rewards]
    prior = _prior(metric, rewards)
    return None if prior is None else [_mean(arm, prior) for arm in rewards]


def _prior(metric: Metric, rewards: list[Floats]) -> NormalPrior | None:
    """One prior for all variants, so that it favours none; None before the values differ and the spread is known."""
    together = np.concatenate(rewards)
    spread = float(together.std(ddof=1)) if together.size >= _FEWEST else 0.0
    if spread <= 0 and metric.sd is not None:
        spread = metric.sd
    if spread <= 0:
        return None
    return NormalPrior(float(together.mean()), spread, _PRIOR_UNITS, _PRIOR_DF)


def _mean(values: Floats, prior: NormalPrior) -> NormalNormal:
    if values.size < _FEWEST:
        return NormalNormal(prior.mean, prior.sd / np.sqrt(prior.weight), prior.df)
    return NormalNormal.of(Sample.of(values), prior)


def _rewards(definition: Definition, outcomes: Outcomes, counted: Chosen) -> list[Floats]:
    values = outcomes.values[definition.primary]
    return [values[counted & (outcomes.variant == at)] for at in range(len(definition.variants))]


def _believed(belief: Posterior) -> tuple[float, float, float]:
    found = belief.interval(_LEVEL)
    return float(belief.mean), float(found.low), float(found.high)


def _corrected(
    definition: Definition, outcomes: Outcomes, counted: Chosen, at: int
) -> tuple[float, float, float] | None:
    """The mean that the variant would have if every unit got it; rounds are the judged units in their order. None
    before `burn_in` units of the variant, and of 0 and 1 before FEWEST_EVENTS of each.
    """
    taken = outcomes.variant[counted] == at
    if taken.sum() < max(definition.metric(definition.primary).burn_in, _FEWEST):
        return None
    own = outcomes.values[definition.primary][counted][taken]
    if np.all((own == 0) | (own == 1)) and min(own.sum(), (1 - own).sum()) < FEWEST_EVENTS:
        return None
    order = np.argsort(outcomes.at_ms[counted], kind="stable")
    reward = outcomes.values[definition.primary][counted][order]
    propensity = np.where(taken, outcomes.propensity[counted], 1.0)[order]  # of a variant not taken it is not read
    if not propensity.min() > 0:
        return None  # one was taken that could not be: what the log says of the shares is wrong
    planned = float(definition.min_samples * len(definition.variants))
    found = aipw_mean(Logged(reward, taken[order], propensity), level=_LEVEL, tightest_at=planned)
    return float(found.mean), float(found.interval.low), float(found.interval.high)


def _stop(definition: Definition, outcomes: Outcomes, counted: Chosen) -> tuple[int | None, bool]:
    """The leader by plain means and whether it may be declared best; None before each variant has been judged enough:
    one unit for rates, `burn_in` for means, whose spread is taken as known.

    The likelihood ratio pools all windows. Where the base drifts while shares move, it would take the drift for a
    difference; so the leader must be better than every rival inside windows too, with alpha / 2 shared among them.
    """
    metric = definition.metric(definition.primary)
    rewards = _rewards(definition, outcomes, counted)
    n = np.array([arm.size for arm in rewards])
    lowest = metric.better == "lower"
    if metric.shape == "rate":
        if n.min() < 1:
            return None, False
        found = glr_stop(Proportion([arm.sum() for arm in rewards], n), delta=definition.alpha, lowest=lowest)
    else:
        if n.min() < max(metric.burn_in, _FEWEST):
            return None, False
        samples = [Sample.of(arm) for arm in rewards]
        arms = Sample([one.mean for one in samples], [one.sd for one in samples], n)
        found = glr_stop(arms, delta=definition.alpha, lowest=lowest)
    leader = int(found.leader)
    return leader, bool(found.stop) and _ahead_inside_windows(definition, outcomes, leader)


def _ahead_inside_windows(definition: Definition, outcomes: Outcomes, leader: int) -> bool:
    """Whether the leader is surely better than every other variant, compared window by window."""
    metric, table = definition.metric(definition.primary), outcomes.tables()[definition.primary]
    rivals = [at for at in range(len(definition.variants)) if at != leader]
    arms = [Moments(table.n[at], table.mean[at], table.squares[at]) for at in range(len(definition.variants))]
    level = definition.alpha / 2 / len(rivals)
    return all(track(metric, arms[at], arms[leader], definition=definition).p_better[-1] < level for at in rivals)


def _regret_path(outcomes: Outcomes, means: list[float], lowest: bool) -> tuple[tuple[int, float], ...]:
    """What the judged units lost against the best variant, added up window by window (Unix ms of its last unit)."""
    if not means or outcomes.variant.size == 0:
        return ()
    best = min(means) if lowest else max(means)
    lost = np.abs(best - np.asarray(means))[outcomes.variant]
    by_window = np.bincount(outcomes.window, weights=lost, minlength=outcomes.windows)
    last_ms = np.zeros(by_window.size, dtype=np.int64)
    np.maximum.at(last_ms, outcomes.window, outcomes.at_ms)
    seen = np.flatnonzero(last_ms)
    total = np.cumsum(by_window)
    shown = seen[np.unique(np.linspace(0, seen.size - 1, min(seen.size, MOST_POINTS)).astype(np.intp))]
    return tuple((int(last_ms[at]), float(total[at])) for at in shown)


def _floor_bp(floor: float, variants: int) -> int:
    """The least share of 10,000 that is not below the floor, as far as there is enough for all."""
    return min(int(np.ceil(floor * BUCKETS - _ROUNDING)), BUCKETS // variants)


def _rounded(weights: Floats, floor_bp: int) -> tuple[int, ...]:
    """Whole numbers that sum to 10,000, by the largest remainder, none below the floor."""
    exact = weights * BUCKETS
    whole = np.maximum(np.floor(exact + _ROUNDING).astype(np.int64), floor_bp)
    left = BUCKETS - int(whole.sum())
    for at in np.argsort(whole - exact, kind="stable")[: max(left, 0)]:
        whole[at] += 1
    return tuple(int(one) for one in whole)
