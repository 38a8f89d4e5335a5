"""A rollout is rolled back on this: it gains nothing on average while the null holds, however small the numbers."""

import itertools
import json
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.sequential.rollouts import rollouts
from tidegate.stats.checks import BadSample
from tidegate.stats.sequential.rates import FALLS, RISE_WEIGHTS, RISES, RateProcess, RateWindow, rate_ratio_interval

HARM = RateProcess()
NO_HARM = RateProcess(1.5, non_inferiority=True)
ROUNDING = 1e-9

# -------------------------------------------------------------------------- exact: the sum over all outcomes is <= 1


def binomial(n, p):
    return np.array([comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)])


def expectation(process, n_c, n_t, p_c, p_t):
    """E[e] after one window, over every outcome of it."""
    a, b = np.meshgrid(np.arange(n_c + 1), np.arange(n_t + 1), indexing="ij")
    e = process.update(process.start(), RateWindow(a, n_c, b, n_t)).e_value
    return float((np.outer(binomial(n_c, p_c), binomial(n_t, p_t)) * e).sum())


sizes = st.integers(min_value=1, max_value=8)
rates = st.floats(min_value=0.0, max_value=1.0)


@given(n_c=sizes, n_t=sizes, p_c=rates, part=rates, ratio=st.sampled_from([0.5, 1.0, 1.2, 1.5, 4.0]))
def test_no_tiny_window_gains_on_average_while_the_ratio_is_at_most_the_null(n_c, n_t, p_c, part, ratio):
    p_t = part * min(1.0, ratio * p_c)
    assert expectation(RateProcess(ratio), n_c, n_t, p_c, p_t) <= 1 + ROUNDING


@given(n_c=sizes, n_t=sizes, p_t=rates, part=rates, ratio=st.sampled_from([0.5, 1.0, 1.2, 1.5, 4.0]))
def test_nor_does_the_mirrored_test_while_the_ratio_is_at_least_the_margin(n_c, n_t, p_t, part, ratio):
    p_c = part * min(1.0, p_t / ratio)
    assert expectation(RateProcess(ratio, non_inferiority=True), n_c, n_t, p_c, p_t) <= 1 + ROUNDING


def test_the_bound_is_nearly_reached_for_rare_events_so_the_formula_wastes_little():
    assert expectation(RateProcess(alternatives=(1.25,)), 8, 8, 1e-3, 1e-3) > 1 - 1e-5


def counted(chances):
    """The distribution of how many happen, each with a chance of its own."""
    found = np.ones(1)
    for p in chances:
        found = np.convolve(found, [1 - p, p])
    return found


@given(
    control=st.lists(rates, min_size=1, max_size=8),
    treatment=st.lists(rates, min_size=1, max_size=8),
    ratio=st.sampled_from([1.0, 1.5]),
)
def test_units_may_differ_in_their_chance_only_the_mean_counts(control, treatment, ratio):
    scale = min(1.0, ratio * np.mean(control) / max(np.mean(treatment), 1e-300))
    chances = np.outer(counted(control), counted([p * scale for p in treatment]))
    a, b = np.indices(chances.shape)
    process = RateProcess(ratio)
    window = RateWindow(a, len(control), b, len(treatment))
    assert (chances * process.update(process.start(), window).e_value).sum() <= 1 + ROUNDING


@given(
    chances=st.lists(rates, min_size=2, max_size=10),
    data=st.data(),
    process=st.sampled_from([HARM, NO_HARM, RateProcess(1.5), RateProcess(0.5, non_inferiority=True)]),
)
def test_units_of_any_chances_assigned_at_random_do_as_well(chances, data, process):
    """The mean over every draw of n_t of the units and over their outcomes: a coefficient of a product."""
    n = len(chances)
    n_t = data.draw(st.integers(min_value=1, max_value=n - 1))
    most = min(1.0, 1 / process.ratio)

    window = RateWindow([1, 0], [n - n_t, n - n_t], [0, 1], [n_t, n_t])
    by_control, by_treatment = np.exp(process.update(process.start(2), window).log_ratios)
    for one, other in zip(by_control, by_treatment, strict=True):  # of each alternative
        ways = np.ones(1)
        for chance in chances:
            p = chance * most
            ways = np.convolve(ways, [1 + p * (one - 1), 1 + min(1.0, process.ratio * p) * (other - 1)])
        assert ways[n_t] / comb(n, n_t) <= 1 + ROUNDING


