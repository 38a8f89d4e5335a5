"""Cost, latency and faithfulness of a rollout by windows: seldom wrong, soon right, and blind to shared drift."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.sequential.rollouts import ALPHA, N_C, N_T, at_most, first_minutes
from tidegate.stats.checks import BadSample
from tidegate.stats.sequential.means import normal_mixture, normal_mixture_bound, rho_for
from tidegate.stats.sequential.stratified import Moments, StratifiedMeans

RUNS = 400
COST_VARIANCE = float(np.exp(0.81) * np.expm1(0.81))  # of a log-normal of sigma 0.9, in units of its median
HARM = StratifiedMeans(float(rho_for(2000 * COST_VARIANCE, ALPHA, two_sided=False)))


def moments(draw, sizes):
    """Of one arm's windows, for each run: `draw` makes the values of one window."""
    found = [Moments.of(draw(window, (RUNS, n))) for window, n in enumerate(sizes)]
    return Moments(*(np.stack([np.broadcast_to(getattr(one, name), RUNS) for one in found], axis=1)
                     for name in ("n", "mean", "squares")))  # fmt: skip


def costs(ratio, *, drift=None, seed=1, share=1):
    """Log-normal costs of both arms; `drift` multiplies both, window by window; one unit in `share` is measured."""
    random = np.random.default_rng(seed)
    level = np.ones(N_T.size) if drift is None else drift
    control = moments(lambda window, shape: level[window] * random.lognormal(0, 0.9, shape), N_C // share)
    treatment = moments(lambda window, shape: level[window] * ratio * random.lognormal(0, 0.9, shape), N_T // share)
    return control, treatment


def crossed(process, arms, alpha=ALPHA):
    return process.path(*arms).log_e >= -np.log(alpha)


@pytest.mark.parametrize(("ratio", "minutes"), [(1.1, 55), (1.2, 25), (1.5, 15)])
def test_a_dearer_candidate_is_found_as_soon_as_was_said(ratio, minutes):
    """Research, section 5: cost 1.1, 1.2 and 1.5 times, all found, after 55, 25 and 15 minutes at the median."""
    hits = crossed(HARM, costs(ratio))
    assert hits.any(axis=1).all()
    assert np.median(first_minutes(hits)) <= minutes + 5


@pytest.mark.parametrize("share", [1, 5])
def test_an_identical_candidate_is_seldom_rolled_back_though_looked_at_39_times(share):
    assert at_most(crossed(HARM, costs(1.0, share=share)).any(axis=1).mean(), ALPHA, RUNS)


def test_nor_at_an_alpha_that_tries_the_bound():
    plan = StratifiedMeans(float(rho_for(2000 * COST_VARIANCE, 0.2, two_sided=False)))
    false = crossed(plan, costs(1.0, seed=2), alpha=0.2).any(axis=1).mean()
    assert false > 0.02
    assert at_most(false, 0.2, RUNS)


def test_drift_that_both_arms_share_cancels_whatever_the_shares():
    drift = np.where(N_T == 500, 2.0, 1.0)  # twice as dear for all, just when the treatment's share grows
    assert at_most(crossed(HARM, costs(1.0, drift=drift)).any(axis=1).mean(), ALPHA, RUNS)
    assert crossed(HARM, costs(1.2, drift=drift)).any(axis=1).mean() > 0.99


def test_a_ratio_is_tested_as_such_and_its_mirror_says_no_harm_beyond_it():
    assert at_most(crossed(StratifiedMeans(HARM.rho, ratio=1.2), costs(1.2)).any(axis=1).mean(), ALPHA, RUNS)
    no_harm = StratifiedMeans(HARM.rho, ratio=1.2, alternative="less")
    assert crossed(no_harm, costs(1.0), alpha=0.05).any(axis=1).mean() > 0.99
    assert at_most(crossed(no_harm, costs(1.2), alpha=0.05).any(axis=1).mean(), 0.05, RUNS)


def test_a_drop_of_a_score_is_found_and_a_margin_holds():
    """Faithfulness judged on every fifth unit; section 5: a drop of 0.05 is found after 45 minutes at the median."""
    random = np.random.default_rng(3)

    def judged(drop):
        return (
            moments(lambda _, shape: random.beta(17, 3, shape), N_C // 5),
            moments(lambda _, shape: np.clip(random.beta(17, 3, shape) - drop, 0, 1), N_T // 5),
        )

    rho = float(rho_for(400 * 0.006, ALPHA, two_sided=False))
    lower = StratifiedMeans(rho, alternative="less")
    hits = crossed(lower, judged(0.05))
    assert hits.any(axis=1).all()
    assert np.median(first_minutes(hits)) <= 45
    assert at_most(crossed(lower, judged(0.0)).any(axis=1).mean(), ALPHA, RUNS)
    margin = StratifiedMeans(rho, margin=-0.03, alternative="less")
    assert at_most(crossed(margin, judged(0.03)).any(axis=1).mean(), ALPHA, RUNS)
    no_worse = StratifiedMeans(rho, margin=-0.03)
    assert crossed(no_worse, judged(0.0), alpha=0.05).any(axis=1).mean() > 0.95


def test_the_interval_holds_the_true_difference_at_all_looks():
    mean = float(np.exp(0.405))
    path = HARM.path(*costs(1.1, seed=4))
    found = HARM.interval(path, level=0.9)
    outside = (found.low > 0.1 * mean) | (found.high < 0.1 * mean)
    assert at_most(outside.any(axis=1).mean(), 0.1, RUNS)
    assert (found.high - found.low)[:, -1].mean() < 0.3
    assert np.all(np.isinf(found.low[:, 0]) == (path.n_t[:, 0] < 50))


# ---------------------------------------------------------------------------------------------- what a state promises

values = st.lists(st.floats(min_value=-100, max_value=100), max_size=30)
arms = st.tuples(values, values)
PLAN = StratifiedMeans(5.0, ratio=1.1, margin=0.5, burn_in=3)


def after(seen):
    state = PLAN.start()
    for control, treatment in seen:
        state = PLAN.update(state, Moments.of(control), Moments.of(treatment))
    return state


@given(seen=st.lists(arms, min_size=1, max_size=5), data=st.data())
def test_the_order_of_windows_does_not_matter_and_a_stored_state_goes_on(seen, data):
    whole = after(seen)
    assert float(after(data.draw(st.permutations(seen))).log_e) == pytest.approx(float(whole.log_e), rel=1e-6, abs=1e-6)
    half = PLAN.resumed(json.loads(json.dumps(PLAN.stored(after(seen[:-1])))))
    again = PLAN.update(half, Moments.of(seen[-1][0]), Moments.of(seen[-1][1]))
    assert float(again.log_e) == float(whole.log_e)
    assert float(again.log_peak) == float(whole.log_peak)


@given(first=values, second=values)
def test_moments_of_parts_add_up_to_those_of_the_whole(first, second):
    both, whole = Moments.of(first) + Moments.of(second), Moments.of([*first, *second])
    for name in ("n", "mean", "squares"):
        assert float(getattr(both, name)) == pytest.approx(float(getattr(whole, name)), rel=1e-9, abs=1e-6)


@given(seen=st.lists(arms, min_size=1, max_size=4), shift=st.floats(min_value=-50, max_value=50))
def test_what_moves_both_arms_of_a_window_alike_changes_nothing_at_ratio_1(seen, shift):
    plan = StratifiedMeans(5.0, burn_in=2)

    def evidence(moved):
        state = plan.start()
        for control, treatment in seen:
            state = plan.update(state, Moments.of(np.array(control) + moved), Moments.of(np.array(treatment) + moved))
        return float(state.total), float(state.variance)

    assert evidence(shift) == pytest.approx(evidence(0.0), rel=1e-6, abs=1e-6)


def test_the_sums_are_those_of_the_formula_at_any_ratio_and_margin():
    seen = [([1.0, 4.0, 2.0], [3.0, 5.0]), ([2.0, 2.5], [1.0, 7.0, 3.0, 2.0])]
    plan = StratifiedMeans(5.0, ratio=1.3, margin=0.4, burn_in=2)
    state, total, variance, weights = plan.start(), 0.0, 0.0, 0.0
    for control, treatment in seen:
        state = plan.update(state, Moments.of(control), Moments.of(treatment))
        weight = len(control) * len(treatment) / (len(control) + len(treatment))
        total += weight * float(np.mean(treatment) - 1.3 * np.mean(control) - 0.4)
        error = np.var(treatment, ddof=1) / len(treatment) + 1.3**2 * np.var(control, ddof=1) / len(control)
        variance, weights = variance + weight**2 * float(error), weights + weight
    assert float(state.total) == pytest.approx(total)
    assert float(state.variance) == pytest.approx(variance)
    assert float(state.log_e) == pytest.approx(float(normal_mixture(total, variance, 5.0)))
    found = plan.interval(state, level=0.9)
    assert float(found.low + found.high) / 2 == pytest.approx(total / weights + 0.4)
    bound = float(normal_mixture_bound(variance, 5.0, 0.1, two_sided=True))
    assert float(found.high - found.low) / 2 == pytest.approx(bound / weights)


def test_windows_with_too_few_units_and_processes_before_the_burn_in_say_nothing():
    plan = StratifiedMeans(1.0, burn_in=50)
    state = plan.update(plan.start(), Moments.of([1.0]), Moments.of(np.arange(100.0)))
    assert (float(state.log_e), float(state.n_t)) == (0.0, 0.0)
    state = plan.update(state, Moments.of(np.arange(49.0)), Moments.of(np.arange(100.0) + 1000))
    assert float(state.log_e) == 0.0
    assert float(plan.interval(state).high) == np.inf
    state = plan.update(state, Moments.of(np.arange(2.0)), Moments.of(np.arange(2.0)))
    assert float(state.log_e) > 10
    constant = plan.update(plan.start(3), Moments.of(np.ones(100)), Moments.of(np.ones(100)))
    assert constant.log_e.tolist() == [0.0] * 3


def test_what_cannot_be_is_refused():
    for call in (
        lambda: StratifiedMeans(0.0),
        lambda: StratifiedMeans(1.0, ratio=0),
        lambda: StratifiedMeans(1.0, margin=np.nan),
        lambda: StratifiedMeans(1.0, burn_in=1),
        lambda: StratifiedMeans(1.0, alternative="up"),  # type: ignore[arg-type]
        lambda: Moments(1, 0.0, -1.0),
        lambda: Moments(1.5, 0.0, 1.0),
        lambda: Moments.of([np.nan]),
        lambda: PLAN.path(Moments.of([1.0]), Moments.of([1.0])),
        lambda: PLAN.resumed(StratifiedMeans(4.0).stored(StratifiedMeans(4.0).start())),
        lambda: PLAN.resumed({**PLAN.stored(PLAN.start()), "total": np.nan}),
    ):
        with pytest.raises(BadSample):
            call()
