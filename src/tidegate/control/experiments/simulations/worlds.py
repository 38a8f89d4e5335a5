"""What might be true, to try a definition on: the means of each metric in each variant. Pure."""

from typing import NamedTuple

import msgspec
import numpy as np

from tidegate.control.experiments.files.cautions import deviation
from tidegate.control.experiments.model import Definition, Metric
from tidegate.control.experiments.rules.judging import named, rule_of, ships_unwon
from tidegate.control.experiments.scales import scale_of
from tidegate.control.gates.model import Absolute, Drop, Gate, Ratio
from tidegate.kernel.errors import Invalid

__all__ = ["Expectation", "World", "expectations", "simulated", "worlds_of"]

NOTHING = "no difference"
TWICE = 2.0
_EDGE = 1e-9


class World(NamedTuple):
    """`means[metric]`: the true mean of each variant. `kind`: null, better, half, worse, harm (one guardrail at twice
    its margin), margin (one at its margin, which a rule that needs no win may not ship)."""

    name: str
    effect: str
    kind: str
    means: dict[str, tuple[float, ...]]


class Expectation(NamedTuple):
    """What is expected of one metric: the control's mean, and the deviation of one unit (of a rate: 0, it follows)."""

    metric: Metric
    baseline: float
    sd: float


def simulated(definition: Definition) -> Definition:
    """The definition without the metrics that neither its rule nor a guardrail asks for: they decide nothing."""
    family = named(rule_of(definition), definition)
    guards = {gate.metric for gate in definition.guardrails}
    metrics = tuple(one for one in definition.metrics if one.name in family or one.name == definition.primary)
    kept = {one.name for one in metrics}
    watched = tuple(one for one in definition.measured if one.name in guards and one.name not in kept)
    return msgspec.structs.replace(definition, metrics=metrics, watched=watched)


def expectations(definition: Definition) -> dict[str, Expectation]:
    """What is expected of each metric; raises Invalid (`expectation_missing`) that names every figure which neither the
    file nor the calls before tell, and the lines to add.
    """
    rule = rule_of(definition)
    family = () if ships_unwon(rule, definition) else named(rule, definition)
    listed = {one.name for one in definition.metrics}
    found: dict[str, Expectation] = {}
    missing: list[str] = []
    for metric in definition.measured:
        known = _frozen(metric)
        sd = deviation(known)
        lacks = [
            word
            for word, absent in (
                ("baseline", known.baseline is None),
                ("sd", metric.shape == "mean" and sd is None and known.baseline is not None),
                ("sd", metric.shape == "mean" and known.baseline is None and metric.source == "call"),
                ("effect", metric.name in family and metric.effect is None),
            )
            if absent
        ]
        if lacks:
            place = "metrics" if metric.name in listed else "guardrails"
            missing.append(f"{place}: {metric.name}: {{{', '.join(f'{word}: ...' for word in dict.fromkeys(lacks))}}}")
        else:
            found[metric.name] = Expectation(metric, known.baseline or 0.0, sd or 0.0)
    if missing:
        names = ", ".join(f"`{line.split(': ')[1]}`" for line in missing)
        raise Invalid(
            f"Nothing tells what to expect of {names}.",
            mend="Add to the file:\n" + "\n".join(f"  {line}" for line in missing),
            code="expectation_missing",
        )
    return found


def worlds_of(definition: Definition, expected: dict[str, Expectation]) -> tuple[World, ...]:
    """Every world to try, "no difference" first."""
    rule = rule_of(definition)
    family = [one for one in named(rule, definition) if expected[one].metric.effect is not None]
    worlds = [World(NOTHING, "", "null", _same(definition, expected))]
    if family:
        worlds += [_moved(definition, expected, family, kind) for kind in ("better", "half", "worse")]
    for gate in definition.guardrails:
        if gate.block:
            worlds.append(_harmed(definition, expected, (family, gate), "harm"))
    if ships_unwon(rule, definition):
        worlds += [_harmed(definition, expected, ([], gate), "margin") for gate in definition.guardrails if gate.block]
    return tuple(worlds)


def _same(definition: Definition, expected: dict[str, Expectation]) -> dict[str, tuple[float, ...]]:
    return {name: (one.baseline,) * len(definition.variants) for name, one in expected.items()}


def _moved(definition: Definition, expected: dict[str, Expectation], family: list[str], kind: str) -> World:
    """What the rule asks to win is better in the first treatment, or worse in all."""
    times = {"better": 1.0, "half": 0.5, "worse": -1.0}[kind]
    means, said = _same(definition, expected), []
    for name in family:
        moved = _better(expected[name], times)
        rest = moved if kind == "worse" else expected[name].baseline
        means[name] = (expected[name].baseline, moved, *(rest for _ in definition.variants[2:]))
        size = scale_of(expected[name].metric, definition).exact(moved - expected[name].baseline, apart=True)
        said.append((name, size if size.startswith("-") else f"+{size}"))
    title = family[0] if len(family) == 1 else "what must win"
    names = {"better": "better", "half": "better by half of that", "worse": "worse"}
    effect = said[0][1] if len(said) == 1 else ", ".join(" ".join(one) for one in said)
    return World(f"{title} {names[kind]}", effect, kind, means)


def _harmed(
    definition: Definition, expected: dict[str, Expectation], about: tuple[list[str], Gate], kind: str
) -> World:
    """One guardrail is worse in every treatment, by its margin or by twice that, while the rest is better."""
    family, gate = about
    means = _moved(definition, expected, family, "better").means if family else _same(definition, expected)
    means = {name: (one[0], *(one[1] for _ in definition.treatments)) for name, one in means.items()}
    control = expected[gate.metric].baseline
    worse = _clipped(expected[gate.metric], _beyond(gate, control, TWICE if kind == "harm" else 1.0))
    means[gate.metric] = (control, *(worse for _ in definition.treatments))
    better = ", the rest better" if family else ""
    name = (
        f"{gate.metric} at {'twice its margin' if kind == 'harm' else 'its margin'}{better if kind == 'harm' else ''}"
    )
    scale = scale_of(expected[gate.metric].metric, definition)
    return World(name, " to ".join(scale.exact(one, digits=3) for one in (control, worse)), kind, means)


def _beyond(gate: Gate, control: float, times: float) -> float:
    match gate.rule:
        case Ratio(margin):
            return control * max(1 + times * (margin - 1), _EDGE)
        case Drop(margin):
            return control + times * (margin if gate.better == "lower" else -margin)
        case Absolute(bound):
            return control + times * (bound - control)


def _better(one: Expectation, times: float) -> float:
    step = times * (one.metric.effect or 0.0)
    return _clipped(one, one.baseline + (step if one.metric.better == "higher" else -step))


def _clipped(one: Expectation, mean: float) -> float:
    return float(np.clip(mean, _EDGE, 1 - _EDGE)) if one.metric.shape == "rate" else mean


def _frozen(metric: Metric) -> Metric:
    """A metric of a quantile is, unless said, as frequent as that quantile leaves."""
    if metric.baseline is None and metric.quantile is not None:
        return msgspec.structs.replace(metric, baseline=1 - metric.quantile)
    return metric
