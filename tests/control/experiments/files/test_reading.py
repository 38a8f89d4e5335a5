"""Experiment files: what they mean, what is refused at which place, and what is only warned of."""

import json
import re
from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.experiments.files.cautions import fixed_size
from tidegate.control.experiments.files.durations import duration_text, seconds_of
from tidegate.control.experiments.files.metrics import KNOWN
from tidegate.control.experiments.files.reading import lint_experiment, read_experiment
from tidegate.control.experiments.files.shape import ExperimentBlock, ExperimentFile, experiment_schema
from tidegate.control.experiments.model import Bandit, Cuped, Definition
from tidegate.control.gates.model import Absolute, Drop, Ratio
from tidegate.kernel.errors import Invalid

ROOT = Path(__file__).parents[4]
REFERENCE = ROOT / "docs" / "reference"

SOURCE = """\
experiment:
  name: "tone-v2-production"
  variants:
    control: { prompt: "qa-v3.2.1", traffic: 50, model: "gpt-4o-mini" }
    treatment: { prompt: "qa-v3.3.0", traffic: 50, model: "gpt-4o-mini" }
  metrics: [faithfulness, hallucination_rate, user_satisfaction, cost_per_query]
  duration: "7d"
  min_samples: 10000
  significance_level: 0.05
  decision_rule: "treatment must win on >=3 of 4 metrics with p<0.05"
"""

PLAIN = """\
experiment:
  name: tone
  variants:
    control: {prompt: qa@1.0.0}
    treatment: {prompt: qa@1.1.0}
  metrics:
    faithfulness: {}
    cost_per_query: {}
"""


def with_line(line: str) -> str:
    return f"{PLAIN}  {line}\n"


def changed(before: str, after: str) -> str:
    assert before in PLAIN
    return PLAIN.replace(before, after)


def read(text: str) -> Definition:
    definition, faults, _ = lint_experiment(text, "e.yaml")
    assert definition is not None, [str(fault) for fault in faults]
    return definition


def faults_of(text: str) -> list[tuple[str, int | None]]:
    definition, faults, warnings = lint_experiment(text, "e.yaml")
    assert (definition is None) == bool(faults)
    assert not (faults and warnings)
    assert all(fault.mend or fault.code.startswith(("yaml", "wrong", "bad_rule")) for fault in faults)
    return [(fault.code, fault.line) for fault in faults]


def warnings_of(text: str) -> dict[str, str]:
    definition, faults, warnings = lint_experiment(text, "e.yaml")
    assert definition is not None, [str(fault) for fault in faults]
    return {warning.code: str(warning) for warning in warnings}


def test_the_document_of_the_source_reads_as_it_stands() -> None:
    definition, faults, warnings = lint_experiment(SOURCE, "e.yaml")
    assert definition is not None
    assert faults == ()
    assert definition.subject == "prompt:qa"
    assert [(one.name, one.version, one.weight_bp, one.model) for one in definition.variants] == [
        ("control", "3.2.1", 5000, "gpt-4o-mini"),
        ("treatment", "3.3.0", 5000, "gpt-4o-mini"),
    ]
    assert (definition.primary, definition.unit, definition.environment) == ("faithfulness", "user", "production")
    assert (definition.duration_s, definition.min_samples, definition.alpha) == (604_800, 10_000, 0.05)
    assert [(one.name, one.source, one.shape, one.better) for one in definition.metrics] == [
        ("faithfulness", "feedback", "mean", "higher"),
        ("hallucination_rate", "feedback", "rate", "lower"),
        ("user_satisfaction", "feedback", "mean", "higher"),
        ("cost_per_query", "call", "mean", "lower"),
    ]
    assert [warning.code for warning in warnings] == ["rule_unguarded"]


