from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from tidegate.stats.bandits import (
    Logged,
    aipw_difference,
    aipw_mean,
    glr_stop,
    ipw_mean,
    thompson,
    top_two,
    with_floor,
)
from tidegate.stats.checks import BadSample
from tidegate.stats.posteriors import BetaBernoulli, NormalNormal
from tidegate.stats.results import Proportion, Sample

Shares = Any


def drawn(random: np.random.Generator, won: Any, n: Any) -> Shares:
    """Thompson's shares of a batch of 100, by drawing: the exact ones are `thompson`'s, and slower for many runs."""
    draws = random.beta(won + 1, n - won + 1, size=(100, *won.shape)).argmax(axis=-1)
    return (draws[..., None] == np.arange(won.shape[-1])).mean(axis=0)


def played(random: np.random.Generator, rates: list[float], rule: Any, runs: int = 200, batches: int = 40) -> Any:
    """Successes and units of each arm, and the regret, after each batch of 100 units: (batches, runs, ...)."""
    arms, truth = len(rates), np.array(rates)
    won, n = np.zeros((runs, arms)), np.zeros((runs, arms))
    history, lost = [], np.zeros(runs)
    for _ in range(batches):
        units = random.multinomial(100, rule(random, won, n))
        won, n = won + random.binomial(units, truth), n + units
        lost = lost + units @ (truth.max() - truth)
        history.append((won, n))
    return np.stack([one for one, _ in history]), np.stack([one for _, one in history]), lost


def equal(random: np.random.Generator, won: Any, n: Any) -> Shares:
    return np.full(won.shape, 1 / won.shape[-1])


def floored(random: np.random.Generator, won: Any, n: Any) -> Shares:
    return with_floor(drawn(random, won, n), 0.1)


# ----------------------------------------------------------------------------------------------------------- shares


def test_thompsons_shares_are_the_chances_to_be_best():
    arms = [BetaBernoulli(9, 3), BetaBernoulli(8, 4), BetaBernoulli(30, 10)]
    draws = np.random.default_rng(3).beta([9, 8, 30], [3, 4, 10], (400_000, 3)).argmax(axis=1)
    np.testing.assert_allclose(thompson(arms), np.bincount(draws) / 400_000, atol=0.003)
    np.testing.assert_allclose(thompson([NormalNormal(0, 1), NormalNormal(0, 1)]), 0.5)
    assert thompson([NormalNormal(1, 0.1), NormalNormal(2, 0.1)], lowest=True)[0] > 0.999


def test_top_two_of_two_arms_is_an_equal_split():
    for chance in (0.5, 0.9, 1 - 1e-12, 1.0):
        np.testing.assert_allclose(top_two([chance, 1 - chance]), 0.5, rtol=1e-9)


def test_top_two_draws_a_rival_until_it_is_another():
    chances = np.array([0.6, 0.3, 0.1])
    random = np.random.default_rng(5)
    first = random.choice(3, 400_000, p=chances)
    rival = random.choice(3, 400_000, p=chances)
    while np.any(same := rival == first):
        rival[same] = random.choice(3, same.sum(), p=chances)
    played_arm = np.where(random.uniform(size=400_000) < 0.7, first, rival)
    np.testing.assert_allclose(top_two(chances, share=0.7), np.bincount(played_arm) / 400_000, atol=0.003)
    np.testing.assert_allclose(top_two([1.0, 0.0, 0.0]), [0.5, 0.25, 0.25])
    np.testing.assert_allclose(top_two([1.0, 1e-200, 0.0]), [0.5, 0.5, 0.0], atol=1e-12)


