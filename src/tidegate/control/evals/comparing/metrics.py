"""What is measured of every answer: its metrics by name, which way is better, in what they are said."""

from collections.abc import Iterable, Iterator
from types import MappingProxyType
from typing import Literal

from tidegate.control.evals.model import Bound, Outcome, ScorerUse

__all__ = [
    "COST",
    "ERRORS",
    "FACTS",
    "FIRM_PASSES",
    "LATENCY",
    "OWN",
    "PASSES",
    "SCORER_PASSES",
    "base_name",
    "better_of",
    "figures_of",
    "is_firm",
    "is_share",
    "same_metric",
    "scorer_of",
    "unit_of",
]

ERRORS, PASSES, FIRM_PASSES = "error_rate", "pass_rate", "firm_pass_rate"
COST, LATENCY = "cost_usd", "latency_ms"
SCORER_PASSES = ".pass"
"""`faithfulness.pass` is the share of answers that a scorer lets pass, `faithfulness` the mean of its values."""

OWN = MappingProxyType(
    {
        PASSES: ("higher", ""),
        FIRM_PASSES: ("higher", ""),
        ERRORS: ("lower", ""),
        COST: ("lower", "usd"),
        LATENCY: ("lower", "ms"),
        "input_tokens": ("lower", "tokens"),
        "output_tokens": ("lower", "tokens"),
    }
)
"""The metrics that every run has, which way is better, and their unit."""

FACTS = frozenset(
    {"exact", "contains", "regex", "json_schema", "json", "numeric", "latency", "cost", "length", "starts_with"}
)
"""Scorers that compute a fact, where a case's own check has no entry among the run's scorers."""


def base_name(name: str) -> str:
    """A scorer's name without the number that tells its second use from its first."""
    return name.partition("#")[0]


def scorer_of(metric: str, uses: Iterable[ScorerUse]) -> ScorerUse | None:
    """The scorer that a metric comes from; None for one of ours, and for a case's own check."""
    if metric in OWN:
        return None
    name = base_name(metric.removesuffix(SCORER_PASSES))
    return next((one for one in uses if one.name == name), None)


def is_firm(name: str, uses: Iterable[ScorerUse]) -> bool:
    """Whether what a scorer says may block: it states a fact, or has shown that it agrees with people."""
    use = scorer_of(name, uses)
    return base_name(name) in FACTS if use is None else use.may_block


def better_of(metric: str, uses: Iterable[ScorerUse]) -> Literal["higher", "lower"]:
    """Which way is better."""
    if metric in OWN:
        return "higher" if OWN[metric][0] == "higher" else "lower"
    use = scorer_of(metric, uses)
    return "higher" if use is None or metric.endswith(SCORER_PASSES) else use.better


def unit_of(metric: str) -> str:
    """usd, ms, tokens; empty for scores and shares."""
    return OWN[metric][1] if metric in OWN else ""


def is_share(metric: str) -> bool:
    """Whether each case has a 0 or a 1, so that the mean is a share of the cases."""
    return metric in (PASSES, FIRM_PASSES, ERRORS) or metric.endswith(SCORER_PASSES)


def figures_of(outcome: Outcome, uses: tuple[ScorerUse, ...]) -> Iterator[tuple[str, float]]:
    """Each metric of one answer whose value is known. An error has no score, no pass and no time."""
    yield ERRORS, float(outcome.error is not None)
    if outcome.cost_nano_usd is not None:
        yield COST, outcome.cost_nano_usd / 1e9
    if outcome.error is not None:
        return
    if outcome.passed is not None:
        yield PASSES, float(outcome.passed)
    for name, known in (
        (LATENCY, outcome.latency_ms),
        ("input_tokens", outcome.input_tokens),
        ("output_tokens", outcome.output_tokens),
    ):
        if known is not None:
            yield name, float(known)
    firm: list[bool] = []
    broken = False
    for name, score in outcome.scores.items():
        if score.value is not None:
            yield name, score.value
        if score.passed is not None:
            yield name + SCORER_PASSES, float(score.passed)
        if is_firm(name, uses):
            broken = broken or score.error is not None
            firm += [] if score.passed is None else [score.passed]
    if firm and not (broken and all(firm)):
        yield FIRM_PASSES, float(all(firm))


def same_metric(one: Bound, other: Bound) -> bool:
    """Whether two rules are about the same thing, so that the second takes the first one's place."""
    return (one.metric, one.kind, one.statistic) == (other.metric, other.kind, other.statistic)