def test_everything_that_can_be_said_is_read() -> None:
    definition = read(
        PLAIN.replace("    faithfulness: {}\n    cost_per_query: {}\n", "")
        + """\
    faithfulness: {baseline: 0.8, effect: 0.02, sd: 0.3, missing: zero, burn_in: 100}
    slow: {of: latency_ms, above: 2000, per_unit: first}
    stars: {field: rating, sd: 1.2, per_unit: first}
  primary: stars
  guardrails:
    error_rate: {ratio: 1.5, baseline: 0.01}
    faithfulness: {drop: 0.03, block: false, require_effect: 0}
    slow: {absolute: 0.1}
    p95_latency_ms: {ratio: 1.5}
  unit: tag:session
  salt: spring
  layer: answers
  segment: {tags: {tier: free}, keys: [web]}
  observe: 30m
  window: 5m
  duration: 2w
  min_samples: 500
  significance_level: 0.01
  power: 0.9
  correction: bonferroni
  cuped: {lookback: 28d}
  bandit: {algorithm: top-two, floor: 0.2, every: 1h, memory: 3d}
  units_per_day: 5000
  on_breach: warn
  environment: staging
  description: Warmer words.
"""
    )
    faithfulness, slow, stars = definition.metrics
    assert (faithfulness.baseline, faithfulness.effect, faithfulness.missing) == (0.8, 0.02, "zero")
    assert (faithfulness.sd, faithfulness.burn_in) == (0.3, 100)
    assert (slow.source, slow.field, slow.above, slow.shape, slow.method, slow.per_unit) == (
        "call", "latency_ms", 2000, "rate", "ratio", "first",
    )  # fmt: skip
    assert (stars.source, stars.field, stars.better, stars.per_unit) == ("feedback", "rating", "higher", "first")
    assert [(gate.metric, gate.rule, gate.block, gate.require_effect) for gate in definition.guardrails] == [
        ("error_rate", Ratio(1.5), True, 0.5),
        ("faithfulness", Drop(0.03), False, 0.0),
        ("slow", Absolute(0.1), True, 0.5),
        ("p95_latency_ms", Ratio(1.5), True, 0.5),
    ]
    assert [gate.shape for gate in definition.guardrails] == ["rate", "mean", "rate", "rate"]
    assert {gate.share for gate in definition.guardrails} == {0.25}
    assert [one.name for one in definition.watched] == ["error_rate", "p95_latency_ms"]
    assert definition.metric("p95_latency_ms").quantile == 0.95
    assert definition.metric("error_rate").baseline == 0.01
    assert (definition.primary, definition.unit, definition.salt, definition.layer) == (
        "stars", "tag:session", "spring", "answers",
    )  # fmt: skip
    assert (definition.tags, definition.keys) == ({"tier": "free"}, ("web",))
    assert (definition.observe_s, definition.window_s, definition.duration_s) == (1800, 300, 14 * 86_400)
    assert definition.cuped == Cuped(lookback_s=28 * 86_400)
    assert definition.bandit == Bandit(algorithm="top-two", floor=0.2, every_s=3600, memory_s=3 * 86_400)
    assert (definition.on_breach, definition.environment, definition.power) == ("warn", "staging", 0.9)
    assert (definition.correction, definition.units_per_day) == ("bonferroni", 5000)


def test_the_threshold_of_a_guardrail_may_be_said_instead_of_taken_from_the_past() -> None:
    (slow,) = read(with_line("guardrails: {p95_latency_ms: {ratio: 1.5, above: 3000}}")).watched
    assert (slow.above, slow.quantile, slow.baseline) == (3000, None, None)
    (taken,) = read(with_line("guardrails: {p95_latency_ms: {ratio: 1.5}}")).watched
    assert (taken.above, taken.quantile) == (None, 0.95)


@pytest.mark.parametrize(
    ("lines", "window_s", "observe_s"),
    [
        ("duration: 7d", 1200, 86_400),
        ("duration: 60d", 3600, 86_400),
        ("duration: 2h\n  unit: request", 60, 0),
        ("duration: 7d\n  unit: tag:session", 1200, 3600),
    ],
)
def test_windows_and_watching_follow_from_duration_and_unit(lines: str, window_s: int, observe_s: int) -> None:
    definition = read(with_line(lines))
    assert (definition.window_s, definition.observe_s) == (window_s, observe_s)


def test_traffic_that_nobody_says_is_split_evenly_to_the_last_part() -> None:
    three = changed("    treatment:", "    other: {prompt: qa@1.2.0}\n    treatment:")
    assert [one.weight_bp for one in read(three).variants] == [3334, 3333, 3333]
    some = PLAIN.replace("qa@1.0.0", "qa@1.0.0, traffic: 5").replace("qa@1.1.0", "qa@1.1.0, traffic: 2.5")
    assert [one.weight_bp for one in read(some).variants] == [500, 250]


def test_models_are_compared_with_the_prompt_fixed_or_without_one() -> None:
    alias = PLAIN.replace("{prompt: qa@1.0.0}", "{model: small}").replace("{prompt: qa@1.1.0}", "{model: large}")
    definition = read(f"{alias}  subject: chat\n")
    assert (definition.subject, [one.model for one in definition.variants]) == ("chat", ["small", "large"])
    assert read(f"{alias}  subject: prompt:qa\n").subject == "prompt:qa"
    fixed = PLAIN.replace("qa@1.1.0}", "qa@1.0.0, model: large}")
    assert "same_variants" not in warnings_of(fixed)


