"""The maximum mean discrepancy: near the exact one, valid as a test, small in memory."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from tests.stats.drift.chance import chance
from tidegate.stats.checks import BadSample
from tidegate.stats.drift.kernels import Kernel, Sketch, mmd, squared_mmd


def pair(n, m, width=5, shift=0.0, seed=0):
    rng = np.random.default_rng([n, m, width, seed])
    return rng.standard_normal((n, width)), rng.standard_normal((m, width)) + shift


def exact(known, seen, bandwidth):
    """The unbiased estimate over all pairs."""

    def kernel(one, other):
        return np.exp(-cdist(one, other, "sqeuclidean") / (2 * bandwidth**2))

    n, m = len(known), len(seen)
    inner, outer = kernel(known, known).sum() - n, kernel(seen, seen).sum() - m
    return inner / (n * (n - 1)) + outer / (m * (m - 1)) - 2 * kernel(known, seen).mean()


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0])
def test_many_features_give_the_exact_discrepancy(shift):
    known, seen = pair(120, 90, shift=shift)
    kernel = Kernel.of(known, np.random.default_rng(1), features=40_000)
    found = squared_mmd(kernel.sketch(known), kernel.sketch(seen))
    assert found == pytest.approx(exact(known, seen, kernel.bandwidth), rel=0.03, abs=4e-3)


def test_the_bandwidth_is_the_median_distance():
    known, _ = pair(900, 1, width=8)
    kernel = Kernel.of(known, np.random.default_rng(1))
    assert kernel.bandwidth == pytest.approx(np.median(cdist(known[:450], known[450:])), rel=0.02)


@given(st.integers(2, 30), st.integers(2, 30))
def test_sketches_add_up(first, second):
    known, seen = pair(first, second)
    kernel = Kernel.of(known, np.random.default_rng(0), features=32)
    added = kernel.sketch(known) + kernel.sketch(seen)
    together = kernel.sketch(np.concatenate([known, seen]))
    assert added.n == together.n
    np.testing.assert_allclose(added.total, together.total, atol=1e-4)


@given(st.integers(2, 20), st.integers(2, 20))
def test_the_discrepancy_is_that_of_its_own_features_pair_by_pair(n, m):
    known, seen = pair(n, m, shift=0.5)
    kernel = Kernel.of(known, np.random.default_rng(0), features=16)
    rows = np.array([kernel.sketch(one[np.newaxis]).total for one in (*known, *seen)])
    products = rows @ rows.T / 8
    np.testing.assert_allclose(np.diag(products), 1.0, atol=1e-5)
    inner, outer = products[:n, :n], products[n:, n:]
    expected = (inner.sum() - n) / (n * (n - 1)) + (outer.sum() - m) / (m * (m - 1)) - 2 * products[:n, n:].mean()
    here, there = kernel.sketch(known), kernel.sketch(seen)
    assert squared_mmd(here, there) == pytest.approx(expected, abs=1e-4)
    assert squared_mmd(there, here) == pytest.approx(squared_mmd(here, there), abs=1e-12)


@pytest.mark.parametrize(("shift", "least", "most"), [(0.0, 0.06, 1.0), (0.6, 0.01, 0.01)])
def test_a_row_far_from_all_others_neither_alarms_nor_hides(shift, least, most):
    known, seen = pair(200, 200, shift=shift)
    seen[7] = 1e90
    assert least <= chance(mmd(known, seen, np.random.default_rng(1), permutations=99)) <= most


def test_where_the_origin_lies_does_not_matter():
    known, seen = pair(300, 200, shift=0.4)
    here = mmd(known, seen, np.random.default_rng(2), permutations=9)
    far = mmd(known + 1e8, seen + 1e8, np.random.default_rng(2), permutations=9)
    assert float(far) == pytest.approx(float(here), rel=1e-4)


@pytest.mark.parametrize("block", [None, 1, 4])
@pytest.mark.parametrize(("n", "m"), [(40, 40), (70, 31)])
def test_the_p_value_is_valid_at_every_block(n, m, block):
    rng = np.random.default_rng(3)
    runs = (pair(n, m, seed=run) for run in range(400))
    tests = [mmd(known, seen, rng, features=64, permutations=39, block=block) for known, seen in runs]
    found = np.array([chance(one) for one in tests])
    assert np.mean(found <= 0.05) <= 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 400)
    assert np.mean(found <= 0.5) >= 0.4  # and not idle


@pytest.mark.parametrize(("n", "m"), [(2_500, 1_200), (9_000, 300), (130, 4_900)])
def test_a_shift_is_found_also_where_rows_stay_behind(n, m):
    known, seen = pair(n, m, shift=0.35)
    found = mmd(known, seen, np.random.default_rng(4), permutations=199)
    assert chance(found) == 0.005
    assert float(found) > 0.0
    assert (found.n_reference, found.n_window) == (n, m)


def test_a_change_of_spread_alone_is_found():
    known, seen = pair(800, 800)
    assert chance(mmd(known, seen * 1.3, np.random.default_rng(5), permutations=199)) == 0.005


def test_neighbours_that_are_alike_need_blocks():
    """Rows in time order with a slow wave: exchanged one by one they look like drift, in blocks they do not."""
    rng = np.random.default_rng(6)
    alone, blocks = [], []
    for _ in range(40):
        wave = np.repeat(rng.standard_normal((60, 2)), 10, axis=0)
        rows = wave + 0.3 * rng.standard_normal((600, 2))
        alone.append(chance(mmd(rows[:300], rows[300:], rng, features=64, permutations=39, block=1)))
        blocks.append(chance(mmd(rows[:300], rows[300:], rng, features=64, permutations=39, block=10)))
    assert np.mean(np.array(alone) <= 0.05) > 0.5
    assert np.mean(np.array(blocks) <= 0.05) <= 0.175


def test_rows_that_are_all_the_same_have_no_distance():
    same = np.full((50, 3), 4.0)
    found = mmd(same, same[:20], np.random.default_rng(7), permutations=19)
    assert (float(found), chance(found)) == (0.0, 1.0)


def test_exchanges_that_change_nothing_count_as_reached():
    """Half of each sample is one text and half another: no exchange lies nearer, so the chance is 1, not rounding's."""
    both = np.random.default_rng(1).standard_normal((2, 7))
    rows = np.repeat(both, 15, axis=0)
    assert chance(mmd(rows, rows, np.random.default_rng(2), permutations=499)) == 1.0


