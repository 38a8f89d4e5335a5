"""P-values and interval ends: one tail or both, and what happens where nothing varies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.stats.classical import agree, numbers
from tidegate.stats.checks import BadSample
from tidegate.stats.tails import by_error, critical, standardised, tail, together

SIDES = ("two-sided", "greater", "less")


@given(st.floats(-30, 30), st.sampled_from([None, 1.0, 3.7, 1e6]))
def test_tails_are_those_of_the_distributions(statistic, df):
    known = stats.norm if df is None else stats.t(df)
    agree(tail(statistic, "greater", df), known.sf(statistic), near=1e-9)
    agree(tail(statistic, "less", df), known.cdf(statistic), near=1e-9)
    agree(tail(statistic, "two-sided", df), 2 * known.sf(abs(statistic)), near=1e-9)


@given(st.floats(0.5, 0.9999), st.sampled_from(SIDES), st.sampled_from([None, 2.0, 50.0, 1e12]))
def test_an_interval_reaches_to_where_p_is_what_is_left(level, side, df):
    reach = critical(level, side, df)
    agree(tail(-reach if side == "less" else reach, side, df), 1 - level, near=1e-7)


def test_degrees_of_freedom_without_end_are_normal():
    agree(critical(0.95, "two-sided", 1e12), critical(0.95, "two-sided"), near=1e-9)


def test_without_an_error_the_statistic_is_its_limit():
    agree(standardised([0.0, 2.0, -2.0, 2.0], [0.0, 0.0, 0.0, 4.0]), [0, np.inf, -np.inf, 0.5])


@pytest.mark.parametrize(("side", "ends"), [("greater", (1 - 1.644854, np.inf)), ("less", (-np.inf, 1 + 1.644854))])
def test_a_one_sided_interval_is_open_on_the_other_side(side, ends):
    found = by_error(1.0, 1.0, None, side, 0.95, "a test")
    agree(numbers(found.interval.low, found.interval.high), ends)


def test_results_have_the_common_shape():
    found = by_error([[1.0], [2.0]], [1.0, 2.0, 3.0], 5.0, "two-sided", 0.9, "a test")
    assert found.df is not None
    for part in (found.effect, found.statistic, found.p_value, found.df, found.interval.low, found.interval.high):
        assert part.shape == (2, 3)


def test_a_one_sided_interval_below_one_half_is_refused():
    with pytest.raises(BadSample, match="at least one half"):
        critical(0.4, "greater")


@pytest.mark.parametrize("level", [0, 1, 95, np.nan, [0.9, 0.95]])
def test_a_level_that_cannot_be_is_refused(level):
    with pytest.raises(BadSample, match="level"):
        critical(level, "two-sided")


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(BadSample, match="broadcast"):
        together([1, 2], [1, 2, 3])
