"""Gates as they are written, each with its kind: `error_rate: {ratio: 1.5}`, `error_rate_increase: 1.5x`,
`faithfulness_drop: 0.03`. A bare number under another name may be a ratio, a difference or a bound, and is refused.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from tidegate.control.experiments.files.definitions import metric_of
from tidegate.control.experiments.files.measures import nearest
from tidegate.control.experiments.files.metrics import KNOWN, metric_named
from tidegate.control.experiments.files.shape import MetricBlock
from tidegate.control.experiments.model import Metric
from tidegate.control.gates.checks import BadGate, checked
from tidegate.control.gates.model import Absolute, Drop, Gate, Ratio, Rule
from tidegate.control.rollouts.defaults import MARGINS, NEGLIGIBLE, gate_of
from tidegate.control.rollouts.files.shape import GateBlock, Margin

__all__ = ["BadMargin", "Said", "Wanted", "wanted_of"]

INCREASE, DROP = "_increase", "_drop"

_TIMES = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:x|times)")
_TAIL = re.compile(r"(latency|ttft)_(p95|p99)")

Metrics = Mapping[str, MetricBlock | None]


class Said(NamedTuple):
    """One line of a file's gates: the name, what stands beside it, and how that is written."""

    name: str
    margin: Margin
    written: str = ""


class Wanted(NamedTuple):
    """The gate of a line; `share` is None where the line does not say it."""

    metric: Metric
    gate: Gate
    share: float | None


class BadMargin(Exception):
    """What is wrong with a line, and the mend; `field` is the one of its block, or empty."""

    def __init__(self, message: str, mend: str, code: str, field: str = "") -> None:
        super().__init__(message)
        self.message, self.mend, self.code, self.field = message, mend, code, field


def wanted_of(said: Said, metrics: Metrics = MappingProxyType({})) -> Wanted:
    """The gate that a line stands for; raises BadMargin. `metrics` are those that the file defines itself."""
    name = _metric_name(said.name, metrics)
    block = metrics.get(name)
    metric = metric_named(name) if block is None else metric_of(name, block)
    given = _block_of(said, metric)
    gate = msgspec.structs.replace(
        gate_of(metric, _rule(given, metric, said), given.share or 1.0),
        block=given.block,
        require_effect=given.require_effect,
    )
    try:
        return Wanted(metric, checked(gate), given.share)
    except BadGate as error:
        field = next((one for one in ("ratio", "drop", "absolute") if getattr(given, one) is not None), "")
        raise BadMargin(
            error.message, error.mend, "gate_margin", field if isinstance(said.margin, GateBlock) else ""
        ) from error


def _metric_name(name: str, metrics: Metrics) -> str:
    """Of which metric a line is: `latency_p95_increase` is of p95_latency_ms."""
    if name in metrics or name in KNOWN:
        return name
    bare = name.removesuffix(INCREASE).removesuffix(DROP)
    tail = _TAIL.fullmatch(bare)
    found = f"{tail[2]}_{tail[1]}_ms" if tail else bare
    if name.endswith(INCREASE) and found not in metrics and found not in KNOWN:
        known = tuple(dict.fromkeys((*metrics, *KNOWN)))
        raise BadMargin(f"`{found}` is no metric that is known.", nearest(found, known), "metric_not_found")
    return found


def _block_of(said: Said, metric: Metric) -> GateBlock:
    """What the line says, as a block."""
    margin, name, written = said.margin, said.name, said.written or str(said.margin)
    if isinstance(margin, GateBlock):
        return margin
    if isinstance(margin, str):
        times = _TIMES.fullmatch(margin.strip())
        if times is None:
            raise BadMargin(
                f"`{name}` is `{margin[:40]}`, which says no margin.",
                "Write 1.5x for times the control, or {drop: 0.03} for so much worse in the metric's unit.",
                "gate_kind",
            )
        if name.endswith(DROP):
            raise BadMargin(
                f"`{name}` is {margin}, and a drop is a difference.",
                f"Write `{metric.name}: {{ratio: {times[1]}}}` for times the control, or a number in its unit.",
                "gate_kind",
            )
        return GateBlock(ratio=float(times[1]))
    if name.endswith(DROP) and name != metric.name:
        return GateBlock(drop=margin)
    if name.endswith(INCREASE) and name != metric.name:
        raise BadMargin(
            f"`{name}` is {written}, which may be times or points.",
            f"Write {written}x for times the control, or `{metric.name}: {{drop: {written}}}` for so much more in the "
            "metric's unit.",
            "gate_kind",
        )
    raise BadMargin(
        f"The gate `{name}` is {written}, which may be a ratio, a difference or a bound.",
        f"Write {{ratio: {written}}} for times the control, {{drop: {written}}} for so much worse in the metric's "
        f"unit, or {{absolute: {written}}} for its own value.",
        "gate_kind",
    )


def _rule(given: GateBlock, metric: Metric, said: Said) -> Rule:
    kinds = [one for one in ("ratio", "drop", "absolute") if getattr(given, one) is not None]
    if len(kinds) != 1:
        raise BadMargin(
            f"The gate `{said.name}` has {' and '.join(kinds) if kinds else 'no margin'}.",
            "Give one of `ratio`, `drop` and `absolute`.",
            "gate_kind",
        )
    if given.negligible and kinds != ["ratio"]:
        raise BadMargin(
            f"The gate `{said.name}`: `negligible` goes with `ratio`.", "Leave it out.", "gate_kind", "negligible"
        )
    if given.drop is not None:
        return Drop(given.drop)
    if given.absolute is not None:
        return Absolute(given.absolute)
    usual = MARGINS.get(metric.name)
    negligible = given.negligible
    if negligible is None:
        rare = metric.shape == "rate" and metric.better == "lower" and metric.source == "call"
        negligible = usual.negligible if isinstance(usual, Ratio) else NEGLIGIBLE if rare else 0.0
    return Ratio(given.ratio or 0.0, negligible)
