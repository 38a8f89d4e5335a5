"""The population stability index: its formula, its bins, and the p-value that the usual marks lack."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.stats.drift.chance import chance
from tidegate.stats.checks import BadSample
from tidegate.stats.drift.shares import psi, psi_of_counts

tallies = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=12)


def test_the_formula_by_hand():
    before, after = [30.5 / 101, 70.5 / 101], [50.5 / 101, 50.5 / 101]
    by_hand = sum((w - r) * math.log(w / r) for r, w in zip(before, after, strict=True))
    found = psi_of_counts([30, 70], [50, 50])
    assert float(found) == pytest.approx(by_hand, rel=1e-12)
    assert chance(found) == pytest.approx(stats.chi2.sf(by_hand / 0.02, 1), rel=1e-9)


@given(tallies.filter(lambda rows: sum(r for r, _ in rows) and sum(w for _, w in rows)))
def test_it_is_finite_never_below_zero_and_the_same_from_both_sides(rows):
    known, seen = zip(*rows, strict=True)
    once, swapped = psi_of_counts(known, seen), psi_of_counts(seen, known)
    assert 0.0 <= float(once) < math.inf
    assert float(once) == pytest.approx(float(swapped), rel=1e-9, abs=1e-12)
    assert 0.0 <= chance(once) <= 1.0


def test_a_category_that_neither_has_changes_nothing():
    assert float(psi_of_counts([30, 0, 70], [5, 0, 5])) == float(psi_of_counts([30, 70], [5, 5]))


def test_one_category_alone_cannot_drift():
    found = psi_of_counts([10, 0], [1000, 0])
    assert (float(found), chance(found)) == (0.0, 1.0)


def test_counts_of_a_trillion_stay_finite():
    found = psi_of_counts([10**12, 10**12], [10**12, 10**12 + 10**7])
    assert 0.0 < float(found) < 1e-10
    assert chance(found) < 0.001


def test_bins_hold_equal_shares_of_the_reference():
    known = np.arange(1000.0)
    assert float(psi(known, known)) == 0.0
    upper_half = psi(known, known[500:], bins=2)
    before, after = 0.5, np.array([0.5, 500.5]) / 501
    assert float(upper_half) == pytest.approx(float((after - before) @ np.log(after / before)), rel=1e-9)


def test_values_beyond_the_reference_fall_in_the_outer_bins():
    known = np.arange(1000.0)
    assert float(psi(known, known[:100] + 1e9)) == float(psi(known, np.full(100, 999.0)))


def test_a_value_that_many_share_has_its_own_bin():
    known = np.array([0.0] * 90 + [5.0] * 10)
    for other in (-1.0, 1e-9, 4.0):
        assert chance(psi(known, np.where(known == 0.0, other, known))) < 1e-6
    assert float(psi(np.full(50, 3.0), np.full(50, 3.0))) == 0.0
    assert chance(psi(np.full(50, 3.0), np.full(50, 2.0))) < 1e-6


def test_its_p_value_is_about_right_at_sizes_where_the_usual_marks_are_not():
    rng = np.random.default_rng(1)
    found = [psi(rng.standard_normal(400), rng.standard_normal(150)) for _ in range(600)]
    alarms = np.mean([chance(one) <= 0.05 for one in found])
    assert 0.02 <= alarms <= 0.08
    assert np.mean([float(one) > 0.1 for one in found]) > 0.1  # "moderate drift", by the mark
    large = psi(rng.standard_normal(50_000), rng.standard_normal(50_000) * 1.05)
    assert float(large) < 0.1  # "no drift", by the mark
    assert chance(large) < 1e-6


def test_columns_are_measured_each_by_itself():
    rng = np.random.default_rng(2)
    known, seen = rng.standard_normal((300, 3)), rng.standard_normal((200, 3)) + np.array([0, 0.3, 2])
    found = psi(known, seen, bins=5)
    assert found.p_value is not None
    assert found.value.shape == found.p_value.shape == (3,)
    assert found.value.tolist() == [float(psi(known[:, one], seen[:, one], bins=5)) for one in range(3)]


@pytest.mark.parametrize(
    ("known", "seen", "said"),
    [([1, 2], [1, 2, 3], "categories"), ([0, 0], [1, 2], "occurrence"), ([1.5, 2], [1, 2], "whole"), (3, 4, "categor")],
)
def test_counts_that_cannot_be_are_refused(known, seen, said):
    with pytest.raises(BadSample, match=said):
        psi_of_counts(known, seen)


def test_bins_and_widths_that_cannot_be_are_refused():
    with pytest.raises(BadSample, match="bins"):
        psi([1.0], [1.0], bins=1)
    with pytest.raises(BadSample, match="columns"):
        psi(np.ones((2, 2)), np.ones((2, 1)))
