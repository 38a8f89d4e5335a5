"""Figures as people read them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.kernel.figures import about_text, fixed_text, level_text, p_text, places_for, places_of


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (0.029, "p = 0.029"),
        (0.00001, "p < 0.0001"),
        (0.0496, "p = 0.0496"),
        (0.61, "p = 0.61"),
        (math.nan, "p unknown"),
    ],
)
def test_p_values_have_the_digits_that_count(p: float, said: str) -> None:
    assert p_text(p) == said


@pytest.mark.parametrize(
    ("error", "places"), [(1.9, 1), (0.6, 1), (0.19, 2), (0.35, 2), (0.36, 1), (35, 0), (5, 0), (4200, -3), (0, 9)]
)
def test_an_error_says_how_many_places_are_known(error: float, places: int) -> None:
    assert places_for(error) == places


@pytest.mark.parametrize(
    ("count", "said"), [(4187, "4,200"), (87, "87"), (3, "3"), (0, "0"), (123_456, "120,000"), (math.inf, "unknown")]
)
def test_an_estimated_count_has_two_digits(count: float, said: str) -> None:
    assert about_text(count) == said


def test_nothing_is_minus_zero() -> None:
    assert fixed_text(-0.001, 1) == "0.0"
    assert fixed_text(-0.4, 0) == "0"


def test_a_level_that_is_unknown_is_a_dash() -> None:
    assert [level_text(one) for one in (0.95, 0.999, math.nan)] == ["95%", "99.9%", "-"]


@given(st.floats(-1e300, 1e300), st.integers(1, 6))
def test_any_figure_can_be_said(value: float, digits: int) -> None:
    text = fixed_text(value, places_of(value, digits))
    found = float(text.replace(",", ""))
    shown = min(digits, 3) if abs(value) >= 1e15 else digits
    assert abs(found - value) <= max(0.5 * abs(value) * 10.0 ** (1 - shown), 1e-9) * 1.0000001
