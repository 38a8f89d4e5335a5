"""Quantile intervals are those of SciPy, exact for any distribution, know clusters; differences hold their level."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.classical import agree, numbers, rows
from tidegate.stats.checks import BadSample
from tidegate.stats.quantiles import (
    Clustered,
    clustered_quantile_difference,
    clustered_quantile_interval,
    quantile_bootstrap,
    quantile_difference,
    quantile_interval,
    quantile_ranks,
)

SIDES = ("two-sided", "greater", "less")

lists = st.lists(st.integers(-50, 50), min_size=1, max_size=60)
shares = st.sampled_from([0.05, 0.25, 0.5, 0.9, 0.95])


def at_most(k, n, q):
    """P(B <= k) of a binomial, added up."""
    return math.fsum(math.comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(k + 1))


class TestRanks:
    @given(st.integers(1, 80), st.floats(0.02, 0.98), st.floats(0.5, 0.999))
    def test_are_the_outermost_ones_that_the_level_allows(self, n, q, level):
        low, high = (int(each) for each in quantile_ranks(n, q, level))
        beyond = (1 - level) / 2
        assert low == 0 or at_most(low - 1, n, q) <= beyond + 1e-12
        assert at_most(low, n, q) > beyond - 1e-12
        assert high == n + 1 or 1 - at_most(high - 1, n, q) <= beyond + 1e-12
        assert high == 0 or 1 - at_most(high - 2, n, q) > beyond - 1e-12

    def test_of_a_trillion_values(self):
        low, high = quantile_ranks(10**12, 0.95)
        spread = np.sqrt(10**12 * 0.95 * 0.05)
        agree((high - 0.95e12) / spread, 1.959964, near=1e-4)
        agree((0.95e12 - low) / spread, 1.959964, near=1e-4)

    def test_arguments_broadcast(self):
        low, high = quantile_ranks([[1], [100]], [0.5, 0.9, 0.99])
        assert low.shape == high.shape == (2, 3)
        assert numbers(low[0, 0], high[0, 0]) == (0, 2)

    @pytest.mark.parametrize(
        ("n", "q", "told"), [(0, 0.5, "n must"), (5, 0, "q must"), (5, 95, "q must"), (2.5, 0.5, "n must")]
    )
    def test_what_cannot_be_is_refused(self, n, q, told):
        with pytest.raises(BadSample, match=told):
            quantile_ranks(n, q)


class TestInterval:
    def test_agrees_with_scipy(self):
        for row in rows("quantiles"):
            found = quantile_interval(row["values"], row["q"], level=row["level"])
            agree(found.estimate, row["estimate"], near=0)
            low = -np.inf if row["low"] is None else row["low"]
            high = np.inf if row["high"] is None else row["high"]
            assert numbers(found.interval.low, found.interval.high) == (low, high)

    def test_72_values_are_the_least_that_bound_a_p95(self):
        assert quantile_interval(np.arange(71), 0.95).interval.high == np.inf
        assert np.isfinite(quantile_interval(np.arange(72), 0.95).interval.high)

    def test_one_value_says_nothing(self):
        found = quantile_interval([7], 0.5)
        assert numbers(found.estimate, found.interval.low, found.interval.high, found.coverage) == (
            7,
            -np.inf,
            np.inf,
            1,
        )

    @given(st.integers(1, 300), shares, st.floats(0.5, 0.999))
    def test_the_coverage_is_never_below_the_level(self, n, q, level):
        found = quantile_interval(np.arange(n), q, level=level)
        assert level - 1e-9 <= found.coverage <= 1
        assert found.interval.low <= found.estimate <= found.interval.high

    def test_covers_as_often_as_it_says(self):
        rng = np.random.default_rng(1)
        said = quantile_interval(np.arange(50), 0.9).coverage
        held = []
        for values in rng.exponential(size=(4_000, 50)):
            found = quantile_interval(values, 0.9).interval
            held.append(found.low <= np.log(10) <= found.high)
        assert abs(np.mean(held) - said) < 0.011

    def test_values_that_are_missing_are_refused(self):
        for wrong in ([], [1, np.nan], 5, [[1, 2]]):
            with pytest.raises(BadSample, match="values"):
                quantile_interval(wrong, 0.5)


class TestDifference:
    @given(lists, lists, shares)
    def test_exchanging_the_arms_mirrors_everything(self, c, t, q):
        one, other = quantile_difference(c, t, q), quantile_difference(t, c, q)
        agree(one.p_value, other.p_value, near=1e-9)
        assert numbers(one.effect, one.interval.low) == numbers(-other.effect, -other.interval.high)

    @given(lists, lists, shares, st.floats(0.6, 0.99))
    def test_the_interval_excludes_0_exactly_when_p_is_small(self, c, t, q, level):
        for side in SIDES:
            found = quantile_difference(c, t, q, alternative=side, level=level)
            assert found.interval.low <= found.effect <= found.interval.high
            excluded = bool(found.interval.low > 0 or found.interval.high < 0)
            assert excluded == bool(found.p_value < 1 - level) or abs(found.p_value - 1 + level) < 1e-9

    def test_too_few_values_say_nothing(self):
        found = quantile_difference([1.0, 2], [30.0, 40], 0.95)
        assert numbers(found.interval.low, found.interval.high) == (-np.inf, np.inf)
        assert found.p_value > 0.5

    def test_values_that_are_all_alike_show_no_difference(self):
        found = quantile_difference(np.full(200, 3.0), np.full(300, 3.0), 0.95)
        assert numbers(found.effect, found.interval.low, found.interval.high, found.p_value) == (0, 0, 0, 1)

    @pytest.mark.parametrize("q", [0.5, 0.95])
    def test_covers_without_a_density(self, q):
        rng = np.random.default_rng(3)
        held = []
        for _ in range(600):
            # two modes with a gap between them, and a shape that differs between the arms
            c = np.where(rng.uniform(size=200) < 0.4, rng.uniform(0, 1, 200), rng.uniform(5, 9, 200))
            found = quantile_difference(c, rng.exponential(size=300), q).interval
            truth = -np.log(1 - q) - (5 + (q - 0.4) / 0.6 * 4)
            held.append(found.low <= truth <= found.high)
        assert np.mean(held) > 0.93

    def test_a_slower_tail_is_found(self):
        rng = np.random.default_rng(4)
        found = quantile_difference(rng.lognormal(size=4_000), 1.4 * rng.lognormal(size=4_000), 0.95)
        assert found.p_value < 1e-4
        assert found.interval.low > 0


class TestBootstrap:
    def test_draws_what_resampling_would_give(self):
        rng = np.random.default_rng(5)
        values = np.sort(rng.lognormal(size=41))
        found = quantile_bootstrap((np.zeros(1), values), 0.5, np.random.default_rng(6), resamples=100_000)
        picks = values[rng.integers(0, 41, (20_000, 41))]
        resampled = np.quantile(picks, 0.5, axis=1, method="inverted_cdf")
        for end, share in ((found.interval.low, 0.025), (found.interval.high, 0.975)):
            at_or_below, below = np.mean(resampled <= end), np.mean(resampled < end)
            assert below - 0.005 <= share <= at_or_below + 0.005

    def test_the_same_generator_gives_the_same_answer(self):
        arms = (np.arange(100.0), np.arange(100.0) + 3)
        one, other = (quantile_bootstrap(arms, 0.9, np.random.default_rng(7)) for _ in range(2))
        assert numbers(one.p_value, one.interval.low) == numbers(other.p_value, other.interval.low)

    def test_is_near_the_joined_exact_intervals(self):
        rng = np.random.default_rng(8)
        arms = rng.lognormal(size=2_000), rng.lognormal(size=2_000) * 1.1
        exact, drawn = quantile_difference(*arms, 0.9), quantile_bootstrap(arms, 0.9, rng)
        assert exact.effect == drawn.effect
        widths = [each.interval.high - each.interval.low for each in (exact, drawn)]
        assert 0.85 < widths[1] / widths[0] < 1.1

    def test_p_is_never_0(self):
        arms = (np.arange(500.0), np.arange(500.0) + 1e6)
        for side, least in (("greater", 1 / 1001), ("two-sided", 2 / 1001)):
            found = quantile_bootstrap(arms, 0.5, np.random.default_rng(9), resamples=1_000, alternative=side)
            agree(found.p_value, least)
        assert quantile_bootstrap(arms, 0.5, np.random.default_rng(9), alternative="less").p_value == 1

    def test_too_few_resamples_are_refused(self):
        with pytest.raises(BadSample, match="resamples"):
            quantile_bootstrap(([1, 2], [1, 2]), 0.5, np.random.default_rng(1), resamples=10)


class TestClustered:
    def test_its_error_is_that_of_gbstats(self):
        for row in rows("gb_clusters"):
            values, q = np.sort(row["values"]), row["q"]
            found = clustered_quantile_interval(Clustered(row["values"], row["clusters"]), q)
            reach = 1.959963984540054 * np.sqrt(row["variance"])
            low, high = math.floor(len(values) * (q - reach)), math.ceil(len(values) * (q + reach))
            assert numbers(found.interval.low, found.interval.high) == (values[low - 1], values[high - 1])

    def test_clusters_of_one_value_are_near_the_exact_interval(self):
        values = np.random.default_rng(10).normal(size=2_000)
        ours = clustered_quantile_interval(Clustered(values, np.arange(2_000)), 0.9).interval
        exact = quantile_interval(values, 0.9).interval
        assert 0.95 < (ours.high - ours.low) / (exact.high - exact.low) < 1.1

    def test_names_of_clusters_may_be_anything(self):
        values = [3.0, 1, 2, 5, 4, 6]
        named = clustered_quantile_interval(Clustered(values, ["b", "a", "b", "c", "a", "c"]), 0.5)
        counted = clustered_quantile_interval(Clustered(values, [1, 0, 1, 2, 0, 2]), 0.5)
        assert numbers(named.interval.low, named.estimate) == numbers(counted.interval.low, counted.estimate)

    def test_counting_calls_finds_too_much_and_counting_users_does_not(self):
        rng = np.random.default_rng(11)
        users = np.repeat(np.arange(60), 10)
        by_user, by_call = 0, 0
        for _ in range(300):
            c, t = (rng.normal(size=600) * 0.4 + rng.normal(size=60)[users] for _ in range(2))
            by_user += (
                float(clustered_quantile_difference(Clustered(c, users), Clustered(t, users), 0.5).p_value) < 0.05
            )
            by_call += float(quantile_difference(c, t, 0.5).p_value) < 0.05
        assert by_user < 27  # 15 expected; 27 is three standard errors above
        assert by_call > 90

    @pytest.mark.parametrize(
        ("values", "clusters", "told"),
        [([1, 2], [1], "one cluster"), ([1, 2], [1, 1], "two"), ([np.nan, 1], [1, 2], "values")],
    )
    def test_what_cannot_be_is_refused(self, values, clusters, told):
        with pytest.raises(BadSample, match=told):
            Clustered(values, clusters)
