"""Welch, paired t and CUPED agree with SciPy and gbstats, and take out what was known before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.classical import agree, column, numbers, rows
from tidegate.stats.checks import BadSample
from tidegate.stats.means import cuped, paired_t, welch
from tidegate.stats.results import Sample

SIDES = ("two-sided", "greater", "less")


def samples(table):
    m_c, s_c, n_c, m_t, s_t, n_t = column(table, "means").T
    return Sample(m_c, s_c, n_c), Sample(m_t, s_t, n_t)


means = st.floats(-1e3, 1e3)
spreads = st.floats(0.01, 1e3)
sizes = st.integers(2, 10**6)


class TestWelch:
    @pytest.mark.parametrize("side", SIDES)
    def test_agrees_with_scipy_from_moments(self, side):
        table = rows("welch")
        found = welch(*samples(table), alternative=side)
        agree(found.statistic, column(table, "t"))
        agree(found.p_value, column(table, f"p {side}"), least=1e-300)

    @pytest.mark.parametrize("side", SIDES)
    def test_agrees_with_scipy_from_values(self, side):
        for row in rows("data_tests"):
            c, t = np.array(row["control"]), np.array(row["treatment"])
            for name, found in (
                ("welch", welch(Sample.of(c), Sample.of(t), alternative=side, level=0.9)),
                ("paired", paired_t(Sample.of(t - c), alternative=side, level=0.9)),
            ):
                ours = [found.statistic, found.p_value, found.df, found.interval.low, found.interval.high]
                agree(numbers(*ours), numbers(*row[f"{name} {side}"]))

    def test_agrees_with_gbstats(self):
        table = [row for row in rows("gb_means") if row["kind"] == "absolute"]
        found = welch(*samples(table))
        agree(found.effect, column(table, "effect"))
        agree(found.p_value, column(table, "p"), least=1e-13)  # theirs is 1 minus a tail
        agree(np.stack([found.interval.low, found.interval.high], -1), column(table, "interval"))

    def test_arms_that_do_not_vary(self):
        same, other = welch(Sample(4, 0, 5), Sample(4, 0, 3)), welch(Sample(4, 0, 5), Sample(5, 0, 3))
        assert numbers(same.statistic, same.p_value, same.df) == (0, 1, 2)
        assert numbers(other.statistic, other.p_value) == (np.inf, 0)
        assert numbers(other.interval.low, other.interval.high) == (1, 1)

    @pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-7])
    def test_one_value_everywhere_shows_no_difference(self, value):
        # the mean of n times 0.1 is not always 0.1 to the last bit
        for n_c, n_t in ((3, 7), (10, 49), (1_000, 999)):
            found = welch(Sample.of(np.full(n_c, value)), Sample.of(np.full(n_t, value)))
            assert numbers(found.effect, found.statistic, found.p_value) == (0, 0, 1)

    def test_arms_of_a_trillion_and_of_two(self):
        agree(welch(Sample(0, 1, 10**12), Sample(2e-6, 1, 10**12)).statistic, np.sqrt(2), near=1e-9)
        agree(welch(Sample(0, 1, 10**12), Sample(1, 1, 2)).df, 1, near=1e-9)

    def test_tiny_and_vast_units_do_not_matter(self):
        plain = welch(Sample(1, 2, 9), Sample(2, 3, 14))
        for unit in (1e-200, 1e200):
            scaled = welch(Sample(unit, 2 * unit, 9), Sample(2 * unit, 3 * unit, 14))
            agree(scaled.p_value, plain.p_value, near=1e-12)
            agree(scaled.interval.high / unit, plain.interval.high, near=1e-12)

    @given(means, spreads, sizes, means, spreads, sizes)
    def test_exchanging_the_arms_mirrors_everything(self, m_c, s_c, n_c, m_t, s_t, n_t):
        one, other = (
            welch(Sample(m_c, s_c, n_c), Sample(m_t, s_t, n_t)),
            welch(Sample(m_t, s_t, n_t), Sample(m_c, s_c, n_c)),
        )
        agree(one.p_value, other.p_value, near=1e-9)
        agree(one.interval.low, -other.interval.high, near=1e-9, least=1e-9)
        assert min(n_c, n_t) - 1 - 1e-6 <= one.df <= (n_c + n_t - 2) * (1 + 1e-9)

    @given(means, spreads, sizes, means, spreads, sizes, st.floats(0.55, 0.999))
    def test_the_interval_excludes_0_exactly_when_p_is_small(self, m_c, s_c, n_c, m_t, s_t, n_t, level):
        for side in SIDES:
            found = welch(Sample(m_c, s_c, n_c), Sample(m_t, s_t, n_t), alternative=side, level=level)
            excluded = found.interval.low > 0 or found.interval.high < 0
            assert excluded == (found.p_value < 1 - level) or abs(found.p_value - 1 + level) < 1e-6

    def test_covers_whatever_the_spreads_are(self):
        rng = np.random.default_rng(1)
        control, treatment = rng.normal(0, 1, (20_000, 8)), rng.normal(0.5, 5, (20_000, 20))
        found = welch(Sample.of(control), Sample.of(treatment)).interval
        assert 0.944 < np.mean((found.low <= 0.5) & (found.high >= 0.5)) < 0.956

    def test_one_value_is_no_sample(self):
        with pytest.raises(BadSample, match="n must be whole numbers of at least 2"):
            Sample(1, 0, 1)


class TestPaired:
    def test_differences_that_are_all_alike(self):
        assert numbers(paired_t(Sample.of([0, 0, 0])).p_value, paired_t(Sample.of([1, 1, 1])).p_value) == (1, 0)


class TestCuped:
    def test_agrees_with_gbstats(self):
        for row in rows("gb_pairs"):
            (y_c, x_c), (y_t, x_t) = row["control"], row["treatment"]
            found = cuped(y_c + y_t, x_c + x_t, [0] * len(y_c) + [1] * len(y_t))
            agree(found.theta, row["theta"])
            test, theirs = welch(found.control, found.treatment), row["cuped"]
            ours = [test.effect, test.p_value, test.interval.low, test.interval.high]
            agree(numbers(*ours), numbers(theirs["effect"], theirs["p"], *theirs["interval"]), least=1e-12)

    def test_takes_out_what_was_known_and_keeps_the_effect(self):
        rng = np.random.default_rng(4)
        before = rng.normal(size=(200, 400))
        treated = np.arange(400) % 2
        outcome = 0.6 * before + 0.8 * rng.normal(size=(200, 400)) + 0.3 * treated
        found = cuped(outcome, before, treated)
        effects = found.treatment.mean - found.control.mean
        raw = outcome[:, treated == 1].mean(axis=-1) - outcome[:, treated == 0].mean(axis=-1)
        assert abs(effects.mean() - 0.3) < 0.02
        assert abs(found.variance_reduction.mean() - 0.36) < 0.02
        assert abs(effects.var() / raw.var() - 0.64) < 0.15

    def test_a_covariate_that_says_nothing_changes_nothing(self):
        y, group = np.array([1.0, 4, 2, 8, 5]), np.array([0, 0, 1, 1, 1])
        found = cuped(y, np.full(5, 0.1), group)
        assert numbers(found.theta, found.variance_reduction) == (0, 0)
        agree(found.treatment.mean, Sample.of(y[2:]).mean)
        assert cuped(np.full(5, 0.1), y, group).variance_reduction == 0

    @given(st.floats(-50, 50), st.floats(-50, 50))
    def test_a_shift_of_the_covariate_does_not_matter(self, shift, slope):
        rng = np.random.default_rng(8)
        x, group = rng.normal(size=40), np.arange(40) % 2
        y = slope * x + rng.normal(size=40)
        one, other = cuped(y, x, group), cuped(y, x + shift, group)
        agree(one.treatment.mean - one.control.mean, other.treatment.mean - other.control.mean, least=1e-9)

    @pytest.mark.parametrize(
        ("group", "told"),
        [
            ([0, 0, 1, 1, 1], "one entry"),
            ([0, 1, 1, 1], "at least two"),
            ([0, 0, 1, 2], "one flag"),
            ([[0, 0, 1, 1]], "one flag"),
        ],
    )
    def test_groups_that_cannot_be_are_refused(self, group, told):
        with pytest.raises(BadSample, match=told):
            cuped([1, 2, 3, 4], [1, 2, 3, 4], group)

    def test_a_missing_covariate_is_refused(self):
        with pytest.raises(BadSample, match="x holds"):
            cuped([1, 2, 3, 4], [1, 2, 3, np.nan], [0, 0, 1, 1])
