"""A bound that is no ratio of rare events: exact for the smallest window, and quick enough to be of use."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.sequential.rollouts import ALPHA, N_C, N_T, at_most, rollouts
from tidegate.stats.checks import BadSample
from tidegate.stats.sequential.bounded_rates import bound_interval, bound_path, line_path
from tidegate.stats.sequential.rates import RateWindow

ROUNDING = 1e-9
RUNS = 4_000

# -------------------------------------------------------------------------- exact: the sum over all outcomes is <= 1

sizes = st.integers(min_value=1, max_value=8)
rates = st.floats(min_value=0.0, max_value=1.0)
lines = st.sampled_from(  # ratio, margin, and the side that the hypothesis is not on
    [
        (1.0, 0.03, "less"), (1.0, 0.4, "less"), (1.5, 0.0, "less"), (1.0, 0.0001, "less"), (1.2, 0.1, "less"),
        (1.0, -0.03, "greater"), (1.0, -0.4, "greater"), (0.9, 0.0, "greater"), (0.5, 0.0, "greater"),
    ]
)  # fmt: skip


def counted(chances):
    """The distribution of how many happen, each with a chance of its own."""
    found = np.ones(1)
    for p in chances:
        found = np.convolve(found, [1 - p, p])
    return found


def on_the_hypothesis(line, p_c, further):
    """A treatment's rate that the hypothesis allows beside this control's; None when there is none."""
    ratio, margin, alternative = line
    edge = ratio * p_c + margin
    if alternative == "less":
        return None if edge > 1 else max(edge, 0) + further * (1 - max(edge, 0))
    return None if edge < 0 else (1 - further) * min(edge, 1)


def expected(line, control, treatment):
    """E[e] after one window of units with these chances."""
    ratio, margin, alternative = line
    chances = np.outer(counted(control), counted(treatment))
    a, b = (one.ravel()[:, None] for one in np.indices(chances.shape))
    window = RateWindow(a, len(control), b, len(treatment))
    e = line_path(window, ratio=ratio, margin=margin, alternative=alternative).e_value[:, -1]
    return float((chances.ravel() * e).sum())


@given(line=lines, n_c=sizes, n_t=sizes, p_c=rates, further=rates)
def test_no_tiny_window_gains_on_average_on_the_side_of_the_hypothesis(line, n_c, n_t, p_c, further):
    p_t = on_the_hypothesis(line, p_c, further)
    if p_t is not None:
        assert expected(line, [p_c] * n_c, [p_t] * n_t) <= 1 + ROUNDING


@given(line=lines, control=st.lists(rates, min_size=1, max_size=8), shape=st.lists(rates, min_size=1, max_size=8))
def test_units_may_differ_in_their_chance_only_the_mean_counts(line, control, shape):
    p_t = on_the_hypothesis(line, float(np.mean(control)), 0.0)
    if p_t is not None:
        room = min(p_t, 1 - p_t)
        treatment = np.clip(p_t + room * (np.array(shape) - np.mean(shape)), 0, 1)
        assert expected(line, control, list(treatment)) <= 1 + ROUNDING


def test_on_the_line_the_bound_is_nearly_reached_so_the_formula_wastes_little():
    found = expected((1.0, 0.03, "less"), [0.1] * 8, [0.13] * 8)
    assert found > 0.9  # the alternatives with other base rates lose a little


@given(
    n=st.integers(min_value=1, max_value=20),
    bound=st.floats(min_value=0.001, max_value=0.999),
    part=rates,
    alternative=st.sampled_from(["greater", "less"]),
)
def test_one_rate_within_its_bound_gains_nothing_on_average(n, bound, part, alternative):
    p = bound * part if alternative == "greater" else 1 - (1 - bound) * part
    events = np.arange(n + 1)
    e = bound_path(events[:, None], n, bound, alternative=alternative).e_value[:, -1]
    assert sum(comb(n, k) * p**k * (1 - p) ** (n - k) * e[k] for k in events) <= 1 + ROUNDING


# ---------------------------------------------------------------------------------------------- over whole rollouts


def moved(base, by, *, seed):
    """Rollouts of a control at `base` and a treatment at base + by."""
    return rollouts(base, 1 + by / base, runs=RUNS, seed=seed)


@pytest.mark.parametrize(("base", "drop"), [(0.002, 0.01), (0.01, 0.01), (0.1, 0.03), (0.5, 0.03)])
def test_a_treatment_at_the_margin_is_seldom_passed_even_where_events_are_rare(base, drop):
    found = line_path(moved(base, drop, seed=1), margin=drop, alternative="less").rejects(ALPHA)
    assert at_most(found[:, -1].mean(), ALPHA, RUNS)
    assert found[:, -1].mean() < 0.006  # seen: 0.0008 to 0.0022


@pytest.mark.parametrize(
    ("base", "drop", "passed"), [(0.002, 0.01, 0.99), (0.01, 0.01, 0.99), (0.1, 0.03, 0.99), (0.5, 0.03, 0.9)]
)
def test_an_identical_one_is_passed_by_the_end(base, drop, passed):
    found = line_path(moved(base, 0, seed=2), margin=drop, alternative="less").rejects(ALPHA)
    assert found[:, -1].mean() > passed  # seen: 1.0, 1.0, 1.0, 0.96


def test_a_share_of_a_high_rate_is_found_to_be_kept_and_to_be_lost():
    same = line_path(rollouts(0.95, 1.0, runs=RUNS, seed=3), ratio=0.95, alternative="greater").rejects(ALPHA)
    lost = line_path(rollouts(0.95, 0.95, runs=RUNS, seed=4), ratio=0.95, alternative="greater").rejects(ALPHA)
    assert same[:, -1].mean() > 0.99
    assert at_most(lost[:, -1].mean(), ALPHA, RUNS)


def test_a_rate_is_held_against_a_bound_over_a_whole_rollout():
    at, above = (np.random.default_rng(5).binomial(N_T, p, (RUNS, N_T.size)) for p in (0.05, 0.06))
    assert at_most(bound_path(at, N_T, 0.05).rejects(ALPHA)[:, -1].mean(), ALPHA, RUNS)
    assert at_most(bound_path(at, N_T, 0.05, alternative="less").rejects(ALPHA)[:, -1].mean(), ALPHA, RUNS)
    assert bound_path(above, N_T, 0.05).rejects(ALPHA)[:, -1].mean() > 0.95  # seen: 0.98
    assert bound_path(above, N_T, 0.05, alternative="less").rejects(ALPHA)[:, -1].mean() < 0.005


def test_the_order_of_windows_does_not_matter_for_the_evidence_now():
    window = moved(0.1, 0.01, seed=6)
    turned = RateWindow(window.events_c[:9, ::-1], N_C[::-1], window.events_t[:9, ::-1], N_T[::-1])
    first = RateWindow(window.events_c[:9], N_C, window.events_t[:9], N_T)
    one, other = (line_path(windows, margin=0.03, alternative="less").log_e[:, -1] for windows in (first, turned))
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_a_window_without_one_of_the_arms_says_nothing():
    window = RateWindow([3, 5, 0], [100, 100, 0], [2, 0, 4], [100, 0, 100])
    log_e = line_path(window, margin=0.1, alternative="less").log_e
    assert log_e[0] == log_e[1] == log_e[2] > 0


# --------------------------------------------------------------------------------------------------- the interval


@given(n=st.integers(min_value=1, max_value=5000), part=rates)
def test_the_interval_holds_what_the_two_tests_do_not_reject(n, part):
    events = round(part * n)
    low, high = bound_interval(events, n, level=0.95)
    assert 0 <= low <= events / n <= high <= 1
    if low > 0:
        assert bound_path([events], n, float(low)).log_e[-1] == pytest.approx(np.log(2 / 0.05), abs=1e-6)
    if high < 1:
        log_e = bound_path([events], n, float(high), alternative="less").log_e[-1]
        assert log_e == pytest.approx(np.log(2 / 0.05), abs=1e-6)


def test_without_units_any_rate_is_possible():
    low, high = bound_interval(0, 0)
    assert (float(low), float(high)) == (0, 1)


# -------------------------------------------------------------------------------------------------------- refused

ONE = RateWindow([1], 10, [1], 10)


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda: line_path(ONE, margin=0.03, alternative="greater"), "hypothesis' side"),
        (lambda: line_path(ONE, margin=1.0, alternative="less"), "hypothesis' side"),
        (lambda: line_path(ONE, alternative="less"), "hypothesis' side"),
        (lambda: line_path(ONE, margin=0.03, alternative="up"), "greater or less"),  # type: ignore[arg-type]
        (lambda: line_path(ONE, ratio=0, alternative="less"), "above 0"),
        (lambda: line_path(RateWindow(1, 10, 1, 10), margin=0.03, alternative="less"), "axis"),
        (lambda: bound_path([1], 10, 1.0), "between 0 and 1"),
        (lambda: bound_path([11], 10, 0.5), "not be more"),
        (lambda: bound_path(1, 10, 0.5), "axis"),
        (lambda: bound_path([1], 10, 0.5, alternative="both"), "greater or less"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_is_refused(call, why):
    with pytest.raises(BadSample, match=why):
        call()