@given(st.lists(st.floats(1e-6, 1), min_size=2, max_size=6), st.floats(0.05, 0.95))
def test_top_two_keeps_the_order_of_the_chances_and_plays_none_more_than_it_may(weights: list[float], share: float):
    chances = np.array(weights) / sum(weights)
    found = top_two(chances, share=share)
    assert found.sum() == pytest.approx(1)
    assert np.all(found >= share * chances * (1 - 1e-12)), "a leader is played with its share"
    if share >= 0.5:
        assert np.all(np.diff(found[np.argsort(chances)]) >= -1e-12)


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=8).filter(lambda weights: sum(weights) > 1e-6), st.floats(0.0, 1.0)
)
def test_a_floor_is_kept_exactly_and_the_shares_sum_to_one(weights: list[float], part: float):
    whole = np.array(weights) / sum(weights)
    floor = part / len(weights)
    found = with_floor(whole, floor)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert np.all(found >= floor * (1 - 1e-12))
    free = (found > floor * (1 + 1e-9)) & (whole > 1e-9)
    shrunk = found[free] / whole[free]
    np.testing.assert_allclose(shrunk, shrunk[:1].repeat(len(shrunk)), rtol=1e-9)
    assert np.all(np.diff(found[np.argsort(whole)]) >= -1e-12), "who had more has no less"


def test_a_starved_arm_gets_its_floor_and_no_more():
    np.testing.assert_allclose(with_floor([0.999, 0.001, 0.0], 0.1), [0.8, 0.1, 0.1])
    np.testing.assert_allclose(with_floor([0.7, 0.3], 0.1), [0.7, 0.3])
    np.testing.assert_allclose(with_floor([[1.0, 0.0], [0.2, 0.8]], [0.3, 0.05]), [[0.95, 0.05], [0.3, 0.7]])
    np.testing.assert_allclose(with_floor([0.9, 0.05, 0.05], 1 / 3), 1 / 3)


# ----------------------------------------------------------------------------------------------------------- regret


def test_thompson_with_a_floor_regrets_less_than_half_of_an_equal_split():
    rates = [0.8, 0.85]
    _, n, alike = played(np.random.default_rng(1), rates, equal)
    _, _, free = played(np.random.default_rng(2), rates, drawn)
    won, fed, kept = played(np.random.default_rng(3), rates, floored)
    assert kept.mean() < 0.5 * alike.mean()
    assert free.mean() < kept.mean(), "the floor has its price"
    np.testing.assert_allclose(n[-1].mean(axis=0), 2000, rtol=0.02)
    assert fed[-1].min(axis=1).mean() > 0.1 * 4000 * 0.9, "and it is kept"
    assert np.all(won <= fed)


def test_a_starving_bandit_seldom_lets_a_valid_rule_stop():
    for rates, bound in (([0.7, 0.8], "proven"), ([0.8, 0.85], "usual")):
        stopped = []
        for rule in (equal, drawn):
            won, n, _ = played(np.random.default_rng(4), rates, rule, batches=80)
            found = glr_stop(Proportion(won, np.maximum(n, 1)), bound=bound)
            stopped.append(found.stop.any(axis=0).mean())
        assert stopped[0] > 0.95
        assert stopped[1] < 0.3


# ------------------------------------------------------------------------------------------------------------- stop


@pytest.mark.parametrize("bound", ["proven", "usual"])
def test_a_valid_stop_is_seldom_wrong_where_two_arms_are_equal_and_every_winner_is_wrong(bound: str):
    for rule in (equal, drawn, floored):
        won, n, _ = played(np.random.default_rng(6), [0.9, 0.9], rule, runs=400)
        assert glr_stop(Proportion(won, np.maximum(n, 1)), bound=bound).stop.any(axis=0).mean() <= 0.05


@pytest.mark.parametrize("bound", ["proven", "usual"])
def test_a_valid_stop_seldom_names_the_wrong_arm(bound: str):
    won, n, _ = played(np.random.default_rng(7), [0.7, 0.7, 0.8, 0.7], equal, runs=300, batches=60)
    found = glr_stop(Proportion(won, np.maximum(n, 1)), bound=bound)
    first = found.stop.argmax(axis=0)
    ever = found.stop.any(axis=0)
    named = found.leader[first, np.arange(300)]
    assert ever.mean() > 0.7
    assert (named[ever] != 2).mean() <= 0.05


