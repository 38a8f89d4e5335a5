from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.stats.roots import crossing, secant


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=5), st.sampled_from([1, 3, 5]))
def test_crossings_of_odd_powers_are_found_in_every_element(places: list[float], power: int):
    wanted = np.array(places)
    found = crossing(lambda x: (x - wanted) ** power, np.full(wanted.shape, -60.0), np.full(wanted.shape, 70.0))
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12 if power == 1 else 1e-60 ** (1 / power))


def test_a_jump_is_found_and_no_crossing_gives_the_end_that_is_nearer_to_0():
    found = crossing(lambda x: np.where(x < [0.3, 9.0], -2.0, 1.0), np.zeros(2), np.array([1.0, 1.0]))
    assert abs(found[0] - 0.3) < 1e-15
    assert crossing(lambda x: x + 3, np.array([1.0]), np.array([2.0])) == 1


@given(st.floats(-5, 5), st.floats(0.01, 100), st.floats(-2, 2), st.floats(-0.2, 0.2, allow_subnormal=False))
def test_secants_end_where_a_nearly_straight_line_is_0(place: float, width: float, off: float, bend: float):
    """x is so many widths from the crossing: x + bend x^2 / 8 bends so little that it rises wherever a step leads."""

    def missed(at: np.ndarray) -> np.ndarray:
        x = (at - place) / width
        return np.asarray(np.sinh(bend * x) / bend if bend else x)

    found, done = secant(missed, np.array([place + off * width]), np.array([width]))
    assert done.all()
    np.testing.assert_allclose(found, place, atol=1e-10 * (width + abs(place)))


@pytest.mark.parametrize("missed", [lambda x: np.where(x < 0.3, -1.0, 1.0), np.ones_like, lambda x: x**2 + 1])
def test_what_secants_do_not_find_is_said(missed: Callable[[np.ndarray], np.ndarray]):
    assert not secant(missed, np.zeros(1), np.ones(1))[1].any()