@given(units=st.integers(min_value=2, max_value=9), data=st.data())
def test_fixed_outcomes_and_a_random_assignment_do_as_well(units, data):
    n_t = data.draw(st.integers(min_value=1, max_value=units - 1))
    outcomes = [1] * data.draw(st.integers(min_value=0, max_value=units)) + [0] * units
    found = [
        float(
            HARM.update(
                HARM.start(),
                RateWindow(
                    sum(outcomes[:units]) - sum(outcomes[i] for i in chosen),
                    units - n_t,
                    sum(outcomes[i] for i in chosen),
                    n_t,
                ),
            ).e_value
        )
        for chosen in itertools.combinations(range(units), n_t)
    ]
    assert np.mean(found) <= 1 + ROUNDING


@pytest.mark.parametrize("process", [HARM, NO_HARM], ids=["harm", "no harm"])
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.6])
def test_shares_and_rates_that_follow_what_was_seen_gain_nothing_and_ever_crossing_is_rare(process, rate):
    """Three windows; the share and the rate of each depend on the events so far. Every outcome is summed."""
    alpha, ratio = 0.25, process.ratio
    mean = ever = 0.0
    waiting = [(process.start(), 1.0, 0)]
    for _ in range(3):
        following = []
        for state, chance, events in waiting:
            n_c, n_t = (3, 1) if events == 0 else (2, 3)
            p_c = min(rate * (1 + events), 1 / ratio)
            for (a, pa), (b, pb) in itertools.product(
                enumerate(binomial(n_c, p_c)), enumerate(binomial(n_t, ratio * p_c))
            ):
                after = process.update(state, RateWindow(a, n_c, b, n_t))
                following.append((after, chance * pa * pb, events + a + b))
        waiting = following
    for state, chance, _ in waiting:
        mean += chance * float(state.e_value)
        ever += chance * bool(state.rejects(alpha))
    assert mean <= 1 + ROUNDING
    assert ever <= alpha


# ---------------------------------------------------------------------------------------------- what a state promises

windows = st.integers(min_value=0, max_value=200).flatmap(
    lambda n_c: st.integers(min_value=0, max_value=200).flatmap(
        lambda n_t: st.tuples(
            st.integers(min_value=0, max_value=n_c), st.just(n_c), st.integers(min_value=0, max_value=n_t), st.just(n_t)
        )
    )
)


def after(process, given_windows):
    state = process.start()
    for window in given_windows:
        state = process.update(state, RateWindow(*window))
    return state


@given(seen=st.lists(windows, min_size=1, max_size=6), data=st.data(), process=st.sampled_from([HARM, NO_HARM]))
def test_the_order_of_windows_does_not_matter_for_the_evidence_now(seen, data, process):
    shuffled = data.draw(st.permutations(seen))
    assert float(after(process, seen).log_e) == pytest.approx(float(after(process, shuffled).log_e), abs=1e-8)


@given(seen=st.lists(windows, min_size=1, max_size=6), process=st.sampled_from([HARM, NO_HARM]))
def test_a_path_an_update_and_a_batch_of_runs_say_the_same(seen, process):
    one = after(process, seen)
    rows = np.array(seen).T
    path = process.path(RateWindow(*rows))
    assert float(path.log_e[-1]) == pytest.approx(float(one.log_e), abs=1e-9)
    assert float(path.log_peak[-1]) == pytest.approx(float(one.log_peak), abs=1e-9)
    batch = process.start(2)
    for window in seen:
        batch = process.update(batch, RateWindow(*([value, value] for value in window)))
    assert batch.log_e == pytest.approx([float(one.log_e)] * 2, abs=1e-9)


@given(seen=st.lists(windows, min_size=2, max_size=6), process=st.sampled_from([HARM, NO_HARM]))
def test_a_stored_state_goes_on_as_if_never_stored(seen, process):
    half = after(process, seen[:-1])
    again = process.resumed(json.loads(json.dumps(process.stored(half))))
    whole = process.update(again, RateWindow(*seen[-1]))
    assert float(whole.log_e) == float(after(process, seen).log_e)
    assert float(whole.p_value) == float(after(process, seen).p_value)