FAULTS = [
    (changed("name: tone", "name: Tone"), "invalid_name", 2),
    (with_line("environment: Prod"), "invalid_name", 9),
    (changed("    treatment: {prompt: qa@1.1.0}\n", ""), "variants", 3),
    (changed("qa@1.1.0", "qa"), "prompt_version", 5),
    (changed("qa@1.1.0", "qa@1.1"), "prompt_version", 5),
    (PLAIN.replace("qa@", "QA@"), "invalid_name", 4),
    (with_line("subject: A Chat"), "invalid_name", 9),
    (changed("qa@1.1.0", "faq@1.1.0"), "two_prompts", 5),
    (changed("{prompt: qa@1.1.0}", "{model: large}"), "prompt_missing", 5),
    (PLAIN.replace("{prompt: qa@1.0.0}", "{}").replace("{prompt: qa@1.1.0}", "{model: large}"), "subject", 3),
    (with_line("subject: chat"), "subject", 9),
    (changed("qa@1.1.0", "qa@1.1.0, traffic: 50"), "traffic", 4),
    (PLAIN.replace("0.0}", "0.0, traffic: 60}").replace("1.0}", "1.0, traffic: 50}"), "traffic", 5),
    (PLAIN.replace("0.0}", "0.0, traffic: 1.001}").replace("1.0}", "1.0, traffic: 5}"), "traffic", 4),
    (changed("faithfulness: {}", "faithfulness: {wrong: 1}"), "unknown_field", 7),
    (changed("faithfulness: {}", "wins: {}"), "invalid_name", 7),
    (changed("faithfulness: {}", "primary: {}"), "invalid_name", 7),
    (changed("faithfulness: {}", "a: {source: call, field: latency}"), "metric", 7),
    (changed("faithfulness: {}", "a: {of: latency}"), "metric", 7),
    (changed("faithfulness: {}", "a: {field: latency_ms, above: 2, quantile: 0.9}"), "metric", 7),
    (changed("faithfulness: {}", "a: {field: latency_ms, shape: rate}"), "metric", 7),
    (changed("faithfulness: {}", "a: {field: latency_ms, shape: mean, above: 2}"), "metric", 7),
    (changed("faithfulness: {}", "a: {quantile: 0.9}"), "metric", 7),
    (changed("faithfulness: {}", "a: {of: error_rate, above: 2}"), "metric", 7),
    (changed("faithfulness: {}", "a: {shape: rate, sd: 1}"), "metric", 7),
    (changed("faithfulness: {}", "a: {shape: rate, per_unit: sum}"), "metric", 7),
    (changed("faithfulness: {}", "a: {per_unit: any}"), "metric", 7),
    (changed("faithfulness: {}", "a: {method: ratio}"), "metric", 7),
    (changed("faithfulness: {}", "a: {baseline: 4.2}"), "metric", 7),
    (changed("faithfulness: {}", "a: {baseline: 0.99, effect: 0.02}"), "metric", 7),
    (changed("cost_per_query: {}", "error_rate: {baseline: 0.01, effect: 0.02}"), "metric", 8),
    (changed("cost_per_query: {}", "error_rate: {baseline: 5}"), "metric", 8),
    (with_line("primary: faithfullness"), "metric_not_found", 9),
    (with_line("guardrails: {error_rat: {ratio: 1.5}}"), "metric_not_found", 9),
    (with_line("guardrails: {error_rate: 1.5}"), "guardrail_kind", 9),
    (with_line("guardrails: {error_rate: {}}"), "guardrail_kind", 9),
    (with_line("guardrails: {error_rate: {ratio: 1.5, drop: 0.1}}"), "guardrail_kind", 9),
    (with_line("guardrails: {error_rate: {ratio: 0.9}}"), "guardrail_margin", 9),
    (with_line("guardrails: {faithfulness: {ratio: 1.1}}"), "guardrail_margin", 9),
    (with_line("guardrails: {faithfulness: {drop: 3}}"), "guardrail_margin", 9),
    (with_line("guardrails: {error_rate: {absolute: 5}}"), "guardrail_margin", 9),
    (with_line("guardrails: {error_rate: {ratio: 2, baseline: 5}}"), "guardrail_margin", 9),
    (with_line("guardrails: {error_rate: {ratio: 2, sd: 1}}"), "guardrail_margin", 9),
    (with_line("guardrails: {error_rate: {ratio: 2, above: 1}}"), "guardrail_margin", 9),
    (with_line("guardrails: {faithfulness: {drop: 0.1, baseline: 0.9}}"), "guardrail_margin", 9),
    (with_line("unit: session"), "unit", 9),
    (with_line("unit: 'tag:'"), "unit", 9),
    (with_line("salt: a b"), "invalid_name", 9),
    (with_line("layer: A"), "invalid_name", 9),
    (with_line("segment: {keys: [Web]}"), "invalid_name", 9),
    (with_line("duration: 7"), "duration", 9),
    (with_line("duration: 7 days"), "duration", 9),
    (with_line("duration: 5s"), "duration", 9),
    (with_line("duration: 12h"), "observe", 1),
    (with_line("window: 5s"), "window", 9),
    (with_line("window: 8d"), "window", 9),
    (with_line("window: 10s"), "window", 9),
    (with_line("bandit: {every: 10}"), "duration", 9),
    (with_line("bandit: {floor: 0.5}"), "bandit_floor", 9),
    (with_line("cuped: {}\n  unit: request"), "cuped", 9),
    (with_line("cuped: {}\n  primary: cost_per_query").replace("cost_per_query", "error_rate"), "cuped", 9),
    (with_line("min_samples: 0"), "wrong_value", 9),
    (with_line("significance_level: 5"), "wrong_value", 9),
    (with_line("decision_rule: primary winz"), "bad_rule", 9),
    (with_line("decision_rule: P(best) > 0.95"), "rule_posterior", 9),
    (with_line("decision_rule: wins >= 3 of 4"), "rule_count", 9),
    (with_line("decision_rule: no guardrail loses"), "rule_without_win", 9),
    ("experiment: {name: a}\n", "missing_field", 1),
    ("a: [", "yaml_syntax", 2),
]


