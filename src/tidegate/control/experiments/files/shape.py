"""The experiment file, as its author writes it. The published JSON Schema is made from it."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from tidegate.control.experiments.files.durations import DURATION_PATTERN

__all__ = [
    "DEFAULT_RULE",
    "BanditBlock",
    "CupedBlock",
    "ExperimentBlock",
    "ExperimentFile",
    "GuardrailBlock",
    "MetricBlock",
    "SegmentBlock",
    "VariantBlock",
    "experiment_schema",
]

DEFAULT_RULE = "primary wins and no guardrail loses"

Words: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
Share: TypeAlias = Annotated[float, Meta(gt=0, lt=1)]


def _duration(what: str) -> Meta:
    return Meta(description=f"{what} As 90s, 5m, 1h, 7d.", extra_json_schema={"pattern": DURATION_PATTERN})


class _Block(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every block refuses fields that it does not know."""


class VariantBlock(_Block, frozen=True, kw_only=True):
    """One variant."""

    prompt: Annotated[
        Words | None,
        Meta(description="The prompt and its version: qa@3.2.1. Absent: what the call would get anyway."),
    ] = None
    model: Annotated[
        Words | None,
        Meta(description="The alias or model that is asked instead of the prompt's own, or of `subject`."),
    ] = None
    traffic: (
        Annotated[
            float,
            Meta(
                ge=0.01, le=100, description="Percent of all units. Absent in all variants: equal parts of all of them."
            ),
        ]
        | None
    ) = None


class MetricBlock(_Block, frozen=True, kw_only=True):
    """What one unit is measured by. Each field that is absent is as the name, or `of`, says."""

    of: Annotated[Words | None, Meta(description="The metric that this one is like, but for what is said here.")] = None
    source: Annotated[
        Literal["call", "feedback"] | None, Meta(description="The call's own record, or POST /v1/feedback.")
    ] = None
    field: Annotated[
        Words | None, Meta(description="The record's figure (latency_ms), or the name under which feedback comes.")
    ] = None
    shape: Annotated[
        Literal["rate", "mean"] | None, Meta(description="rate: one event a unit at most. mean: any number.")
    ] = None
    better: Literal["higher", "lower"] | None = None
    per_unit: Annotated[
        Literal["mean", "sum", "any", "first"] | None, Meta(description="What is made of several calls of one unit.")
    ] = None
    above: Annotated[float | None, Meta(description="A call above this is an event; the metric is then a rate.")] = None
    quantile: Annotated[
        Share | None,
        Meta(description="`above` is this quantile of the calls before the start, fixed then: 0.95 for p95."),
    ] = None
    missing: Annotated[
        Literal["ignore", "zero"] | None, Meta(description="A unit without a value: left out, or 0.")
    ] = None
    baseline: Annotated[float | None, Meta(description="The control's mean or rate, as far as it is known.")] = None
    sd: Annotated[float, Meta(gt=0, description="The standard deviation of one unit, for means.")] | None = None
    effect: (
        Annotated[float, Meta(gt=0, description="The least difference that is worth having, in the metric's unit.")]
        | None
    ) = None
    method: Annotated[
        Literal["difference", "ratio"] | None, Meta(description="ratio: exact, for rates of rare events.")
    ] = None
    burn_in: Annotated[int, Meta(ge=2, le=100_000, description="Units of each variant before it is judged.")] | None = (
        None
    )
    unit: Annotated[str, Meta(max_length=16, description="What the numbers are in: ms, usd, tokens.")] | None = None


class GuardrailBlock(_Block, frozen=True, kw_only=True):
    """How much worse the treatment may be. Give one of `ratio`, `drop` and `absolute`."""

    ratio: (
        Annotated[float, Meta(gt=0, description="Times the control: at most 1.2, of what should be high at least 0.9.")]
        | None
    ) = None
    drop: Annotated[float, Meta(gt=0, description="So much worse than the control, in its unit.")] | None = None
    absolute: Annotated[float | None, Meta(description="The treatment's own value, whatever the control's.")] = None
    baseline: Annotated[
        float | None, Meta(description="The control's mean or rate, where the metric is none of `metrics`.")
    ] = None
    sd: (
        Annotated[float, Meta(gt=0, description="One unit's standard deviation, where it is none of `metrics`.")] | None
    ) = None
    above: Annotated[
        float | None, Meta(description="The threshold of p95_latency_ms and its like, instead of the calls before.")
    ] = None
    block: Annotated[bool, Meta(description="Whether a breach keeps it from shipping, or only warns.")] = True
    require_effect: Annotated[
        float, Meta(ge=0, le=1, description="A proven harm counts only beyond this part of the margin.")
    ] = 0.5