def test_the_kept_reference_measures_like_the_rows_themselves():
    known, seen = pair(400, 300, shift=0.2)
    kernel = Kernel.of(known, np.random.default_rng(8))
    assert kernel.distance_from(known)(seen) == squared_mmd(kernel.sketch(known), kernel.sketch(seen))


def test_single_precision_and_whole_numbers_are_taken_as_they_come():
    known, seen = pair(200, 200, shift=0.5)
    double = mmd(known, seen, np.random.default_rng(9), permutations=9)
    single = mmd(known.astype(np.float32), seen.astype(np.float32), np.random.default_rng(9), permutations=9)
    assert float(single) == pytest.approx(float(double), abs=1e-5)
    assert float(mmd(np.eye(9, dtype=int), np.eye(9, dtype=int), np.random.default_rng(0), permutations=9)) < 0.0


def test_memory_does_not_grow_with_the_features_of_all_rows():
    rows = np.random.default_rng(10).standard_normal((100_000, 4))
    tracemalloc.start()
    try:
        mmd(rows[:60_000], rows[60_000:], np.random.default_rng(11), permutations=99)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 80e6  # the features of all rows are 205 MB


@pytest.mark.parametrize(
    ("known", "seen", "said"),
    [
        (np.ones((3, 2)), np.ones((3, 4)), "another model"),
        (np.ones((1, 2)), np.ones((3, 2)), "reference"),
        (np.ones((3, 2)), np.ones(3), "window"),
        (np.ones((3, 2)), np.full((3, 2), np.nan), "finite"),
        (np.full((3, 2), "a"), np.ones((3, 2)), "numbers"),
    ],
)
def test_embeddings_that_cannot_be_are_refused(known, seen, said):
    with pytest.raises(BadSample, match=said):
        mmd(known, seen, np.random.default_rng(0))


def test_a_number_that_is_missing_anywhere_is_seen():
    rows = np.ones((5000, 2))
    rows[4999, 1] = np.inf
    with pytest.raises(BadSample, match="rows holds"):
        Kernel.of(rows[:4999], np.random.default_rng(0)).sketch(rows)


@pytest.mark.parametrize(
    ("asked", "said"), [({"features": 7}, "even"), ({"permutations": 0}, "permutations"), ({"block": 6}, "at most 5")]
)
def test_settings_that_cannot_be_are_refused(asked, said):
    with pytest.raises(BadSample, match=said):
        mmd(np.ones((10, 2)), np.ones((11, 2)), np.random.default_rng(0), **asked)


def test_sketches_of_two_kernels_are_not_compared():
    with pytest.raises(BadSample, match="one kernel"):
        squared_mmd(Sketch(np.ones(4), 5), Sketch(np.ones(6), 5))
