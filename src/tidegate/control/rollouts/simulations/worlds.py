"""Candidates that might be true: what each metric is in the control, and in the candidate. Pure."""

from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from tidegate.control.experiments.files.metrics import is_score
from tidegate.control.experiments.model import Metric
from tidegate.control.gates.model import Gate
from tidegate.control.rollouts.measuring import metrics_of
from tidegate.control.rollouts.model import Plan
from tidegate.kernel.plain import joined

__all__ = ["CLUSTER", "Expected", "World", "expected_of", "notes_of", "worlds_of"]

Kind: TypeAlias = Literal["identical", "worse", "clusters"]

CLUSTER = 5
"""Calls of one session that fail together, in the world of clusters."""

ERRORS = 0.01
SCORE, SCORE_SD = 0.85, 0.16
SPREAD = 0.9
"""The deviation of the logarithm of a cost, a time or a length, where nothing tells it: some are ten times others."""

_TIMES = (1.25, 1.5, 2.0, 3.0, 5.0, 20.0)
_SLOWER = (1.25, 1.5, 2.0, 3.0)
_DEARER = (1.1, 1.2, 1.5)
_LOWER = (0.5, 1.0, 5 / 3, 10 / 3)
"""Of a score's margin: how many times it the score drops."""


class Expected(NamedTuple):
    """One metric as it is in the control: an event's rate, a figure that is log-normal (`mean`, deviation `sd` of the
    logarithm), or a score between 0 and 1 (beta, with `mean` and `sd`). `asked`: of how many units it has a value.
    `taken`: nothing told it, so that it was taken from what is usual.
    """

    metric: Metric
    shape: Literal["rate", "figure", "score", "normal"]
    mean: float
    sd: float
    asked: float = 1.0
    taken: bool = False


class World(NamedTuple):
    """A candidate. `metric` is the one that differs (empty: none), by `times` and by `plus`."""

    name: str
    kind: Kind
    metric: str = ""
    times: float = 1.0
    plus: float = 0.0


def expected_of(plan: Plan) -> dict[str, Expected]:
    """What is expected of each metric of the plan's gates: as its file or the calls before tell, else what is usual.
    Scores that no scorer gives have no value.
    """
    names = {gate.metric for gate in plan.gates}
    return {one.name: _expected(plan, one) for one in metrics_of(plan) if one.name in names}


def worlds_of(plan: Plan, expected: dict[str, Expected]) -> tuple[World, ...]:
    """An identical candidate first; then worse ones, by each gate's metric that has values; then errors that come in
    sessions.
    """
    worlds = [World("identical", "identical")]
    for gate in _first_gates(plan):
        one = expected[gate.metric]
        if one.asked:
            worlds += _worse(gate, one)
    if any(one.metric.field == "error" for one in expected.values()):
        worlds.append(World("identical, errors by session", "clusters"))
    return tuple(worlds)


def notes_of(expected: dict[str, Expected]) -> tuple[str, ...]:
    """What the figures rest on, and how to say better."""
    said = {
        "rate": lambda one: f"{one.metric.name} {100 * one.mean:g}%",
        "figure": lambda one: f"{one.metric.name} log-normal, deviation {one.sd:g}",
        "score": lambda one: f"{one.metric.name} {one.mean:g}, deviation {one.sd:g}",
        "normal": lambda one: f"{one.metric.name} normal, deviation {one.sd:g}",
    }
    taken = [said[one.shape](one) for one in expected.values() if one.taken and one.asked]
    silent = [name for name, one in expected.items() if not one.asked]
    found = []
    if taken:
        found.append(
            f"Not known, so taken as usual: {joined(taken)}. Say better under `metrics`, as "
            "`error_rate: {baseline: 0.02}`."
        )
    if silent:
        found.append(f"No scorer tells {joined(silent)} (`score_percent` is 0): its gate was taken as silent.")
    return tuple(found)


def _expected(plan: Plan, metric: Metric) -> Expected:
    asked = 1.0 if metric.source == "call" else min(plan.score_percent / 100, 1.0)
    if metric.shape == "rate":
        known = metric.baseline if metric.baseline is not None else None
        quantile = 1 - metric.quantile if metric.quantile is not None else None
        mean = known if known is not None else quantile if quantile is not None else ERRORS
        return Expected(metric, "rate", mean, 0.0, asked, known is None and quantile is None)
    if is_score(metric):
        mean = SCORE if metric.baseline is None else metric.baseline
        sd = min(SCORE_SD, 0.9 * float(np.sqrt(mean * (1 - mean))))
        return Expected(metric, "score", mean, sd, asked, metric.baseline is None)
    if metric.source == "feedback":
        return Expected(metric, "normal", metric.baseline or 0.0, metric.sd or 1.0, asked, metric.baseline is None)
    mean = metric.baseline or 1.0
    spread = SPREAD if metric.sd is None else float(np.sqrt(np.log1p((metric.sd / mean) ** 2)))
    return Expected(metric, "figure", mean, spread, asked, metric.sd is None)


def _first_gates(plan: Plan) -> list[Gate]:
    """The first gate of each metric that can roll back."""
    return list({gate.metric: gate for gate in reversed(plan.gates) if gate.block}.values())[::-1]


def _worse(gate: Gate, one: Expected) -> list[World]:
    name = gate.metric
    if one.shape == "figure":
        return [World(f"{name} x{times:g}", "worse", name, times) for times in _DEARER]
    if one.shape == "rate" and gate.better == "lower":
        steps = _TIMES if one.metric.field == "error" else _SLOWER
        return [World(f"{name} x{times:g}", "worse", name, times) for times in steps if times * one.mean < 1]
    margin = getattr(gate.rule, "margin", 0.03)
    margin = margin if margin < 1 and type(gate.rule).__name__ == "Drop" else 0.03
    sign = -1.0 if gate.better == "higher" else 1.0
    word = "lower" if sign < 0 else "higher"
    return [World(f"{name} {times * margin:.2g} {word}", "worse", name, plus=sign * times * margin) for times in _LOWER]
