"""What a definition's rule does at a traffic: wrong ships, power, time; by seed, and against closed forms."""

import math

import pytest

from tidegate.control.experiments.files.reading import lint_experiment
from tidegate.control.experiments.model import Definition, Operating, Scenario
from tidegate.control.experiments.simulations.simulate import simulate
from tidegate.kernel.errors import Invalid
from tidegate.stats.sizes import n_for_difference, n_for_means

FOUR = """\
    faithfulness: {baseline: 0.8, sd: 0.3, effect: 0.03}
    hallucination_rate: {baseline: 0.1, effect: 0.03}
    stars: {baseline: 3.9, sd: 1.1, effect: 0.15}
    cost_per_query: {baseline: 0.002, sd: 0.0015, effect: 0.0002}
"""
ONE = "    faithfulness: {baseline: 0.8, sd: 0.3, effect: 0.03}\n"
GUARD = "guardrails: {error_rate: {ratio: 1.5, baseline: 0.05}}"


def definition(*lines: str, metrics: str = ONE, more: str = "") -> Definition:
    plan = {"unit": "request", "duration": "2d", "window": "1h", "min_samples": "500"}
    said = {**plan, **dict(line.split(": ", 1) for line in lines)}
    text = (
        "experiment:\n  name: tone\n"
        f"  variants:\n    control: {{prompt: qa@1.0.0}}\n    treatment: {{prompt: qa@1.1.0}}\n{more}"
        f"  metrics:\n{metrics}" + "".join(f"  {name}: {value}\n" for name, value in said.items())
    )
    found, faults, _ = lint_experiment(text, "e.yaml")
    assert found is not None, [str(fault) for fault in faults]
    return found


def named(operating: Operating, part: str) -> Scenario:
    return next(one for one in operating.scenarios if part in one.name)


def allowed(alpha: float, runs: int) -> float:
    """A share that one of at most alpha stays below, but once in millions."""
    return alpha + 5 * math.sqrt(alpha * (1 - alpha) / runs)


RULES = [
    "primary wins and no guardrail loses",
    "primary wins",
    "wins >= 1 of 4",
    "wins >= 3 of 4",
    "treatment must win on >=3 of 4 metrics with p<0.05",
    "faithfulness wins or stars wins and cost_per_query does not lose",
]


@pytest.mark.parametrize("rule", RULES)
def test_no_rule_ships_what_is_no_better_more_often_than_allowed(rule: str) -> None:
    found = simulate(
        definition(f"decision_rule: {rule}", "significance_level: 0.1", GUARD, metrics=FOUR),
        units_per_day=4000,
        runs=500,
    )
    assert found.scenarios[0].name == "no difference"
    assert found.false_ship == found.scenarios[0].ship
    assert found.false_ship <= allowed(0.1, 500)
    assert named(found, "worse").ship <= allowed(0.1, 500)


def test_several_treatments_share_the_level() -> None:
    more = "    second: {prompt: qa@1.2.0}\n    third: {prompt: qa@1.3.0}\n"
    found = simulate(definition("significance_level: 0.2", more=more), units_per_day=6000, runs=1000)
    assert 0 < found.false_ship <= allowed(0.2, 1000)


def test_what_is_better_is_found_more_often_with_more_traffic() -> None:
    powers = [
        simulate(definition(), units_per_day=traffic, runs=500).power or 0.0 for traffic in (1500.0, 3000.0, 12_000.0)
    ]
    assert powers[0] + 0.1 < powers[1] < powers[2] - 0.1
    assert powers[2] > 0.95


def test_half_of_the_effect_is_found_less_often_and_the_reverse_is_kept_out() -> None:
    found = simulate(definition(), units_per_day=4000, runs=500)
    assert named(found, "better").ship > named(found, "half").ship + 0.2
    assert named(found, "worse").keep > 0.9
    for one in found.scenarios:
        assert one.ship + one.keep + one.inconclusive == pytest.approx(1)
        assert one.runs == 500
        assert one.standard_error <= 0.5 / math.sqrt(500) + 1e-12


def test_the_seed_decides() -> None:
    first, again, other = (simulate(definition(GUARD), units_per_day=3000, runs=200, seed=seed) for seed in (7, 7, 8))
    assert first == again
    assert first.scenarios != other.scenarios
    assert (first.seed, first.runs, first.units_per_day) == (7, 200, 3000)


def test_looking_at_any_time_costs_less_than_two_and_a_half_times_the_units_of_one_look() -> None:
    means = simulate(definition("duration: 4d", "min_samples: 2000"), units_per_day=4000, runs=1000)
    once = 2 * float(n_for_means(0.03, 0.3))
    assert means.needed_units is not None
    assert once < means.needed_units < 2.5 * once
    rate = "    right: {shape: rate, better: higher, baseline: 0.9, effect: 0.02}\n"
    rates = simulate(definition("min_samples: 3000", metrics=rate), units_per_day=8000, runs=1000)
    assert rates.needed_units is not None
    assert (2 * float(n_for_difference(0.9, 0.92))) < rates.needed_units < 2.5 * 2 * float(n_for_difference(0.9, 0.92))


