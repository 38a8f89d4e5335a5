"""Ratio metrics agree with gbstats, Fieller's set says when it has no ends, and clusters count as one unit each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.classical import agree, column, numbers, rows
from tidegate.stats.checks import BadSample
from tidegate.stats.means import welch
from tidegate.stats.proportions import z_test
from tidegate.stats.ratios import Clusters, delta_ratio, fieller, linear_ratio_test, relative_effect
from tidegate.stats.results import Proportion, Sample
from tidegate.stats.tails import critical

SIDES = ("two-sided", "greater", "less")


def samples(table):
    m_c, s_c, n_c, m_t, s_t, n_t = column(table, "means").T
    return Sample(m_c, s_c, n_c), Sample(m_t, s_t, n_t)


def rate(successes, n):
    share = successes / n
    return Sample(share, np.sqrt(share * (1 - share)), n)


def calls(rng, users, quality):
    """Failures and calls of each user: heavy users fail more, so calls are no units of their own."""
    made = rng.poisson(8, users) + 1.0
    own = np.clip(rng.beta(1.5, 6, users) * quality, 0, 1)
    return rng.binomial(made.astype(int), own).astype(float), made


positive_means = st.floats(0.5, 100)
spreads = st.floats(0.01, 100)
sizes = st.integers(2, 10_000)


class TestRelativeEffect:
    def test_agrees_with_gbstats(self):
        table = [row for row in rows("gb_means") if row["kind"] == "relative"]
        found = relative_effect(*samples(table))
        agree(found.effect, column(table, "effect"))
        agree(found.p_value, column(table, "p"), least=1e-13)  # theirs is 1 minus a tail
        agree(np.stack([found.interval.low, found.interval.high], -1), column(table, "interval"), least=1e-12)

    def test_120_against_150_of_a_thousand_is_another_p_value_than_the_pooled_one(self):
        relative = relative_effect(rate(120, 1000), rate(150, 1000))
        pooled = z_test(Proportion(120, 1000), Proportion(150, 1000))
        agree(relative.p_value, 0.0795652770, near=1e-8)
        agree(pooled.p_value, 0.0496403869, near=1e-8)
        agree(relative.effect, 0.25)
        agree(pooled.effect, 0.03)
        assert "relative" in relative.method
        assert "p_t - p_c" in pooled.method

    @pytest.mark.parametrize("mean", [0, 5e-324])
    def test_a_control_of_mean_0_is_refused(self, mean):
        with pytest.raises(BadSample, match="linear_ratio_test"):
            relative_effect(Sample(mean, 1, 10), Sample(1, 1, 10))


class TestLinear:
    @given(positive_means, spreads, sizes, positive_means, spreads, sizes)
    def test_at_1_it_is_welch(self, m_c, s_c, n_c, m_t, s_t, n_t):
        control, treatment = Sample(m_c, s_c, n_c), Sample(m_t, s_t, n_t)
        for side in SIDES:
            ours = linear_ratio_test(control, treatment, 1.0, alternative=side)
            agree(ours.p_value, welch(control, treatment, alternative=side).p_value, near=1e-9, least=1e-300)

    @given(positive_means, spreads, sizes, positive_means, spreads, sizes, st.floats(0.5, 2))
    def test_is_welch_on_a_control_in_other_units(self, m_c, s_c, n_c, m_t, s_t, n_t, ratio):
        scaled = welch(Sample(m_c * ratio, s_c * ratio, n_c), Sample(m_t, s_t, n_t))
        found = linear_ratio_test(Sample(m_c, s_c, n_c), Sample(m_t, s_t, n_t), ratio)
        agree(found.p_value, scaled.p_value, near=1e-7, least=1e-300)

    def test_non_inferiority_of_a_cost(self):
        control = Sample(1.0, 2.0, 5_000)
        assert linear_ratio_test(control, Sample(1.02, 2.0, 5_000), 1.2, alternative="less").p_value < 0.01
        assert linear_ratio_test(control, Sample(1.2, 2.0, 5_000), 1.2, alternative="less").p_value == 0.5

    @pytest.mark.parametrize("ratio", [0, -1, np.inf])
    def test_a_ratio_that_cannot_be_is_refused(self, ratio):
        with pytest.raises(BadSample, match="ratio"):
            linear_ratio_test(Sample(1, 1, 5), Sample(1, 1, 5), ratio)


class TestFieller:
    def test_agrees_with_its_definition(self):
        table = rows("fiellers")
        found = fieller(*samples(table)).interval
        agree(np.stack([found.low, found.high], -1), column(table, "interval"), least=1e-12)

    @given(st.floats(-20, 20), spreads, sizes, st.floats(-20, 20), spreads, sizes, st.floats(-5, 5))
    def test_holds_a_ratio_exactly_when_the_linear_statistic_is_small(self, m_c, s_c, n_c, m_t, s_t, n_t, ratio):
        found = fieller(Sample(m_c, s_c, n_c), Sample(m_t, s_t, n_t))
        low, high = numbers(found.interval.low, found.interval.high)
        inside = {
            "bounded": low <= ratio <= high,
            "outside": ratio >= low or ratio <= high,
            "half-line": low <= ratio <= high,
            "whole line": True,
        }[str(found.shape)]
        z = abs(m_t - ratio * m_c) / np.sqrt(s_t**2 / n_t + ratio**2 * s_c**2 / n_c)
        assert inside == (z <= 1.959963984540054) or abs(z - 1.959963984540054) < 1e-6

    @pytest.mark.parametrize(
        ("control", "treatment", "shape"),
        [
            ((10, 5, 100), (12, 5, 100), "bounded"),
            ((0.1, 5, 100), (12, 5, 100), "outside"),
            ((0.1, 5, 100), (0.2, 5, 100), "whole line"),
            ((0, 0, 100), (1, 0, 100), "whole line"),
        ],
    )
    def test_says_what_shape_the_set_has(self, control, treatment, shape):
        found = fieller(Sample(*control), Sample(*treatment))
        assert found.shape == shape
        if shape == "whole line":
            assert numbers(found.interval.low, found.interval.high) == (-np.inf, np.inf)
        if shape == "outside":
            assert found.interval.high < 0 < found.interval.low < found.ratio

    def test_a_half_line_lies_between_the_two(self):
        q = float(critical(0.95, "two-sided"))  # a mean of just as many standard errors
        end = (25 - q * q) / (10 * q)
        found = fieller(Sample([q, -q], 2, 4), Sample(5, 2, 4))
        assert list(found.shape) == ["half-line", "half-line"]
        agree(found.interval.low, [end, -np.inf])
        agree(found.interval.high, [np.inf, -end])

    def test_arms_of_a_trillion_keep_their_digits(self):
        found = fieller(Sample(0.2, 0.4, 10**12), Sample(0.3, 0.4, 10**12)).interval
        half = 1.959963984540054 * 0.4e-6 * np.sqrt(1 + 1.5**2) / 0.2
        agree((found.high - found.low) / 2, half, near=1e-8)

    def test_paired_means_are_closer(self):
        control, treatment = Sample(10, 5, 100), Sample(12, 5, 100)
        apart, paired = fieller(control, treatment), fieller(control, treatment, covariance=0.2)
        width = paired.interval.high - paired.interval.low
        assert width < 0.6 * (apart.interval.high - apart.interval.low)

    def test_students_t_is_wider(self):
        control, treatment = Sample(10, 5, 20), Sample(12, 5, 20)
        normal, student = fieller(control, treatment), fieller(control, treatment, df=[5, 1e12])
        assert student.interval.high[0] > normal.interval.high
        agree(student.interval.high[1], normal.interval.high)
        with pytest.raises(BadSample, match="df"):
            fieller(control, treatment, df=0)

    def test_a_covariance_that_cannot_be_is_refused(self):
        with pytest.raises(BadSample, match="covariance"):
            fieller(Sample(10, 5, 100), Sample(12, 5, 100), covariance=0.3)

    def test_covers_even_where_the_control_is_near_0(self):
        rng = np.random.default_rng(11)
        m_c, m_t = 0.2 + 0.15 * rng.normal(size=40_000), 0.5 + 0.15 * rng.normal(size=40_000)
        found = fieller(Sample(m_c, 1.5, 100), Sample(m_t, 1.5, 100))
        low, high = found.interval.low, found.interval.high
        between, outside = (low <= 2.5) & (high >= 2.5), (low <= 2.5) | (high >= 2.5)
        assert 0.946 < np.mean(np.where(found.shape == "outside", outside, between)) < 0.954


class TestDeltaRatio:
    def test_agrees_with_gbstats(self):
        for row in rows("gb_pairs"):
            found = delta_ratio(Clusters.of(*row["control"]), Clusters.of(*row["treatment"]))
            ours = [found.effect, found.p_value, found.interval.low, found.interval.high]
            theirs = row["ratio"]
            agree(numbers(*ours), numbers(theirs["effect"], theirs["p"], *theirs["interval"]), least=1e-12)

    def test_clusters_of_one_unit_are_plain_means(self):
        rng = np.random.default_rng(12)
        c, t = rng.lognormal(size=30), rng.lognormal(size=50)
        ours = delta_ratio(Clusters.of(c, np.ones(30)), Clusters.of(t, np.ones(50)))
        plain = welch(Sample.of(c), Sample.of(t))
        agree(ours.p_value, plain.p_value, near=1e-9)
        agree(ours.interval.low, plain.interval.low, near=1e-9)

    def test_counting_calls_finds_too_much_and_counting_users_does_not(self):
        rng = np.random.default_rng(13)
        by_user, by_call = 0, 0
        for _ in range(1_000):
            arms = [calls(rng, 150, 1.0) for _ in range(2)]
            by_user += float(delta_ratio(*[Clusters.of(*arm) for arm in arms]).p_value) < 0.05
            (f_c, n_c), (f_t, n_t) = [(arm[0].sum(), arm[1].sum()) for arm in arms]
            by_call += float(z_test(Proportion(f_c, n_c), Proportion(f_t, n_t)).p_value) < 0.05
        assert by_user < 70  # 50 expected; 70 is three standard errors above
        assert by_call > 100

    def test_covers(self):
        rng = np.random.default_rng(14)
        arms = [[calls(rng, 200, quality) for _ in range(1_500)] for quality in (1.0, 0.5)]
        control, treatment = (Clusters.of(*(np.array(column) for column in zip(*arm, strict=True))) for arm in arms)
        found = delta_ratio(control, treatment).interval
        assert 0.93 < np.mean((found.low <= -0.1) & (found.high >= -0.1)) < 0.97

    def test_a_ratio_that_does_not_vary(self):
        made = np.array([1.0, 4, 2, 8])
        found = delta_ratio(Clusters.of(made / 2, made), Clusters.of(made / 2, made))
        assert numbers(found.effect, found.p_value) == (0, 1)

    @given(st.floats(0.1, 1e4), st.floats(0.1, 1e4))
    def test_units_do_not_matter(self, above, below):
        rng = np.random.default_rng(15)
        a, b, c, d = rng.lognormal(size=(4, 25))
        one = delta_ratio(Clusters.of(a, b), Clusters.of(c, d))
        other = delta_ratio(Clusters.of(a * above, b * below), Clusters.of(c * above, d * below))
        agree(one.p_value, other.p_value)

    @pytest.mark.parametrize(
        ("make", "told"),
        [
            (lambda: Clusters.of([1, 2], [1, 2, 3]), "one entry"),
            (lambda: Clusters.of([1, 2], [0, 0]), "denominator"),
            (lambda: Clusters(Sample(1, 1, 5), Sample(1, 1, 6), 0), "same n"),
            (lambda: Clusters(Sample(1, 1, 5), Sample(1, 1, 5), 2), "covariance"),
        ],
    )
    def test_clusters_that_cannot_be_are_refused(self, make, told):
        with pytest.raises(BadSample, match=told):
            make()
