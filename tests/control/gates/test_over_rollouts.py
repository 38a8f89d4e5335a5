"""What guardrails do over whole rollouts that are looked at every five minutes: the figures of the documentation."""

import numpy as np
import pytest

from tests.control.gates.rollouts import ALPHA, GATES, Harm, judged, moments_of_rate, rollouts
from tests.stats.sequential.rollouts import at_most, first_minutes

RUNS = 4_000
FEWER = 500


def ever(found, field):
    """The share of runs in which a gate came to that, and in any gate, and in all."""
    last = [getattr(one, field)[:, -1] for one in found.values()]
    return {name: share.mean() for name, share in zip(found, last, strict=True)}, np.any(last, 0), np.all(last, 0)


@pytest.fixture(scope="module")
def identical():
    return judged(rollouts(Harm(), runs=RUNS, seed=11))


def test_an_identical_candidate_is_blocked_by_any_gate_far_less_often_than_alpha(identical):
    each, any_gate, _ = ever(identical, "breached")
    assert any_gate.mean() < 0.02  # alpha is 0.05; seen 0.007
    assert all(at_most(share, ALPHA / 4, RUNS) for share in each.values())


def test_even_when_any_proven_harm_is_enough_the_chance_stays_below_alpha(identical):
    harm = np.any([one.p_harm[:, -1] <= ALPHA / 4 for one in identical.values()], 0)
    assert harm.mean() < 0.03  # seen 0.011


def test_an_identical_candidate_is_mostly_found_to_hold_and_the_rest_stays_open(identical):
    each, _, all_gates = ever(identical, "holds")
    assert each["error_rate"] > 0.72  # 1 % errors are rare: seen 0.78
    assert min(each["faithfulness"], each["cost_usd"], each["p95_latency_ms"]) > 0.98
    assert all_gates.mean() > 0.72


def test_a_threshold_on_each_windows_point_estimate_blocks_nearly_every_identical_candidate():
    control, treatment = rollouts(Harm(), runs=FEWER, seed=12)["error_rate"]
    worse = treatment.mean > 1.5 * control.mean
    assert worse.any(axis=-1).mean() > 0.99


def test_a_candidate_at_a_gates_margin_seldom_passes_it():
    each, _, all_gates = ever(judged(rollouts(Harm(1.5, 0.03, 1.2, 1.5), runs=RUNS, seed=13)), "holds")
    assert all_gates.mean() <= 0.001
    assert all(share <= 0.035 for share in each.values())  # 5 % would do for the promotion; seen 0.004 to 0.010
    assert at_most(each["error_rate"], ALPHA / 4, RUNS)
    assert at_most(each["p95_latency_ms"], ALPHA / 4, RUNS)


@pytest.mark.parametrize(
    ("metric", "harm", "minutes"),
    [
        ("error_rate", Harm(errors=3), 30),
        ("error_rate", Harm(errors=5), 25),
        ("faithfulness", Harm(drop=0.06), 30),
        ("cost_usd", Harm(cost=1.5), 30),
        ("p95_latency_ms", Harm(slow=3), 15),
    ],
)
def test_gross_harm_is_caught_by_its_gate_and_by_no_other(metric, harm, minutes):
    found = judged(rollouts(harm, runs=FEWER, seed=14))
    assert found[metric].breached[:, -1].all()
    assert np.median(first_minutes(found[metric].breached)) <= minutes
    others = [one.breached[:, -1] for name, one in found.items() if name != metric]
    assert np.any(others, 0).mean() < 0.04


def test_an_incident_that_strikes_both_arms_alike_blocks_nobody():
    rate = np.where(np.arange(39) % 13 < 2, 0.06, 0.01)  # six times as many errors for ten minutes, thrice
    random = np.random.default_rng(15)
    n_c, n_t = (rollouts(Harm(), runs=2, seed=1)["error_rate"][arm].n[0] for arm in (0, 1))
    control = moments_of_rate(random.binomial(n_c.astype(int), rate, (RUNS, 39)), n_c)
    treatment = moments_of_rate(random.binomial(n_t.astype(int), rate, (RUNS, 39)), n_t)
    found = judged({"error_rate": (control, treatment)}, gates=GATES[:1])
    assert at_most(found["error_rate"].breached[:, -1].mean(), ALPHA / 4, RUNS)
