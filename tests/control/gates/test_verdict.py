"""All gates together, in words: who is let through, who is stopped, and what is said of it."""

import re

import msgspec
import numpy as np
import pytest

from tests.control.gates.rollouts import ALPHA, GATES, Harm, moments_of_rate, one_run, rollouts
from tidegate.control.gates.judge import verdict
from tidegate.control.gates.model import Absolute, Drop, Gate, Ratio, Verdict
from tidegate.control.gates.sentences import worded
from tidegate.kernel.scales import Scale
from tidegate.stats.sequential.stratified import Moments

RUNS = 150


def ends(one):
    """Estimate and interval of a judgement that has them."""
    assert one.low is not None
    assert one.estimate is not None
    assert one.high is not None
    return float(one.low), float(one.estimate), float(one.high)


@pytest.fixture(scope="module")
def same():
    return rollouts(Harm(), runs=RUNS, seed=31)


def test_an_identical_candidate_passes_with_a_reason_for_each_gate(same):
    found = verdict(GATES, one_run(same, 2), alpha=ALPHA)
    assert found.answer == "pass"
    assert found.why.startswith("Every blocking guardrail surely holds: error_rate")
    assert [one.state for one in found.judgements] == ["holds"] * 4
    for one in found.judgements:
        assert one.level == pytest.approx(0.9875)
        assert one.p_beyond <= 0.0125 < one.p_harm
        assert "surely is not beyond" in one.why
        low, estimate, high = ends(one)
        assert low < estimate < high
    assert "times the control's" in found.judgements[0].why
    assert "allowed is at most 0.03 lower" in found.judgements[1].why


def test_one_blocking_breach_blocks_and_names_the_culprit():
    found = verdict(GATES, one_run(rollouts(Harm(cost=1.5), runs=1, seed=32)), alpha=ALPHA)
    assert found.answer == "block"
    assert found.why == "Harm is proven: cost_usd."


def test_a_breach_of_one_that_only_warns_blocks_nobody():
    gates = [msgspec.structs.replace(gate, block=gate.metric != "cost_usd") for gate in GATES]
    evidence = one_run(rollouts(Harm(cost=1.5), runs=1, seed=36))
    found = verdict(gates, evidence, alpha=ALPHA)
    assert found.judgements[2].state == "breached"
    assert found.answer == "pass"
    assert "cost_usd" not in found.why


def test_a_metric_without_evidence_is_open_and_no_pass(same):
    evidence = one_run(same, 2)
    del evidence["faithfulness"]
    found = verdict(GATES, evidence, alpha=ALPHA)
    assert found.answer == "open"
    assert found.why == "Not known yet: faithfulness."
    assert found.judgements[1].why == "faithfulness: nothing known yet; allowed is at most 0.03 lower."
    assert found.judgements[1].p_beyond == 1


def test_no_window_yet_is_open():
    nothing = Moments(np.zeros(0), np.zeros(0), np.zeros(0))
    found = verdict(GATES, {gate.metric: (nothing, nothing) for gate in GATES}, alpha=ALPHA)
    assert found.answer == "open"
    assert {one.state for one in found.judgements} == {"open"}


def test_without_gates_nothing_can_block():
    assert verdict([], {}, alpha=ALPHA).answer == "pass"


def test_a_verdict_goes_through_json_and_back(same):
    found = verdict(GATES, one_run(same), alpha=ALPHA)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Verdict) == found


@pytest.mark.parametrize(
    ("rule", "better", "words"),
    [
        (
            Absolute(0.05),
            "lower",
            "errors is 8.0% (7.0 to 9.0); allowed is at most 5%. Harm is proven: p < 0.0001, needed 0.05.",
        ),
        (
            Drop(0.02),
            "lower",
            "errors is 5.0 points higher (3.8 to 6.2), 8.0% against 3.0%; allowed is at most 2 points higher.",
        ),
        (
            Ratio(1.5),
            "lower",
            "errors is 2.7 times the control's (2.1 to 3.4), 8.0% against 3.0%; allowed is at most 1.5 times",
        ),
        (Absolute(0.05), "higher", "errors is 8.0% (7.0 to 9.0); allowed is at least 5%. It surely is not beyond that"),
        (
            Ratio(0.5),
            "higher",
            "errors is 2.7 times the control's (2.1 to 3.5), 8.0% against 3.0%; allowed is at least 0.5 times",
        ),
    ],
)
def test_each_rule_says_what_was_found_and_what_is_allowed(rule, better, words):
    n = np.full(20, 400.0)
    gate = Gate(metric="errors", rule=rule, shape="rate", better=better, share=1)
    arms = moments_of_rate(np.full(20, 12), n), moments_of_rate(np.full(20, 32), n)
    (one,) = verdict([gate], {"errors": arms}, alpha=ALPHA).judgements
    assert one.why.startswith(words)


def test_the_intervals_at_the_last_look_hold_what_is_true(same):
    truth = {"error_rate": 1.0, "faithfulness": 0.0, "cost_usd": 1.0, "p95_latency_ms": 1.0}
    missed = dict.fromkeys(truth, 0)
    for run in range(RUNS):
        for one in verdict(GATES, one_run(same, run), alpha=ALPHA).judgements:
            low, _, high = ends(one)
            missed[one.gate.metric] += not low <= truth[one.gate.metric] <= high
    assert max(missed.values()) <= 0.0125 * RUNS + 5 * (0.0125 * RUNS) ** 0.5


@pytest.mark.parametrize("better", ["higher", "lower"])
@pytest.mark.parametrize(("shape", "rule"), [("mean", Absolute(0.6)), ("mean", Drop(0.1)), ("rate", Drop(0.1))])
def test_the_interval_of_each_rule_surrounds_its_estimate_once_enough_is_known(better, shape, rule):
    random = np.random.default_rng(33)
    gate = Gate(metric="score", rule=rule, shape=shape, better=better, share=0.5)
    for units, known in ((10, False), (400, True)):
        values = random.random((2, 6, units)) if shape == "mean" else random.random((2, 6, units)) < 0.5
        (one,) = verdict([gate], {"score": (Moments.of(values[0]), Moments.of(values[1]))}, alpha=ALPHA).judgements
        if known:
            low, estimate, high = ends(one)
            assert low < estimate < high
            assert high - low < 0.2
        elif shape == "mean" and isinstance(rule, Absolute):
            assert one.low is one.high is None


def test_a_verdict_is_worded_in_what_its_metrics_are_said_in(same):
    scales = {
        "faithfulness": Scale(100.0, "", " points", " points"),
        "cost_usd": Scale(1.0, "$", " a query", " a query"),
    }
    found = worded(verdict(GATES, one_run(same, 2), alpha=ALPHA), scales, "v1")
    told = {one.gate.metric: one.why for one in found.judgements}
    assert "allowed is at most 3 points lower." in told["faithfulness"]
    assert re.search(r"is \S+ points (higher|lower) \(.*\), \S+ points against \S+ points; ", told["faithfulness"])
    assert re.search(r"is \S+ times v1's \(\S+ to \S+\), \$\S+ a query against \$\S+ a query; ", told["cost_usd"])
    assert re.search(r", \S+% against \S+%; allowed is at most \S+ times v1's\.", told["p95_latency_ms"])
