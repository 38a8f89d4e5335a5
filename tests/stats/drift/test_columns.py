"""Kolmogorov-Smirnov and Wasserstein, held against SciPy and against what must be true of any distance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.stats.drift.chance import chance
from tidegate.stats.checks import BadSample
from tidegate.stats.drift.columns import ks, wasserstein

SIZES = [(1, 1), (1, 9), (2, 2), (7, 5), (40, 40), (60, 25), (300, 200), (1500, 1100)]
numbers = st.lists(st.integers(-20, 20).map(lambda tenths: tenths / 10), min_size=2, max_size=40)


def samples(n, m, seed=0, *, shift=0.0, tied=False):
    rng = np.random.default_rng([n, m, seed])
    known, seen = rng.standard_normal(n), rng.standard_normal(m) + shift
    return (known.round(), seen.round()) if tied else (known, seen)


@pytest.mark.parametrize(("n", "m"), SIZES)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("shift", [0.0, 0.3, 2.0])
def test_ks_is_scipys_exact_test(n, m, tied, shift):
    known, seen = samples(n, m, shift=shift, tied=tied)
    found, expected = ks(known, seen), stats.ks_2samp(known, seen, method="exact")
    assert float(found.value) == pytest.approx(expected.statistic, rel=1e-12)
    assert chance(found) == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.n_reference, found.n_window) == (n, m)


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.04])
def test_ks_of_large_samples_is_kolmogorovs_limit(shift):
    known, seen = samples(20_000, 9_000, shift=shift)
    found, exact = ks(known, seen), stats.ks_2samp(known, seen, method="asymp")
    assert float(found.value) == pytest.approx(exact.statistic, rel=1e-12)
    assert chance(found) == pytest.approx(exact.pvalue, rel=0.05)
    limit = stats.kstwobign.sf(float(found.value) * np.sqrt(20_000 * 9_000 / 29_000))
    assert chance(found) == pytest.approx(limit, rel=1e-9)


def test_a_tiny_p_value_keeps_its_digits():
    assert chance(ks(np.arange(200), np.arange(200) + 1000)) == pytest.approx(2 * 9.712e-120, rel=1e-3)


@given(numbers, numbers)
def test_ks_sees_order_only_and_no_side(known, seen):
    once, swapped = ks(known, seen), ks(seen, known)
    bent = ks(np.exp(known), np.exp(seen))
    assert float(once) == float(swapped) == float(bent)
    assert 0.0 <= float(once) <= 1.0
    assert 0.0 < chance(once) <= 1.0
    assert chance(once) == pytest.approx(chance(swapped), rel=1e-9)


@given(numbers, numbers)
def test_wasserstein_is_scipys_over_the_reference_sd(known, seen):
    found = float(wasserstein(known, seen))
    moved = stats.wasserstein_distance(known, seen)
    spread = 0.0 if min(known) == max(known) else float(np.std(known, ddof=1))
    if spread:
        assert found == pytest.approx(moved / spread, rel=1e-9, abs=1e-12)
    else:
        assert found == (np.inf if moved > 0 else 0.0)


@given(numbers.filter(lambda values: min(values) < max(values)), st.integers(-50, 50), st.integers(1, 9))
def test_wasserstein_is_the_shift_in_any_unit(known, shift, unit):
    values = np.array(known) * unit
    assert float(wasserstein(values, values + shift)) == pytest.approx(abs(shift) / values.std(ddof=1), abs=1e-9)


@pytest.mark.parametrize("distance", [ks, wasserstein])
def test_columns_are_measured_each_by_itself(distance):
    rng = np.random.default_rng(3)
    known, seen = rng.standard_normal((80, 4)), rng.standard_normal((50, 4)) + np.array([0, 0.2, 1, 3])
    found = distance(known, seen)
    assert found.value.shape == (4,)
    for one in range(4):
        alone = distance(known[:, one], seen[:, one])
        assert alone.value.shape == ()
        assert found.value[one] == pytest.approx(float(alone), rel=1e-12)
        if alone.p_value is not None:
            assert found.p_value[one] == pytest.approx(chance(alone), rel=1e-12)


def test_ks_without_a_test_has_no_p_value():
    known, seen = samples(60, 25)
    assert ks(known, seen, test=False).p_value is None
    assert float(ks(known, seen, test=False)) == float(ks(known, seen))


def test_values_near_the_greatest_allowed_stay_finite():
    known, seen = samples(60, 25, shift=1.0)
    far = wasserstein(known * 1e98, seen * 1e98, rng=np.random.default_rng(0), permutations=19)
    assert float(far) == pytest.approx(float(wasserstein(known, seen)), rel=1e-9)


def test_wasserstein_p_value_is_valid_and_finds_a_shift():
    rng = np.random.default_rng(4)
    pairs = (rng.standard_normal((2, 30)) for _ in range(400))
    null = [chance(wasserstein(known, seen, rng=rng, permutations=39)) for known, seen in pairs]
    assert np.mean(np.array(null) <= 0.05) <= 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 400)
    assert np.mean(np.array(null) <= 0.5) >= 0.4
    known, seen = samples(200, 200, shift=1.0)
    assert chance(wasserstein(known, seen, rng=rng, permutations=999)) == 0.001


def test_wasserstein_p_values_of_columns_come_from_the_same_exchanges():
    known, seen = samples(60, 40, shift=0.3)
    both = wasserstein(np.c_[known, known * 9], np.c_[seen, seen * 9], rng=np.random.default_rng(5), permutations=99)
    assert both.p_value is not None
    assert both.p_value[0] == both.p_value[1]


def test_what_never_changes_has_no_distance():
    same = np.full(30, 7.25)
    assert float(ks(same, same)) == 0.0
    assert chance(ks(same, same)) == 1.0
    found = wasserstein(same, same, rng=np.random.default_rng(0), permutations=9)
    assert (float(found), chance(found)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("known", "seen", "said"),
    [
        ([1.0, np.nan], [1.0], "reference"),
        ([1.0, 2.0], [np.inf], "window"),
        ([1.0, -1e101], [1.0], "reference.*1e"),
        ([1.0, 2.0], [], "window"),
        (np.ones((3, 2)), np.ones((3, 3)), "columns"),
        (np.ones((2, 2, 2)), np.ones((2, 2)), "reference"),
        (["a", "b"], [1.0], "reference"),
    ],
)
def test_what_cannot_be_is_refused_by_name(known, seen, said):
    for distance in (ks, wasserstein):
        with pytest.raises(BadSample, match=said):
            distance(known, seen)


def test_permutations_are_at_least_one():
    with pytest.raises(BadSample, match="permutations"):
        wasserstein([1.0, 2.0], [1.0], rng=np.random.default_rng(0), permutations=0)
