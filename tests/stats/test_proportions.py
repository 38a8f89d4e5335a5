"""Tests of two rates agree with other libraries and with published tables, and hold at the extremes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.stats.classical import agree, column, numbers, rows
from tidegate.stats.checks import BadSample
from tidegate.stats.proportions import (
    Pairs,
    clopper_pearson,
    fisher_exact,
    mcnemar,
    mcnemar_mid_p,
    newcombe,
    ratio_interval,
    wilson,
    z_test,
)
from tidegate.stats.results import Interval, Proportion

SIDES = ("two-sided", "greater", "less")
HUGE = 10**12


def arms(table):
    x_c, n_c, x_t, n_t = column(table, "arms").T
    return Proportion(x_c, n_c), Proportion(x_t, n_t)


def having(table, key):
    """The rows for which the other library has an answer."""
    found = [row for row in rows(table) if key in row]
    assert found
    return found


def ends(interval: Interval):
    return np.stack([interval.low, interval.high], axis=-1)


@st.composite
def two_arms(draw, largest=400):
    n_c, n_t = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    return draw(st.integers(0, n_c)), n_c, draw(st.integers(0, n_t)), n_t


class TestZ:
    def test_pooled_agrees_with_statsmodels(self):
        table = having("z_tests", "z")
        for side in SIDES:
            found = z_test(*arms(table), alternative=side)
            agree(found.statistic, column(table, "z"), least=1e-9)
            agree(found.p_value, column(table, f"p {side}"), least=1e-300)

    def test_unpooled_agrees_with_statsmodels(self):
        table = having("z_tests", "wald")
        found = z_test(*arms(table), pooled=False)
        agree(found.statistic, column(table, "wald z"), least=1e-9)
        agree(found.p_value, column(table, "wald p"), least=1e-300)
        agree(ends(found.interval), np.clip(column(table, "wald"), -1, 1), least=1e-15)

    def test_unpooled_agrees_with_spotify_confidence(self):
        table = rows("spotify_z")
        found = z_test(*arms(table), pooled=False)
        agree(found.effect, column(table, "effect"))
        agree(found.p_value, column(table, "p"))
        agree(ends(found.interval), column(table, "interval"))

    def test_120_against_150_of_a_thousand(self):
        control, treatment = Proportion(120, 1000), Proportion(150, 1000)
        agree(z_test(control, treatment).p_value, 0.0496403869, near=1e-8)
        # Wald's standard error is smaller than the pooled one where the arms are of one size
        assert z_test(control, treatment, pooled=False).p_value < z_test(control, treatment).p_value

    @pytest.mark.parametrize("pooled", [True, False])
    @pytest.mark.parametrize("rate", [0, 1])
    @pytest.mark.parametrize("n", [1, 1000, HUGE])
    def test_arms_that_never_or_always_succeed_show_no_difference(self, n, rate, pooled):
        found = z_test(Proportion(n * rate, n), Proportion(n * rate, n), pooled=pooled)
        assert numbers(found.effect, found.statistic, found.p_value) == (0, 0, 1)

    def test_wald_at_the_edge_is_its_limit(self):
        found = z_test(Proportion(0, 3), Proportion(3, 3), pooled=False)
        assert numbers(found.effect, found.statistic, found.p_value) == (1, np.inf, 0)
        assert 0 < z_test(Proportion(0, 3), Proportion(3, 3)).p_value < 0.05

    def test_arms_of_a_trillion(self):
        found = z_test(Proportion(HUGE // 2, HUGE), Proportion(HUGE // 2 + 2_000_000, HUGE))
        agree(found.statistic, 2 * np.sqrt(2), near=1e-9)
        assert found.interval.low > 0

    def test_arguments_broadcast(self):
        found = z_test(Proportion([0, 5, 10], 10), Proportion([[10], [0]], 10))
        for part in (found.effect, found.interval.low, found.interval.high, found.p_value, found.statistic):
            assert part.shape == (2, 3)
        assert float(found.p_value[0, 2]) == 1

    @given(two_arms(), st.booleans())
    def test_exchanging_the_arms_mirrors_everything(self, counts, pooled):
        x_c, n_c, x_t, n_t = counts
        one = z_test(Proportion(x_c, n_c), Proportion(x_t, n_t), pooled=pooled)
        other = z_test(Proportion(x_t, n_t), Proportion(x_c, n_c), pooled=pooled)
        agree(one.p_value, other.p_value, near=1e-9)
        agree(
            [one.effect, one.interval.low, one.interval.high],
            [-other.effect, -other.interval.high, -other.interval.low],
        )

    @given(two_arms(), st.floats(0.51, 0.999))
    def test_walds_interval_excludes_0_exactly_when_p_is_small(self, counts, level):
        x_c, n_c, x_t, n_t = counts
        for side in SIDES:
            found = z_test(Proportion(x_c, n_c), Proportion(x_t, n_t), pooled=False, alternative=side, level=level)
            excluded = found.interval.low > 0 or found.interval.high < 0
            assert excluded == (found.p_value < 1 - level) or abs(found.p_value - 1 + level) < 1e-9

    @pytest.mark.parametrize("wrong", [{"level": 95}, {"level": 0}, {"level": float("nan")}, {"alternative": "bigger"}])
    def test_what_cannot_be_is_refused(self, wrong):
        with pytest.raises(BadSample, match=next(iter(wrong))):
            z_test(Proportion(1, 2), Proportion(1, 2), **wrong)

    def test_counts_that_do_not_fit_are_refused(self):
        with pytest.raises(BadSample, match="broadcast"):
            z_test(Proportion([1, 2], 5), Proportion([1, 2, 3], 5))


class TestIntervals:
    @pytest.mark.parametrize("level", [0.95, 0.999])
    def test_wilson_and_newcombe_agree_with_statsmodels(self, level):
        table = rows("z_tests")
        control, treatment = arms(table)
        agree(ends(wilson(treatment, level=level)), column(table, f"wilson {level}"), least=1e-15)
        agree(ends(newcombe(control, treatment, level=level)), column(table, f"newcombe {level}"), least=1e-9)

    def test_wilson_with_continuity_agrees_with_scipy(self):
        table = having("z_tests", "wilson continuity")
        agree(ends(wilson(arms(table)[1], continuity=True)), column(table, "wilson continuity"), least=1e-12)

    def test_newcombe_s_own_tables(self):
        # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I, methods 10 and 11
        treatment = Proportion([56, 9, 6, 5, 0, 0, 10, 10], [70, 10, 7, 56, 10, 10, 10, 10])
        control = Proportion([48, 3, 2, 0, 0, 0, 0, 0], [80, 10, 7, 29, 20, 10, 20, 10])
        low = [0.0524, 0.1705, 0.0582, -0.0381, -0.1611, -0.2775, 0.6791, 0.6075]
        high = [0.3339, 0.8090, 0.8062, 0.1926, 0.2775, 0.2775, 1.0, 1.0]
        agree(ends(newcombe(control, treatment)), np.stack([low, high], -1), least=6e-5, near=0)
        low = [0.0428, 0.1013, -0.0290, -0.0667, -0.2005, -0.3445, 0.6014, 0.5128]
        high = [0.3422, 0.8387, 0.8423, 0.2037, 0.3445, 0.3445, 1.0, 1.0]
        agree(ends(newcombe(control, treatment, continuity=True)), np.stack([low, high], -1), least=6e-5, near=0)

    def test_katz_and_koopman_agree_with_statsmodels(self):
        for method in ("katz", "koopman"):
            table = having("z_tests", method)
            agree(ends(ratio_interval(*arms(table), method=method)), column(table, method))

    def test_koopman_agrees_with_the_score_test_it_inverts(self):
        table = rows("koopman_by_score")
        agree(ends(ratio_interval(*arms(table))), column(table, "koopman"), least=1e-12)

    @given(two_arms(), st.floats(0.6, 0.999))
    def test_koopman_excludes_1_exactly_when_the_pooled_z_test_rejects(self, counts, level):
        x_c, n_c, x_t, n_t = counts
        arms = Proportion(x_c, n_c), Proportion(x_t, n_t)
        found, p = ratio_interval(*arms, level=level), z_test(*arms).p_value
        assert numbers(found.low > 1 or found.high < 1) == (p < 1 - level) or abs(p - 1 + level) < 1e-7

    @pytest.mark.parametrize("n", [1, 10, HUGE])
    def test_a_ratio_without_successes(self, n):
        none, some = Proportion(0, n), Proportion(n, n)
        assert ratio_interval(none, some).high == np.inf
        assert ratio_interval(none, some).low > 0
        assert ratio_interval(some, none).low == 0
        assert np.isfinite(ratio_interval(some, none).high)
        for method in ("koopman", "katz"):
            empty = ratio_interval(none, none, method=method)
            assert numbers(empty.low, empty.high) == (0, np.inf)

    @given(two_arms(), st.sampled_from(SIDES), st.floats(0.5, 0.99))
    def test_every_interval_holds_its_estimate_and_grows_with_its_level(self, counts, side, level):
        x_c, n_c, x_t, n_t = counts
        control, treatment = Proportion(x_c, n_c), Proportion(x_t, n_t)
        difference = treatment.rate - control.rate
        for continuity in (False, True):
            asked = {"continuity": continuity, "alternative": side}
            one = [wilson(treatment, level=each, **asked) for each in (level, 0.999)]
            both = [newcombe(control, treatment, level=each, **asked) for each in (level, 0.999)]
            for (narrow, wide), estimate, least in ((one, treatment.rate, 0), (both, difference, -1)):
                assert least <= wide.low <= narrow.low <= estimate + 1e-12
                assert estimate - 1e-12 <= narrow.high <= wide.high <= 1

    @pytest.mark.parametrize(("n", "rate"), [(20, 0.1), (20, 0.5), (100, 0.02), (100, 0.9)])
    def test_wilson_covers(self, n, rate):
        x = np.arange(n + 1)
        chance = np.exp(log_choose(n) + x * np.log(rate) + (n - x) * np.log(1 - rate))
        plain, corrected = wilson(Proportion(x, n)), wilson(Proportion(x, n), continuity=True)
        assert chance[(plain.low <= rate) & (rate <= plain.high)].sum() > 0.92
        assert chance[(corrected.low <= rate) & (rate <= corrected.high)].sum() > 0.95

    def test_an_unknown_method_is_refused(self):
        with pytest.raises(BadSample, match="koopman or katz"):
            ratio_interval(Proportion(1, 2), Proportion(1, 2), method="wald")


def log_choose(n):
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    return logs[n] - logs - logs[::-1]


class TestFisher:
    @pytest.mark.parametrize("side", SIDES)
    def test_agrees_with_whole_numbers(self, side):
        table = rows("fisher_exactly")
        found = fisher_exact(*arms(table), alternative=side)
        agree(found.p_value, column(table, f"p {side}"), near=1e-10, least=1e-300)

    def test_agrees_with_scipy_on_large_tables(self):
        table = rows("fisher_large")
        agree(fisher_exact(*arms(table)).p_value, column(table, "p two-sided"), least=1e-280)

    @pytest.mark.parametrize("rate", [0.5, 1e-3, 1e-6])
    @pytest.mark.parametrize("n", [10**8, HUGE])
    def test_comes_to_the_z_test_with_continuity_as_arms_grow(self, n, rate):
        x = round(n * rate)
        more = round(2.5 * np.sqrt(2 * n * rate * (1 - rate)))
        found = fisher_exact(Proportion(x, n), Proportion(x + more, n))
        # half a success less on each side: Yates
        nearer = z_test(Proportion(2 * x + 1, 2 * n), Proportion(2 * (x + more) - 1, 2 * n))
        agree(found.p_value, tail_of(nearer.statistic * np.sqrt(0.5)), near=max(20 / (n * rate), 2e-9))

    def test_no_successes_at_all(self):
        found = fisher_exact(Proportion(0, 10), Proportion(0, 12))
        assert found.p_value == 1
        assert np.isnan(found.statistic)

    def test_one_unit_in_each_arm(self):
        found = fisher_exact(Proportion(0, 1), Proportion(1, 1))
        assert numbers(found.p_value, found.statistic) == (1, np.inf)
        agree(fisher_exact(Proportion(0, 1), Proportion(1, 1), alternative="greater").p_value, 0.5)

    def test_the_odds_ratio_is_the_statistic(self):
        found = fisher_exact(Proportion(2, 10), Proportion(8, 10))
        agree(found.statistic, 16)
        agree(found.effect, 0.6)

    @given(two_arms(60))
    def test_is_never_below_its_own_tails(self, counts):
        x_c, n_c, x_t, n_t = counts
        control, treatment = Proportion(x_c, n_c), Proportion(x_t, n_t)
        both, up, down = (float(fisher_exact(control, treatment, alternative=side).p_value) for side in SIDES)
        assert both >= min(up, down) - 1e-12
        assert up + down >= 1 - 1e-12
        agree(fisher_exact(treatment, control).p_value, both, near=1e-9)

    def test_rejects_no_more_often_than_alpha(self):
        n, rate = 15, 0.3
        x = np.arange(n + 1)
        chance = np.exp(log_choose(n) + x * np.log(rate) + (n - x) * np.log(1 - rate))
        p = fisher_exact(Proportion(x[:, None], n), Proportion(x, n)).p_value
        for alpha in (0.01, 0.05, 0.2):
            assert (chance[:, None] * chance)[p <= alpha].sum() <= alpha


def tail_of(z):
    return math.erfc(float(z) / math.sqrt(2))


class TestMcNemar:
    def pairs(self, table):
        both, c, t, neither = column(table, "pairs").T
        return Pairs(both, c, t, neither)

    def test_agrees_with_statsmodels_and_scipy(self):
        table = rows("mcnemar")
        found = mcnemar(self.pairs(table), exact=False)
        agree(found.statistic**2, column(table, "chi2"), least=1e-15)
        agree(found.p_value, column(table, "p normal"))
        table = having("mcnemar", "p exact")
        agree(mcnemar(self.pairs(table)).p_value, column(table, "p exact"))
        for side in ("greater", "less"):
            agree(mcnemar(self.pairs(table), alternative=side).p_value, column(table, f"p {side}"))

    def test_tango_s_interval_agrees_with_its_definition(self):
        table = having("mcnemar", "tango")
        agree(ends(mcnemar(self.pairs(table)).interval), column(table, "tango"), least=1e-10)

    @given(*[st.integers(0, 60) for _ in range(4)], st.floats(0.6, 0.999))
    def test_the_interval_excludes_0_exactly_when_the_normal_test_rejects(self, both, c, t, neither, level):
        if both + c + t + neither == 0:
            return
        found = mcnemar(Pairs(both, c, t, neither), exact=False, level=level)
        assert found.interval.low - 1e-9 <= found.effect <= found.interval.high + 1e-9
        excluded = found.interval.low > 1e-12 or found.interval.high < -1e-12
        assert excluded == (found.p_value < 1 - level) or abs(found.p_value - 1 + level) < 1e-6

    @given(*[st.integers(0, 60) for _ in range(4)], st.booleans())
    def test_exchanging_the_arms_mirrors_everything(self, both, c, t, neither, exact):
        one = mcnemar(Pairs(both + 1, c, t, neither), exact=exact)
        other = mcnemar(Pairs(both + 1, t, c, neither), exact=exact)
        agree(one.p_value, other.p_value, near=1e-9)
        agree(ends(one.interval), -ends(other.interval)[::-1], least=1e-9)

    def test_pairs_that_all_agree_show_nothing(self):
        for exact in (True, False):
            found = mcnemar(Pairs(5, 0, 0, 3), exact=exact)
            assert numbers(found.effect, found.p_value) == (0, 1)
            assert found.interval.low < 0 < found.interval.high

    def test_no_pair_at_all_is_refused(self):
        with pytest.raises(BadSample, match="at least one"):
            mcnemar(Pairs(0, 0, 0, 0))


class TestClopperPearson:
    @pytest.mark.parametrize(
        ("x", "n"), [(0, 1), (1, 1), (0, 500), (3, 500), (500, 500), (25, 500), (7, 30), (1, 10**6)]
    )
    @pytest.mark.parametrize("side", SIDES)
    def test_agrees_with_scipy(self, x, n, side):
        theirs = stats.binomtest(x, n, alternative=side).proportion_ci(0.95, method="exact")
        found = clopper_pearson(Proportion(x, n), alternative=side)
        agree([found.low, found.high], theirs)

    def test_no_error_in_500_is_surely_below_one_percent(self):
        assert float(clopper_pearson(Proportion(0, 500), alternative="less").high) == pytest.approx(0.00597, abs=1e-5)


class TestMidP:
    @pytest.mark.parametrize(("c", "t"), [(0, 1), (3, 9), (9, 3), (12, 12), (0, 7), (200, 260)])
    def test_agrees_with_the_binomial_of_scipy(self, c, t):
        pairs = Pairs(50, c, t, 20)
        up = stats.binom.sf(t - 1, c + t, 0.5) - 0.5 * stats.binom.pmf(t, c + t, 0.5)
        down = stats.binom.cdf(t, c + t, 0.5) - 0.5 * stats.binom.pmf(t, c + t, 0.5)
        agree(mcnemar_mid_p(pairs, alternative="greater"), up)
        agree(mcnemar_mid_p(pairs, alternative="less"), down)
        agree(mcnemar_mid_p(pairs), min(1.0, 2 * min(up, down)))

    def test_pairs_that_agree_say_nothing(self):
        assert numbers(mcnemar_mid_p(Pairs(9, 0, 0, 1)), mcnemar_mid_p(Pairs(9, 0, 0, 1), alternative="less")) == (
            1,
            0.5,
        )
