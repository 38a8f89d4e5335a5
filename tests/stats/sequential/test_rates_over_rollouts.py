"""Rollouts by the ten thousand, looked at after every window: seldom wrong, soon right, blind to what arms share."""

import numpy as np
import pytest

from tests.stats.sequential.rollouts import ALPHA, N_C, N_T, at_most, first_minutes, rollouts
from tidegate.stats.sequential.rates import RISES, RateProcess, RateWindow

RUNS = 20_000
HARM = RateProcess()
NO_HARM = RateProcess(1.5, non_inferiority=True)


def crossed(process, windows, alpha=ALPHA):
    """Whether each run is rejected at each look."""
    return process.path(windows).log_e >= -np.log(alpha)


@pytest.mark.parametrize("rate", [0.002, 0.01, 0.05, 0.5])
def test_an_identical_candidate_is_seldom_rolled_back_though_looked_at_39_times(rate):
    false = crossed(HARM, rollouts(rate, 1.0)).any(axis=1).mean()
    assert at_most(false, ALPHA, RUNS)
    if rate == 0.01:
        assert false == pytest.approx(0.0037, abs=0.0025)


@pytest.mark.parametrize("process", [HARM, NO_HARM], ids=["harm", "no harm"])
def test_nor_when_alpha_is_large_enough_for_the_bound_to_be_tried(process):
    false = crossed(process, rollouts(0.02, process.ratio), alpha=0.2).any(axis=1).mean()
    assert false > 0.02
    assert at_most(false, 0.2, RUNS)


@pytest.mark.parametrize(
    ("ratio", "share", "minutes"),
    [(1.25, 0.178, None), (1.5, 0.826, 115), (2.0, 1.0, 52.5), (3.0, 1.0, 25), (5.0, 1.0, 20), (20.0, 1.0, 5)],
)
def test_harm_is_found_as_often_and_as_soon_as_was_said(ratio, share, minutes):
    """The table of docs/explanation/looking-at-any-time.md: 1 % errors, alpha 0.0125."""
    hits = crossed(HARM, rollouts(0.01, ratio))
    assert hits.any(axis=1).mean() == pytest.approx(share, abs=0.016)
    if minutes is not None:
        assert np.median(first_minutes(hits)) == pytest.approx(minutes, abs=5 if ratio <= 2 else 0)


def test_weights_that_favour_what_is_hard_find_more_of_it_than_equal_ones():
    """The same rollouts under both: paired, so that a point between them is no chance."""
    seen = rollouts(0.01, 1.5)
    alike = RateProcess(weights=(1.0,) * len(RISES))
    assert crossed(HARM, seen).any(axis=1).mean() > crossed(alike, seen).any(axis=1).mean() + 0.01
    assert RateProcess(alternatives=RISES).weights == HARM.weights
    assert RateProcess(alternatives=(1.5, 2.0)).weights == (0.5, 0.5)


@pytest.mark.parametrize(("ratio", "share"), [(1.0, 0.0035), (1.25, 0.132), (1.5, 0.703)])
def test_asking_for_the_margin_as_well_costs_power_at_the_margin(ratio, share):
    """Rejected at a look at which the estimate is 1.5 or more, too: 83 % become 70 %."""
    path = HARM.path(rollouts(0.01, ratio))
    both = (path.log_e >= -np.log(ALPHA)) & (path.rate_ratio >= 1.5)
    assert both.any(axis=1).mean() == pytest.approx(share, abs=0.0025 if ratio == 1 else 0.019)


def test_with_ticks_of_ten_seconds_gross_harm_is_found_within_two_minutes():
    """200 units a minute, 5 % to the treatment: between 1 and 2 of its units a tick."""
    n_t = np.tile([2, 1, 2, 2, 1, 2], 15)
    hits = crossed(HARM, rollouts(0.01, 20.0, runs=4000, n_c=33 - n_t, n_t=n_t))
    assert np.median(hits[hits.any(axis=1)].argmax(axis=1) + 1) * 10 <= 120
    false = crossed(HARM, rollouts(0.01, 1.0, runs=4000, n_c=33 - n_t, n_t=n_t)).any(axis=1).mean()
    assert at_most(false, ALPHA, 4000)


def test_an_incident_shared_by_both_arms_cancels():
    rate = np.full(N_T.size, 0.01)
    rate[20:23] = 0.06  # six times as many errors for 15 minutes
    assert crossed(HARM, rollouts(rate, 1.0)).any(axis=1).mean() == pytest.approx(0.0037, abs=0.0025)


def test_rates_that_drift_with_the_shares_cancel_where_pooled_counts_would_not():
    """The base rate grows while the treatment's share does: pooled, the treatment looks worse (Simpson)."""
    rate = np.where(N_T == 500, 0.02, 0.005)
    seen = rollouts(rate, 1.0)
    assert at_most(crossed(HARM, seen).any(axis=1).mean(), ALPHA, RUNS)
    pooled = RateWindow(*(np.broadcast_to(value, (RUNS, 39)).sum(axis=1) for value in
                          (seen.events_c, seen.n_c, seen.events_t, seen.n_t)))  # fmt: skip
    assert HARM.update(HARM.start(RUNS), pooled).rejects(ALPHA).mean() > 0.1


def test_calls_of_one_session_fail_together_so_sessions_must_be_counted():
    sessions = rollouts(0.01, 1.0, n_c=N_C // 5, n_t=N_T // 5)
    assert at_most(crossed(HARM, sessions).any(axis=1).mean(), ALPHA, RUNS)
    calls = RateWindow(5 * sessions.events_c, N_C, 5 * sessions.events_t, N_T)
    assert crossed(HARM, calls).any(axis=1).mean() > 0.2  # why the unit matters


@pytest.mark.parametrize(("ratio", "low", "high"), [(1.0, 0.86, 0.90), (1.5, 0.0, 0.05), (2.0, 0.0, 0.005)])
def test_an_identical_candidate_passes_the_margin_and_one_at_the_margin_does_not(ratio, low, high):
    passed = crossed(NO_HARM, rollouts(0.01, ratio), alpha=0.05)
    assert low <= passed.any(axis=1).mean() <= high
    if ratio == 1.0:
        assert np.median(first_minutes(passed)) == pytest.approx(85, abs=5)


@pytest.mark.parametrize("ratio", [0.7, 1.0, 2.0])
def test_the_interval_holds_the_true_ratio_at_all_looks_of_a_rollout(ratio):
    seen = rollouts(0.02, ratio)
    outside = crossed(RateProcess(ratio), seen, 0.05) | crossed(RateProcess(ratio, non_inferiority=True), seen, 0.05)
    assert at_most(outside.any(axis=1).mean(), 0.1, RUNS)
