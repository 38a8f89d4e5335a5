"""A rule's answer: what is proven passes or blocks, everything else stays open and says how many cases it takes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tidegate.control.evals.comparing.answering import own_answer, paired_answer
from tidegate.control.evals.comparing.bounds import DEFAULTS
from tidegate.control.evals.comparing.pairing import Own, Paired
from tidegate.control.evals.model import Bound

ERRORS, LEAST, PASSES, FAITHFUL, COST, P99 = DEFAULTS


def own(events, cases, clusters=None):
    return Own((np.arange(cases) < events).astype(float), clusters, bounded=True)


def flips(worse, better, cases):
    at = np.arange(cases)
    before, after = (at >= better).astype(float), (at < cases - worse).astype(float)
    return Paired(Own(before, None, bounded=True), Own(after, None, bounded=True))


def scores(before, after, clusters=None, *, bounded=True):
    before, after = (np.asarray(one, dtype=float) for one in (before, after))
    return Paired(Own(before, clusters, bounded), Own(after, clusters, bounded))


class TestErrors:
    """At most 1% of the cases may end in an error."""

    @pytest.mark.parametrize(
        ("errors", "cases", "answer"),
        [
            (0, 500, "pass"),
            (0, 299, "pass"),
            (0, 298, "inconclusive"),
            (1, 500, "pass"),
            (2, 500, "inconclusive"),
            (3, 500, "inconclusive"),
            (10, 500, "block"),
            (9, 500, "inconclusive"),
            (30, 5000, "pass"),
        ],
    )
    def test_are_judged_by_the_exact_interval(self, errors, cases, answer):
        assert own_answer(ERRORS, own(errors, cases)).answer == answer

    def test_none_in_few_cases_says_how_many_more(self):
        found = own_answer(ERRORS, own(0, 100))
        assert (found.answer, found.more) == ("inconclusive", 199)

    def test_at_the_bound_nobody_can_tell(self):
        assert own_answer(ERRORS, own(5, 500)).more is None


class TestGoldenPasses:
    """At least 95% of the cases must pass."""

    @pytest.mark.parametrize(
        ("failed", "cases", "answer", "more"),
        [
            (0, 30, "inconclusive", 29),
            (0, 59, "pass", None),
            (1, 92, "inconclusive", None),
            (1, 93, "pass", None),
            (6, 30, "block", None),
            (16, 500, "pass", None),
            (17, 500, "inconclusive", None),
            (34, 500, "block", None),
        ],
    )
    def test_few_cases_prove_little(self, failed, cases, answer, more):
        found = own_answer(LEAST, own(cases - failed, cases))
        assert found.answer == answer
        if more is not None:
            assert found.more == more

    @pytest.mark.parametrize(("rate", "cases"), [(0.97, 100), (0.98, 60), (0.9, 40), (1.0, 30)])
    def test_so_many_more_suffice_in_four_of_five_runs(self, rate, cases):
        """A run with as many cases as were told decides with at least 80%, if what was seen is true."""
        found = own_answer(LEAST, own(round(rate * cases), cases))
        assert found.answer == "inconclusive"
        assert found.more is not None
        total, truth = cases + found.more, round(rate * cases) / cases
        counts = np.arange(total + 1)
        weights = stats.binom.pmf(counts, total, truth)
        likely = counts[weights > 1e-4]
        decided = [own_answer(LEAST, own(int(one), total)).answer != "inconclusive" for one in likely]
        assert weights[likely] @ decided >= 0.79


class TestPasses:
    """Against the baseline the pass rate may fall by 3 points."""

    def test_the_same_answers_pass(self):
        assert paired_answer(PASSES, flips(0, 0, 500)).answer == "pass"

    def test_few_same_answers_do_not(self):
        found = paired_answer(PASSES, flips(0, 0, 50))
        assert found.answer == "inconclusive"
        assert found.more is not None
        assert paired_answer(PASSES, flips(0, 0, 50 + found.more)).answer == "pass"

    def test_a_drop_beyond_the_margin_blocks_when_it_is_proven(self):
        found = paired_answer(PASSES, flips(25, 5, 500))
        assert found.answer == "block"
        assert found.estimate == pytest.approx(-0.04)
        assert found.low is not None
        assert found.high is not None
        assert found.low < -0.04 < found.high < 0

    def test_a_proven_drop_within_the_margin_does_not_block(self):
        assert paired_answer(PASSES, flips(25, 5, 5000)).answer == "pass"
        assert paired_answer(PASSES, flips(13, 2, 500)).answer == "inconclusive"

    def test_a_drop_that_may_be_chance_stays_open(self):
        found = paired_answer(PASSES, flips(4, 1, 60))
        assert (found.answer, found.p_worse is not None and found.p_worse > 0.05) == ("inconclusive", True)

    def test_an_improvement_passes(self):
        assert paired_answer(PASSES, flips(2, 40, 500)).answer == "pass"

    @given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 400))
    @settings(max_examples=60, deadline=None)
    def test_more_regressions_never_help(self, worse, better, rest):
        order = ("pass", "inconclusive", "block")
        cases = worse + better + rest + 1
        now = order.index(paired_answer(PASSES, flips(worse, better, cases)).answer)
        then = order.index(paired_answer(PASSES, flips(worse + 1, better, cases)).answer)
        assert then >= now

    @pytest.mark.parametrize(("worse", "better", "cases"), [(6, 6, 200), (9, 5, 300), (5, 1, 100), (1, 1, 60)])
    def test_so_many_more_suffice_in_four_of_five_runs(self, worse, better, cases):
        found = paired_answer(PASSES, flips(worse, better, cases))
        assert found.answer == "inconclusive"
        assert found.more is not None
        total, runs = cases + found.more, 400
        generator = np.random.default_rng(5)
        seen = generator.multinomial(total, (worse / cases, better / cases, 1 - (worse + better) / cases), size=runs)
        decided = sum(paired_answer(PASSES, flips(one[0], one[1], total)).answer != "inconclusive" for one in seen)
        assert decided / runs > 0.8 - 5 * np.sqrt(0.16 / runs)


class TestScores:
    """Faithfulness may fall by 0.03."""

    def test_twenty_cases_without_a_difference_prove_nothing(self):
        """A bootstrap of them alone would be sure; one case more, the worst that can be, tells it otherwise."""
        same = np.full(25, 0.9)
        found = paired_answer(FAITHFUL, scores(same, same))
        assert found.answer == "inconclusive"
        assert found.more is not None
        assert 60 <= found.more <= 100

    def test_many_cases_without_a_difference_pass(self):
        same = np.full(150, 0.9)
        found = paired_answer(FAITHFUL, scores(same, same))
        assert (found.answer, found.estimate) == ("pass", 0.0)

    def test_fewer_than_twenty_are_not_judged(self):
        found = paired_answer(FAITHFUL, scores(np.full(12, 0.9), np.full(12, 0.5)))
        assert (found.answer, found.more) == ("inconclusive", 8)

    def test_a_proven_drop_blocks(self):
        generator = np.random.default_rng(3)
        before = generator.beta(9, 1, 200)
        found = paired_answer(
            FAITHFUL, scores(before, np.clip(before - 0.06 + 0.02 * generator.normal(size=200), 0, 1))
        )
        assert found.answer == "block"
        assert found.p_worse is not None
        assert found.p_worse < 0.001

    def test_groups_count_once(self):
        """The same drop in ten documents of twenty questions is ten differences, not two hundred."""
        generator = np.random.default_rng(4)
        jumps = np.repeat(0.05 + 0.2 * generator.normal(size=24), 20)
        before = np.full(480, 0.5)
        after = np.clip(before - jumps, 0, 1)
        alone = paired_answer(FAITHFUL, scores(before, after))
        grouped = paired_answer(FAITHFUL, scores(before, after, np.repeat(np.arange(24), 20)))
        assert alone.low is not None
        assert alone.high is not None
        assert grouped.low is not None
        assert grouped.high is not None
        assert grouped.high - grouped.low > 2 * (alone.high - alone.low)
        assert "by groups" in grouped.test

    def test_the_same_question_has_the_same_answer(self):
        generator = np.random.default_rng(6)
        before, after = generator.beta(9, 1, 100), generator.beta(9, 1, 100)
        assert paired_answer(FAITHFUL, scores(before, after)) == paired_answer(FAITHFUL, scores(before, after))


class TestRatios:
    def test_a_cost_beyond_the_ratio_is_found(self):
        generator = np.random.default_rng(1)
        before = generator.lognormal(-7, 0.6, 300)
        found = paired_answer(COST, scores(before, 1.3 * before * generator.lognormal(0, 0.1, 300), bounded=False))
        assert found.answer == "block"  # the rule itself only warns
        assert found.estimate == pytest.approx(1.3, abs=0.03)

    def test_the_same_cost_passes(self):
        before = np.random.default_rng(1).lognormal(-7, 0.6, 100)
        assert paired_answer(COST, scores(before, before, bounded=False)).answer == "pass"

    def test_a_baseline_that_costs_nothing_has_no_ratio(self):
        found = paired_answer(COST, scores(np.zeros(50), np.ones(50), bounded=False))
        assert found.answer == "inconclusive"
        assert "no ratio" in found.why

    def test_a_ratio_of_rare_errors_is_not_believed(self):
        bound = Bound(metric="error_rate", kind="ratio", margin=1.5, better="lower")
        found = paired_answer(bound, scores(np.arange(500) < 3, np.arange(500) < 6))
        assert found.answer == "inconclusive"
        assert "fewer than 20 cases" in found.why

    def test_a_p99_takes_299_cases(self):
        times = np.random.default_rng(2).lognormal(6, 0.5, 200)
        found = paired_answer(P99, scores(times, times, bounded=False))
        assert (found.answer, found.more) == ("inconclusive", 99)

    def test_a_p99_of_three_times_blocks(self):
        generator = np.random.default_rng(2)
        before = generator.lognormal(6, 0.5, 1000)
        after = 3 * before * generator.lognormal(0, 0.2, 1000)
        assert paired_answer(P99, scores(before, after, bounded=False)).answer == "block"
        assert paired_answer(P99, scores(before, before, bounded=False)).answer == "pass"

    def test_where_more_is_better_a_ratio_bounds_from_below(self):
        bound = Bound(metric="faithfulness", kind="ratio", margin=0.9, better="higher")
        before = np.random.default_rng(7).beta(9, 1, 400)
        assert paired_answer(bound, scores(before, before)).answer == "pass"
        assert paired_answer(bound, scores(before, 0.8 * before)).answer == "block"


class TestOwnValues:
    def test_a_score_is_bounded_from_below(self):
        bound = Bound(metric="faithfulness", kind="least", margin=0.8)
        values = np.random.default_rng(8).beta(9, 1, 300)
        assert own_answer(bound, Own(values, None, bounded=True)).answer == "pass"
        assert own_answer(bound, Own(values / 2, None, bounded=True)).answer == "block"
        assert own_answer(bound, Own(np.full(25, 0.85), None, bounded=True)).answer == "inconclusive"

    def test_a_p95_is_bounded_by_the_exact_interval(self):
        bound = Bound(metric="latency_ms", kind="most", margin=2000, statistic="p95", better="lower")
        times = np.random.default_rng(9).lognormal(6, 0.5, 400)
        assert own_answer(bound, Own(times, None, bounded=False)).answer == "pass"
        assert own_answer(bound, Own(3 * times, None, bounded=False)).answer == "block"
        few = own_answer(bound, Own(times[:40], None, bounded=False))
        assert (few.answer, few.high) == ("inconclusive", None)

    def test_the_baseline_stands_beside_and_decides_nothing(self):
        alone = own_answer(ERRORS, own(0, 500))
        beside = own_answer(ERRORS, own(0, 500), own(100, 500))
        assert (beside.answer, beside.baseline, alone.baseline) == ("pass", 0.2, None)