@given(
    first=st.tuples(st.integers(min_value=0, max_value=4), st.integers(min_value=0, max_value=4)),
    second=st.tuples(st.integers(min_value=0, max_value=4), st.integers(min_value=0, max_value=4)),
    chances=st.tuples(rates, rates),
    process=st.sampled_from([HARM, NO_HARM]),
)
def test_a_window_cut_in_two_anywhere_still_gains_nothing(first, second, chances, process):
    """Units of one window fall into two strata of any sizes and of rates of their own: the mean over all outcomes."""
    parts = []
    for (n_c, n_t), chance in zip((first, second), chances, strict=True):
        p_c = chance * min(1.0, 1 / process.ratio)
        weights = np.outer(binomial(n_c, p_c), binomial(n_t, min(1.0, process.ratio * p_c)))
        parts.append((weights.ravel(), *np.indices(weights.shape).reshape(2, -1)))
    one, other = np.indices((parts[0][0].size, parts[1][0].size)).reshape(2, -1)
    weight = parts[0][0][one] * parts[1][0][other]
    a, b = (np.stack([parts[0][arm][one], parts[1][arm][other]], axis=1) for arm in (1, 2))
    seen = RateWindow(a, [first[0], second[0]], b, [first[1], second[1]])
    assert (weight * process.path(seen).e_value[:, -1]).sum() <= 1 + ROUNDING


@given(window=windows, times=st.integers(min_value=1, max_value=50))
def test_arms_with_the_same_rate_are_never_evidence(window, times):
    x, n, _, _ = window
    assert float(after(HARM, [(x, n, times * x, times * n)]).log_e) <= ROUNDING
    assert float(after(HARM, [(times * x, times * n, x, n)]).log_e) <= ROUNDING


@given(window=windows, data=st.data())
def test_a_window_cut_in_two_at_the_same_shares_says_the_same(window, data):
    """Both parts have the same odds, so the evidence is that of the whole; only other shares say something else."""
    x_c, n_c, x_t, n_t = window
    whole = RateWindow(2 * x_c, 2 * n_c, 2 * x_t, 2 * n_t)
    first_c = data.draw(st.integers(min_value=max(0, 2 * x_c - n_c), max_value=min(n_c, 2 * x_c)))
    first_t = data.draw(st.integers(min_value=max(0, 2 * x_t - n_t), max_value=min(n_t, 2 * x_t)))
    parts = [(first_c, n_c, first_t, n_t), (2 * x_c - first_c, n_c, 2 * x_t - first_t, n_t)]
    assert float(after(HARM, parts).log_e) == pytest.approx(float(HARM.update(HARM.start(), whole).log_e), abs=1e-8)


@given(window=windows)
def test_more_events_in_the_treatment_are_more_evidence_of_harm_and_less_of_none(window):
    x_c, n_c, x_t, n_t = window
    if x_t < n_t:
        more = [(x_c, n_c, x_t + 1, n_t)]
        assert float(after(HARM, more).log_e) >= float(after(HARM, [window]).log_e) - ROUNDING
        assert float(after(NO_HARM, more).log_e) <= float(after(NO_HARM, [window]).log_e) + ROUNDING


@pytest.mark.parametrize("window", [(0, 0, 0, 0), (0, 100, 0, 0), (5, 100, 0, 0), (0, 0, 7, 10), (0, 50, 0, 50)])
def test_a_window_without_events_or_without_an_arm_says_nothing(window):
    assert float(after(HARM, [window]).log_e) == pytest.approx(0.0, abs=1e-12)


def test_the_p_value_never_rises_and_evidence_of_any_size_is_a_number():
    state = after(HARM, [(0, 10**12, 10**6, 10**12)])
    assert float(state.log_e) > 1e5
    assert float(state.e_value) == np.inf
    assert float(state.p_value) == 0.0
    calmed = HARM.update(state, RateWindow(10**9, 10**12, 10**8, 10**12))
    assert float(calmed.e_value) < 1
    assert float(calmed.p_value) == 0.0
    assert bool(calmed.rejects(0.001))


