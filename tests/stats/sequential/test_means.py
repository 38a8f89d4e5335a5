"""Bounds for means: they hold over whole paths, and each formula agrees with the mixture that it comes from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from tests.stats.sequential.rollouts import at_most
from tidegate.stats.checks import BadSample
from tidegate.stats.results import Sample
from tidegate.stats.sequential.evidence import Evidence, always_valid_p, averaged
from tidegate.stats.sequential.means import (
    BURN_IN,
    asymptotic_difference,
    asymptotic_sequence,
    msprt,
    normal_mixture,
    normal_mixture_bound,
    rho_for,
    running_sample,
)

RUNS, LENGTH = 4000, 1000

totals = st.floats(min_value=-50, max_value=50)
variances = st.floats(min_value=0.0, max_value=1000.0)
rhos = st.floats(min_value=0.1, max_value=1000.0)
alphas = st.floats(min_value=1e-6, max_value=0.3)


def walks(seed=1, drift=0.0, runs=RUNS, length=LENGTH):
    random = np.random.default_rng(seed)
    return (random.standard_normal((runs, length)) + drift).cumsum(axis=1), np.arange(1.0, length + 1)


# ------------------------------------------------------------------------------------------------------- the mixture


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize(("total", "variance", "rho"), [(3.0, 10.0, 2.0), (-4.0, 5.0, 1.0), (0.0, 0.0, 3.0)])
def test_it_is_the_integral_that_the_docstring_says(total, variance, rho, two_sided):
    def weighed(at):
        return np.exp(at * total - at * at * variance / 2) * stats.norm.pdf(at, scale=rho**-0.5)

    whole, _ = integrate.quad(weighed, -20 if two_sided else 0, 20, epsabs=1e-12)
    expected = np.log(whole * (1 if two_sided else 2))
    assert float(normal_mixture(total, variance, rho, two_sided=two_sided)) == pytest.approx(expected, abs=1e-8)


@given(variance=variances, rho=rhos, alpha=alphas, two_sided=st.booleans())
def test_at_the_bound_the_mixture_is_one_over_alpha(variance, rho, alpha, two_sided):
    bound = normal_mixture_bound(variance, rho, alpha, two_sided=two_sided)
    assert float(normal_mixture(bound, variance, rho, two_sided=two_sided)) == pytest.approx(-np.log(alpha), abs=1e-8)


@given(total=totals, variance=variances, rho=rhos)
def test_one_sided_evidence_grows_with_the_sum_and_two_sided_does_not_care_for_its_sign(total, variance, rho):
    assert normal_mixture(total + 1, variance, rho) > normal_mixture(total, variance, rho)
    both = normal_mixture([total, -total], variance, rho, two_sided=True)
    assert both[0] == both[1]


def test_the_one_sided_bound_lies_between_those_of_alpha_and_of_twice_alpha_two_sided():
    one = normal_mixture_bound(200.0, 50.0, 0.05)
    assert normal_mixture_bound(200.0, 50.0, 0.1, two_sided=True) < one
    assert one < normal_mixture_bound(200.0, 50.0, 0.05, two_sided=True)


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("alpha", [0.2, 0.0125])
def test_a_walk_without_drift_seldom_ever_crosses(alpha, two_sided):
    total, variance = walks()
    bound = normal_mixture_bound(variance, rho_for(300, alpha, two_sided=two_sided), alpha, two_sided=two_sided)
    crossed = ((np.abs(total) if two_sided else total) >= bound).any(axis=1).mean()
    assert at_most(crossed, alpha, RUNS)
    assert crossed > alpha / 4  # it is not merely never


@given(variance=st.floats(min_value=0.01, max_value=1e9), alpha=st.floats(min_value=1e-9, max_value=0.4))
def test_rho_makes_the_bound_tightest_where_it_was_asked_for(variance, alpha):
    rho = float(rho_for(variance, alpha))
    best = normal_mixture_bound(variance, rho, alpha, two_sided=True)
    for other in (0.9, 1.1):
        assert best < normal_mixture_bound(variance, rho * other, alpha, two_sided=True)


def test_rho_one_sided_is_near_the_best_and_asks_for_an_alpha_below_a_half():
    rho = float(rho_for(100, 0.05, two_sided=False))
    tried = normal_mixture_bound(100, rho * np.geomspace(0.2, 5, 200), 0.05)
    assert normal_mixture_bound(100, rho, 0.05) <= tried.min() * 1.005
    with pytest.raises(BadSample, match="one-sided"):
        rho_for(100, 0.6, two_sided=False)
    assert float(rho_for(100, 1e-300)) > 0


# ------------------------------------------------------------------------------------------------- asymptotic sequences


@pytest.mark.parametrize("side", ["both", "low", "high"])
@pytest.mark.parametrize("draw", ["normal", "exponential", "bernoulli", "log-normal"])
def test_the_mean_stays_inside_over_whole_paths(draw, side):
    random = np.random.default_rng(2)
    shape = (RUNS, LENGTH)
    values, mean = {
        "normal": (random.normal(5.0, 2.0, shape), 5.0),
        "exponential": (random.exponential(1.0, shape), 1.0),
        "bernoulli": (random.binomial(1, 0.3, shape).astype(float), 0.3),
        "log-normal": (random.lognormal(0.0, 0.9, shape), float(np.exp(0.405))),
    }[draw]
    rho = rho_for(500, 0.05, two_sided=side == "both")
    found = asymptotic_sequence(running_sample(values), rho, side=side)
    outside = ((found.low > mean) | (found.high < mean)).any(axis=1).mean()
    assert at_most(outside, 0.05, RUNS)


def test_fewer_units_before_the_first_word_are_too_few_for_skewed_values():
    """Why the burn-in is 500 and not 50."""
    values = np.random.default_rng(6).lognormal(0.0, 0.9, (RUNS, LENGTH))
    found = asymptotic_sequence(running_sample(values), rho_for(500, 0.05), burn_in=50)
    assert not at_most((found.high < np.exp(0.405)).any(axis=1).mean(), 0.05, RUNS)


def test_it_agrees_with_growthbook_whose_rho_is_the_root_of_one_over_ours():
    """The formula as it is written by Waudby-Smith et al. (2024), Theorem 2.2, with their rho."""
    n, sd, alpha, rho = 5000.0, 3.0, 0.05, 0.04
    half = sd * np.sqrt(2 * (n * rho**2 + 1) / (n**2 * rho**2) * np.log(np.sqrt(n * rho**2 + 1) / alpha))
    found = asymptotic_sequence(Sample(1.0, sd, n), rho**-2)
    assert float(found.high - 1) == pytest.approx(half, rel=1e-12)
    assert float(1 - found.low) == pytest.approx(half, rel=1e-12)


def test_a_difference_of_arms_with_other_sizes_and_spreads_stays_inside():
    random = np.random.default_rng(3)
    control = running_sample(random.normal(1.0, 1.0, (RUNS, LENGTH)))
    treatment = running_sample(random.exponential(1.5, (RUNS, LENGTH)))
    found = asymptotic_difference(control, treatment, rho_for(1000, 0.05))
    outside = ((found.low > 0.5) | (found.high < 0.5)).any(axis=1).mean()
    assert at_most(outside, 0.05, RUNS)
    assert np.nanmedian((found.high - found.low)[:, -1]) < 0.4


def test_a_difference_has_the_standard_error_of_both_arms():
    found = asymptotic_difference(Sample(1.0, 2.0, 400), Sample(1.5, 3.0, 100), 200.0, level=0.9, burn_in=100)
    half = np.sqrt(4 / 400 + 9 / 100) / np.sqrt(500) * normal_mixture_bound(500, 200.0, 0.1, two_sided=True)
    assert float(found.low) == pytest.approx(float(0.5 - half))
    assert float(found.high) == pytest.approx(float(0.5 + half))


def test_nothing_is_said_before_the_burn_in_or_without_any_spread():
    few = asymptotic_sequence(Sample([1.0, 1.0], [1.0, 0.0], [BURN_IN - 1, 1000]), 100.0)
    assert np.all(few.low == -np.inf)
    assert np.all(few.high == np.inf)
    assert np.isfinite(asymptotic_sequence(Sample(1.0, 1.0, BURN_IN), 100.0).high)
    one_arm = asymptotic_difference(Sample(0, 1, BURN_IN - 1), Sample(0, 1, 10**6), 100.0)
    assert float(one_arm.high) == np.inf
    with pytest.raises(BadSample, match="side"):
        asymptotic_sequence(Sample(0, 1, 100), 1.0, side="left")  # type: ignore[arg-type]


@given(st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=2, max_size=30))
def test_a_running_sample_is_the_sample_of_each_beginning(values):
    found = running_sample(values)
    for size in range(2, len(values) + 1):
        expected = Sample.of(values[:size])
        assert float(found.mean[size - 2]) == pytest.approx(float(expected.mean), rel=1e-9, abs=1e-6)
        assert float(found.sd[size - 2]) == pytest.approx(float(expected.sd), rel=1e-6, abs=1e-4)
    with pytest.raises(BadSample):
        running_sample([1.0])


# --------------------------------------------------------------------------------------------------------------- mSPRT


def test_msprt_is_the_two_sided_mixture_in_other_words_and_holds_at_all_looks():
    total, n = walks(seed=4)
    variance = 1 / n
    log_e = msprt(total / n, variance, 0.1)
    assert np.allclose(log_e, normal_mixture(total, n, 100.0, two_sided=True), rtol=0, atol=1e-9)
    p_value = always_valid_p(log_e)
    assert np.all(np.diff(p_value, axis=1) <= 0)
    assert at_most((p_value[:, -1] <= 0.05).mean(), 0.05, RUNS)
    moved, _ = walks(seed=5, drift=0.2)
    assert (always_valid_p(msprt(moved / n, variance, 0.1))[:, -1] <= 0.05).mean() > 0.99


def test_evidence_rejects_from_one_over_alpha_on_and_stays_so():
    evidence = Evidence(np.log([1.0, 19.9, 20.0, 3.0]), np.log([1.0, 19.9, 20.0, 25.0]))
    assert evidence.rejects(1 / 20).tolist() == [False, False, True, True]
    assert evidence.p_value == pytest.approx([1.0, 1 / 19.9, 0.05, 0.04])
    assert evidence.e_value == pytest.approx([1.0, 19.9, 20.0, 3.0])


def test_averages_of_evidence_are_evidence_and_what_cannot_be_is_refused():
    assert float(averaged([0.0, np.log(3.0)])) == pytest.approx(np.log(2.0))
    for bad in ([], 1.0, [np.nan]):
        with pytest.raises(BadSample):
            averaged(bad)
    for bad in (1.0, [np.nan]):
        with pytest.raises(BadSample):
            always_valid_p(bad)
    for arguments in ((np.nan, 1, 1), (1, -1, 1), (1, 1, 0)):
        with pytest.raises(BadSample):
            normal_mixture(*arguments)
    with pytest.raises(BadSample):
        msprt(0.0, 0.0, 1.0)
