"""The rules of a gate: those that hold where nobody says otherwise, and those of a prompt's file (`gates:`)."""

import math
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

from tidegate.control.evals.comparing.metrics import (
    COST,
    ERRORS,
    LATENCY,
    OWN,
    PASSES,
    SCORER_PASSES,
    better_of,
    same_metric,
)
from tidegate.control.evals.model import Bound, ScorerUse
from tidegate.kernel.errors import Invalid, NotFound

__all__ = ["DEFAULTS", "Limits", "bounds_of", "with_defaults"]

DEFAULTS = (
    Bound(metric=ERRORS, kind="most", margin=0.01, better="lower"),
    Bound(metric=PASSES, kind="least", margin=0.95),
    Bound(metric=PASSES, kind="drop", margin=0.03),
    Bound(metric="faithfulness", kind="drop", margin=0.03),
    Bound(metric=COST, kind="ratio", margin=1.2, better="lower", block=False),
    Bound(metric=LATENCY, kind="ratio", margin=2.0, statistic="p99", better="lower"),
)
"""The rules of every gate. Those on a metric that nobody measured are left out, and named."""

Statistic: TypeAlias = Literal["mean", "p95", "p99"]
Kind: TypeAlias = Literal["drop", "ratio", "most", "least"]

_NAMES: Mapping[str, tuple[str, Statistic]] = MappingProxyType(
    {
        "error": (ERRORS, "mean"),
        "errors": (ERRORS, "mean"),
        "pass": (PASSES, "mean"),
        "golden_pass": (PASSES, "mean"),
        "golden": (PASSES, "mean"),
        "cost": (COST, "mean"),
        "cost_per_query": (COST, "mean"),
        "latency": (LATENCY, "mean"),
        "p95": (LATENCY, "p95"),
        "p99": (LATENCY, "p99"),
        "latency_p95": (LATENCY, "p95"),
        "latency_p99": (LATENCY, "p99"),
        "p95_latency": (LATENCY, "p95"),
        "p99_latency": (LATENCY, "p99"),
        "input": ("input_tokens", "mean"),
        "output": ("output_tokens", "mean"),
    }
)
"""What a gate's name may begin with, beside the names of metrics and scorers."""

_SUFFIX = re.compile(r"(.+)_(drop|ratio|rate|score|ms|usd|tokens)")


class Limits(Protocol):
    """A gate of a prompt's file."""

    @property
    def max(self) -> float | None: ...

    @property
    def min(self) -> float | None: ...

    @property
    def block(self) -> bool: ...


def bounds_of(gates: Mapping[str, Limits], scorers: Iterable[ScorerUse]) -> tuple[Bound, ...]:
    """The rules that a prompt's `gates:` mean, for a run with these scorers.

    `faithfulness_drop: {max: 0.03}` is a drop against the baseline, `cost_ratio: {max: 1.2}` and `p99_ratio` ratios;
    `error_rate`, `pass_rate`, `faithfulness_score`, `p95_ms`, `cost_usd`, `output_tokens` bound the candidate's own
    value, `max` from above and `min` from below. Raises NotFound for a metric that nobody measures, Invalid for a bound
    that cannot be.
    """
    uses = tuple(scorers)
    return tuple(bound for name, limits in gates.items() for bound in _bounds(name, limits, uses))


def with_defaults(own: Iterable[Bound], min_pass_rate: float | None = None) -> tuple[Bound, ...]:
    """The rules of a gate: the defaults, each replaced by one of its own about the same; then the others.
    `min_pass_rate` is that of the prompt's golden dataset.
    """
    rules = list(own)
    if min_pass_rate is not None and not any(one.metric == PASSES and one.kind == "least" for one in rules):
        rules.insert(0, Bound(metric=PASSES, kind="least", margin=min_pass_rate))
    kept = [next((mine for mine in rules if same_metric(mine, one)), one) for one in DEFAULTS]
    return (*kept, *(one for one in rules if not any(same_metric(one, default) for default in DEFAULTS)))


def _bounds(name: str, limits: Limits, uses: tuple[ScorerUse, ...]) -> list[Bound]:
    found = _SUFFIX.fullmatch(name)
    if found is None:
        raise Invalid(
            f"The gate {name!r} says no unit.",
            mend="End its name with _drop, _ratio, _rate, _score, _ms, _usd or _tokens.",
            code="gate_without_unit",
        )
    suffix = found.group(2)
    metric, statistic = _measured(name, found.group(1), suffix, uses)
    better = better_of(metric, uses)
    bounds = []
    for side, margin in (("max", limits.max), ("min", limits.min)):
        if margin is None:
            continue
        kind = _kind(name, suffix, side, better)
        _check(name, kind, side, margin, statistic)
        bounds.append(
            Bound(metric=metric, kind=kind, margin=margin, statistic=statistic, better=better, block=limits.block)
        )
    if not bounds:
        raise Invalid(f"The gate {name!r} bounds nothing.", mend="Give it a max or a min.", code="gate_without_bound")
    return bounds


def _measured(name: str, stem: str, suffix: str, uses: tuple[ScorerUse, ...]) -> tuple[str, Statistic]:
    scorers = [one.name for one in uses]
    passes = {f"{one}_pass": one + SCORER_PASSES for one in scorers}
    whole = f"{stem}_{suffix}"
    if stem in scorers:
        return stem, "mean"
    if stem in passes:
        return passes[stem], "mean"
    if stem in _NAMES:
        return _NAMES[stem]
    found = next((one for one in (whole, stem) if one in OWN), None)
    if found is not None:
        return found, "mean"
    raise NotFound(
        "metric",
        stem,
        known=(*scorers, *passes, *OWN, *_NAMES),
        mend=f"The gate {name!r} needs it: add the scorer to the run, or take the gate out.",
        code="gate_metric_unknown",
    )


def _kind(name: str, suffix: str, side: str, better: str) -> Kind:
    if suffix == "drop":
        if side == "max":
            return "drop"
        raise Invalid(f"The gate {name!r} has a min.", mend="A drop has a max.", code="gate_side")
    if suffix == "ratio":
        if (side == "max") == (better == "lower"):
            return "ratio"
        side_meant = "max" if better == "lower" else "min"
        raise Invalid(
            f"The gate {name!r} has a {side}, and {better} is better.",
            mend=f"Write {side_meant}: so many times the baseline's.",
            code="gate_side",
        )
    return "most" if side == "max" else "least"


def _check(name: str, kind: Kind, side: str, margin: float, statistic: str) -> None:
    wrong = ""
    if not math.isfinite(margin):
        wrong = "is no number"
    elif kind == "drop" and margin <= 0:
        wrong = "allows no drop at all, which no number of cases can show: write one above 0"
    elif kind == "drop" and statistic != "mean":
        wrong = "is a drop of a quantile: write a ratio"
    elif kind == "ratio" and (margin <= 1 if side == "max" else not 0 < margin < 1):
        wrong = "is on the wrong side of 1: a max is above it, a min below"
    if wrong:
        raise Invalid(f"The gate {name!r} ({side}: {margin:g}) {wrong}.", code="gate_margin")
