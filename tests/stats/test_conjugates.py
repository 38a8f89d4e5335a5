import numpy as np
import pytest

from tidegate.stats.posteriors import BetaBernoulli, LogNormal, NormalNormal, NormalPrior, effect, probability_best
from tidegate.stats.ratios import Clusters, delta_ratio
from tidegate.stats.results import Sample


def test_a_rate_learns_by_counting():
    arm = BetaBernoulli(2, 3).after(7, 10)
    assert arm.alpha == 9
    assert arm.beta == 6
    assert arm.mean == pytest.approx(0.6)
    assert BetaBernoulli().after(0, 0).interval(0.9).low == pytest.approx(0.05)
    twice = BetaBernoulli().after([3, 4], 10).after([1, 1], [2, 1])
    np.testing.assert_array_equal(twice.alpha, [5, 6])
    np.testing.assert_array_equal(twice.beta, [9, 7])


def test_a_rate_without_a_success_has_a_belief():
    found = BetaBernoulli().after(0, 1000).interval()
    assert float(found.low) == pytest.approx(1 - 0.975 ** (1 / 1001), rel=1e-10)
    assert float(found.high) == pytest.approx(1 - 0.025 ** (1 / 1001), rel=1e-10)
    mirrored = BetaBernoulli().after(1000, 1000).interval()
    assert mirrored.high == pytest.approx(1 - found.low, rel=1e-14)


def test_credible_intervals_of_rates_cover_as_often_as_they_say():
    random = np.random.default_rng(8)
    true = random.uniform(size=20_000)
    found = BetaBernoulli().after(random.binomial(30, true), 30).interval(0.9)
    assert ((found.low <= true) & (true <= found.high)).mean() == pytest.approx(0.9, abs=0.008)


def test_a_mean_without_a_prior_is_students():
    seen = Sample.of([3.0, 5.0, 4.0, 8.0])
    belief = NormalNormal.of(seen)
    half = 3.182446305284263 * float(seen.sd) / 2
    assert belief.interval().low == pytest.approx(5 - half, rel=1e-12)
    assert belief.interval().high == pytest.approx(5 + half, rel=1e-12)


def test_a_prior_is_worth_as_many_values_as_it_says():
    prior = NormalPrior(mean=10, sd=2, weight=6, df=5)
    belief = NormalNormal.of(Sample(4, 2, 2), prior)
    assert belief.mean == pytest.approx((6 * 10 + 2 * 4) / 8)
    assert belief.df == 7
    squares = 5 * 4 + 1 * 4 + 36 * 6 * 2 / 8
    assert belief.scale == pytest.approx(np.sqrt(squares / 7 / 8))


def test_a_ratio_of_sums_over_clusters_is_believed_with_the_error_of_its_test():
    random = np.random.default_rng(4)
    calls = random.integers(1, 9, 60)
    clusters = Clusters.of(random.binomial(calls, 0.3), calls)
    belief = NormalNormal.of_clusters(clusters)
    test = delta_ratio(clusters, clusters)
    assert belief.df == 59
    assert belief.scale * np.sqrt(2) == pytest.approx(
        float((test.interval.high - test.interval.low) / 2 / 1.98), rel=0.01
    )
    alike = NormalNormal.of_clusters(Clusters.of([2.0, 4, 6], [4.0, 8, 12]))
    assert alike.interval().high == pytest.approx(0.5)


def test_values_that_are_all_alike_are_a_point():
    one, other = (NormalNormal.of(Sample.of([value] * 3)) for value in (2.0, 2.5))
    np.testing.assert_allclose(probability_best([one, other]), [0, 1], atol=1e-12)
    np.testing.assert_allclose(probability_best([one, one]), 0.5)
    assert float(effect(one, other).median) == pytest.approx(0.5)
    cost = LogNormal.of_values([2.0, 2.0, 2.0])
    assert float(cost.mean) == pytest.approx(2.0)


def test_the_mean_of_log_normal_values_is_not_their_median():
    random = np.random.default_rng(2)
    values = np.exp(random.normal(0, 0.9, 4000))
    belief = LogNormal.of_values(values)
    found = belief.interval()
    assert found.low < np.exp(0.405) < found.high
    assert found.low > 1.2, "the median, 1, is far outside"


def test_the_mean_of_log_normal_values_is_believed_as_drawn():
    random = np.random.default_rng(9)
    for n in (3, 4, 40, 4000):
        belief = LogNormal.of(Sample(1.0, 0.9, n))
        variance = belief.df * belief.variance / random.chisquare(belief.df, 400_000)
        drawn = belief.centre + random.normal(size=400_000) * np.sqrt(variance / n) + variance / 2
        asked = np.array([0.025, 0.2, 0.5, 0.8, 0.975])
        below = (drawn[:, None] <= np.log(belief.quantile(asked))).mean(axis=0)
        np.testing.assert_allclose(below, asked, atol=0.003)