def test_a_valid_stop_of_means_is_seldom_wrong_and_does_stop():
    random = np.random.default_rng(8)
    for apart in (0.0, 0.7):
        values = random.normal(size=(400, 2, 1500)) * [[1.0], [3.0]] + [[0.0], [apart]]
        n = np.arange(50, 1500, 10)
        mean = (values.cumsum(axis=-1)[..., n - 1] / n).swapaxes(1, 2)
        spread = np.sqrt((values**2).cumsum(axis=-1)[..., n - 1].swapaxes(1, 2) / n[:, None] - mean**2)
        found = glr_stop(Sample(mean, spread, n[:, None]))
        if apart == 0:
            assert found.stop.any(axis=1).mean() <= 0.05
        else:
            first = found.stop.argmax(axis=1)
            ever = found.stop.any(axis=1)
            assert ever.mean() > 0.6
            assert (found.leader[np.arange(400), first][ever] == 1).mean() >= 0.95


def test_the_evidence_is_the_likelihood_ratio_against_the_closest_rival():
    found = glr_stop(Proportion([70, 90, 60], [100, 100, 100]))
    together = 80
    wanted = special.rel_entr([70, 90], together).sum() + special.rel_entr([30, 10], 100 - together).sum()
    assert found.leader == 1
    assert found.statistic == pytest.approx(wanted)
    assert np.log(2 / 0.05) < found.threshold < np.log(2 / 0.05) + 2 * np.log(2 * 10)
    assert not found.stop
    usual = glr_stop(Proportion([70, 90, 60], [100, 100, 100]), bound="usual")
    assert usual.statistic == found.statistic
    assert usual.threshold == pytest.approx(np.log(2 * (1 + np.log(300)) / 0.05))
    assert glr_stop(Proportion([700, 900, 600], 1000)).stop
    least = glr_stop(Proportion([700, 900, 600], 1000), lowest=True)
    assert least.leader == 2


def test_arms_without_any_spread_or_any_success_can_be_compared():
    assert not glr_stop(Proportion([0, 0], [10**12, 10**12])).stop
    assert glr_stop(Proportion([0, 10**6], [10**12, 10**12])).stop
    assert glr_stop(Sample([1.0, 2.0], [0.0, 0.0], [5, 5])).stop
    assert not glr_stop(Sample([1.0, 1.0], [0.0, 0.0], [5, 5])).stop


# --------------------------------------------------------------------------------------------------- weighted means


def fed(random: np.random.Generator, rates: list[float], runs: int, rounds: int) -> Any:
    """Logs of a bandit that gives the arm that leads 90 percent: rewards, arm 1 taken, its propensity."""
    won, n = np.ones((runs, 2)), np.full((runs, 2), 2.0)
    rewards, taken, chances = [], [], []
    for _ in range(rounds):
        chance = np.where(won[:, 1] / n[:, 1] > won[:, 0] / n[:, 0], 0.9, 0.1)
        arm = (random.uniform(size=runs) < chance).astype(int)
        reward = (random.uniform(size=runs) < np.array(rates)[arm]).astype(float)
        won[np.arange(runs), arm] += reward
        n[np.arange(runs), arm] += 1
        rewards.append(reward)
        taken.append(arm)
        chances.append(chance)
    return tuple(np.stack(one, axis=-1) for one in (rewards, taken, chances))


@pytest.fixture(scope="module")
def logs() -> Any:
    return fed(np.random.default_rng(9), [0.5, 0.5], 2000, 600)


def test_a_plain_mean_of_what_a_bandit_fed_is_too_low_and_a_weighted_one_is_not(logs: Any):
    reward, taken, chance = logs
    plain = (reward * taken).sum(axis=1) / np.maximum(taken.sum(axis=1), 1)
    arm = Logged(reward, taken, chance)
    assert plain.mean() < 0.49
    for mean in (ipw_mean, aipw_mean):
        found = mean(arm)
        error = found.mean.std() / np.sqrt(2000)
        assert abs(found.mean.mean() - 0.5) < 4 * error
        covered = (found.interval.low <= 0.5) & (found.interval.high >= 0.5)
        assert covered.mean() > 0.92
    assert aipw_mean(arm).standard_error.mean() < ipw_mean(arm).standard_error.mean()


