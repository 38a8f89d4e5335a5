"""Tests of matched values agree with SciPy, and their intervals hold what they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.stats.classical import agree
from tidegate.stats.checks import BadSample
from tidegate.stats.matched import (
    bca,
    mean_bootstrap,
    quantile_ratio_bootstrap,
    ratio_bootstrap,
    sign_flips,
)

SIDES = ("two-sided", "greater", "less")


def rng(seed=7):
    return np.random.default_rng(seed)


class TestSignFlips:
    @pytest.mark.parametrize("side", SIDES)
    @pytest.mark.parametrize("seed", range(6))
    def test_all_signs_agree_with_scipy(self, seed, side):
        values = np.round(rng(seed).normal(0.3, 1, size=11), 2)
        theirs = stats.permutation_test(
            (values,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative=side, vectorized=True
        )
        agree(sign_flips(values, rng(), alternative=side).p_value, theirs.pvalue)

    def test_random_signs_come_near_the_normal_tail(self):
        values = rng(3).normal(0.1, 1, size=400)
        found = sign_flips(values, rng(), alternative="greater", flips=40_000)
        z = values.sum() / np.sqrt((values**2).sum())
        p = float(stats.norm.sf(z))
        assert abs(float(found.p_value) - p) < 6 * np.sqrt(p * (1 - p) / 40_000)

    def test_what_did_not_move_says_nothing(self):
        found = sign_flips(np.zeros(50), rng(), alternative="greater")
        assert (float(found.p_value), float(found.effect)) == (1.0, 0.0)

    @given(st.lists(st.integers(-4, 4), min_size=1, max_size=12))
    def test_the_sides_mirror(self, values):
        ours = sign_flips(values, rng(), alternative="greater")
        mirrored = sign_flips([-one for one in values], rng(), alternative="less")
        assert float(ours.p_value) == pytest.approx(float(mirrored.p_value))

    def test_missing_values_are_refused(self):
        with pytest.raises(BadSample, match="differences"):
            sign_flips([0.1, float("nan")], rng())
        with pytest.raises(BadSample, match="at least one"):
            sign_flips([], rng())


class TestBca:
    @pytest.mark.parametrize("level", [0.9, 0.95])
    @pytest.mark.parametrize("seed", range(5))
    def test_agrees_with_scipy(self, seed, level):
        values = rng(seed).lognormal(0, 1, size=60)
        theirs = stats.bootstrap((values,), np.mean, confidence_level=level, n_resamples=2000, rng=rng(seed))
        left = (values.sum() - values) / (len(values) - 1)
        ours = bca(theirs.bootstrap_distribution, float(values.mean()), left, level=level)
        agree([ours.low, ours.high], theirs.confidence_interval)

    def test_a_ratio_of_pairs_agrees_with_scipy(self):
        control, treatment = rng(1).lognormal(0, 0.5, size=80), rng(2).lognormal(0.2, 0.5, size=80)

        def ratio(above, below, axis=-1):
            return above.mean(axis=axis) / below.mean(axis=axis)

        theirs = stats.bootstrap(
            (treatment, control), ratio, paired=True, vectorized=True, n_resamples=3000, rng=rng(5), method="BCa"
        )
        left = (treatment.sum() - treatment) / (control.sum() - control)
        whole = float(treatment.sum() / control.sum())
        ours = bca(theirs.bootstrap_distribution, whole, left)
        agree([ours.low, ours.high], theirs.confidence_interval)

    def test_resamples_that_are_alike_are_a_point(self):
        found = bca(np.full(200, 0.25), 0.25, np.full(9, 0.25))
        assert (float(found.low), float(found.high)) == (0.25, 0.25)


class TestBootstraps:
    def test_a_mean_is_where_scipy_has_it(self):
        values = rng(4).gamma(2, 1, size=200)
        ours = mean_bootstrap(values, rng(), resamples=20_000)
        theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, rng=rng(8)).confidence_interval
        assert np.allclose([ours.low, ours.high], theirs, atol=0.015)

    def test_clusters_of_the_same_value_count_once(self):
        each = rng(5).normal(1, 1, size=40)
        once = mean_bootstrap(each, rng())
        ten = mean_bootstrap(np.repeat(each, 10), rng(), clusters=np.repeat(np.arange(40), 10))
        agree([ten.low, ten.high], [once.low, once.high])

    def test_pairs_are_drawn_together(self):
        """A treatment that costs 1.1 times as much for each unit has one ratio, in any resample."""
        control = rng(6).lognormal(0, 1, size=100)
        found = ratio_bootstrap((control, 1.1 * control), rng())
        assert float(found.low) == pytest.approx(1.1)
        assert float(found.high) == pytest.approx(1.1)

    def test_a_quantile_of_pairs_too(self):
        control = rng(6).lognormal(0, 1, size=100)
        found = quantile_ratio_bootstrap((control, 2 * control), 0.9, rng(), resamples=200)
        assert (float(found.low), float(found.high)) == (2.0, 2.0)

    def test_the_quantile_ratio_holds_as_often_as_it_says(self):
        holds = 0
        runs = 300
        generator = rng(11)
        for _ in range(runs):
            both = generator.normal(size=400)
            control, treatment = (np.exp(both + generator.normal(size=400)) for _ in range(2))
            found = quantile_ratio_bootstrap((control, treatment), 0.95, generator, resamples=200, level=0.9)
            holds += float(found.low) <= 1.0 <= float(found.high)
        assert abs(holds / runs - 0.9) < 5 * np.sqrt(0.9 * 0.1 / runs) + 0.03

    def test_clusters_widen_the_quantile(self):
        group = np.repeat(np.arange(30), 20)
        values = np.exp(np.repeat(rng(9).normal(size=30), 20) + 0.1 * rng(10).normal(size=600))
        other = np.exp(np.repeat(rng(12).normal(size=30), 20) + 0.1 * rng(13).normal(size=600))
        alone = quantile_ratio_bootstrap((values, other), 0.9, rng(), resamples=400)
        grouped = quantile_ratio_bootstrap((values, other), 0.9, rng(), clusters=group, resamples=400)
        assert float(grouped.high) / float(grouped.low) > 1.5 * float(alone.high) / float(alone.low)

    def test_a_control_of_nothing_has_no_ratio(self):
        with pytest.raises(BadSample, match="no ratio"):
            ratio_bootstrap(([0.0, 0.0, 0.0], [1.0, 2.0, 3.0]), rng())

    def test_lengths_must_agree(self):
        with pytest.raises(BadSample, match="one order"):
            ratio_bootstrap(([1.0, 2.0], [1.0]), rng())
        with pytest.raises(BadSample, match="clusters"):
            mean_bootstrap([1.0, 2.0, 3.0], rng(), clusters=["a", "b"])
        with pytest.raises(BadSample, match="at least two"):
            mean_bootstrap([1.0, 2.0], rng(), clusters=["a", "a"])
