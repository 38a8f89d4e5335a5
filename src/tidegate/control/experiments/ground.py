"""The ground that an experiment stands on: an environment, models, and a free stretch of its layer. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from tidegate.control.experiments.model import Definition, Experiment, Variant
from tidegate.control.experiments.placing import place
from tidegate.control.policies.model import Config, Retention
from tidegate.control.releases.model import CANARY, Release
from tidegate.kernel.errors import Conflict, Invalid, NotFound
from tidegate.live.assignment import BUCKETS
from tidegate.live.snapshot import PromptVersion

__all__ = [
    "check_config_keeps",
    "check_free",
    "check_ground",
    "check_no_rollout",
    "check_thresholds",
    "check_variant",
    "retention_warnings",
]

PROMPT = "prompt:"
DAY_S = 86_400


def check_ground(config: Config, definition: Definition) -> None:
    """Raise NotFound unless the configuration has the environment and, for an alias, the subject."""
    if config.environment(definition.environment) is None:
        known = tuple(one.name for one in config.environments)
        raise NotFound("environment", definition.environment, known=known, param="environment")
    if not definition.subject.startswith(PROMPT) and not _has_model(config, definition.subject):
        raise NotFound("model", definition.subject, known=_models(config), mend="It is the experiment's subject.")


def check_no_rollout(definition: Definition, last: Release | None) -> None:
    """Raise Conflict when a rollout of the subject goes on: `last` is the prompt's newest release there."""
    if last is None or last.kind != CANARY:
        return
    there = f"{last.prompt} --env {last.environment}"
    raise Conflict(
        f"A rollout of {last.prompt} goes on in {last.environment}: calls cannot be in both.",
        mend=f"Wait until it is over, or end it with `tidegate release rollback {there}`.",
        code="rollout_live",
    )


def check_variant(config: Config, variant: Variant, version: PromptVersion | None) -> None:
    """Raise NotFound unless the model that the variant asks for is there: its own, else its prompt's."""
    model = variant.model or (version.model if version is not None else None)
    if model is not None and not _has_model(config, model):
        raise NotFound(
            "model",
            model,
            known=_models(config),
            mend=f"The variant {variant.name} asks for it: add it to tidegate.yaml and apply, or choose another.",
        )


def check_free(definition: Definition, running: Sequence[Experiment]) -> tuple[int, int]:
    """The place in its layer; raises Conflict when a run of its name is under way, when one of the same subject is in
    another layer, or when the layer is dealt out by another unit or is too full.
    """
    for one in running:
        other = one.definition
        if other.name == definition.name:
            raise Conflict(
                f"The experiment {definition.name} is running already.",
                mend=f"Decide or stop it first: `tidegate experiment status {definition.name}`.",
                code="experiment_running",
            )
        alike = (other.environment, other.subject) == (definition.environment, definition.subject)
        if alike and other.layer != definition.layer:
            raise Conflict(
                f"{other.name} is running on {definition.subject} in {definition.environment}, in the layer "
                f"{other.layer}: a call can be in one experiment only.",
                mend=_beside(definition, other, running),
                code="experiment_layer",
            )
    here = (definition.environment, definition.layer)
    beside = [one for one in running if (one.definition.environment, one.definition.layer) == here]
    other_unit = next((one.definition for one in beside if one.definition.unit != definition.unit), None)
    if other_unit is not None:
        raise Conflict(
            f"{other_unit.name} deals out the layer {definition.layer} by {other_unit.unit}, and this by "
            f"{definition.unit}: they would share units.",
            mend=f"Write `unit: {other_unit.unit}`, or take another layer.",
            code="layer_unit",
        )
    width = sum(variant.weight_bp for variant in definition.variants)
    found = place(((one.from_bp, one.to_bp) for one in beside), width)
    if found is None:
        used = sum(one.to_bp - one.from_bp for one in beside)
        names = ", ".join(one.definition.name for one in beside)
        raise Conflict(
            f"The layer {definition.layer} has no free stretch of {width / 100:g}% of the units: {used / 100:g}% are "
            f"taken by {names}.",
            mend=_less(BUCKETS - used),
            code="layer_full",
        )
    return found


def _beside(definition: Definition, other: Definition, running: Sequence[Experiment]) -> str:
    """How to run beside another experiment of the same subject, in its layer."""
    taken = [
        (one.from_bp, one.to_bp)
        for one in running
        if (one.definition.environment, one.definition.layer) == (other.environment, other.layer)
    ]
    wanted = sum(variant.weight_bp for variant in definition.variants)
    free = BUCKETS - sum(to_bp - from_bp for from_bp, to_bp in taken)
    if free < 2:
        return f"Wait until it is over, or stop it: the layer {other.layer} has no units left."
    less = "" if place(taken, wanted) is not None else f", with {free / 100:g}% of the traffic at most"
    return f"Write `layer: {other.layer}`{less}, to share its units, or wait until it is over."


def _less(free_bp: int) -> str:
    """What to do in a layer that is too full."""
    if free_bp <= 0:
        return "Wait until one of them is over."
    return f"Take less traffic (at most {free_bp / 100:g}%), or wait until one of them is over."


def check_thresholds(definition: Definition) -> None:
    """Raise Invalid when a metric counts units above a quantile that no history could tell."""
    for metric in (*definition.metrics, *definition.watched):
        if metric.quantile is not None and metric.above is None:
            raise Invalid(
                f"The metric {metric.name} counts units above the {metric.quantile:g} quantile of the calls before the "
                "start, and there are too few of them to tell it.",
                mend="Give `above` itself, or start when there were more calls.",
                code="threshold_unknown",
            )


def retention_warnings(definition: Definition, retention: Retention) -> tuple[str, ...]:
    """What retention would take away of the experiment's own calls, or of those before it, a line each."""
    lookback_s = definition.cuped.lookback_s if definition.cuped is not None else 0
    needed_s = definition.duration_s + definition.observe_s + lookback_s
    if needed_s <= retention.calls_days * DAY_S:
        return ()
    said = (
        f"Calls are kept for {retention.calls_days} days and this needs {needed_s / DAY_S:.0f}: raise "
        "`policies.calls_retention_days`, or its first units will be forgotten before its end."
    )
    return (said,)


def check_config_keeps(
    config: Config, running: Iterable[Experiment], versions: Mapping[tuple[str, str], PromptVersion]
) -> None:
    """Raise Conflict when a configuration lacks the environment or a model of a run that is under way."""
    for one in running:
        definition = one.definition
        try:
            check_ground(config, definition)
            for variant in definition.variants:
                check_variant(config, variant, versions.get((variant.prompt or "", variant.version or "")))
        except NotFound as missing:
            raise Conflict(
                f"The experiment {definition.name} is running and needs the {missing.kind} {missing.name!r}, which the "
                "new file lacks.",
                mend=f"Keep it, or run `tidegate experiment stop {definition.name}` first.",
                code=f"{missing.kind}_in_use",
            ) from missing


def _has_model(config: Config, model: str) -> bool:
    return model in config.routes or model in config.deployments


def _models(config: Config) -> tuple[str, ...]:
    return (*config.routes, *config.deployments)
