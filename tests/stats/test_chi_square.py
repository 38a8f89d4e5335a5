import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from tidegate.stats.chi_square import evenly_weighed_shares, noncentral_t_below, weighed_shares


@given(st.floats(1, 1e9))
def test_the_shares_of_a_chi_square_have_its_moments(df: float):
    places, weights = weighed_shares(np.array(df))
    assert weights.sum() == pytest.approx(1)
    assert (weights * np.exp(places)).sum() == pytest.approx(1, rel=1e-9)
    assert (weights * places).sum() == pytest.approx(special.digamma(df / 2) - np.log(df / 2), rel=1e-6, abs=1e-12)


@given(st.floats(30, 1e9), st.floats(0.1, 0.7))
def test_fewer_shares_give_the_same_sums_where_the_tail_is_light(df: float, rate: float):
    sums = [
        float((weights * special.ndtr(rate * np.sqrt(df) * places)).sum())
        for places, weights in (weighed_shares(np.array(df)), evenly_weighed_shares(np.array(df)))
    ]
    assert sums[0] == pytest.approx(sums[1], abs=1e-9)


@pytest.mark.parametrize("df", [1.0, 4.0, 30.0, 1000.0])
@pytest.mark.parametrize("moved", [0.0, 0.7, 3.0])
def test_noncentral_t_is_scipys(df: float, moved: float):
    place = np.linspace(-3, 8, 12)
    found = noncentral_t_below(np.array(df), np.array(moved), place)
    np.testing.assert_allclose(found, stats.nct.cdf(place, df, moved), atol=1e-8)
    assert np.all(np.diff(found) >= 0)