def test_a_steadied_mean_covers_as_often_as_it_says(logs: Any):
    found = aipw_mean(Logged(*logs), steadied=True)
    assert ((found.interval.low <= 0.5) & (found.interval.high >= 0.5)).mean() == pytest.approx(0.95, abs=0.02)


def test_a_difference_of_weighted_means_covers_nothing_where_there_is_nothing(logs: Any):
    reward, taken, chance = logs
    found = aipw_difference(Logged(reward, 1 - taken, 1 - chance), Logged(reward, taken, chance))
    assert ((found.interval.low <= 0) & (found.interval.high >= 0)).mean() == pytest.approx(0.95, abs=0.02)


def test_a_confidence_sequence_holds_at_every_look_where_an_interval_does_not(logs: Any):
    reward, taken, chance = (one[:500] for one in logs)
    missed = {"interval": np.zeros(500, dtype=bool), "sequence": np.zeros(500, dtype=bool)}
    for rounds in range(100, 601, 20):
        arm = Logged(reward[:, :rounds], taken[:, :rounds], chance[:, :rounds])
        for name, at in (("interval", None), ("sequence", 300.0)):
            found = aipw_mean(arm, tightest_at=at).interval
            missed[name] |= (found.low > 0.5) | (found.high < 0.5)
    assert missed["interval"].mean() > 0.1
    assert missed["sequence"].mean() <= 0.05


def test_an_arm_that_is_always_taken_has_its_plain_mean():
    values = np.array([3.0, 5.0, 4.0, 8.0, 1.0])
    found = ipw_mean(Logged(values, True, 1.0))
    assert found.mean == pytest.approx(values.mean())
    assert found.standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(5))
    assert found.interval.high - found.mean == pytest.approx(1.959963984540054 * float(found.standard_error))
    unread = ipw_mean(Logged([1.0, np.nan, 1.0], [1, 0, 1], 0.5))
    assert unread.mean == pytest.approx(4 / 3)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (lambda: top_two([0.5, 0.6]), "chances"),
        (lambda: top_two([1.0]), "chances"),
        (lambda: top_two([0.5, 0.5], share=1.0), "share"),
        (lambda: with_floor([0.5, 0.5], 0.6), "floor"),
        (lambda: with_floor([1.5, -0.5], 0.1), "weights"),
        (lambda: glr_stop(Proportion(3, 4)), "arms"),
        (lambda: glr_stop(Proportion([3, 3], 4), delta=1), "delta"),
        (lambda: glr_stop(Proportion([3, 3], 4), bound="hoped"), "bound"),
        (lambda: Logged([1.0, 2.0], [1, 0], [0.5, 0.0]), "propensity"),
        (lambda: Logged([1.0, 2.0], [2, 0], 0.5), "taken"),
        (lambda: Logged([np.nan, 2.0], [1, 0], 0.5), "reward"),
        (lambda: Logged(1.0, 1, 0.5), "two rounds"),
        (lambda: aipw_mean(Logged([1.0, 2.0], 1, 0.5), steadied=True, tightest_at=5), "steadied"),
        (lambda: ipw_mean(Logged([1.0, 2.0], 1, 0.5), tightest_at=0), "tightest_at"),
        (lambda: aipw_difference(Logged([1.0, 2.0], 1, 0.5), Logged([1.0, 2.0], 1, 0.5)), "both"),
        (lambda: aipw_difference(Logged([1.0, 2.0], 1, 0.5), Logged([1.0, 2.0, 3.0], 0, 0.5)), "rounds"),
    ],
)
def test_what_cannot_be_is_refused_by_name(asked: Any, name: str):
    with pytest.raises(BadSample, match=name):
        asked()
