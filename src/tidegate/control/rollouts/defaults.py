"""The plans that hold when nobody wrote one, and what a plan's file leaves out. Constants here are the product's."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from tidegate.control.experiments.files.metrics import metric_named
from tidegate.control.experiments.model import Metric
from tidegate.control.gates.model import Drop, Gate, Ratio, Rule
from tidegate.control.rollouts.model import Plan, Stage

__all__ = [
    "DAY_S",
    "MARGINS",
    "NEGLIGIBLE",
    "OBSERVE_SCORES_S",
    "SCORE_PERCENT",
    "gate_of",
    "gates_for",
    "longest_of",
    "model_plan",
    "prompt_plan",
    "units_of",
]

DAY_S = 86_400
HOUR_S = 3_600
MINUTE_S = 60

NEGLIGIBLE: Final = 0.005
"""Half a point more errors, or slow calls, is no harm, whatever the ratio: where a control had no error at all, no
ratio could ever be shown to be small."""

MARGINS: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "error_rate": Ratio(1.5, NEGLIGIBLE),
        "faithfulness": Drop(0.03),
        "cost_per_query": Ratio(1.2),
        "p95_latency_ms": Ratio(1.5, NEGLIGIBLE),
    }
)
"""How much worse a candidate may be. Of p95_latency_ms: how many times as many calls may be slower than the p95 of the
days before."""

SCORE_PERCENT: Final = 20.0
"""Of the calls of each arm, where a scorer judges them."""
OBSERVE_SCORES_S: Final = 120
"""How long scores are waited for."""

SHADOW_UNITS: Final = 30
CANARY_UNITS: Final = 100
LONGEST_S: Final = MappingProxyType({"approval": 3 * DAY_S, "staging": 3 * DAY_S})
_WHOLE_BP = 10_000


def prompt_plan(has_staging: bool, *, scored: bool = False) -> Plan:
    """For a new version of a prompt: offline, staging where there is one, copies, an approval, 5, 25, 50 and 100%.

    `scored`: a scorer judges a sample of the calls, so that faithfulness must be shown to hold; otherwise only users'
    feedback tells of it, and a drop that is proven still rolls back.
    """
    needs = tuple(name for name in MARGINS if scored or name != "faithfulness")
    staging = (Stage(name="staging", kind="staging", hold_s=10 * MINUTE_S, max_hold_s=longest_of("staging")),)
    return _plan(
        (
            Stage(name="offline", kind="offline", max_hold_s=DAY_S),
            *(staging if has_staging else ()),
            _copies(1, 10 * MINUTE_S, SHADOW_UNITS),
            Stage(name="approval", kind="approval", approvers=("reviewer",), max_hold_s=longest_of("approval")),
            _canary(5, 15 * MINUTE_S, CANARY_UNITS),
            _canary(25, 60 * MINUTE_S, 5 * CANARY_UNITS),
            _canary(50, 120 * MINUTE_S, 10 * CANARY_UNITS, needs),
            _canary(100, 0, 0),
        ),
        scored,
    )


def model_plan(*, scored: bool = False) -> Plan:
    """For another model under the same prompt: offline, copies of 5%, 5% until all is shown to hold, 100%."""
    needs = tuple(name for name in MARGINS if scored or name != "faithfulness")
    return _plan(
        (
            Stage(name="offline", kind="offline", max_hold_s=DAY_S),
            _copies(5, 30 * MINUTE_S, CANARY_UNITS),
            msgspec.structs.replace(_canary(5, 4 * HOUR_S, 10 * CANARY_UNITS, needs), max_hold_s=3 * DAY_S),
            _canary(100, 0, 0),
        ),
        scored,
    )


def gates_for(margins: Iterable[tuple[Metric, Rule]]) -> tuple[Gate, ...]:
    """One gate a metric. They share alpha equally; each is found to hold with all of it, as all must hold together."""
    found = tuple(margins)
    return tuple(gate_of(metric, rule, 1 / len(found)) for metric, rule in found)


def gate_of(metric: Metric, rule: Rule, share: float) -> Gate:
    """The gate of a metric."""
    return Gate(
        metric=metric.name,
        rule=rule,
        shape=metric.shape,
        better=metric.better,
        share=share,
        burn_in=metric.burn_in,
        sd=metric.sd,
        hold_share=1.0,
    )


def longest_of(kind: str) -> int:
    """After so many seconds a stage of this kind is a person's to decide, unless its plan says otherwise."""
    return LONGEST_S.get(kind, DAY_S)


def units_of(kind: str, share_bp: int) -> int:
    """So many units of the candidate a stage of this kind judges, unless its plan says otherwise."""
    if kind == "shadow":
        return SHADOW_UNITS
    return CANARY_UNITS if kind == "canary" and share_bp < _WHOLE_BP else 0


def _plan(stages: tuple[Stage, ...], scored: bool) -> Plan:
    metrics = tuple(metric_named(name) for name in MARGINS)
    copied = tuple(one for one in metrics if one.source == "call" or scored)
    return Plan(
        stages=stages,
        gates=gates_for((one, MARGINS[one.name]) for one in metrics),
        shadow_gates=gates_for((one, MARGINS[one.name]) for one in copied),
        metrics=metrics,
        observe_s=OBSERVE_SCORES_S if scored else 0,
        score_percent=SCORE_PERCENT if scored else 0.0,
    )


def _copies(percent: int, hold_s: int, units: int) -> Stage:
    return Stage(
        name=f"shadow {percent}%",
        kind="shadow",
        share_bp=percent * 100,
        hold_s=hold_s,
        min_units=units,
        max_hold_s=longest_of("shadow"),
    )


def _canary(percent: int, hold_s: int, units: int, needs: tuple[str, ...] = ()) -> Stage:
    whole = percent == 100
    return Stage(
        name=f"{percent}%",
        kind="canary",
        share_bp=percent * 100,
        hold_s=hold_s,
        min_units=units,
        max_hold_s=None if whole else longest_of("canary"),
        needs=needs,
    )
