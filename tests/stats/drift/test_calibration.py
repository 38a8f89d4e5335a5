"""Thresholds from the reference's own windows: right on what they have not seen, or said not to be."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.stats.drift.chance import chance
from tidegate.stats.checks import BadSample
from tidegate.stats.drift.calibration import Calibrated, Threshold, ruler
from tidegate.stats.drift.columns import ks, wasserstein
from tidegate.stats.drift.distances import rank_p_value
from tidegate.stats.drift.kernels import Kernel

distances = st.lists(st.integers(0, 30).map(lambda tenths: tenths / 10), min_size=19, max_size=70)


def days(rng, number, size, wave=0.3):
    """Values day after day, in time order: each day has its own level, which is no drift."""
    return (rng.standard_normal((number, size)) + wave * rng.standard_normal((number, 1))).ravel()


def test_the_threshold_by_hand():
    found = Threshold.of(np.arange(1.0, 20.0))
    assert found.value == 19.0  # of 19 windows none may lie above, and a new one is above all with chance 1/20
    assert Threshold.of(np.arange(1.0, 40.0)).value == 38.0
    assert Threshold.of(np.arange(1.0, 40.0), alpha=0.1).value == 36.0


@given(distances, st.sampled_from([0.05, 0.1, 0.2]), st.integers(-1, 32).map(lambda tenths: tenths / 10))
def test_an_alarm_is_a_p_value_of_at_most_alpha(null, alpha, distance):
    found = Threshold.of(null, alpha=alpha)
    p_value = float(found.p_value(distance))
    assert p_value == pytest.approx(float(rank_p_value(distance, null)))
    assert bool(found.alarms(distance)) == (p_value <= alpha + 1e-12) == (distance > found.value)
    assert found.false_alarms <= found.looks == len(null) - round(1 / alpha) + 1


def test_on_windows_not_seen_it_is_wrong_no_more_often_than_alpha():
    rng = np.random.default_rng(1)
    runs = [Threshold.of(rng.lognormal(0, 2, 39)) for _ in range(1500)]
    alarms = np.mean([rng.lognormal(0, 2) > run.value for run in runs])
    assert alarms <= 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 1500)
    assert alarms >= 0.02
    counted = sum(run.false_alarms for run in runs) / sum(run.looks for run in runs)
    assert counted == pytest.approx(np.mean(1 / np.arange(20, 40)), abs=0.006)  # so many windows came before each
    assert np.mean([run.holds for run in runs]) > 0.95


def test_the_interval_of_the_false_alarms_is_the_exact_one():
    found = Threshold.of(np.r_[np.zeros(20), 1.0, 2.0, np.zeros(40)])
    assert (found.looks, found.false_alarms) == (43, 2)
    expected = stats.binomtest(2, 43).proportion_ci(method="exact")
    assert (float(found.rate.low), float(found.rate.high)) == pytest.approx((expected.low, expected.high), rel=1e-9)
    none = Threshold.of(np.zeros(19))
    assert (none.looks, float(none.rate.low), float(none.rate.high)) == (0, 0.0, 1.0)


def test_a_reference_that_drifts_itself_says_so():
    assert not Threshold.of(np.arange(40.0)).holds


def test_days_that_differ_raise_no_alarm_where_the_p_value_raises_many():
    rng = np.random.default_rng(2)
    alarms, naive = [], []
    for _ in range(60):
        rows = days(rng, 80, 50)
        found = Calibrated.in_order(rows, 50, ruler(wasserstein))
        for _ in range(5):
            window = days(rng, 1, 50)
            alarms.append(found.judge(window).alarm)
            naive.append(chance(ks(rows[:1000], window)) <= 0.05)
    assert np.mean(naive) > 0.25
    assert np.mean(alarms) <= 0.09


def test_windows_in_order_are_measured_from_the_base_alone():
    seen = []

    def first_row(base):
        seen.append(base.tolist())
        return lambda window: float(window[0] - base[-1])

    found = Calibrated.in_order(np.arange(500.0), 10, first_row, base_share=0.6)
    assert seen == [list(range(300))]
    assert found.threshold.null.tolist() == [1.0 + 10 * number for number in range(20)]
    assert found.judge(np.arange(500.0, 512.0)).distance == 201.0


def test_a_random_split_hides_what_days_do():
    rng = np.random.default_rng(3)
    rows = days(rng, 80, 100)
    hidden = Calibrated.unordered(rows, 100, ruler(wasserstein), rng, windows=99)
    honest = Calibrated.in_order(rows, 100, ruler(wasserstein))
    assert honest.threshold.value > 1.5 * hidden.threshold.value


def test_a_shift_beyond_the_days_is_found():
    rng = np.random.default_rng(4)
    found = Calibrated.in_order(days(rng, 80, 100), 100, ruler(wasserstein))
    verdict = found.judge(days(rng, 1, 100, wave=0.0) + 1.5)
    assert verdict.alarm
    assert verdict.p_value == pytest.approx(1 / 41)
    assert verdict.distance > found.threshold.value


def test_embeddings_without_order_are_judged_by_draws_from_the_reference():
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((2000, 16))
    found = Calibrated.unordered(rows, 200, Kernel.of(rows, rng, features=128).distance_from, rng, windows=99)
    fresh = [found.judge(rng.standard_normal((200, 16))).alarm for _ in range(200)]
    assert np.mean(fresh) <= 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 200)
    assert found.judge(rng.standard_normal((200, 16)) + 0.3).alarm


def test_many_columns_make_one_distance():
    rng = np.random.default_rng(6)
    mean_over_columns = ruler(lambda base, window: wasserstein(base, window).value.mean())
    found = Calibrated.in_order(rng.standard_normal((4000, 8)), 100, mean_over_columns)
    assert not found.judge(rng.standard_normal((100, 8)) * 1.01).alarm
    assert found.judge(rng.standard_normal((100, 8)) + 0.5).alarm


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        (partial(Threshold.of, np.zeros(18)), "at least 19"),
        (partial(Threshold.of, [0.0, np.nan]), "null"),
        (partial(Threshold.of, np.zeros((5, 40))), "null"),
        (partial(Threshold.of, np.zeros(40), alpha=1.0), "alpha"),
        (partial(Calibrated.in_order, np.zeros(200), 10, ruler(ks)), "has 10 windows.*needs 19"),
        (partial(Calibrated.in_order, np.zeros(200), 0, ruler(ks)), "size"),
        (partial(Calibrated.in_order, np.zeros(200), 5, ruler(ks), base_share=1.0), "base_share"),
        (partial(Calibrated.in_order, 5.0, 5, ruler(ks)), "rows"),
        (partial(Calibrated.unordered, np.zeros(20), 11, ruler(ks), np.random.default_rng(0)), "at most 10"),
    ],
)
def test_what_can_set_no_threshold_is_refused(attempt, said):
    with pytest.raises(BadSample, match=said):
        attempt()


def test_a_window_smaller_than_the_threshold_is_for_is_refused():
    found = Calibrated.in_order(np.arange(400.0) % 7, 10, ruler(ks))
    with pytest.raises(BadSample, match="9 rows"):
        found.judge(np.zeros(9))


def test_a_rank_needs_a_draw():
    with pytest.raises(BadSample, match="at least one draw"):
        rank_p_value(1.0, [])
