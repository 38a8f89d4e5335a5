import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from tidegate.stats.checks import BadSample
from tidegate.stats.posteriors import (
    BetaBernoulli,
    LogNormal,
    NormalNormal,
    NormalPrior,
    Posterior,
    effect,
    expected_loss,
    probability_best,
    probability_of_effect_above,
)
from tidegate.stats.results import Sample

ORACLE: dict[str, Any] = json.loads((Path(__file__).parent / "oracles" / "sizes.json").read_text())["gbstats"]


def normal(arm: dict[str, float]) -> NormalNormal:
    return NormalNormal.known(arm["mean"], arm["sd"] / arm["n"] ** 0.5)


def chance_by_sum(control: tuple[int, int], treatment: tuple[int, int]) -> float:
    """P(treatment above control) for whole numbers, as a finite sum of Beta functions."""
    a, b = control
    c, d = treatment
    i = np.arange(c)
    logs = special.betaln(a + i, b + d) - np.log(d + i) - special.betaln(1 + i, d) - special.betaln(a, b)
    return float(np.exp(logs).sum())


# ---------------------------------------------------------------------------------------------- chance to be best


@pytest.mark.parametrize(
    ("control", "treatment"),
    [
        ((1, 1), (1, 1)),
        ((2, 3), (4, 5)),
        ((91, 11), (101, 9)),
        ((901, 101), (921, 81)),
        ((1, 1000), (3, 1000)),
        ((1, 1), (50, 2)),
        ((5000, 10), (5010, 3)),
        ((9001, 1001), (9301, 701)),
        ((1, 20_000), (40, 20_000)),
    ],
)
def test_the_chance_of_two_rates_is_the_finite_sum(control: tuple[int, int], treatment: tuple[int, int]):
    found = probability_best([BetaBernoulli(*control), BetaBernoulli(*treatment)])
    assert found[1] == pytest.approx(chance_by_sum(control, treatment), rel=1e-9)
    assert found[0] == pytest.approx(chance_by_sum(treatment, control), rel=1e-9), "tiny ones keep their digits"


