"""How a rollout is measured: as an experiment of two arms, with what is fixed before the start."""

import msgspec
import numpy as np
import pytest

from tests.support.experiment_logs import call
from tests.support.rollouts import ERRORS, begun, canary, due, plan_of, seen, stage
from tidegate.control.experiments.findings.outcomes import outcomes_of
from tidegate.control.gates.judge import verdict
from tidegate.control.gates.model import Absolute, Drop, Gate, Ratio
from tidegate.control.monitoring.exposures import Exposures
from tidegate.control.rollouts.defaults import prompt_plan
from tidegate.control.rollouts.measuring import constant_in, definition_of, frozen_plan, metrics_of, told_of
from tidegate.control.rollouts.step import moved
from tidegate.stats.sequential.stratified import Moments


def history(cost=lambda at: 1_000_000 + at, units=300):
    calls = [
        call(f"c{at}", f"u{at}", cost_nano_usd=cost(at), latency_ms=float(at), at=at * 1000) for at in range(units)
    ]
    return Exposures(calls, [])


def rate(n, events):
    n, events = np.asarray(n, dtype=float), np.asarray(events, dtype=float)
    return Moments(n, events / n, events * (1 - events / n))


def test_a_rollout_is_an_experiment_of_two_arms():
    rollout = begun(plan_of(stage("shadow", share_bp=100), canary(5), unit="tag:session", observe_s=120, window_s=30))
    found = definition_of(rollout)
    assert [(one.name, one.version, one.weight_bp) for one in found.variants] == [
        ("stable", "1.0.0", 10_000),
        ("candidate", "1.1.0", 0),
    ]
    assert (found.subject, found.unit, found.observe_s, found.window_s) == ("prompt:qa", "tag:session", 120, 30)
    assert [one.name for one in found.metrics] == ["error_rate", "faithfulness"]
    assert found.guardrails == rollout.plan.shadow_gates
    rollout = moved(rollout, due(rollout, seen(1)), 1)
    found = definition_of(rollout)
    assert found.variants[1].weight_bp == 500
    assert found.guardrails == rollout.plan.gates


def test_calls_of_a_rollout_are_judged_as_those_of_an_experiment():
    rollout = begun(plan_of(canary(5)), at_ms=1_700_000_000_000)
    calls = [
        call(f"c{at}", f"u{at}", variant="candidate" if at % 4 == 0 else "stable", at=at * 100,
             ending="failed" if at % 10 == 0 else "complete")
        for at in range(400)
    ]  # fmt: skip
    now = rollout.started_at_ms + 600_000
    found = outcomes_of(definition_of(rollout), Exposures(calls, []), started_at_ms=rollout.started_at_ms, now_ms=now)
    assert found.exposed == (300, 100)
    assert found.tables()["error_rate"].n[:, 0].tolist() == [300, 100]


def test_the_calls_before_fix_thresholds_and_deviations():
    plan = prompt_plan(has_staging=False)
    frozen = frozen_plan(plan, history())
    found = {one.name: one for one in metrics_of(frozen)}
    assert found["p95_latency_ms"].above == pytest.approx(np.quantile(np.arange(300), 0.95), abs=1)
    assert found["cost_per_query"].sd is not None
    assert next(one for one in frozen.gates if one.metric == "cost_per_query").sd == found["cost_per_query"].sd
    assert [one.metric for one in frozen.shadow_gates] == [one.metric for one in plan.shadow_gates]
    assert frozen.stages == plan.stages
    assert frozen_plan(plan, Exposures([], [])).stages == plan.stages


def test_what_never_varied_need_not_be_shown():
    frozen = frozen_plan(prompt_plan(has_staging=False), history(cost=lambda at: 0))
    assert constant_in(frozen) == ("cost_per_query",)
    assert frozen.stages[-2].needs == ("error_rate", "p95_latency_ms")
    assert "cost_per_query" in {one.metric for one in frozen.gates}


def test_what_gates_say_goes_by_their_metrics():
    warns = msgspec.structs.replace(ERRORS, rule=Ratio(1.1), block=False)
    bound = msgspec.structs.replace(ERRORS, rule=Absolute(0.5))
    faith = Gate(metric="faithfulness", rule=Drop(0.03), shape="mean", better="higher", share=0.2)
    gates = [msgspec.structs.replace(one, share=0.25) for one in (ERRORS, bound, warns)] + [faith]
    windows = np.full(20, 500.0)
    worse = {"error_rate": (rate(windows, windows * 0.02), rate(windows, windows * 0.06))}
    found = told_of(verdict(gates, worse, alpha=0.05))
    assert (found.breached, found.holds, found.warned) == (("error_rate",), (), ())
    alike = {"error_rate": (rate(windows, windows * 0.04), rate(windows, windows * 0.04))}
    found = told_of(verdict(gates, alike, alpha=0.05))
    assert (found.breached, found.holds, found.warned) == ((), ("error_rate",), ())
    few = {"error_rate": (rate([50.0], [1.0]), rate([50.0], [2.0]))}
    found = told_of(verdict(gates, few, alpha=0.05))
    assert (found.breached, found.warned) == ((), ("error_rate",))
