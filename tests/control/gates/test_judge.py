"""A gate as a user meets it: what breaches it, what it holds against, and what stays open."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.control.gates.rollouts import ALPHA, GATES, Harm, judged, moments_of_rate, one_run, rollouts
from tidegate.control.gates.judge import judge, verdict
from tidegate.control.gates.model import Absolute, Drop, Gate, Ratio
from tidegate.control.gates.questions import harm, not_beyond
from tidegate.stats.checks import BadSample
from tidegate.stats.sequential.stratified import Moments

RATES = (
    Gate(metric="errors", rule=Ratio(1.5), shape="rate", better="lower", share=1),
    Gate(metric="errors", rule=Drop(0.05), shape="rate", better="lower", share=1),
    Gate(metric="errors", rule=Absolute(0.2), shape="rate", better="lower", share=1),
    Gate(metric="solved", rule=Ratio(0.9), shape="rate", better="higher", share=1),
    Gate(metric="solved", rule=Drop(0.05), shape="rate", better="higher", share=1),
    Gate(metric="solved", rule=Absolute(0.7), shape="rate", better="higher", share=1),
)
MEANS = (
    Gate(metric="cost", rule=Ratio(1.2), shape="mean", better="lower", share=1),
    Gate(metric="cost", rule=Drop(0.2), shape="mean", better="lower", share=1, sd=1.0),
    Gate(metric="cost", rule=Absolute(2.0), shape="mean", better="lower", share=1),
    Gate(metric="score", rule=Ratio(0.9), shape="mean", better="higher", share=1),
    Gate(metric="score", rule=Drop(0.2), shape="mean", better="higher", share=1, sd=1.0),
    Gate(metric="score", rule=Absolute(2.0), shape="mean", better="higher", share=1, sd=1.0),
)

sizes = st.integers(min_value=0, max_value=400)
shares = st.floats(min_value=0, max_value=1)


def named(gate):
    return f"{type(gate.rule).__name__}-{gate.shape}-{gate.better}"


@st.composite
def counted(draw, windows=4):
    """Units and events of both arms, window by window."""
    n = np.array([[draw(sizes) for _ in range(windows)] for _ in range(2)], dtype=float)
    part = np.array([[draw(shares) for _ in range(windows)] for _ in range(2)])
    return n, np.rint(n * part)


@st.composite
def measured(draw, windows=4):
    """Moments of both arms, window by window; some windows are empty."""
    number = st.floats(min_value=0.1, max_value=5)
    arms = []
    for _ in range(2):
        n = np.array([draw(sizes) for _ in range(windows)], dtype=float)
        mean, squares = (np.array([draw(number) for _ in range(windows)]) for _ in range(2))
        arms.append(Moments(n, mean * (n > 0), squares * n * (n > 1)))
    return arms[0], arms[1]


# ------------------------------------------------------------------------------------------------ more harm, less


@pytest.mark.parametrize("gate", RATES, ids=named)
@given(windows=counted(), more=st.lists(shares, min_size=4, max_size=4))
def test_more_bad_events_never_take_a_breach_back_nor_make_a_gate_hold(gate, windows, more):
    (n_c, n_t), (x_c, x_t) = windows
    further = np.floor((n_t - x_t if gate.better == "lower" else x_t) * more)
    worse = x_t + further if gate.better == "lower" else x_t - further
    control = moments_of_rate(x_c, n_c)
    before, after = (judge(gate, control, moments_of_rate(x, n_t), alpha=ALPHA) for x in (x_t, worse))
    assert np.all(after.p_harm <= before.p_harm * (1 + 1e-9))
    assert np.all(after.p_beyond >= before.p_beyond * (1 - 1e-9))
    assert np.all(after.breached >= before.breached)
    assert np.all(after.holds <= before.holds)


@pytest.mark.parametrize("gate", MEANS, ids=named)
@given(arms=measured(), by=st.floats(min_value=0, max_value=3))
def test_a_worse_mean_never_takes_a_breach_back_nor_makes_a_gate_hold(gate, arms, by):
    control, treatment = arms
    moved = by if gate.better == "lower" else -by
    worse = Moments(treatment.n, treatment.mean + moved, treatment.squares)
    before, after = (judge(gate, control, arm, alpha=ALPHA) for arm in (treatment, worse))
    assert np.all(after.p_harm <= before.p_harm * (1 + 1e-9))
    assert np.all(after.p_beyond >= before.p_beyond * (1 - 1e-9))
    assert np.all(after.breached >= before.breached)
    assert np.all(after.holds <= before.holds)


@pytest.mark.parametrize("gate", RATES[:2], ids=named)
def test_a_breach_stays_when_the_harm_is_over(gate):
    n = np.full(20, 500.0)
    bad_first = np.where(np.arange(20) < 4, 100, 0)
    found = judge(gate, moments_of_rate(np.full(20, 20), n), moments_of_rate(bad_first, n), alpha=ALPHA)
    assert found.breached[3:].all()
    assert found.estimate[-1] <= 1
    assert found.p_harm[-1] == found.p_harm[4]


# ------------------------------------------------------------------------------------------------------- symmetries


@given(arms=measured())
def test_swapping_the_arms_and_what_is_better_mirrors_a_drop(arms):
    lower, higher = MEANS[1], MEANS[4]
    one, other = judge(lower, *arms, alpha=ALPHA), judge(higher, *reversed(arms), alpha=ALPHA)
    np.testing.assert_allclose(one.p_harm, other.p_harm)
    np.testing.assert_allclose(one.estimate, -other.estimate)
    np.testing.assert_array_equal(one.breached, other.breached)
    np.testing.assert_array_equal(one.holds, other.holds)


@given(windows=counted())
def test_a_drop_of_a_rate_holds_alike_for_its_events_and_for_what_is_no_event(windows):
    (n_c, n_t), (x_c, x_t) = windows
    events = judge(RATES[1], moments_of_rate(x_c, n_c), moments_of_rate(x_t, n_t), alpha=ALPHA)
    rest = judge(RATES[4], moments_of_rate(n_c - x_c, n_c), moments_of_rate(n_t - x_t, n_t), alpha=ALPHA)
    np.testing.assert_allclose(events.p_beyond, rest.p_beyond)
    np.testing.assert_allclose(events.estimate, -rest.estimate, atol=1e-12)


@pytest.mark.parametrize("gate", MEANS, ids=named)
@given(arms=measured(), by=st.floats(min_value=0.001, max_value=1000))
def test_the_unit_of_a_mean_scales_its_estimate_and_changes_no_answer(gate, arms, by):
    rule = (
        gate.rule
        if isinstance(gate.rule, Ratio)
        else type(gate.rule)(next(iter(msgspec.structs.astuple(gate.rule))) * by)
    )
    scaled = msgspec.structs.replace(gate, rule=rule, sd=None if gate.sd is None else gate.sd * by)
    moved = [Moments(arm.n, arm.mean * by, arm.squares * by * by) for arm in arms]
    one, other = judge(gate, *arms, alpha=ALPHA), judge(scaled, *moved, alpha=ALPHA)
    factor = 1 if isinstance(gate.rule, Ratio) else by
    np.testing.assert_allclose(other.estimate, one.estimate * factor, rtol=1e-6, atol=1e-9 * factor)
    np.testing.assert_allclose(other.p_harm, one.p_harm, rtol=1e-5)
    np.testing.assert_allclose(other.p_beyond, one.p_beyond, rtol=1e-5)


@pytest.mark.parametrize("gate", [*RATES, *(one for one in MEANS if one.sd)], ids=named)
@given(windows=counted(), arms=measured(), order=st.permutations(range(4)))
def test_the_order_of_the_windows_does_not_matter_for_the_evidence_now(gate, windows, arms, order):
    (n_c, n_t), (x_c, x_t) = windows
    pair = (moments_of_rate(x_c, n_c), moments_of_rate(x_t, n_t)) if gate.shape == "rate" else arms
    turned = [Moments(arm.n[list(order)], arm.mean[list(order)], arm.squares[list(order)]) for arm in pair]
    for question in (harm, not_beyond):
        found, other = (question(gate, one[0], one[1], 0.01).log_e[-1] for one in (pair, turned))
        assert found == pytest.approx(other, rel=1e-9, abs=1e-9)


def test_many_runs_at_once_are_judged_as_each_alone():
    evidence = rollouts(Harm(2, 0.02, 1.3, 1.4), runs=5, seed=21)
    for gate in GATES:
        together = judged(evidence)[gate.metric]
        for run in range(5):
            alone = judge(gate, *one_run(evidence, run)[gate.metric], alpha=ALPHA)
            np.testing.assert_allclose(alone.p_harm, together.p_harm[run], rtol=1e-9)
            np.testing.assert_allclose(alone.p_beyond, together.p_beyond[run], rtol=1e-9)
            np.testing.assert_array_equal(alone.breached, together.breached[run])


# ------------------------------------------------------------------------------------------- nothing, or nearly so


@given(n_c=st.integers(min_value=0, max_value=100_000), n_t=st.integers(min_value=1, max_value=100_000))
def test_the_first_error_ever_blocks_nobody_whatever_the_arms_sizes(n_c, n_t):
    found = judge(RATES[0], moments_of_rate([0], n_c), moments_of_rate([1], n_t), alpha=ALPHA)
    assert not found.breached[0]
    assert not found.holds[0]


def test_a_control_without_errors_does_not_hide_a_candidate_that_fails():
    n = np.full(6, 500.0)
    gate = msgspec.structs.replace(RATES[0], metric="error_rate")
    arms = moments_of_rate(np.zeros(6), n), moments_of_rate([2, 1, 3, 2, 4, 2], n)
    found = verdict([gate], {"error_rate": arms}, alpha=ALPHA)
    (one,) = found.judgements
    assert found.answer == "block"
    assert one.estimate is None  # infinitely many times as frequent
    assert one.low is not None
    assert one.low > 1.5
    assert "0.47% against 0.000%" in one.why


def test_neither_arm_ever_failing_is_no_pass_by_itself():
    n = np.full(3, 50.0)
    found = verdict([RATES[0]], {"errors": (moments_of_rate(np.zeros(3), n),) * 2}, alpha=ALPHA)
    assert found.answer == "open"
    assert found.judgements[0].estimate is None


@pytest.mark.parametrize("gate", [*RATES, *MEANS], ids=named)
def test_empty_windows_leave_every_gate_open(gate):
    nothing = Moments(np.zeros(3), np.zeros(3), np.zeros(3))
    found = judge(gate, nothing, nothing, alpha=ALPHA)
    assert not found.breached.any()
    assert not found.holds.any()
    assert np.isnan(found.estimate).all()
    assert (found.p_harm == 1).all()


def test_a_value_that_is_no_number_is_refused_and_passes_nowhere():
    with pytest.raises(BadSample, match="finite"):
        Moments([10.0], [math.nan], [0.0])


def test_a_rate_of_values_that_are_no_events_is_refused():
    with pytest.raises(BadSample, match="0 or 1"):
        judge(RATES[0], Moments([10.0], [0.123], [1.0]), moments_of_rate([1], 10), alpha=ALPHA)


# ---------------------------------------------------------------------------------- what is asked of the estimate


def test_harm_that_is_proven_but_small_blocks_only_who_asks_for_it():
    n = np.full(30, 4000.0)
    control, treatment = moments_of_rate(np.full(30, 400), n), moments_of_rate(np.full(30, 440), n)  # 1.1 times
    for require_effect, blocked in ((0.5, False), (0.0, True)):
        gate = msgspec.structs.replace(RATES[0], require_effect=require_effect)
        found = judge(gate, control, treatment, alpha=ALPHA)
        assert found.p_harm[-1] < ALPHA
        assert found.breached[-1] == blocked
        assert found.holds[-1]  # surely below 1.5 times


def test_arms_are_compared_inside_windows_so_a_moving_base_and_moving_shares_do_no_harm():
    n_c, n_t = np.array([950.0, 500.0]), np.array([50.0, 500.0])
    control, treatment = moments_of_rate([95, 5], n_c), moments_of_rate([5, 5], n_t)  # 10 %, then 1 % in both
    found = judge(RATES[0], control, treatment, alpha=ALPHA)
    np.testing.assert_allclose(found.estimate, [1, 1])
    pooled = (10 / 550) / (100 / 1450)
    assert pooled < 0.3  # what one table of all units would have said


def test_absolute_asks_nothing_of_the_control():
    gate, n = RATES[2], np.full(4, 300.0)
    bad = moments_of_rate(np.full(4, 90), n)
    for control in (bad, moments_of_rate(np.zeros(4), n), moments_of_rate(np.zeros(4), np.zeros(4))):
        found = judge(gate, control, bad, alpha=ALPHA)
        assert found.breached[-1]
        assert found.estimate[-1] == pytest.approx(0.3)


def test_units_may_be_said_once_for_all_windows_but_windows_must_be_there():
    once = Moments(300.0, np.full(4, 0.3), np.full(4, 63.0))
    each = moments_of_rate(np.full(4, 90), np.full(4, 300.0))
    np.testing.assert_allclose(
        judge(RATES[2], once, once, alpha=ALPHA).p_harm, judge(RATES[2], each, each, alpha=ALPHA).p_harm
    )
    assert judge(RATES[0], once, once, alpha=ALPHA).n_control[-1] == 1200
    with pytest.raises(BadSample, match="axis"):
        judge(RATES[0], Moments(10, 0.5, 2.5), Moments(10, 0.5, 2.5), alpha=ALPHA)


def test_a_small_arm_of_zeros_and_ones_at_the_margin_is_not_found_to_hold_though_they_come_as_values():
    """Judged from 50 units on it was in 15 % of runs."""
    rng, runs, windows = np.random.default_rng(31), 2000, 48
    arms = []
    for units, rate in ((108, 0.98), (12, 0.96)):
        n = rng.poisson(units, (runs, windows))
        mean = rng.binomial(n, rate) / np.maximum(n, 1)
        arms.append(Moments(n, mean, n * mean * (1 - mean)))
    gate = Gate(metric="score", rule=Drop(0.02), shape="mean", better="higher", share=1.0)
    assert judge(gate, *arms, alpha=0.05).holds[:, -1].mean() <= 0.05 + 5 * np.sqrt(0.05 * 0.95 / runs)


def test_where_there_are_no_events_a_negligible_difference_lets_it_hold():
    n = np.full(10, 300.0)
    none = Moments(n, np.zeros(10), np.zeros(10))
    plain = Gate(metric="errors", rule=Ratio(1.5), shape="rate", better="lower", share=1)
    lenient = msgspec.structs.replace(plain, rule=Ratio(1.5, 0.005))
    assert not judge(plain, none, none, alpha=0.05).holds[-1]
    assert judge(lenient, none, none, alpha=0.05).holds[-1]
    assert not judge(lenient, none, none, alpha=0.05).holds[0]
    worse = Moments(n, np.full(10, 0.02), n * 0.02 * 0.98)
    assert not judge(lenient, none, worse, alpha=0.05).holds[-1]


def test_a_gate_may_hold_at_another_level_than_it_breaches():
    control, candidate = (moments_of_rate(np.full(12, 20), np.full(12, 500)) for _ in range(2))
    gate = Gate(metric="errors", rule=Ratio(1.5), shape="rate", better="lower", share=0.1)
    found = judge(gate, control, candidate, alpha=0.05)
    whole = judge(msgspec.structs.replace(gate, hold_share=1.0), control, candidate, alpha=0.05)
    assert (whole.p_harm == found.p_harm).all()
    assert whole.holds[-1]
    assert whole.holds.sum() > found.holds.sum()
    told = verdict([msgspec.structs.replace(gate, hold_share=1.0)], {"errors": (control, candidate)}, alpha=0.05)
    assert told.judgements[0].hold_level == pytest.approx(0.95)