@pytest.mark.parametrize(("text", "code", "line"), FAULTS)
def test_each_fault_is_told_with_its_line_and_a_mend(text: str, code: str, line: int) -> None:
    assert (code, line) in faults_of(text)


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    text = SOURCE.replace("qa-v3.3.0", "qa").replace('"7d"', "7").replace("50, model", "60, model") + "  wrong: 1\n"
    text += "  guardrails: {faithfulness: 0.03}\n"
    assert faults_of(text) == [("duration", 7), ("unknown_field", 11), ("guardrail_kind", 12)]
    mended = text.replace("duration: 7", "duration: 7d").replace("  wrong: 1\n", "").replace("0.03", "{drop: 0.03}")
    assert faults_of(mended) == [("prompt_version", 5), ("traffic", 5)]
    with pytest.raises(Invalid) as caught:
        read_experiment(mended, "e.yaml")
    assert caught.value.code == "invalid_experiment"
    assert re.findall(r"e\.yaml:\d+:\d+", caught.value.message) == ["e.yaml:5:18", "e.yaml:5:32"]


@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_a_fault_in_the_rule_points_at_its_word(quote: str) -> None:
    _, faults, _ = lint_experiment(with_line(f"decision_rule: {quote}primary wins and cost loses{quote}"), "e.yaml")
    line = f"  decision_rule: {quote}primary wins and cost loses{quote}"
    assert [(fault.line, fault.column) for fault in faults] == [(9, line.index("loses") + 1)]


def test_a_rule_in_several_lines_is_read_and_its_fault_is_told_at_the_rule() -> None:
    text = with_line("decision_rule: >-\n    primary wins\n    and no guardrail loses")
    assert read(text).rule == "primary wins and no guardrail loses"
    assert faults_of(text.replace("no guardrail", "one guardrail"))[0][0] == "bad_rule"


def test_a_number_without_unit_is_refused_with_what_it_may_mean() -> None:
    _, faults, _ = lint_experiment(with_line("guardrails: {faithfulness: 0.03}"), "e.yaml")
    assert all(word in faults[0].mend for word in ("{ratio: 0.03}", "{drop: 0.03}"))


BIG = "units_per_day: 100000"

WARNINGS = [
    (changed("qa@1.1.0", "qa@1.0.0"), "same_variants"),
    (with_line("observe: 0s"), "observe"),
    (with_line("unit: request"), "observe"),
    (with_line("unit: request\n  observe: 1h").replace("faithfulness", "latency_ms"), "observe"),
    (
        with_line("decision_rule: primary wins\n  on_breach: warn\n  guardrails: {error_rate: {ratio: 1.5}}"),
        "rule_blind",
    ),
    (with_line("decision_rule: wins >= 1 of 2"), "rule_unguarded"),
    (with_line("decision_rule: wins >= 2 of 2 at p < 0.1"), "rule_level"),
    (with_line("correction: none\n  decision_rule: wins >= 2 of 2"), "correction"),
    (with_line("min_samples: 10000\n  units_per_day: 2000"), "too_small"),
    (with_line("units_per_day: 2000").replace("fulness: {}", "fulness: {baseline: 0.8, effect: 0.01}"), "too_small"),
    (with_line("units_per_day: 500"), "window_thin"),
    (with_line("units_per_day: 2000\n  bandit: {floor: 0.02}"), "window_thin"),
    (with_line("bandit: {}"), "bandit_samples"),
    (with_line("bandit: {}\n  units_per_day: 1500"), "too_small"),
]


