"""The rollout file: the source's block as it stands, every fault with its place and its mend, and what is warned of."""

import re
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest
import yaml

from tidegate.control.gates.model import Absolute, Drop, Ratio
from tidegate.control.rollouts.defaults import prompt_plan
from tidegate.control.rollouts.files.reading import lint_plan, read_plan
from tidegate.control.rollouts.files.shape import GateBlock, RolloutBlock, StageBlock, rollout_schema
from tidegate.kernel.errors import Invalid

DOCS = Path(__file__).parents[4] / "docs"

SOURCE = """\
deployment:
  strategy: incremental
  stages:
    - traffic_percent: 5
      duration_minutes: 15
      auto_rollback:
        error_rate_increase: 1.5x
        faithfulness_drop: 0.03
        cost_per_query_increase: 1.2x
        latency_p95_increase: 1.5x
    - traffic_percent: 25
      duration_minutes: 60
    - traffic_percent: 50
      duration_minutes: 120
    - traffic_percent: 100
      duration_minutes: 0
"""


def rollout(body, stages="[{percent: 5, hold: 15m}]"):
    lines = "\n".join(f"  {line}" for line in body.splitlines())
    return f"rollout:\n{lines}\n  stages: {stages}\n"


def faults(text):
    _, found, _ = lint_plan(text, "r.yaml")
    return [(one.line, one.code, str(one)) for one in found]


def only(text):
    found = faults(text)
    assert len(found) == 1, found
    return found[0]


def test_the_sources_block_reads_as_it_stands():
    plan, warnings = read_plan(SOURCE, "canary.yaml")
    assert [(one.share_bp, one.hold_s) for one in plan.stages] == [(500, 900), (2500, 3600), (5000, 7200), (10_000, 0)]
    assert {one.metric: one.rule for one in plan.gates} == {
        "error_rate": Ratio(1.5, 0.005),
        "faithfulness": Drop(0.03),
        "cost_per_query": Ratio(1.2),
        "p95_latency_ms": Ratio(1.5, 0.005),
    }
    assert {one.share for one in plan.gates} == {0.25}
    assert plan.stages[2].needs == ("error_rate", "cost_per_query", "p95_latency_ms")
    assert (plan.observe_s, plan.on_breach) == (120, "rollback")
    assert any("Users get it at once" in one for one in warnings)


def test_the_default_plan_can_be_written():
    text = """\
rollout:
  score_percent: 20
  gates:
    error_rate: {ratio: 1.5}
    faithfulness: {drop: 0.03}
    cost_per_query: 1.2x
    p95_latency_ms: {ratio: 1.5, negligible: 0.005}
  stages:
    - kind: offline
    - {kind: staging, hold: 10m}
    - {kind: shadow, percent: 1, hold: 10m}
    - {kind: approval, approvers: [reviewer]}
    - {percent: 5, hold: 15m}
    - {percent: 25, hold: 1h, min_units: 500}
    - {percent: 50, hold: 2h, min_units: 1000}
    - percent: 100
"""
    plan, warnings = read_plan(text, "r.yaml")
    assert plan == prompt_plan(has_staging=True, scored=True)
    assert warnings == ()


def test_every_word_of_a_plan():
    plan, _ = read_plan(
        rollout(
            "unit: tag:session\nobserve: 5m\nwindow: 30s\nsignificance_level: 0.01\non_breach: pause\n"
            "on_rollback: shadow\nstale_after: 2h\nrollback_window: 3d\nshadow_after: 30m\nshadow_usd_per_day: 2.5\n"
            "approve_own: true\nscore_percent: 10\n"
            "gates:\n  helpful: {drop: 0.1, require_effect: 0.2, share: 0.4}\n"
            "  error_rate: {absolute: 0.05, block: false}\n"
            "shadow_gates: {refusal_rate: {drop: 0.02}}\n"
            "metrics: {helpful: {field: thumbs, baseline: 0.8}}",
            "[{percent: 5, hold: 15m, max_hold: 2h, needs: [helpful], name: small},"
            " {kind: approval, approvers: [admin, reviewer], approvals: 2, max_hold: 1h}, {percent: 100}]",
        ),
        "r.yaml",
    )
    assert (plan.unit, plan.observe_s, plan.window_s, plan.alpha) == ("tag:session", 300, 30, 0.01)
    assert (plan.on_breach, plan.on_rollback, plan.stale_after_s) == ("pause", "shadow", 7200)
    assert (plan.rollback_window_s, plan.shadow_after_s, plan.shadow_usd_per_day) == (259_200, 1800, 2.5)
    assert (plan.approve_own, plan.score_percent) == (True, 10)
    helpful, errors = plan.gates
    assert (helpful.rule, helpful.require_effect, helpful.share) == (Drop(0.1), 0.2, 0.4)
    assert (errors.rule, errors.block, errors.share) == (Absolute(0.05), False, 0.6)
    assert [one.metric for one in plan.shadow_gates] == ["refusal_rate"]
    assert next(one for one in plan.metrics if one.name == "helpful").field == "thumbs"
    small, people, end = plan.stages
    assert (small.name, small.max_hold_s, small.needs) == ("small", 7200, ("helpful",))
    assert (people.approvers, people.approvals, people.max_hold_s) == (("admin", "reviewer"), 2, 3600)
    assert (end.name, end.max_hold_s, end.min_units) == ("100%", None, 0)


