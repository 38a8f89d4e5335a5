import json
from itertools import product
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.stats.checks import BadSample
from tidegate.stats.splits import SequentialSplit, srm_test

ORACLE: dict[str, Any] = json.loads((Path(__file__).parent / "oracles" / "sizes.json").read_text())


def test_chi_square_is_that_of_scipy_and_gbstats():
    for row, theirs in zip(ORACLE["scipy"]["splits"], ORACLE["gbstats"]["splits"], strict=True):
        found = srm_test(row["counts"], row["weights"], method="chi-square")
        assert float(found.statistic) == pytest.approx(row["statistic"], rel=1e-6)
        assert float(found.p_value) == pytest.approx(row["p"], rel=1e-6)
        assert float(found.p_value) == pytest.approx(theirs, rel=1e-6)
        assert not found.exact
        if row["exact"] is not None:
            exact = srm_test(row["counts"], row["weights"], method="exact")
            assert float(exact.p_value) == pytest.approx(row["exact"], rel=1e-6)


def test_few_units_are_counted_exactly():
    shares = (0.5, 0.3, 0.2)
    seen = (0, 4, 1)

    def chance(table: tuple[int, ...]) -> float:
        ways = comb(5, table[0]) * comb(5 - table[0], table[1])
        return ways * float(np.prod([share**count for share, count in zip(shares, table, strict=True)]))

    tables = [table for table in product(range(6), repeat=3) if sum(table) == 5]
    wanted = sum(chance(table) for table in tables if chance(table) <= chance(seen) * (1 + 1e-9))
    found = srm_test(seen, shares)
    assert found.exact
    assert float(found.p_value) == pytest.approx(wanted, rel=1e-12)
    assert srm_test([1, 0, 0, 0], [1, 1, 1, 1]).p_value == pytest.approx(1)


def test_one_arm_that_got_all_is_broken_and_an_even_split_is_not():
    found = srm_test([[500, 500], [1000, 0], [530, 470]], [1, 1])
    np.testing.assert_array_equal(found.p_value < 0.001, [False, True, False])
    np.testing.assert_array_equal(found.expected, 500)
    assert found.p_value[0] == 1


def test_rows_with_few_units_are_exact_and_others_not():
    found = srm_test([[3, 2], [3000, 2950]], [1, 1])
    np.testing.assert_array_equal(found.exact, [True, False])


@given(st.lists(st.integers(0, 12), min_size=2, max_size=4).filter(sum), st.integers(1, 5))
def test_the_order_and_the_unit_of_the_arms_do_not_matter(seen: list[int], unit: int):
    weights = np.arange(1, len(seen) + 1)
    found = srm_test(seen, weights)
    turned = srm_test(seen[::-1], unit * weights[::-1])
    assert 0 <= found.p_value <= 1
    assert turned.p_value == pytest.approx(float(found.p_value), rel=1e-9)


# --------------------------------------------------------------------------------------------------- at every look


def looked_at(random: np.random.Generator, truth: list[float], plan: list[float], runs: int, looks: int) -> Any:
    test = SequentialSplit.begin(np.broadcast_to(plan, (runs, len(plan))))
    peaks = np.ones(runs)
    for _ in range(looks):
        test = test.update(random.multinomial(25, truth, size=runs))
        peaks = np.maximum(peaks, test.e_value)
    return test, peaks


def test_a_split_as_planned_is_hardly_ever_called_broken_however_often_one_looks():
    test, peaks = looked_at(np.random.default_rng(1), [0.05, 0.95], [0.05, 0.95], 2000, 200)
    assert (peaks >= 20).mean() <= 0.05
    np.testing.assert_allclose(test.p_value, 1 / peaks)


def test_chi_square_at_every_look_calls_it_broken_far_too_often():
    random = np.random.default_rng(1)
    seen = random.multinomial(25, [0.5, 0.5], size=(300, 200)).cumsum(axis=1)
    found = srm_test(seen, [1, 1], method="chi-square")
    assert (found.p_value < 0.05).any(axis=1).mean() > 0.3