def test_what_is_needed_does_not_depend_on_how_long_it_was_planned() -> None:
    short = simulate(definition("duration: 1d"), units_per_day=2000, runs=400)
    long = simulate(definition("duration: 8d"), units_per_day=2000, runs=400)
    assert short.power is not None
    assert long.power is not None
    assert short.power < 0.8 < long.power
    assert short.needed_days is not None
    assert long.needed_days is not None
    assert long.needed_days == pytest.approx(short.needed_days, rel=0.3)
    assert long.needed_units == pytest.approx(long.needed_days * 2000, rel=0.01)


def test_what_cannot_be_reached_is_unknown() -> None:
    tiny = ONE.replace("effect: 0.03", "effect: 0.0001")
    found = simulate(definition(metrics=tiny), units_per_day=1000, runs=100)
    assert (found.needed_units, found.needed_days) == (None, None)
    assert named(found, "better").median_days is None


def test_what_is_tried_is_said_in_what_the_metric_is_said_in() -> None:
    found = simulate(definition(), units_per_day=3000, runs=20)
    assert named(found, "better").effect == "+3 points"
    assert named(found, "worse").effect == "-3 points"
    assert not found.ships_unwon


def test_a_guardrail_at_twice_its_margin_is_not_shipped_though_the_rest_is_better() -> None:
    guards = "guardrails: {error_rate: {ratio: 2, baseline: 0.05}, cost_per_query: {ratio: 1.3}}"
    found = simulate(definition(guards, metrics=FOUR), units_per_day=8000, runs=400)
    for name in ("error_rate at twice", "cost_per_query at twice"):
        assert named(found, name).ship < 0.05
        assert named(found, name).keep > 0.9
    assert named(found, "error_rate").effect == "5% to 15%"


def test_a_breach_ends_the_experiment_whatever_the_rule_says_unless_it_only_warns() -> None:
    lines = ("decision_rule: primary wins", "guardrails: {error_rate: {ratio: 2, baseline: 0.05}}", "min_samples: 2000")
    stops = simulate(definition(*lines), units_per_day=8000, runs=200)
    warns = simulate(definition(*lines, "on_breach: warn"), units_per_day=8000, runs=200)
    assert named(stops, "error_rate").keep > 0.9
    assert named(warns, "error_rate").ship > 0.9


def test_a_rule_without_a_win_is_judged_by_what_it_ships_at_the_margin() -> None:
    guards = "guardrails: {faithfulness: {drop: 0.05}, error_rate: {ratio: 2, baseline: 0.05}}"
    metrics = "    faithfulness: {baseline: 0.8, sd: 0.3}\n"
    found = simulate(
        definition(guards, "decision_rule: all guardrails hold", metrics=metrics), units_per_day=6000, runs=800
    )
    margins = [one.ship for one in found.scenarios if one.name.endswith("at its margin")]
    assert len(margins) == 2
    assert found.false_ship == max(margins) <= allowed(0.05, 800)
    assert found.power == found.scenarios[0].ship > 0.9
    assert found.ships_unwon
    assert any("without a win" in note for note in found.notes)


def test_what_nobody_knows_is_asked_for_with_the_lines_to_add() -> None:
    text = definition(
        "guardrails: {error_rate: {ratio: 1.5}, cost_per_query: {ratio: 1.2}}", metrics=" " * 4 + "a: {}\n"
    )
    with pytest.raises(Invalid) as caught:
        simulate(text, units_per_day=1000)
    assert caught.value.code == "expectation_missing"
    assert "`a`, `error_rate`, `cost_per_query`" in caught.value.message
    for line in (
        "metrics: a: {baseline: ..., effect: ...}",
        "guardrails: error_rate: {baseline: ...}",
        "guardrails: cost_per_query: {baseline: ..., sd: ...}",
    ):
        assert line in caught.value.mend


def test_metrics_that_decide_nothing_need_no_figures() -> None:
    found = simulate(definition(metrics=f"{ONE}    stars: {{}}\n"), units_per_day=4000, runs=50)
    assert found.power is not None


def test_the_notes_say_what_was_assumed() -> None:
    metrics = "    faithfulness: {baseline: 0.8, effect: 0.03}\n"
    found = simulate(
        definition("guardrails: {p95_latency_ms: {ratio: 1.5}}", "bandit: {floor: 0.2}", metrics=metrics),
        units_per_day=400,
        runs=20,
    )
    said = " ".join(found.notes)
    for word in ("`faithfulness` 0.4", "`p95_latency_ms` 5%", "bandit", "`window:"):
        assert word in said


def test_progress_is_told_and_ends_at_one() -> None:
    told: list[float] = []
    simulate(definition(), units_per_day=3000, runs=20, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


@pytest.mark.parametrize(("traffic", "runs"), [(0, 10), (-1, 10), (math.inf, 10), (math.nan, 10), (10, 0)])
def test_what_cannot_be_simulated_is_refused(traffic: float, runs: int) -> None:
    with pytest.raises(Invalid):
        simulate(definition(), units_per_day=traffic, runs=runs)
