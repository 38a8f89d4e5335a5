"""Adjusted p-values agree with statsmodels, keep their order, and hold the error that each one promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.classical import agree, rows
from tidegate.stats.checks import BadSample
from tidegate.stats.multiple import benjamini_hochberg, bonferroni, holm

METHODS = (bonferroni, holm, benjamini_hochberg)

families = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@pytest.mark.parametrize("method", METHODS)
def test_agrees_with_statsmodels(method):
    for row in rows("families"):
        agree(method(row["p"]), row[method.__name__], near=1e-12)


@given(families)
def test_never_smaller_than_before_and_in_the_same_order(p):
    order = np.argsort(p, kind="stable")
    for method in METHODS:
        adjusted = method(p)
        assert np.all((adjusted >= np.array(p) * (1 - 1e-12)) & (adjusted <= 1))
        assert np.all(np.diff(adjusted[order]) >= 0)


@given(families)
def test_holm_lies_between_benjamini_hochberg_and_bonferroni(p):
    assert np.all(benjamini_hochberg(p) <= holm(p) * (1 + 1e-12))
    assert np.all(holm(p) <= bonferroni(p))


@given(families, st.integers(0, 10**6))
def test_the_order_of_the_tests_does_not_matter(p, seed):
    shuffle = np.random.default_rng(seed).permutation(len(p))
    for method in METHODS:
        agree(method(np.array(p)[shuffle]), method(p)[shuffle], near=1e-12)


@given(families, st.floats(0.001, 0.3))
def test_holm_finds_what_its_steps_find(p, alpha):
    found, left = set(), sorted(range(len(p)), key=lambda i: p[i])
    while left and p[left[0]] * len(left) <= alpha:
        found.add(left.pop(0))
    assert {i for i, each in enumerate(holm(p)) if each <= alpha} == found


@given(families, st.floats(0.001, 0.3))
def test_benjamini_hochberg_finds_all_up_to_the_last_below_its_line(p, alpha):
    ordered = sorted(p)
    below = [each for i, each in enumerate(ordered, 1) if each * (len(p) / i) <= alpha]
    found = np.array(p)[benjamini_hochberg(p) <= alpha]
    assert sorted(found) == [each for each in ordered if below and each <= below[-1]]


def test_families_are_the_last_axis():
    p = np.array([[0.01, 0.04, 0.03], [1, 0, 0.5]])
    for method in METHODS:
        agree(method(p), [method(row) for row in p])


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_family_stays_empty(method):
    assert method([]).shape == (0,)


def test_errors_are_held_where_nothing_is_to_be_found():
    p = np.random.default_rng(2).uniform(size=(20_000, 10))
    for method in METHODS:
        assert np.mean((method(p) <= 0.05).any(axis=-1)) < 0.055


def test_the_share_of_false_findings_is_held():
    rng = np.random.default_rng(3)
    p = rng.uniform(size=(5_000, 20))
    p[:, :5] = rng.beta(0.05, 2, (5_000, 5))  # five effects that are there
    found = benjamini_hochberg(p) <= 0.1
    share = found[:, 5:].sum(axis=-1) / np.maximum(found.sum(axis=-1), 1)
    assert 0.06 < share.mean() < 0.08  # 0.1 times the 15 of 20 that are empty
    assert found[:, :5].mean() > (holm(p) <= 0.1)[:, :5].mean()


@pytest.mark.parametrize("wrong", [0.5, [0.5, 1.1], [-1e-9], [np.nan, 0.1], ["x"]])
def test_what_is_no_family_of_probabilities_is_refused(wrong):
    for method in METHODS:
        with pytest.raises(BadSample, match="p_values"):
            method(wrong)