def test_a_broken_split_is_found():
    test, _ = looked_at(np.random.default_rng(2), [0.43, 0.57], [0.5, 0.5], 200, 120)
    assert (test.p_value < 0.001).mean() > 0.9
    gross = SequentialSplit.begin([1, 1]).update([60, 0])
    assert gross.e_value > 1000, "a gross one within 60 units"
    assert gross.rejects(0.001)


def test_e_is_the_likelihood_of_dirichlet_shares_over_the_plans():
    test = SequentialSplit.begin([1, 3], concentrations=(4.0,)).update([2, 1])
    # Dirichlet(1, 3): P = 1/4 * 2/5 * 3/6; plan: 1/4 * 1/4 * 3/4
    assert test.e_value == pytest.approx((1 / 4 * 2 / 5 * 3 / 6) / (1 / 4 * 1 / 4 * 3 / 4))
    assert SequentialSplit.begin([1, 3]).update([0, 0]).e_value == pytest.approx(1)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=6))
def test_only_the_sums_count_for_e_and_p_never_rises(batches: list[tuple[int, int]]):
    test, last = SequentialSplit.begin([1, 2]), 1.0
    for batch in batches:
        test = test.update(batch)
        assert test.p_value <= last
        last = float(test.p_value)
    whole = SequentialSplit.begin([1, 2]).update(np.sum(batches, axis=0))
    assert test.log_e == pytest.approx(float(whole.log_e), abs=1e-9)


def test_e_has_expectation_one_under_the_plan():
    plan = np.array([0.3, 0.7])
    seen = np.arange(31)
    test = SequentialSplit.begin(np.broadcast_to(plan, (31, 2))).update(np.stack((seen, 30 - seen), axis=1))
    chances = [comb(30, k) * 0.3**k * 0.7 ** (30 - k) for k in range(31)]
    assert np.dot(chances, test.e_value) == pytest.approx(1, rel=1e-10)


def test_another_stage_of_a_ramp_has_another_plan_and_keeps_what_was_found():
    first = SequentialSplit.begin([5, 95]).update([80, 920])
    second = first.with_weights([25, 75])
    assert second.log_e == pytest.approx(float(first.log_e))
    after = second.update([250, 750])
    alone = SequentialSplit.begin([25, 75]).update([250, 750])
    assert after.log_e == pytest.approx(float(first.log_e + alone.log_e))
    assert after.p_value == first.p_value


def test_huge_counts_neither_overflow_nor_lose_their_digits():
    fine = SequentialSplit.begin([1, 1]).update([5 * 10**11, 5 * 10**11])
    assert -60 < fine.log_e < 0
    half, more = 5 * 10**11, 4 * 10**6
    slightly = SequentialSplit.begin([1, 1], concentrations=(100.0,)).update([half + more, half - more])
    # z is 8: half its square, less half the logarithm of n over the concentration
    assert slightly.log_e == pytest.approx(32 - 0.5 * np.log(1e12 / 100), abs=0.02)
    broken = SequentialSplit.begin([1, 1]).update([10**12, 0])
    assert np.isinf(broken.e_value)
    assert broken.p_value == 0


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (lambda: srm_test([0, 0], [1, 1]), "observed"),
        (lambda: srm_test([1, -1], [1, 1]), "observed"),
        (lambda: srm_test([1, 2.5], [1, 1]), "observed"),
        (lambda: srm_test([1, 2], [1, 0]), "weights"),
        (lambda: srm_test([1, 2, 3], [1, 1]), "each arm"),
        (lambda: srm_test([3], [1]), "two arms"),
        (lambda: srm_test([1, 2], [1, 1], method="guess"), "method"),
        (lambda: srm_test([10**6, 10**6, 10**6], [1, 1, 1], method="exact"), "tables"),
        (lambda: SequentialSplit.begin([1, 1], concentrations=()), "concentrations"),
        (lambda: SequentialSplit.begin([1, 1], concentrations=(0.0,)), "concentrations"),
        (lambda: SequentialSplit.begin([1, 1]).update([1, 2, 3]), "arms"),
        (lambda: SequentialSplit.begin([1, 1]).with_weights([1, 1, 1]), "weights"),
    ],
)
def test_what_cannot_be_is_refused_by_name(asked: Any, name: str):
    with pytest.raises(BadSample, match=name):
        asked()