@pytest.mark.parametrize(
    ("line", "mend"),
    [
        ("error_rate: 1.5", "Write {ratio: 1.5} for times the control, {drop: 1.5}"),
        ("error_rate_increase: 1.5", "Write 1.5x for times the control, or `error_rate: {drop: 1.5}`"),
        ("faithfulness_drop: 3x", "Write `faithfulness: {ratio: 3}`"),
        ("error_rate: a lot", "Write 1.5x for times the control"),
        ("error_rate: {ratio: 1.5, drop: 0.1}", "Give one of `ratio`, `drop` and `absolute`."),
        ("error_rate: {block: true}", "Give one of `ratio`, `drop` and `absolute`."),
        ("cost_per_query: {drop: 0.1, negligible: 0.1}", "Leave it out."),
    ],
)
def test_a_number_that_does_not_say_its_kind_is_refused_with_the_mend(line, mend):
    found = only(rollout(f"gates:\n  {line}"))
    assert found[:2] == (3, "gate_kind")
    assert mend in found[2]


@pytest.mark.parametrize(
    ("body", "line", "code"),
    [
        ("gates: {error_rate: 0.9x}", 2, "gate_margin"),
        ("gates: {faithfulness: {ratio: 1.2}}", 2, "gate_margin"),
        ("gates:\n  latency_p50_increase: 2x", 3, "metric_not_found"),
        ("gates:\n  error_rate: {ratio: 2, share: 0.7}\n  cost_per_query: {ratio: 2, share: 0.7}", 2, "bad_gate"),
        ("window: 60", 2, "duration"),
        ("window: 1s", 2, "duration"),
        ("stale_after: 100d", 2, "duration"),
        ("stale_after: soon", 2, "duration"),
        ("stale_after: 2m", 2, "stale_after"),
        ("unit: session", 2, "unit"),
        ("strategy: at once", 2, "wrong_value"),
        ("metrics: {odd: {source: call, field: weight}}", 2, "metric"),
        ("metrics: {Odd Name: {}}", 2, "invalid_name"),
    ],
)
def test_faults_of_the_whole(body, line, code):
    assert only(rollout(body))[:2] == (line, code)


@pytest.mark.parametrize(
    ("stages", "code", "word"),
    [
        ("[]", "stages", "There is no stage"),
        ("[{hold: 15m}]", "stage", "of how many units the candidate serves"),
        ("[{kind: shadow, hold: 15m}, {percent: 5}]", "stage", "of how many calls are copied"),
        ("[{percent: 5, traffic_percent: 5}]", "stage", "Keep one of them"),
        ("[{percent: 5, hold: 1m, duration_minutes: 1}]", "stage", "Keep one of them"),
        ("[{percent: 5.001}]", "stage", "finer than a hundredth"),
        ("[{percent: 5, drill: true}]", "stage", "`drill` is of stages `staging`"),
        ("[{percent: 5, approvals: 2}]", "stage", "`approvals` is of stages `approval`"),
        ("[{kind: offline, percent: 5}, {percent: 5}]", "stage", "has no share"),
        ("[{kind: offline, min_units: 5}, {percent: 5}]", "stage", "Nothing is judged"),
        ("[{kind: approval, approvers: [reviwer]}, {percent: 5}]", "stage", "Did you mean reviewer"),
        ("[{kind: approval, approvers: []}, {percent: 5}]", "stage", "Nobody could approve"),
        ("[{percent: 25}, {percent: 5}]", "stage_order", "no more than the 25% before it"),
        ("[{percent: 5}, {kind: offline}]", "stage_order", "`offline` comes after `canary`"),
        ("[{percent: 5, name: a}, {percent: 6, name: a}]", "stage_name", "have the name `a`"),
        ("[{percent: 5, hold: 1h, max_hold: 1m}]", "duration", "shorter than the 1h"),
        ("[{percent: 5, hold: 15}]", "duration", "`hold` is 15, without a unit"),
        ("[{percent: 5, needs: [error_rat]}]", "gate_not_found", "Did you mean error_rate"),
    ],
)
def test_faults_of_stages(stages, code, word):
    found = only(rollout("gates: {error_rate: 1.5x}", stages))
    assert found[0] == 3
    assert found[1] == code
    assert word in found[2]


