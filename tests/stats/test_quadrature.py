import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.stats.quadrature import FEWER_NODES, NODES, either_side, gauss_legendre, products_of_others


@pytest.mark.parametrize("nodes", [FEWER_NODES, NODES])
@given(marks=st.lists(st.floats(-3, 3), min_size=2, max_size=6), degree=st.integers(0, 15))
def test_integrals_of_polynomials_are_exact_in_any_order_of_the_marks(nodes: int, marks: list[float], degree: int):
    places, weights = gauss_legendre(np.array(marks), nodes)
    exact = (max(marks) ** (degree + 1) - min(marks) ** (degree + 1)) / (degree + 1)
    assert (weights * places**degree).sum() == pytest.approx(exact, rel=1e-11, abs=1e-11 * 3**degree)


@given(st.lists(st.floats(0, 2), min_size=1, max_size=6))
def test_products_leave_out_one_factor_each_without_a_division(factors: list[float]):
    found = products_of_others(np.array(factors))
    wanted = [np.prod(factors[:k] + factors[k + 1 :]) for k in range(len(factors))]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-300)  # below that, digits get lost


def test_marks_lie_on_both_sides():
    np.testing.assert_allclose(
        either_side(np.array([10.0, 0.0]), np.array([2.0, 1.0]), np.array([0.0, 1, 3])),
        [[4, 8, 10, 12, 16], [-3, -1, 0, 1, 3]],
    )
