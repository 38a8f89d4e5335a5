"""The hypergeometric distribution keeps its digits, added up or integrated."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.classical import agree
from tidegate.stats import hypergeometric
from tidegate.stats.hypergeometric import Margins, log_pmf, lower_tail, two_sided, upper_tail


def margins(draws, successes, total):
    return Margins(*(np.asarray(each, dtype=float) for each in (draws, successes, total)))


@st.composite
def tables(draw):
    total = draw(st.integers(2, 400))
    draws, successes = draw(st.integers(1, total - 1)), draw(st.integers(0, total))
    x = draw(st.integers(max(0, draws + successes - total), min(draws, successes)))
    return x, draws, successes, total


@given(tables())
def test_the_pmf_is_that_of_whole_numbers(table):
    x, draws, successes, total = table
    ways = math.comb(successes, x) * math.comb(total - successes, draws - x)
    exact = float(Fraction(ways, math.comb(total, draws)))
    agree(np.exp(log_pmf(np.asarray(float(x)), margins(draws, successes, total))), exact, near=1e-11)


@given(tables())
def test_the_tails_add_up(table):
    x, *fixed = table
    place, found = np.asarray(float(x)), margins(*fixed)
    at = np.exp(log_pmf(place, found))
    agree(upper_tail(place, found) + lower_tail(place, found), 1 + at, near=1e-11)
    assert two_sided(place, found) >= at * (1 - 1e-11)


@given(tables())
def test_a_table_seen_from_the_other_arm_is_as_likely(table):
    x, draws, successes, total = table
    one = two_sided(np.asarray(float(x)), margins(draws, successes, total))
    other = two_sided(np.asarray(float(successes - x)), margins(total - draws, successes, total))
    agree(one, other, near=1e-10)


@pytest.mark.parametrize("rate", [0.5, 0.03])
@pytest.mark.parametrize("n", [10**9, 10**11])
def test_integrating_a_long_tail_comes_to_adding_it_up(monkeypatch, n, rate):
    x = round(n * rate + 1.5 * math.sqrt(n * rate))
    found = margins(n, round(2 * n * rate), 2 * n)
    integrated = upper_tail(np.asarray(float(x)), found)
    monkeypatch.setattr(hypergeometric, "SUMMED", 10**7)
    agree(integrated, upper_tail(np.asarray(float(x)), found), near=1e-10)


def test_far_tails_keep_their_digits():
    # by whole numbers: all 300 successes in one arm of 1,000
    exact = float(Fraction(math.comb(1_000, 300), math.comb(2_000, 300)))
    agree(upper_tail(np.asarray(300.0), margins(1_000, 300, 2_000)), exact, near=1e-10)


def test_beyond_what_can_be():
    found = margins([5, 5], [3, 3], [9, 9])
    agree(upper_tail(np.array([0.0, 4.0]), found), [1, 0])
    agree(lower_tail(np.array([-1.0, 3.0]), found), [0, 1])


@pytest.mark.parametrize("successes", [0, 9])
def test_where_nothing_is_left_to_chance(successes):
    found = margins(5, successes, 9)
    x = np.asarray(5.0 if successes else 0.0)
    for tail in (two_sided, upper_tail, lower_tail):
        assert tail(x, found) == 1
