"""The fast way for two arms says what the slow one says, which integrates over both densities piece by piece."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from tidegate.stats import posteriors
from tidegate.stats.beliefs import Posterior
from tidegate.stats.pairs import chances_of_two, losses_of_two, moved_above
from tidegate.stats.posteriors import BetaBernoulli, LogNormal, NormalNormal, effect, probability_of_effect_above
from tidegate.stats.results import Sample

PROBLEMS = 400


def rates(random: np.random.Generator, least: float) -> tuple[Posterior, Posterior]:
    """Arms of any size with rates so near to each other that neither is surely the best."""
    first = [least * 10 ** random.uniform(0, 5, PROBLEMS) for _ in range(2)]
    size, apart = 10 ** random.uniform(-2, 2, PROBLEMS), random.uniform(0.7, 1.4, PROBLEMS)
    second = [np.maximum(least, first[0] * size * apart), np.maximum(least, first[1] * size)]
    return BetaBernoulli(*first), BetaBernoulli(*second)


def means(random: np.random.Generator) -> tuple[Posterior, Posterior]:
    df = 10 ** random.uniform(np.log10(30), 6, (2, PROBLEMS))
    scale = 10 ** random.uniform(-2, 1, (2, PROBLEMS))
    centre = random.normal(0, 1, (2, PROBLEMS)) * scale.max(axis=0)
    return NormalNormal(centre[0], scale[0], df[0]), NormalNormal(centre[1], scale[1], df[1])


def costs(random: np.random.Generator) -> tuple[Posterior, Posterior]:
    df = 10 ** random.uniform(np.log10(30), 4, (2, PROBLEMS // 8))
    variance = np.minimum(10 ** random.uniform(-3, 1, df.shape), 2.4)
    centre = random.normal(0, 2, df.shape) * np.sqrt(variance / df).max(axis=0) - variance / 2
    return LogNormal(centre[0], variance[0], df[0] + 1, df[0]), LogNormal(centre[1], variance[1], df[1] + 1, df[1])


KINDS = [lambda random: rates(random, 1.0), lambda random: rates(random, 12.0), means, costs]


@pytest.mark.parametrize("kind", KINDS)
def test_chances_and_losses_of_two_arms_are_those_of_any_number(kind: Any):
    arms = kind(np.random.default_rng(5))
    shape = arms[0].shape
    assert np.all(arms[0].smooth() & arms[1].smooth())
    np.testing.assert_allclose(chances_of_two(*arms), posteriors._chances(arms, shape, False), atol=2e-10, rtol=0)
    lost, slow = losses_of_two(*arms), posteriors._losses(arms, shape, False)
    np.testing.assert_allclose(lost, slow, rtol=0, atol=1e-9 * float(slow.max()))
    seen = slow > 1e-6 * slow.max(axis=-1, keepdims=True)
    np.testing.assert_allclose(lost[seen], slow[seen], rtol=1e-8)


@pytest.mark.parametrize(
    ("kind", "relative"), [(KINDS[1], False), (KINDS[1], True), (KINDS[2], False), (KINDS[3], True)]
)
def test_a_moved_arm_is_above_as_often_as_by_the_slow_way(kind: Any, relative: bool):
    random = np.random.default_rng(6)
    control, treatment = kind(random)
    within = effect(control, treatment, level=0.999, relative=relative).interval
    low, high = within.low, within.high
    place = low + (high - low) * random.uniform(size=low.shape)
    by, times = (np.zeros_like(place), place) if relative else (place, np.ones_like(place))
    quick, slow = moved_above(control, treatment, relative), posteriors._above(control, treatment)
    np.testing.assert_allclose(quick(by, times), slow(by, times), atol=5e-10, rtol=0)


RATES = BetaBernoulli([3.0, 91, 1], [998.0, 911, 501]), BetaBernoulli([2.0, 121, 5], [1000.0, 881, 497])
MEANS = NormalNormal([0.0, 1, 2], 1, [2.0, 40, 1]), NormalNormal([0.5, 9, 1], [3.0, 1, 1], [5.0, 90, 400])
COSTS = LogNormal.of(Sample([0.0, 1], [0.9, 3], [4, 50])), LogNormal.of(Sample([0.1, 2], [0.9, 1], [90, 500]))


@pytest.mark.parametrize(("arms", "relative"), [(RATES, False), (RATES, True), (MEANS, False), (COSTS, True)])
def test_smooth_problems_and_others_are_answered_side_by_side(arms: tuple[Posterior, Posterior], relative: bool):
    found = effect(*arms, level=0.9, relative=relative)
    shift = 1.0 if relative else 0.0
    for place, above in ((found.interval.low, 0.95), (found.median, 0.5), (found.interval.high, 0.05)):
        said = probability_of_effect_above(*arms, place - shift, relative=relative)
        np.testing.assert_allclose(said, above, rtol=1e-8)


@given(st.floats(1, 1e9), st.floats(1, 1e9), st.floats(-9, 9))
def test_both_tails_of_a_rate_keep_their_digits(alpha: float, beta: float, score: float):
    belief = BetaBernoulli(alpha, beta)
    place = belief.about(score)[..., None]
    below, above = belief.tails(place)
    rate, rest = special.expit(place), special.expit(-place)
    exact = special.betainc(alpha, beta, rate) if rate < rest else special.betaincc(beta, alpha, rest)
    over = special.betaincc(alpha, beta, rate) if rate < rest else special.betainc(beta, alpha, rest)
    np.testing.assert_allclose(below, exact, rtol=1e-6, atol=1e-300)
    np.testing.assert_allclose(above, over, rtol=1e-6, atol=1e-300)
    quick = belief.tails(place, digits=False)
    np.testing.assert_allclose(quick[0], exact, atol=1e-7)
    np.testing.assert_allclose(quick[0] + quick[1], 1)


@given(st.floats(1, 1e6), st.floats(1, 1e6), st.floats(0.001, 0.999))
def test_what_a_rate_exceeds_a_place_by_is_its_distance_from_the_mean(alpha: float, beta: float, rate: float):
    belief = BetaBernoulli(alpha, beta)
    beyond, short = belief.excess(special.logit(np.array([rate])))
    assert beyond >= 0
    assert short >= 0
    np.testing.assert_allclose(beyond - short, belief.mean - rate, atol=1e-11)


@given(st.floats(1, 1e12), st.floats(1, 1e12))
def test_the_nodes_of_a_rate_hold_all_of_its_belief_and_its_mean(alpha: float, beta: float):
    belief = BetaBernoulli(alpha, beta)
    places, masses = belief.nodes()
    assert masses.sum() == pytest.approx(1, abs=1e-9)
    assert (masses * belief.value(places)).sum() == pytest.approx(float(belief.mean), rel=1e-9)
