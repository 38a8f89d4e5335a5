"""Boundaries for a plan with few looks: against published tables, against simulated walks, and their own promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.sequential.rollouts import at_most
from tidegate.stats.checks import BadSample
from tidegate.stats.sequential.group import (
    Boundaries,
    alpha_spent,
    crossing_probabilities,
    group_sequential_test,
    lan_demets,
)

RUNS = 40_000
FIVE = np.arange(1, 6) / 5
SPENDINGS = ("obrien-fleming", "pocock")


def walks(fractions, drift=0.0, seed=1, runs=RUNS):
    """Statistics Z at each look whose expectation at fraction 1 is `drift`."""
    steps = np.diff(fractions, prepend=0.0)
    random = np.random.default_rng(seed)
    walk = (random.standard_normal((runs, len(steps))) * np.sqrt(steps) + drift * steps).cumsum(axis=1)
    return walk / np.sqrt(fractions)


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        ("obrien-fleming", [2.963, 1.969]),
        ("obrien-fleming", [3.710, 2.511, 1.993]),
        ("obrien-fleming", [4.333, 2.963, 2.359, 2.014]),
        ("obrien-fleming", [4.877, 3.357, 2.680, 2.290, 2.031]),
        ("pocock", [2.157, 2.201]),
        ("pocock", [2.438, 2.427, 2.410, 2.397, 2.386]),
    ],
)
def test_the_published_boundaries_of_even_looks_at_five_percent_are_met(spending, published):
    """Two-sided 0.05: Reboussin, DeMets, Kim & Lan 2000, doi:10.1016/S0197-2456(00)00057-X; as gsDesign's."""
    times = np.arange(1, len(published) + 1) / len(published)
    assert lan_demets(times, spending=spending).z == pytest.approx(published, abs=1e-3)
    assert lan_demets(times, alpha=0.025, spending=spending, two_sided=False).z == pytest.approx(published, abs=1e-3)


@pytest.mark.parametrize(
    ("looks", "pocock", "obrien_fleming"),
    [(2, 2.178, 1.977), (3, 2.289, 2.004), (4, 2.361, 2.024), (5, 2.413, 2.040), (10, 2.555, 2.087)],
)
def test_the_classical_designs_of_the_textbook_cross_in_five_percent(looks, pocock, obrien_fleming):
    """Constants of Jennison & Turnbull 2000, tables 2.1 and 2.3: the same z at each look, or z sqrt(K / k)."""
    times = np.arange(1, looks + 1) / looks
    for z in (np.full(looks, pocock), obrien_fleming / np.sqrt(times)):
        plan = Boundaries(times, z, np.full(looks, np.nan), two_sided=True)
        assert crossing_probabilities(plan).sum() == pytest.approx(0.05, abs=1e-4)


def test_one_look_is_the_fixed_test():
    assert lan_demets([1.0]).z == pytest.approx([1.959963985])
    assert lan_demets([1.0], two_sided=False, alpha=0.0125).z == pytest.approx([2.241402728])
    assert float(group_sequential_test([1.2], lan_demets([1.0])).p_value) == pytest.approx(0.2301393)


@pytest.mark.parametrize("spending", SPENDINGS)
@pytest.mark.parametrize("two_sided", [True, False])
def test_alpha_is_spent_look_by_look_as_the_function_says(spending, two_sided):
    plan = lan_demets([0.1, 0.15, 0.5, 0.8, 1.0], alpha=0.1, spending=spending, two_sided=two_sided)
    assert np.cumsum(crossing_probabilities(plan)) == pytest.approx(plan.spent, abs=1e-9)
    assert float(plan.spent[-1]) == pytest.approx(0.1)
    found = group_sequential_test(walks(plan.fractions), plan)
    assert found.rejected.mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / RUNS))
    for look, chance in enumerate(crossing_probabilities(plan), start=1):
        assert at_most((found.look == look).mean(), chance, RUNS)


