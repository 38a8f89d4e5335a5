"""From the experiment file's blocks, once they are sound, to the Definition."""

import re

import msgspec

from tidegate.control.experiments.files.durations import seconds_of
from tidegate.control.experiments.files.metrics import FIGURES, KNOWN, metric_named
from tidegate.control.experiments.files.shape import ExperimentBlock, GuardrailBlock, MetricBlock, VariantBlock
from tidegate.control.experiments.model import CALL_FIELDS, Bandit, Cuped, Definition, Metric, Variant
from tidegate.control.gates.model import Absolute, Drop, Gate, Ratio, Rule
from tidegate.kernel.names import SEMVER_PATTERN

__all__ = ["definition_of", "metric_of", "metrics_of", "observe_of", "prompt_of", "subject_of", "window_of"]

WHOLE_BP = 10_000
OBSERVE_USER_S = 86_400
OBSERVE_TAG_S = 3_600
WINDOWS = 500
SHORTEST_WINDOW_S = 60
LONGEST_WINDOW_S = 3_600

_VERSION = SEMVER_PATTERN.strip("^$")
_PROMPT = re.compile(rf"(?P<name>.+?)(?:@v?|-v)(?P<version>{_VERSION})")


def definition_of(block: ExperimentBlock) -> Definition:
    """The Definition that a sound block stands for."""
    metrics = metrics_of(block)
    duration_s = _seconds(block.duration)
    cuped, bandit = block.cuped, block.bandit
    return Definition(
        name=block.name,
        environment=block.environment,
        subject=subject_of(block) or "",
        variants=_variants(block.variants),
        metrics=tuple(metrics.values()),
        primary=block.primary or next(iter(metrics)),
        rule=block.decision_rule,
        description=block.description,
        guardrails=_gates(block, metrics),
        on_breach=block.on_breach,
        unit=block.unit,
        salt=block.salt,
        layer=block.layer,
        tags=block.segment.tags,
        keys=block.segment.keys,
        observe_s=observe_of(block),
        window_s=window_of(block),
        duration_s=duration_s,
        min_samples=block.min_samples,
        alpha=block.significance_level,
        power=block.power,
        correction=block.correction,
        cuped=Cuped(lookback_s=_seconds(cuped.lookback)) if cuped else None,
        bandit=Bandit(
            algorithm=bandit.algorithm,
            floor=bandit.floor,
            every_s=_seconds(bandit.every),
            memory_s=_seconds(bandit.memory) if bandit.memory else None,
        )
        if bandit
        else None,
        units_per_day=block.units_per_day,
        watched=tuple(_watched(name, one) for name, one in block.guardrails.items() if name not in metrics),
    )


def metrics_of(block: ExperimentBlock) -> dict[str, Metric]:
    """The metrics by name, in the file's order."""
    if isinstance(block.metrics, dict):
        return {name: metric_of(name, one or MetricBlock()) for name, one in block.metrics.items()}
    return {name: metric_named(name) for name in block.metrics}


def metric_of(name: str, block: MetricBlock) -> Metric:
    """What a metric's block says, on top of what its name, its `of` or its field stands for."""
    base = metric_named(block.of or name)
    if block.of is None and name not in KNOWN and block.field in CALL_FIELDS and block.source != "feedback":
        base = FIGURES[block.field]
    if block.source == "feedback" and base.source == "call":
        base = metric_named("")
    event = block.above is not None or block.quantile is not None
    shape = block.shape or ("rate" if event else base.shape)
    better = block.better or base.better
    same = shape == base.shape
    return Metric(
        name=name,
        source=block.source or base.source,
        field=block.field or base.field or name,
        shape=shape,
        better=better,
        per_unit=block.per_unit or ("any" if shape == "rate" else base.per_unit if same else "mean"),
        above=block.above,
        quantile=block.quantile if event else base.quantile if same else None,
        missing=block.missing or base.missing,
        baseline=block.baseline,
        sd=block.sd,
        effect=block.effect,
        method=block.method or ("ratio" if shape == "rate" and better == "lower" else "difference"),
        burn_in=block.burn_in or base.burn_in,
        unit=block.unit if block.unit is not None else base.unit if same else "",
    )


def prompt_of(text: str) -> tuple[str, str] | None:
    """Name and version of `qa@3.2.1`, also written qa-v3.2.1; None for anything else."""
    found = _PROMPT.fullmatch(text)
    return (found["name"], found["version"]) if found else None


def subject_of(block: ExperimentBlock) -> str | None:
    """What the experiment is about; None when nothing says so."""
    named = [prompt_of(one.prompt) for one in block.variants.values() if one.prompt]
    if named and named[0] is not None:
        return f"prompt:{named[0][0]}"
    return block.subject


def observe_of(block: ExperimentBlock) -> int:
    """Seconds that a unit is watched."""
    if block.observe is not None:
        return _seconds(block.observe)
    return {"user": OBSERVE_USER_S, "request": 0}.get(block.unit, OBSERVE_TAG_S)


def window_of(block: ExperimentBlock) -> int:
    """Seconds of a window: a 500th of the duration in whole minutes, from a minute to an hour, unless said."""
    if block.window is not None:
        return _seconds(block.window)
    return min(max(round(_seconds(block.duration) / WINDOWS / 60) * 60, SHORTEST_WINDOW_S), LONGEST_WINDOW_S)


def _variants(blocks: dict[str, VariantBlock]) -> tuple[Variant, ...]:
    each, left = divmod(WHOLE_BP, len(blocks))
    variants = []
    for at, (name, block) in enumerate(blocks.items()):
        weight = each + (at < left) if block.traffic is None else round(block.traffic * 100)
        prompt, version = (prompt_of(block.prompt) if block.prompt else None) or (None, None)
        variants.append(Variant(name=name, weight_bp=weight, prompt=prompt, version=version, model=block.model))
    return tuple(variants)


def _gates(block: ExperimentBlock, metrics: dict[str, Metric]) -> tuple[Gate, ...]:
    gates = []
    for name, one in block.guardrails.items():
        metric = metrics.get(name) or _watched(name, one)
        gates.append(
            Gate(
                metric=name,
                rule=_margin(one),
                shape=metric.shape,
                better=metric.better,
                share=1 / len(block.guardrails),
                require_effect=one.require_effect,
                block=one.block,
                burn_in=metric.burn_in,
                sd=metric.sd,
            )
        )
    return tuple(gates)


def _watched(name: str, block: GuardrailBlock) -> Metric:
    """The metric of a guardrail that is none of `metrics`."""
    known = KNOWN[name]
    quantile = known.quantile if block.above is None else None
    return msgspec.structs.replace(known, baseline=block.baseline, sd=block.sd, above=block.above, quantile=quantile)


def _margin(block: GuardrailBlock) -> Rule:
    if block.ratio is not None:
        return Ratio(block.ratio)
    return Drop(block.drop) if block.drop is not None else Absolute(block.absolute or 0.0)


def _seconds(text: str) -> int:
    return seconds_of(text) or 0