def test_chances_and_losses_of_three_rates_are_those_of_ten_million_draws():
    arms = [BetaBernoulli(91, 11), BetaBernoulli(95, 9), BetaBernoulli(450, 45)]
    random, draws = np.random.default_rng(3), 10**7
    wins, lost = np.zeros(3), np.zeros(3)
    for _ in range(10):
        values = np.stack([random.beta(arm.alpha, arm.beta, draws // 10) for arm in arms])
        wins += np.bincount(values.argmax(axis=0), minlength=3)
        lost += (values.max(axis=0) - values).sum(axis=1)
    chances = probability_best(arms)
    assert np.all(np.abs(wins / draws - chances) < 4 * np.sqrt(chances * (1 - chances) / draws))
    np.testing.assert_allclose(expected_loss(arms), lost / draws, rtol=2e-3)


@pytest.mark.parametrize(
    ("first", "second"), [((0, 1), (0, 1)), ((0, 1), (1, 1e-6)), ((5, 1), (3, 0.2)), ((0, 1e-9), (9, 1))]
)
def test_chance_and_loss_of_two_normals_are_the_closed_forms(first: tuple[float, float], second: tuple[float, float]):
    arms = [NormalNormal.known(*first), NormalNormal.known(*second)]
    apart, wide = second[0] - first[0], np.hypot(first[1], second[1])
    z = apart / wide
    np.testing.assert_allclose(probability_best(arms), special.ndtr([-z, z]), rtol=1e-9)
    top = wide * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    wanted = [top + apart * special.ndtr(z), top - apart * special.ndtr(-z)]
    np.testing.assert_allclose(expected_loss(arms), wanted, rtol=1e-9, atol=1e-15)


def test_huge_numbers_of_units_keep_their_digits():
    for n in (1e6, 1e9, 1e12):
        more = np.round(0.9 * n + 2 * np.sqrt(0.18 * n))
        arms = [BetaBernoulli().after(0.9 * n, n), BetaBernoulli().after(more, n)]
        sds = [np.sqrt(arm.mean * (1 - arm.mean) / (arm.alpha + arm.beta + 1)) for arm in arms]
        z = (arms[1].mean - arms[0].mean) / np.hypot(*sds)
        assert probability_best(arms)[1] == pytest.approx(special.ndtr(z), rel=1e-5 if n < 1e9 else 1e-7)
        ends = arms[0].quantile([0.025, 0.975])
        np.testing.assert_allclose(special.betainc(arms[0].alpha, arms[0].beta, ends), [0.025, 0.975], rtol=1e-6)


def test_equal_arms_share_the_chance_equally_however_heavy_their_tails():
    logs = Sample(0.0, 0.9, 12)
    for arm in (BetaBernoulli(0.5, 7), NormalNormal(3, 2, 1), NormalNormal(3, 2, 30), LogNormal.of(logs)):
        several: list[Posterior] = [arm] * 4
        np.testing.assert_allclose(probability_best(several), 0.25, rtol=1e-12)
        np.testing.assert_allclose(probability_best(several, lowest=True), 0.25, rtol=1e-12)


def test_the_lowest_is_best_where_less_is_better():
    low, high = BetaBernoulli(3, 100), BetaBernoulli(9, 100)
    np.testing.assert_allclose(probability_best([low, high], lowest=True), probability_best([low, high])[::-1])
    loss = expected_loss([low, high], lowest=True)
    assert loss[1] - loss[0] == pytest.approx(high.mean - low.mean)


def test_reading_95_percent_at_every_look_names_a_winner_between_equal_arms_in_more_than_half_of_all_runs():
    random = np.random.default_rng(11)
    runs, looks, batch = 120, 80, 50
    won = random.binomial(batch, 0.9, (2, looks, runs)).cumsum(axis=1)
    n = batch * np.arange(1, looks + 1)[:, None]
    rate = (won + 1) / (n + 2)
    arms = [NormalNormal.known(one, np.sqrt(one * (1 - one) / n)) for one in rate]
    read = probability_best(arms).max(axis=-1)
    assert (read >= 0.95).any(axis=0).mean() > 0.45
    assert (read[-1] >= 0.95).mean() < 0.16, "once, at the end, it would be 10 percent"


def test_two_costs_whose_medians_agree_can_differ_in_the_mean():
    control, treatment = LogNormal.of(Sample(0.0, 0.5, 500)), LogNormal.of(Sample(0.0, 0.9, 500))
    found = effect(control, treatment, relative=True)
    assert float(found.median) == pytest.approx(np.exp((0.81 - 0.25) / 2), rel=0.01)
    assert probability_of_effect_above(control, treatment, 0.1, relative=True) > 0.99
    assert probability_best([control, treatment], lowest=True)[0] > 0.999


# ------------------------------------------------------------------------------------------------------------ effects


def test_effects_of_known_errors_are_those_of_gbstats():
    for row in ORACLE["effects"]:
        control, treatment = normal(row["control"]), normal(row["treatment"])
        if row["prior"] is None:
            arms = [control, treatment]
            assert probability_best(arms)[1] == pytest.approx(row["chance"], rel=1e-6, abs=1e-12)
            np.testing.assert_allclose(expected_loss(arms), row["risk"], rtol=1e-6)
            found = effect(control, treatment)
            assert float(found.median) == pytest.approx(row["expected"], rel=1e-6, abs=1e-12)
            np.testing.assert_allclose([found.interval.low, found.interval.high], row["interval"], rtol=1e-6)
        else:
            belief = NormalNormal.known(
                treatment.centre - control.centre, np.hypot(control.scale, treatment.scale), *row["prior"]
            )
            assert belief.mean == pytest.approx(row["expected"], rel=1e-6, abs=1e-12)
            assert belief.above(np.zeros(1))[0] == pytest.approx(row["chance"], rel=1e-6)
            np.testing.assert_allclose([belief.interval().low, belief.interval().high], row["interval"], rtol=1e-6)


def test_an_effects_interval_leaves_what_it_says_on_either_side():
    control, treatment = BetaBernoulli(901, 101), BetaBernoulli(921, 81)
    for relative, shift in ((False, 0.0), (True, 1.0)):
        found = effect(control, treatment, level=0.9, relative=relative)
        for place, above in ((found.interval.low, 0.95), (found.median, 0.5), (found.interval.high, 0.05)):
            said = probability_of_effect_above(control, treatment, place - shift, relative=relative)
            assert said == pytest.approx(above, rel=1e-9)


def test_an_effect_above_a_margin_is_as_often_so_in_draws():
    random = np.random.default_rng(12)
    control, treatment = BetaBernoulli(3, 60), BetaBernoulli(8, 70)
    first, second = random.beta(3, 60, 10**6), random.beta(8, 70, 10**6)
    for margin in (-0.05, 0.0, 0.03, 0.2):
        said = probability_of_effect_above(control, treatment, margin)
        assert said == pytest.approx((second - first > margin).mean(), abs=0.002)
        said = probability_of_effect_above(control, treatment, margin * 10 + 0.6, relative=True)
        assert said == pytest.approx((second > (1.6 + margin * 10) * first).mean(), abs=0.002)


counted = st.floats(0.3, 1e4)


@given(counted, counted, counted, counted, st.floats(-0.9, 0.9))
def test_chances_are_chances(a: float, b: float, c: float, d: float, margin: float):
    control, treatment = BetaBernoulli(a, b), BetaBernoulli(c, d)
    chances = probability_best([control, treatment])
    assert chances.sum() == pytest.approx(1)
    assert probability_of_effect_above(control, treatment) == pytest.approx(chances[1], rel=1e-7, abs=1e-12)
    up = probability_of_effect_above(control, treatment, margin)
    down = probability_of_effect_above(treatment, control, -margin)
    assert up + down == pytest.approx(1, abs=1e-7)
    loss = expected_loss([control, treatment])
    assert np.all(loss >= 0)
    assert loss[0] - loss[1] == pytest.approx(float(treatment.mean - control.mean), abs=1e-9)


EXTREMES = ((0, 1), (0, 10**12), (10**12, 10**12), (1, 10**12), (5 * 10**11, 10**12), (0, 0), (999_999, 10**6))


@pytest.mark.parametrize("first", EXTREMES)
@pytest.mark.parametrize("second", EXTREMES)
def test_extreme_rates_have_finite_answers_that_agree(first: tuple[int, int], second: tuple[int, int]):
    control, treatment = BetaBernoulli().after(*first), BetaBernoulli().after(*second)
    chances, loss = (one([control, treatment]) for one in (probability_best, expected_loss))
    assert probability_of_effect_above(control, treatment) == pytest.approx(chances[1], abs=1e-9)
    assert loss[0] - loss[1] == pytest.approx(float(treatment.mean - control.mean), rel=1e-7, abs=1e-10)
    found = effect(control, treatment).interval
    assert -1 <= found.low <= found.high <= 1


@given(st.floats(-5, 5), st.floats(0.01, 100), st.integers(3, 200), st.floats(-3, 3))
def test_a_greater_margin_is_never_more_probable(centre: float, scale: float, df: int, margin: float):
    control, treatment = NormalNormal(0, 1, df), NormalNormal(centre, scale, 5)
    found = probability_of_effect_above(control, treatment, [margin, margin + 0.1])
    assert 0 <= found[1] <= found[0] <= 1 + 1e-9


def test_many_problems_are_answered_at_once():
    rates = BetaBernoulli([[3, 4, 5]], [[6], [7]])
    flat = BetaBernoulli([9.0, 9, 9], 12)
    assert probability_best([rates, flat, flat]).shape == (2, 3, 3)
    assert expected_loss([rates, flat]).shape == (2, 3, 2)
    assert effect(rates, flat).interval.low.shape == (2, 3)
    assert rates.interval().low.shape == (2, 3)
    alone = probability_best([BetaBernoulli(4, 7), BetaBernoulli(9, 12)])
    np.testing.assert_allclose(probability_best([rates, flat])[1, 1], alone, rtol=1e-9)
    costs = LogNormal.of(Sample([0.1, 0.2], [0.5, 0.9], [30, 4000]))
    assert probability_best([costs, costs, costs]).shape == (2, 3)
    assert effect(costs, costs, relative=True).median == pytest.approx([1, 1])


def test_a_mean_without_an_expectation_has_no_expected_loss():
    assert np.all(np.isinf(expected_loss([NormalNormal(0, 1, 1), NormalNormal(0, 1, 9)])))
    assert np.isnan(NormalNormal(0, 1, 1).mean)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (lambda: BetaBernoulli(0, 1), "alpha"),
        (lambda: BetaBernoulli(1, float("inf")), "beta"),
        (lambda: BetaBernoulli().after(3, 2), "successes"),
        (lambda: NormalNormal(0, 0), "scale"),
        (lambda: NormalNormal(0, 1, 0.5), "df"),
        (lambda: NormalNormal.known(0, 1, 0, -1), "prior_sd"),
        (lambda: NormalPrior(0, 1, 0, 1), "weight"),
        (lambda: LogNormal.of_values([1.0, 0.0]), "values"),
        (lambda: LogNormal.of_values([1.0, 2.0]), "three values"),
        (lambda: probability_best([BetaBernoulli()]), "two"),
        (lambda: probability_best([BetaBernoulli(), NormalNormal(0, 1)]), "one kind"),
        (lambda: BetaBernoulli().interval(95), "level"),
        (lambda: probability_of_effect_above(BetaBernoulli(), BetaBernoulli(), -1, relative=True), "margin"),
        (lambda: probability_of_effect_above(LogNormal(0, 1, 9, 9), LogNormal(0, 1, 9, 9), 0.1), "relative"),
        (lambda: effect(NormalNormal(0, 1), NormalNormal(1, 1), relative=True), "difference"),
    ],
)
def test_what_cannot_be_is_refused_by_name(asked: Any, name: str):
    with pytest.raises(BadSample, match=name):
        asked()