def test_39_looks_of_a_rollout_at_its_uneven_shares():
    shares = np.cumsum(np.array([50 * 950] * 3 + [250 * 750] * 12 + [500 * 500] * 24) / 1000.0)
    plan = lan_demets(shares / shares[-1], alpha=0.0125, two_sided=False)
    found = group_sequential_test(walks(plan.fractions), plan)
    assert found.rejected.mean() == pytest.approx(0.0125, abs=4 * np.sqrt(0.0125 / RUNS))


@pytest.mark.parametrize("two_sided", [True, False])
def test_power_is_that_of_simulated_walks(two_sided):
    plan = lan_demets(FIVE, two_sided=two_sided)
    chances = crossing_probabilities(plan, drift=2.8)
    found = group_sequential_test(walks(FIVE, drift=2.8), plan)
    for look, chance in enumerate(chances, start=1):
        assert (found.look == look).mean() == pytest.approx(chance, abs=4 * np.sqrt(0.25 / RUNS))
    assert chances.sum() > 0.7


@pytest.mark.parametrize("spending", SPENDINGS)
def test_the_p_value_is_uniform_without_an_effect_and_below_alpha_exactly_when_rejected(spending):
    plan = lan_demets(FIVE, spending=spending)
    found = group_sequential_test(walks(FIVE, seed=2), plan)
    assert np.array_equal(found.p_value < 0.05, found.rejected)
    for level in (0.01, 0.03, 0.2, 0.5, 0.9):
        assert (found.p_value <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(0.25 / RUNS))


@given(
    cuts=st.lists(st.floats(min_value=0.02, max_value=0.98), min_size=1, max_size=5, unique=True),
    spending=st.sampled_from(SPENDINGS),
    alpha=st.floats(min_value=1e-4, max_value=0.3),
)
def test_a_boundary_depends_on_the_looks_up_to_its_own_and_all_of_alpha_is_spent(cuts, spending, alpha):
    times = np.unique(np.round([*cuts, 1.0], 3))
    whole = lan_demets(times, alpha=alpha, spending=spending)
    part = lan_demets(times[:-1], alpha=alpha, spending=spending)
    finite = np.isfinite(part.z)
    assert whole.z[:-1][finite] == pytest.approx(part.z[finite], abs=1e-5)
    assert crossing_probabilities(whole).sum() == pytest.approx(alpha, rel=1e-6)
    assert np.all(np.diff(whole.spent) >= 0)


def test_looks_so_early_that_nothing_may_be_spent_never_stop():
    plan = lan_demets([0.0005, 0.5, 1.0])
    assert plan.z[0] == np.inf
    assert plan.z[1:] == pytest.approx(lan_demets([0.5, 1.0]).z, abs=1e-6)
    found = group_sequential_test([[30.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 0.0]], plan)
    assert found.look.tolist() == [0, 2, 0]


def test_spending_and_what_cannot_be():
    assert alpha_spent([0.0, 1.0, 2.0]) == pytest.approx([0.0, 0.05, 0.05])
    assert float(alpha_spent(0.5, 0.05, "pocock")) == pytest.approx(0.05 * np.log1p((np.e - 1) / 2))
    for fractions in ([], [0.0, 1.0], [0.5, 0.5], [0.7, 0.2], [0.5, 1.1], [[0.5, 1.0]]):
        with pytest.raises(BadSample, match="fractions"):
            lan_demets(fractions)
    with pytest.raises(BadSample, match="alpha"):
        lan_demets(FIVE, alpha=0)
    with pytest.raises(BadSample, match="spending"):
        lan_demets(FIVE, spending="linear")  # type: ignore[arg-type]
    with pytest.raises(BadSample, match="fraction"):
        alpha_spent(-0.1)
    with pytest.raises(BadSample, match="looks"):
        group_sequential_test(np.zeros(6), lan_demets(FIVE))
