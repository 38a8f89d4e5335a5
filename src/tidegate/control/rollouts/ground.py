"""The ground that a rollout stands on: something live to go back to, a candidate, a free place. Pure."""

from collections.abc import Iterable

from tidegate.control.experiments.model import Experiment
from tidegate.control.policies.model import Config
from tidegate.control.releases.ground import has_model
from tidegate.control.releases.model import Release
from tidegate.control.rollouts.model import Plan, Rollout, Side, Wanted
from tidegate.kernel.errors import Conflict, Invalid, NotFound
from tidegate.live.snapshot import PromptVersion

__all__ = ["check_config_keeps", "check_free", "check_plan", "check_side", "sides_of"]


def sides_of(wanted: Wanted, last: Release | None) -> tuple[Side, Side]:
    """What is live, and what shall take over; raises Conflict when nothing is live, or nothing would change."""
    prompt, place = wanted.prompt, wanted.environment
    if last is None or last.version is None:
        version = wanted.version or "VERSION"
        raise Conflict(
            f"Nothing of {prompt} is live in {place}: there is nothing to compare with, and no way back.",
            mend=f"Deploy the first version at once: `tidegate release deploy {prompt}@{version} --env {place}`.",
            code="nothing_live",
        )
    stable = Side(version=last.version, model=last.model)
    candidate = Side(version=wanted.version or last.version, model=wanted.model)
    if candidate == stable:
        what = f"{candidate.version}" + (f" on {candidate.model}" if candidate.model else "")
        raise Conflict(
            f"{prompt} {what} is live in {place} already (release {last.number}).",
            mend="Name another version, or another model with --model.",
            code="already_live",
        )
    return stable, candidate


def check_side(config: Config, prompt: str, side: Side, version: PromptVersion) -> None:
    """Raise NotFound unless the model that the side asks for is there."""
    model = side.model or version.model
    if not has_model(config, model):
        raise NotFound(
            "model",
            model,
            known=(*config.routes, *config.deployments),
            mend=f"{prompt} {side.version} asks for it: add it to tidegate.yaml and apply, or choose another.",
        )


def check_plan(config: Config, plan: Plan, environment: str, staging: str) -> None:
    """Raise Invalid where the plan cannot be walked in this environment, NotFound without its staging."""
    if not any(stage.kind == "staging" for stage in plan.stages):
        return
    if environment == staging:
        raise Invalid(
            f"The plan has a stage in {staging}, and the rollout is in {staging} itself.",
            mend="Leave that stage out.",
            code="staging_in_staging",
        )
    if config.environment(staging) is None:
        known = tuple(one.name for one in config.environments)
        raise NotFound("environment", staging, known=known, mend="The plan has a stage there: add it, or leave it out.")


def check_free(wanted: Wanted, last: Rollout | None, running: Iterable[Experiment]) -> None:
    """Raise Conflict when a rollout of the prompt goes on there, or an experiment tries its versions."""
    prompt, place = wanted.prompt, wanted.environment
    if last is not None and last.ended_at_ms is None:
        there = f"{prompt} --env {place}"
        raise Conflict(
            f"A rollout of {prompt} to {last.candidate.version} goes on in {place}: it is "
            f"{last.state.replace('_', ' ')} in {last.now_in.name}.",
            mend=f"See `tidegate release status {there}`; end it with `tidegate release rollback {there}`.",
            code="rollout_live",
        )
    for one in running:
        definition = one.definition
        if (definition.environment, definition.subject) == (place, f"prompt:{prompt}"):
            raise Conflict(
                f"The experiment {definition.name} is running on {prompt} in {place}: calls cannot be in both.",
                mend=f"Decide or stop it first: `tidegate experiment status {definition.name}`.",
                code="experiment_running",
            )


def check_config_keeps(config: Config, live: Iterable[Rollout]) -> None:
    """Raise Conflict when a configuration lacks the staging that a rollout under way has still to come to. What its
    versions need, the guard of releases keeps: both are live.
    """
    for one in live:
        ahead = one.plan.stages[one.stage :]
        if any(stage.kind == "staging" for stage in ahead) and config.environment("staging") is None:
            raise Conflict(
                f"The rollout of {one.prompt} in {one.environment} has still to come to staging, which the new file "
                "lacks.",
                mend=f"Keep it, or run `tidegate release rollback {one.prompt} --env {one.environment}` first.",
                code="environment_in_use",
            )
