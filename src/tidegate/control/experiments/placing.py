"""Where an experiment stands among others, and what the gateway is told of it. Pure."""

from collections.abc import Iterable, Sequence

from tidegate.control.experiments.model import Assignment, Experiment
from tidegate.control.monitoring.exposures import Exposures
from tidegate.live.assignment import BUCKETS, bucket
from tidegate.live.experiments import HOLDOUT, REQUEST, TAG, LiveExperiment, LiveVariant, Seen, enrol

__all__ = [
    "assignment_of",
    "live_by_environment",
    "live_experiment",
    "new_units_per_day",
    "place",
    "shares",
    "versions_of",
]

DAY_MS = 86_400_000


def place(taken: Iterable[tuple[int, int]], width: int) -> tuple[int, int] | None:
    """The first free stretch [from, to) of this width among 10,000 buckets; None when there is none."""
    at = 0
    for begins, ends in sorted(taken):
        if begins - at >= width:
            break
        at = max(at, ends)
    return (at, at + width) if at + width <= BUCKETS else None


def shares(weights: Sequence[int]) -> tuple[int, ...]:
    """The weights as shares that sum to 10,000, rounded by the largest remainder; the weights sum to more than 0."""
    whole = sum(weights)
    rounded = [weight * BUCKETS // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda at: (-(weights[at] * BUCKETS % whole), at))
    for at in by_remainder[: BUCKETS - sum(rounded)]:
        rounded[at] += 1
    return tuple(rounded)


def live_experiment(experiment: Experiment) -> LiveExperiment:
    """What the gateway is told of a run."""
    definition = experiment.definition
    weighed = zip(definition.variants, experiment.weights_bp, strict=True)
    return LiveExperiment(
        experiment_id=experiment.experiment_id,
        name=definition.name,
        environment=definition.environment,
        subject=definition.subject,
        unit=definition.unit,
        salt=experiment.salt,
        layer=definition.layer,
        from_bp=experiment.from_bp,
        to_bp=experiment.to_bp,
        variants=tuple(
            LiveVariant(name=one.name, weight_bp=weight, version=one.version, model=one.model)
            for one, weight in weighed
        ),
        tags=definition.tags,
        keys=definition.keys,
    )


def live_by_environment(running: Iterable[Experiment]) -> dict[str, dict[str, tuple[LiveExperiment, ...]]]:
    """The runs as the Snapshot wants them: [environment][subject], in the order of their start."""
    found: dict[str, dict[str, tuple[LiveExperiment, ...]]] = {}
    for one in running:
        subjects = found.setdefault(one.definition.environment, {})
        subjects[one.definition.subject] = (*subjects.get(one.definition.subject, ()), live_experiment(one))
    return found


def versions_of(running: Iterable[Experiment]) -> set[tuple[str, str]]:
    """Every (prompt, version) that the runs' variants stand for."""
    variants = (variant for one in running for variant in one.definition.variants)
    return {(one.prompt, one.version) for one in variants if one.prompt is not None and one.version is not None}


def new_units_per_day(history: Exposures, now_ms: int) -> float | None:
    """How many units a day came for the first time, over at least a day; None when none did."""
    if not history.calls:
        return None
    days = max(1.0, (now_ms - history.calls[0].started_at_ms) / DAY_MS)
    return len({call.unit for call in history.calls}) / days


def assignment_of(experiment: Experiment, unit: str, holdout_bp: int) -> Assignment:
    """What a unit of the run's segment gets; with the unit `request`, a unit is a call's id. Of a run that is over,
    nobody gets anything.
    """
    if experiment.state != "running":
        why = f"It is over ({experiment.state}): everybody gets what is live."
        return Assignment(experiment=experiment.definition.name, unit=unit, variant=None, why=why)
    live, definition = live_experiment(experiment), experiment.definition
    tags = dict(live.tags)
    if live.unit.startswith(TAG):
        tags.setdefault(live.unit.removeprefix(TAG), unit)
    seen = Seen(unit, None if live.unit == REQUEST else unit, tags, live.keys[0] if live.keys else "")
    found = enrol(live, seen, holdout_bp)
    if found is None:
        held = holdout_bp and bucket(HOLDOUT, unit) < holdout_bp
        share = (live.to_bp - live.from_bp) / 100
        why = "It is held out of every experiment." if held else f"It is not among the {share:g}% of its layer."
        return Assignment(experiment=definition.name, unit=unit, variant=None, why=why)
    chosen = next(one for one in definition.variants if one.name == found.variant.name)
    return Assignment(
        experiment=definition.name,
        unit=unit,
        variant=chosen.name,
        propensity=found.propensity,
        prompt=chosen.prompt,
        version=chosen.version,
        model=chosen.model,
    )