@pytest.mark.parametrize(("text", "code"), WARNINGS)
def test_each_warning_is_given(text: str, code: str) -> None:
    assert code in warnings_of(text)


def test_a_plain_experiment_with_traffic_enough_has_no_warning() -> None:
    text = with_line(BIG).replace("fulness: {}", "fulness: {baseline: 0.8, effect: 0.01}")
    assert warnings_of(text) == {}
    assert warnings_of(f"{text}  bandit: {{floor: 0.2}}\n") == {}


def test_the_warnings_of_size_say_the_numbers() -> None:
    small = warnings_of(with_line("min_samples: 10000\n  units_per_day: 2000"))["too_small"]
    assert all(word in small for word in ("6,000 units", "10.0 days"))
    rate = "    right: {shape: rate, better: higher, baseline: 0.89, effect: 0.01}\n"
    text = with_line("units_per_day: 2000").replace("    faithfulness: {}\n    cost_per_query: {}\n", rate)
    definition = read(text)
    assert fixed_size(definition, definition.metric("right")) == 14_745  # .89 against .90
    assert "14,745" in warnings_of(text)["too_small"]


@given(st.integers(0, 10**8))
def test_durations_are_written_as_they_are_read(seconds: int) -> None:
    assert seconds_of(duration_text(seconds)) == seconds


@given(st.text(max_size=60))
def test_no_rule_and_no_name_breaks_the_reader(text: str) -> None:
    rule = json.dumps(text)
    definition, faults, _ = lint_experiment(with_line(f"decision_rule: {rule}\n  primary: {rule}"), "e.yaml")
    assert (definition is None) == bool(faults)


def test_the_published_schema_is_the_one_of_the_code() -> None:
    published = json.loads((REFERENCE / "experiment.schema.json").read_text(encoding="utf-8"))
    assert published == json.loads(msgspec.json.encode(experiment_schema())), (
        "write it anew: tidegate experiment schema > docs/reference/experiment.schema.json"
    )


def test_the_schema_takes_what_lint_takes() -> None:
    schema = json.loads(msgspec.json.encode(experiment_schema()))
    for text in (SOURCE, PLAIN, with_line("guardrails: {error_rate: {ratio: 1.5}}")):
        jsonschema.validate(yaml.safe_load(text), schema)
    for text in (with_line("guardrails: {error_rate: 1.5}"), with_line("duration: 7"), with_line("duration: 7 days")):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(text), schema)


def test_every_example_of_the_reference_passes_lint() -> None:
    text = (REFERENCE / "experiments.md").read_text(encoding="utf-8")
    examples = [one for one in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if one.startswith("experiment:")]
    assert len(examples) >= 3
    for example in examples:
        definition, faults, _ = lint_experiment(example, "e.yaml")
        assert definition is not None, [str(fault) for fault in faults]


def test_the_reference_names_every_field_metric_and_kind_of_rule() -> None:
    text = (REFERENCE / "experiments.md").read_text(encoding="utf-8")
    schema = experiment_schema()["$defs"]
    assert isinstance(schema, dict)
    for block, shape in schema.items():
        if block != ExperimentFile.__name__:
            for field in shape["properties"]:
                assert f"`{field}`" in text, f"{block}.{field}"
    assert len(schema[ExperimentBlock.__name__]["properties"]) > 20
    for name in KNOWN:
        assert f"`{name}`" in text, name


def test_the_example_file_passes_lint_without_a_warning() -> None:
    text = (ROOT / "examples" / "experiment.yaml").read_text(encoding="utf-8")
    definition, faults, warnings = lint_experiment(text, "experiment.yaml")
    assert definition is not None
    assert (faults, warnings) == ((), ())


def test_the_reference_has_every_code() -> None:
    text = (REFERENCE / "experiments.md").read_text(encoding="utf-8")
    for code in {code for _, code, _ in FAULTS} | {code for _, code in WARNINGS}:
        assert f"`{code}`" in text, code