def test_a_gate_that_two_stages_say_differently_is_refused():
    twice = SOURCE.replace(
        "      duration_minutes: 60\n", "      duration_minutes: 60\n      auto_rollback: {error_rate_increase: 3x}\n"
    )
    found = only(twice)
    assert found[:2] == (13, "gate_twice")
    assert "another margin in line 7" in found[2]
    same = twice.replace("3x}", "1.5x}")
    assert read_plan(same, "r.yaml")[0].gates == read_plan(SOURCE, "r.yaml")[0].gates


def test_all_faults_are_told_at_once():
    with pytest.raises(Invalid) as error:
        read_plan(rollout("gates: {error_rate: 1.5, nothing_increase: 2x}\nunit: odd"), "r.yaml")
    assert error.value.code == "invalid_rollout"
    assert "r.yaml has 3 faults:" in str(error.value)
    assert faults("stages: []")[0][1] == "unknown_field"
    assert faults("apiVersion: rollouts/v1")[0][1] == "rollout_missing"
    both = "rollout: {stages: [{percent: 5}]}\ndeployment: {stages: [{percent: 5}]}\n"
    assert only(both)[:2] == (2, "rollout_missing")


@pytest.mark.parametrize(
    ("body", "stages", "word"),
    [
        ("", "[{kind: offline}, {percent: 5}]", "No gate can roll this back"),
        ("gates: {error_rate: {ratio: 2, block: false}}", "[{kind: offline}, {percent: 5}]", "only people can"),
        ("gates: {error_rate: 2x}", "[{percent: 5}]", "nothing is tried before"),
        ("gates: {helpful: {drop: 0.1}}", "[{kind: offline}, {percent: 5}]", "no scorer judges calls"),
        ("gates: {error_rate: 2x}", "[{kind: offline}, {percent: 5, needs: []}]", "no proof of none"),
        ("gates: {error_rate: 2x}", "[{kind: offline}, {percent: 5, hold: 1m, min_units: 0}]", "no longer than a win"),
    ],
)
def test_what_may_not_be_meant_is_warned_of(body, stages, word):
    _, warnings = read_plan(rollout(body, stages), "r.yaml")
    assert any(word in one for one in warnings), warnings


def test_the_schema_knows_what_is_read():
    schema = jsonschema_rs.validator_for(msgspec.to_builtins(rollout_schema()))
    for text in (SOURCE, rollout("gates: {error_rate: {ratio: 1.5}}")):
        assert schema.is_valid(yaml.safe_load(text))
    assert not schema.is_valid(yaml.safe_load(rollout("gats: {}")))


def test_the_published_schema_is_the_files():
    published = msgspec.json.decode((DOCS / "reference" / "rollout.schema.json").read_bytes())
    assert published == msgspec.json.decode(msgspec.json.encode(rollout_schema())), (
        "run `tidegate release schema > docs/reference/rollout.schema.json`"
    )


def test_the_example_is_in_order():
    text = (DOCS.parent / "examples" / "rollout.yaml").read_text(encoding="utf-8")
    assert lint_plan(text, "rollout.yaml")[1:] == ((), ())


def test_the_reference_names_every_field_and_its_examples_are_read():
    text = (DOCS / "reference" / "rollouts.md").read_text(encoding="utf-8")
    for block in (RolloutBlock, StageBlock, GateBlock):
        for field in block.__struct_fields__:
            assert f"`{field}`" in text, f"{block.__name__}.{field}"
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        assert lint_plan(example, "r.yaml")[1] == ()