def test_it_is_the_likelihood_ratio_of_the_split_event_by_event():
    """The formula written out: each event falls to the treatment with q(r) = n_t r / (n_t r + n_c)."""
    seen = [(3, 950, 2, 50), (4, 750, 5, 250)]
    alike = (1 / len(FALLS),) * len(FALLS)
    for process, grid, weights in (
        (RateProcess(1.2), RISES, RISE_WEIGHTS), (RateProcess(1.5, non_inferiority=True), FALLS, alike)
    ):  # fmt: skip
        total = 0.0
        for rho, weight in zip(grid, weights, strict=True):
            ratio = 1.0
            for x_c, n_c, x_t, n_t in seen:
                now, null = (n_t * r / (n_t * r + n_c) for r in (rho * process.ratio, process.ratio))
                ratio *= (now / null) ** x_t * ((1 - now) / (1 - null)) ** x_c
            total += weight * ratio
        assert float(after(process, seen).e_value) == pytest.approx(total, rel=1e-12)


def test_the_estimate_is_that_of_each_window_weighed_and_unknown_without_events():
    assert float(after(HARM, [(10, 1000, 30, 1000)]).rate_ratio) == pytest.approx(3.0)
    assert float(after(HARM, [(1, 100, 2, 100), (10, 100, 20, 100)]).rate_ratio) == pytest.approx(2.0)
    simpson = [(5, 950, 1, 190), (100, 500, 100, 500)]  # pooled it would be 2.0
    assert float(after(HARM, simpson).rate_ratio) == pytest.approx(1.0)
    assert float(after(HARM, [(0, 10, 1, 10)]).rate_ratio) == np.inf
    assert np.isnan(after(HARM, [(0, 10, 0, 10)]).rate_ratio)
    many = rollouts(0.02, 2.0, runs=200)
    assert float(HARM.path(many).rate_ratio[:, -1].mean()) == pytest.approx(2.0, abs=0.06)


# -------------------------------------------------------------------------------------------------------- the interval


def test_the_interval_leaves_out_exactly_what_the_processes_reject():
    seen = rollouts(0.01, 2.0, runs=50)
    found = rate_ratio_interval(seen, level=0.95)
    assert found.low.shape == (50,)
    for ratio in (0.8, 1.0, 1.3, 1.6, 2.5, 3.0):
        above = RateProcess(ratio).path(seen).log_e[:, -1] >= np.log(40)
        below = RateProcess(ratio, non_inferiority=True).path(seen).log_e[:, -1] >= np.log(40)
        assert np.array_equal(found.low > ratio, above)
        assert np.array_equal(found.high < ratio, below)


def test_where_nothing_is_known_the_interval_has_no_end():
    found = rate_ratio_interval(RateWindow([0, 0], [10, 10], [0, 0], [10, 10]))
    assert (float(found.low), float(found.high)) == (0.0, np.inf)
    found = rate_ratio_interval(RateWindow([0], [1000], [50], [1000]))
    assert float(found.low) > 2
    assert float(found.high) == np.inf


# ------------------------------------------------------------------------------------------------------ what cannot be


@pytest.mark.parametrize(
    ("window", "word"),
    [((2, 1, 0, 1), "events_c"), ((0, 1, 2, 1), "events_t"), ((-1, 1, 0, 1), "events_c"), ((0, 1, 0.5, 1), "events_t"),
     ((0, np.nan, 0, 1), "n_c")],
)  # fmt: skip
def test_windows_that_cannot_be_are_refused_by_name(window, word):
    with pytest.raises(BadSample, match=word):
        RateWindow(*window)


def test_plans_that_cannot_be_are_refused():
    for bad in ({"alternatives": (0.9,)}, {"alternatives": ()}, {"weights": (1.0,)}, {"ratio": 0.0},
                {"ratio": 1.5, "non_inferiority": True, "alternatives": (1.2,)}):  # fmt: skip
        with pytest.raises(BadSample):
            RateProcess(**bad)
    with pytest.raises(BadSample, match="start a new process"):
        HARM.resumed(RateProcess(1.2).stored(HARM.start()))
    with pytest.raises(BadSample, match="log_ratios"):
        HARM.resumed({**HARM.stored(HARM.start()), "log_ratios": [0.0]})
    with pytest.raises(BadSample, match="axis"):
        rate_ratio_interval(RateWindow(0, 1, 0, 1))
    with pytest.raises(BadSample, match="alpha"):
        HARM.start().rejects(1.0)
