"""Binomial tails keep their digits, from none of one unit to trillions."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.classical import agree
from tidegate.stats.binomial import at_least, at_most

chances = st.fractions(Fraction(1, 50), Fraction(49, 50), max_denominator=50)


@given(st.integers(1, 60), chances, st.data())
def test_tails_are_those_of_whole_numbers(n, q, data):
    k = data.draw(st.integers(0, n))
    terms = [math.comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(n + 1)]
    agree(at_most(k, n, float(q)), float(sum(terms[: k + 1])), near=1e-11)
    agree(at_least(k, n, float(q)), float(sum(terms[k:])), near=1e-11)


def test_beyond_what_can_be():
    agree(at_most([-1, 5, 6], 5, 0.3), [0, 1, 1])
    agree(at_least([-1, 0, 6], 5, 0.3), [1, 1, 0])


def test_a_trillion_units():
    n = 10**12
    k = 500_000_000_000 + np.array([-1_000_000, 0, 1_000_000])
    at = math.exp(-2) / math.sqrt(math.pi * n / 2)
    agree(at_most(k, n, 0.5) + at_least(k, n, 0.5), 1 + at * np.array([1, math.exp(2), 1]), near=1e-9)
    agree(at_most(k[0], n, 0.5), at_least(k[2], n, 0.5), near=1e-9)
    agree(at_most(k[0], n, 0.5), math.erfc(math.sqrt(2)) / 2 + at / 2, near=1e-8)


def test_far_tails_do_not_vanish():
    agree(at_least(100, 100, 0.01), 1e-200, near=1e-9)
    agree(at_most(0, 100, 0.99), 1e-200, near=1e-9)
