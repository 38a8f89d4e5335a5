"""Figures are said in the unit that people use, and to no more places than their intervals allow."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.kernel.scales import PERCENT, TIMES, Scale, mean_error

PLAIN = Scale(1.0, "", "", "")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((0.0312, 0.0118, 0.0503), "3.1 points higher (1.2 to 5.0)"),
        ((-0.0312, -0.0503, -0.0118), "3.1 points lower (1.2 to 5.0)"),
        ((-0.0042, -0.0194, 0.0112), "0.4 points lower (1.1 higher to 1.9 lower)"),
        ((0.0, -0.0151, 0.0149), "no different (1.5 lower to 1.5 higher)"),
    ],
)
def test_sentences_say_higher_and_lower_instead_of_signs(found: tuple[float, float, float], said: str) -> None:
    assert PERCENT.apart_text(*found, "control") == said


def test_a_ratio_is_said_in_times() -> None:
    assert TIMES.apart_text(1.83, 1.32, 2.51, "control") == "1.8 times control's (1.3 to 2.5)"


def test_a_bound_that_is_not_quite_no_difference_is_told_from_it() -> None:
    assert TIMES.cell(1.83, 1.002, 2.51) == "1.8 times (1.002 to 2.5)"
    assert PERCENT.cell(0.0312, 0.0004, 0.0603) == "+3.1 points (+0.04 to +6.0)"


@given(
    estimate=st.floats(-1e6, 1e6),
    below=st.floats(1e-4, 1e6),
    above=st.floats(1e-4, 1e6),
    factor=st.sampled_from([1.0, 100.0]),
)
def test_what_is_said_is_what_was_found(estimate: float, below: float, above: float, factor: float) -> None:
    low, high = estimate - below, estimate + above
    said = re.findall(r"[-+]?[\d,]+(?:\.\d+)?", PLAIN._replace(factor=factor).cell(estimate, low, high))
    assert len(said) == 3
    error = (high - low) / 2 * factor
    for text, found in zip(said, (estimate, low, high), strict=True):
        assert abs(float(text.replace(",", "")) - found * factor) <= 0.15 * error + 1e-9
    digits = len(said[0].partition(".")[2])
    assert digits == 0 or 10.0**-digits >= error / 36


def test_the_error_of_a_mean_is_told_by_its_units() -> None:
    assert mean_error(0.5, 10_000, None, rate=True) == pytest.approx(0.0098)
    assert mean_error(0.0, 200, None, rate=True) == 1 / 200
    assert mean_error(100.0, 400, 20.0, rate=False) == pytest.approx(1.96)
    assert mean_error(100.0, 400, None, rate=False) is None
    assert mean_error(0.5, 0, 0.1, rate=False) is None
