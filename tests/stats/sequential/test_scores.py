"""Bets on scores in [0, 1]: exact on tiny samples, inside over whole paths, the same whether stored or not."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stats.sequential.rollouts import at_most
from tidegate.stats.checks import BadSample
from tidegate.stats.results import Interval
from tidegate.stats.sequential.scores import (
    BettingScores,
    betting_evidence,
    betting_sequence,
    difference_by_union,
    paired_difference,
)

RUNS, LENGTH, CELLS = 1000, 200, 100

scores = st.floats(min_value=0.0, max_value=1.0)


# ------------------------------------------------------------------------------------- exact: the sum over all outcomes


@pytest.mark.parametrize("alternative", ["greater", "less"])
@given(
    low=scores, high=scores, chance=st.floats(min_value=0.02, max_value=0.98), shift=st.floats(min_value=0, max_value=1)
)
@settings(max_examples=40)
def test_no_bet_gains_on_average_while_the_null_holds(alternative, low, high, chance, shift):
    """Six scores of two values, every sequence of them; the mean claimed is the true one, or on its losing side."""
    true = chance * high + (1 - chance) * low
    mean = true + shift * (0.99 - true) if alternative == "greater" else true - shift * (true - 0.01)
    mean = float(np.clip(mean, 0.01, 0.99))
    if (mean < true) if alternative == "greater" else (mean > true):
        return
    outcomes = np.array(list(itertools.product((0, 1), repeat=6)))
    weights = np.where(outcomes == 1, chance, 1 - chance).prod(axis=1)
    evidence = betting_evidence(np.where(outcomes == 1, high, low), mean, alternative=alternative)
    assert (weights * np.exp(evidence.log_e[:, -1])).sum() <= 1 + 1e-9
    assert (weights * (evidence.log_peak[:, -1] >= np.log(4))).sum() <= 0.25


@pytest.mark.parametrize(("alternative", "sign", "mean"), [("greater", 1, 0.4), ("less", -1, 0.8)])
def test_the_bets_are_those_of_the_paper(alternative, sign, mean):
    """Predictable plug-in bets written out, score by score; the cut is c/m, or c/(1 - m) for the other side."""
    values, capital, seen, spread = [0.9, 0.2, 0.7, 1.0, 0.6] * 12, 1.0, 0.0, 0.0
    found = betting_evidence(values, mean, alternative=alternative, alpha=0.1)
    for t, value in enumerate(values, start=1):
        variance = (0.25 + spread) / t
        bet = np.sqrt(2 * np.log(2 / 0.1) / (variance * t * np.log(1 + t)))
        bet = min(bet, 0.5 / (mean if sign == 1 else 1 - mean))
        capital *= 1 + sign * bet * (value - mean)
        assert float(np.exp(found.log_e[t - 1])) == pytest.approx(capital)
        seen += value
        spread += (value - (0.5 + seen) / (t + 1)) ** 2


def test_bets_follow_the_spread_once_there_are_enough_scores_to_bet_less_than_the_cut():
    values = np.tile([0.0, 1.0], 200)
    steps = np.abs(np.diff(betting_evidence(values, 0.5).log_e))
    assert steps[-1] < steps[0] / 3


def test_a_fair_bet_is_fair():
    outcomes = np.array(list(itertools.product((0.0, 1.0), repeat=8)))
    assert np.exp(betting_evidence(outcomes, 0.5).log_e).mean(axis=0) == pytest.approx(np.ones(8))


# ------------------------------------------------------------------------------------------ simulated paths


@pytest.mark.parametrize(
    "draw",
    [
        lambda random: (random.beta(8, 2, (RUNS, LENGTH)), 0.8),
        lambda random: (random.binomial(1, 0.95, (RUNS, LENGTH)).astype(float), 0.95),
        lambda random: (random.choice([0.0, 0.5, 1.0], p=[0.1, 0.2, 0.7], size=(RUNS, LENGTH)), 0.8),
        lambda random: (np.full((1, LENGTH), 1.0), 1.0),
        lambda random: (np.full((1, LENGTH), 0.0), 0.0),
    ],
    ids=["beta", "pass or fail", "three grades", "all one", "all zero"],
)
def test_the_mean_stays_inside_over_whole_paths_from_the_first_score(draw):
    values, mean = draw(np.random.default_rng(1))
    found = betting_sequence(values, level=0.9, cells=CELLS)
    outside = ((found.low > mean) | (found.high < mean)).any(axis=1).mean()
    assert at_most(outside, 0.1, RUNS)
    assert np.all(np.diff(found.low, axis=1) >= 0)
    assert np.all(np.diff(found.high, axis=1) <= 0)
    assert (found.high - found.low)[:, -1].mean() < 0.25


def test_pairs_hold_the_difference_and_find_what_unions_of_arms_cannot_yet():
    random = np.random.default_rng(2)
    hard = random.uniform(0.3, 0.9, (RUNS, LENGTH))  # the inputs differ more than the arms do
    control = np.clip(hard + random.normal(0, 0.05, hard.shape), 0, 1)
    treatment = np.clip(hard - 0.1 + random.normal(0, 0.05, hard.shape), 0, 1)
    true = float((treatment - control).mean())
    paired = paired_difference(control, treatment, cells=CELLS)
    outside = ((paired.low > true) | (paired.high < true)).any(axis=1).mean()
    assert at_most(outside, 0.05, RUNS)
    assert (paired.high[:, -1] < 0).mean() > 0.99
    arms = difference_by_union(
        betting_sequence(control[:100], level=0.975, cells=CELLS),
        betting_sequence(treatment[:100], level=0.975, cells=CELLS),
    )
    assert arms.level == pytest.approx(0.95)
    assert np.all((arms.low <= true) & (true <= arms.high))
    assert (arms.high - arms.low)[:, -1].mean() > (paired.high - paired.low)[:, -1].mean()


def test_the_grid_only_ever_makes_the_interval_wider_and_by_less_than_two_steps():
    values = np.random.default_rng(3).beta(6, 3, (20, LENGTH))
    coarse, fine = (betting_sequence(values, cells=cells) for cells in (50, 1000))
    assert np.all(coarse.low <= fine.low + 1e-9)
    assert np.all(coarse.high >= fine.high - 1e-9)
    assert np.all(fine.low - coarse.low <= 1 / 50 + 1e-3)


def test_the_interval_leaves_out_what_the_bets_of_one_mean_reject():
    values = np.random.default_rng(4).beta(6, 3, LENGTH)
    found = betting_sequence(values, cells=10)
    for mean in (0.3, 0.5, 0.6, 0.7, 0.8, 0.9):
        up = betting_evidence(values, mean).log_peak >= np.log(40)
        down = betting_evidence(values, mean, alternative="less").log_peak >= np.log(40)
        assert np.array_equal(found.low >= mean - 1e-9, up)
        assert np.array_equal(found.high <= mean + 1e-9, down)


# ------------------------------------------------------------------------------------------ states


@given(values=st.lists(scores, min_size=1, max_size=12), cut=st.integers(min_value=0, max_value=12))
def test_batches_stores_and_paths_say_the_same(values, cut):
    plan = BettingScores(cells=20)
    whole = plan.update(plan.start(), values)
    half = plan.update(plan.start(), values[:cut])
    again = plan.update(plan.resumed(json.loads(json.dumps(plan.stored(half)))), values[cut:])
    path = plan.path(values)
    for low, high in ((plan.interval(again).low, plan.interval(again).high), (path.low[-1], path.high[-1])):
        assert float(low) == float(plan.interval(whole).low)
        assert float(high) == float(plan.interval(whole).high)
    batch = plan.update(plan.start(2), [values, values])
    assert plan.interval(batch).low.tolist() == [float(plan.interval(whole).low)] * 2


def test_scores_that_contradict_all_before_do_not_empty_the_interval():
    found = betting_sequence(np.concatenate([np.ones(300), np.zeros(300)]), cells=50)
    assert np.all(found.low <= found.high)


def test_what_cannot_be_is_refused():
    plan = BettingScores(cells=20)
    half = Interval(np.zeros(1), np.ones(1), 0.5)
    for call in (
        lambda: betting_sequence([1.1]),
        lambda: betting_sequence([]),
        lambda: betting_sequence(np.zeros((1, 1, 1))),
        lambda: betting_sequence([0.5], cells=1),
        lambda: betting_evidence([0.5], 0.0),
        lambda: betting_evidence([0.5], 0.5, alternative="both"),  # type: ignore[arg-type]
        lambda: paired_difference([0.5], [0.5, 0.5]),
        lambda: difference_by_union(half, half),
        lambda: plan.resumed(BettingScores(cells=30).stored(BettingScores(cells=30).start())),
        lambda: plan.resumed({**plan.stored(plan.start()), "log_up": [0.0]}),
    ):
        with pytest.raises(BadSample):
            call()
