"""Tails: a guardrail that counts, and an interval for a quantile that holds at every look, for every distribution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from tests.stats.sequential.rollouts import ALPHA, N_C, N_T, at_most
from tidegate.stats.checks import BadSample
from tidegate.stats.sequential.exceedance import (
    exceedance_window,
    frozen_threshold,
    quantile_ranks,
    quantile_sequence,
)
from tidegate.stats.sequential.rates import RateProcess

RUNS, LENGTH = 2000, 400


def latencies(random, ratio, runs):
    """Log-normal latencies of a rollout, window by window, seen through a threshold frozen on a baseline."""
    tau = frozen_threshold(random.lognormal(0.0, 0.6, 20_000), 0.95)
    process, state, found = RateProcess(), RateProcess().start(runs), []
    for n_c, n_t in zip(N_C, N_T, strict=True):
        window = exceedance_window(
            random.lognormal(0.0, 0.6, (runs, n_c)), ratio * random.lognormal(0.0, 0.6, (runs, n_t)), tau
        )
        state = process.update(state, window)
        found.append(state.rejects(ALPHA))
    return np.stack(found, axis=1)


def test_a_slower_tail_is_found_and_an_identical_one_is_left_alone():
    """Research, section 5: latency 1.5 times as long is found within 10 minutes at the median, 1.0 times in 0.1 %."""
    random = np.random.default_rng(1)
    assert at_most(latencies(random, 1.0, 500)[:, -1].mean(), ALPHA, 500)
    slower = latencies(random, 1.5, 200)
    assert slower[:, -1].all()
    assert np.median((slower.argmax(axis=1) + 1) * 5) <= 10


def test_the_threshold_is_an_order_statistic_with_no_more_than_its_share_above():
    assert frozen_threshold([1, 2, 3, 4], 0.75) == 3
    assert frozen_threshold(np.arange(1, 101), 0.95, factor=1.5) == 142.5
    assert frozen_threshold([7.0], 0.01) == 7
    window = exceedance_window([1, 2, 3], [[4, 5], [1, 9]], 3)
    assert window.events_c.tolist() == 0
    assert window.events_t.tolist() == [2, 1]
    assert (float(window.n_c), float(window.n_t)) == (3, 2)


@given(values=st.lists(st.integers(min_value=0, max_value=9), min_size=1, max_size=60),
       quantile=st.floats(min_value=0.01, max_value=0.99))  # fmt: skip
def test_no_more_of_the_baseline_than_said_lies_above_its_threshold(values, quantile):
    tau = frozen_threshold(values, quantile)
    assert np.mean(np.array(values) > tau) <= 1 - quantile + 1e-9


# -------------------------------------------------------------------------------------------------------- the sequence


@pytest.mark.parametrize("quantile", [0.5, 0.95])
@pytest.mark.parametrize("draw", ["lognormal", "few values"])
def test_the_quantile_stays_inside_over_whole_paths(draw, quantile):
    random = np.random.default_rng(2)
    if draw == "lognormal":
        values, true = random.lognormal(0.0, 1.0, (RUNS, LENGTH)), stats.lognorm.ppf(quantile, 1.0)
    else:  # ties: 1 to 10, each with a tenth
        values, true = random.integers(1, 11, (RUNS, LENGTH)).astype(float), np.ceil(quantile * 10)
    n = np.arange(1, LENGTH + 1)
    low, high = quantile_ranks(n, quantile, level=0.9)
    below, at_or_below = (values < true).cumsum(axis=1), (values <= true).cumsum(axis=1)
    # X_(low) > true: fewer than low are at or below it; X_(high) < true: at least high are below it
    outside = (at_or_below < low) | (below >= high)
    assert at_most(outside.any(axis=1).mean(), 0.1, RUNS)
    found = quantile_sequence(values, quantile, level=0.9)
    assert np.array_equal((found.low > true) | (found.high < true), outside[:, -1])


def test_the_ranks_are_those_of_the_mixture_in_the_docstring():
    quantile, n, level, tightest_at = 0.8, 60, 0.9, 100.0
    alpha = 1 - level
    bits = 2 * np.log(2 / alpha)
    spread = tightest_at / (bits + np.log1p(bits))
    a, b = spread * quantile, spread * (1 - quantile)

    def evidence(k, low, high):
        def weighed(p):
            return (p / quantile) ** k * ((1 - p) / (1 - quantile)) ** (n - k) * stats.beta.pdf(p, a, b)

        mass = stats.beta.cdf(high, a, b) - stats.beta.cdf(low, a, b)
        return integrate.quad(weighed, low, high, epsabs=0, epsrel=1e-9)[0] / mass

    rejected = [k for k in range(n + 1) if evidence(k, 0.0, quantile) >= 2 / alpha]
    too_many = [k for k in range(n + 1) if evidence(k, quantile, 1.0) >= 2 / alpha]
    low, high = quantile_ranks(n, quantile, level=level, tightest_at=tightest_at)
    assert float(low) == max(rejected) + 1
    assert float(high) == min(too_many)


def test_it_narrows_and_says_nothing_where_too_few_are_known():
    low, high = quantile_ranks([1, 100, 10_000, 10**9], 0.95)
    assert (low[0], high[0]) == (0, 2)
    assert (low[1], high[1]) == (87, 101)
    assert (high - low)[3] / 1e9 < (high - low)[2] / 1e4 < 0.02
    alone = quantile_sequence([3.0], 0.5)
    assert (float(alone.low), float(alone.high)) == (-np.inf, np.inf)
    same = quantile_sequence(np.full(500, 2.0), 0.5)
    assert (float(same.low), float(same.high)) == (2.0, 2.0)


@given(n=st.integers(min_value=1, max_value=5000), quantile=st.floats(min_value=0.01, max_value=0.99))
def test_a_quantile_and_its_mirror_have_mirrored_ranks(n, quantile):
    low, high = quantile_ranks(n, quantile)
    mirrored_low, mirrored_high = quantile_ranks(n, 1 - quantile)
    assert abs(float(low + mirrored_high) - (n + 1)) <= 1  # 1 - (1 - q) may round to the other side
    assert abs(float(high + mirrored_low) - (n + 1)) <= 1
    assert low <= high


def test_what_cannot_be_is_refused():
    for call in (
        lambda: frozen_threshold([], 0.5),
        lambda: frozen_threshold([1.0], 1.0),
        lambda: frozen_threshold([1.0], 0.5, factor=0),
        lambda: exceedance_window([np.nan], [1.0], 1.0),
        lambda: quantile_ranks(0, 0.5),
        lambda: quantile_ranks(1.5, 0.5),
        lambda: quantile_sequence([], 0.5),
        lambda: quantile_sequence([1.0], 0.5, tightest_at=0),
    ):
        with pytest.raises(BadSample):
            call()