class SegmentBlock(_Block, frozen=True, kw_only=True):
    """Whose calls are in it. Absent: everybody's."""

    tags: Annotated[dict[str, Words], Meta(max_length=8, description="Tags that a call must have.")] = {}
    keys: Annotated[
        tuple[Words, ...], Meta(max_length=64, description="Names of keys, of which one must be used.")
    ] = ()


class CupedBlock(_Block, frozen=True, kw_only=True):
    """The primary metric is adjusted by what the same unit showed before the start."""

    lookback: Annotated[str, _duration("How far back.")] = "14d"


class BanditBlock(_Block, frozen=True, kw_only=True):
    """Traffic follows what is learned. The reward is the primary metric."""

    algorithm: Annotated[
        Literal["thompson", "top-two"],
        Meta(description="thompson: least reward lost. top-two: the best of four or more found soonest."),
    ] = "thompson"
    floor: Annotated[
        float, Meta(ge=0.001, lt=1, description="Each variant's least share: none is given up for good.")
    ] = 0.1
    every: Annotated[str, _duration("How often weights change.")] = "10m"
    memory: Annotated[str, _duration("How long a unit is remembered; absent: for good.")] | None = None


class ExperimentBlock(_Block, frozen=True, kw_only=True):
    """One experiment."""

    name: Annotated[str, Meta(description="1 to 64 of a-z, 0-9, '.', '_', '-'.")]
    description: Annotated[str, Meta(max_length=2000)] = ""
    environment: Annotated[str, Meta(description="Where it runs.")] = "production"
    subject: Annotated[
        str | None,
        Meta(description="The alias whose calls are in it, or `prompt:NAME`; absent: the variants' prompt."),
    ] = None
    variants: Annotated[
        dict[str, VariantBlock], Meta(max_length=16, description="By name; the first one is the control.")
    ]
    metrics: Annotated[
        tuple[str, ...] | dict[str, MetricBlock | None],
        Meta(description="Names, or blocks by name. A name that is not known is feedback under that name."),
    ]
    primary: Annotated[str | None, Meta(description="The metric that decides. Absent: the first.")] = None
    guardrails: Annotated[
        dict[str, GuardrailBlock], Meta(max_length=16, description="Metrics that may not get worse, and their margins.")
    ] = {}
    decision_rule: Annotated[str, Meta(max_length=1000, description="What must hold to ship.")] = DEFAULT_RULE
    on_breach: Annotated[
        Literal["stop", "warn"], Meta(description="What a guardrail that is breached does to the experiment.")
    ] = "stop"
    unit: Annotated[
        str,
        Meta(
            description="Who is assigned and counted: user, request, or tag:NAME.",
            extra_json_schema={"pattern": "^(user|request|tag:.+)$"},
        ),
    ] = "user"
    salt: Annotated[str, Meta(description="What units are dealt out by. Absent: a new one, so a new deal.")] = ""
    layer: Annotated[str, Meta(description="Experiments of one layer never share a unit. Absent: of its own.")] = ""
    segment: SegmentBlock = SegmentBlock()
    observe: (
        Annotated[str, _duration("How long a unit is watched before it is judged, once. Absent: by the unit.")] | None
    ) = None
    window: Annotated[str, _duration("Variants are compared inside such windows. Absent: by the duration.")] | None = (
        None
    )
    duration: Annotated[str, _duration("How long it runs at most.")] = "7d"
    min_samples: Annotated[int, Meta(ge=1, le=10**9, description="Units of each variant before one ships.")] = 1000
    significance_level: Annotated[
        float, Meta(ge=0.0001, le=0.3, description="The share of wrong findings allowed, two-sided.")
    ] = 0.05
    power: Annotated[float, Meta(ge=0.5, le=0.999, description="The probability to find the effect, for planning.")] = (
        0.8
    )
    correction: Annotated[
        Literal["holm", "bonferroni", "benjamini-hochberg", "none"],
        Meta(description="How the metrics that the rule names are judged together."),
    ] = "holm"
    cuped: CupedBlock | None = None
    bandit: BanditBlock | None = None
    units_per_day: (
        Annotated[float, Meta(ge=1, le=1e12, description="Units a day that come by, in the experiment or not.")] | None
    ) = None


class ExperimentFile(_Block, frozen=True, kw_only=True, rename={"api_version": "apiVersion"}):
    """The whole file."""

    api_version: Literal["experiments/v1"] = "experiments/v1"
    experiment: ExperimentBlock


def experiment_schema() -> dict[str, object]:
    """The JSON Schema of the experiment file, as published in docs/reference/experiment.schema.json."""
    schema = msgspec.json.schema(ExperimentFile)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A Tidegate experiment", **schema}
