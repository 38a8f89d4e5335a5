"""The distance of means: its formula, its unit, and what it cannot see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.stats.checks import BadSample
from tidegate.stats.drift.calibration import Calibrated
from tidegate.stats.drift.centroids import centroid, centroid_from


def pair(n, m, width=6, shift=0.0):
    rng = np.random.default_rng([n, m, width])
    return rng.standard_normal((n, width)) * 3 + 40, rng.standard_normal((m, width)) * 3 + 40 + shift


@pytest.mark.parametrize(("n", "m"), [(2, 1), (50, 20), (3000, 1500)])
def test_the_formula(n, m):
    known, seen = pair(n, m, shift=0.7)
    spread = np.sqrt(known.var(axis=0, ddof=1).sum())
    expected = np.linalg.norm(known.mean(axis=0) - seen.mean(axis=0)) / spread
    found = centroid(known, seen)
    assert float(found) == pytest.approx(expected, rel=1e-9)
    assert found.p_value is None
    assert centroid_from(known)(seen) == float(found)


@given(st.floats(0.001, 1000), st.floats(-1e6, 1e6))
def test_unit_and_origin_do_not_matter(unit, origin):
    known, seen = pair(60, 40, shift=0.5)
    assert float(centroid(known * unit + origin, seen * unit + origin)) == pytest.approx(
        float(centroid(known, seen)), rel=1e-4
    )


def test_a_window_without_drift_lies_about_where_the_docstring_says():
    known, seen = pair(400, 400, width=300)
    assert float(centroid(known, seen)) == pytest.approx(np.sqrt(1 / 400 + 1 / 400), rel=0.15)


def test_it_is_blind_to_all_but_the_mean():
    known, seen = pair(2000, 2000)
    wider = (seen - 40) * 3 + 40
    assert float(centroid(known, wider)) < 0.15


def test_a_constant_reference():
    same = np.full((5, 2), 1 / 3)
    assert float(centroid(same, same[:1])) == 0.0
    assert float(centroid(same, same + 1)) == np.inf


def test_it_is_a_ruler():
    rng = np.random.default_rng(0)
    found = Calibrated.in_order(rng.standard_normal((4000, 5)), 50, centroid_from)
    assert found.judge(rng.standard_normal((50, 5)) + 1).alarm


@pytest.mark.parametrize(
    ("known", "seen", "said"),
    [
        (np.ones((1, 2)), np.ones((1, 2)), "reference"),
        (np.ones((3, 2)), np.ones((3, 4)), "another model"),
        (np.ones((3, 2)), np.full((3, 2), np.nan), "window"),
        (np.full((3, 2), 1e200), np.ones((3, 2)), "reference"),
    ],
)
def test_what_cannot_be_is_refused_by_name(known, seen, said):
    with pytest.raises(BadSample, match=said):
        centroid(known, seen)
