"""The ground that a release stands on: an environment, a model, and a way back that can be walked."""

from collections.abc import Iterable

from tidegate.control.policies.model import Config
from tidegate.control.releases.model import Release, Way, models_of
from tidegate.kernel.errors import Conflict, NotFound
from tidegate.live.snapshot import PromptVersion

__all__ = ["check_config_keeps", "check_direct", "check_environment", "check_model", "check_way_back", "has_model"]


def has_model(config: Config, model: str) -> bool:
    """Whether the configuration has a route or a model of this name."""
    return model in config.routes or model in config.deployments


def check_environment(config: Config, environment: str) -> None:
    """Raise NotFound unless the configuration has the environment."""
    if config.environment(environment) is None:
        known = tuple(one.name for one in config.environments)
        raise NotFound("environment", environment, known=known, param="environment")


def check_model(config: Config, version: PromptVersion) -> None:
    """Raise NotFound unless the version's model is there."""
    if not has_model(config, version.model):
        raise NotFound(
            "model",
            version.model,
            known=(*config.routes, *config.deployments),
            mend=f"{version.name} {version.version} asks for it: add it to tidegate.yaml and apply, or choose another.",
        )


def check_direct(config: Config, last: Release | None, version: str, environment: str) -> None:
    """Raise Conflict where a version may not replace a live one at once: in a protected environment."""
    place = config.environment(environment)
    if place is None or not place.protected or last is None or last.version is None:
        return
    raise Conflict(
        f"{environment} is protected, and {last.prompt} {last.version} is live there: {version} may not replace it at "
        "once.",
        mend=f"Let it take over step by step: `tidegate release start {last.prompt}@{version} --env {environment}`. If "
        "that cannot wait: `tidegate release deploy` with --emergency and a --reason.",
        code="environment_protected",
    )


def check_way_back(config: Config, last: Release, found: PromptVersion | None, *, target: Way | None = None) -> None:
    """Raise Conflict unless the version to which one would go back (`target`, else what is live) can be served."""
    version = target.version if target is not None else last.version
    asked = target.model if target is not None else last.model
    why = None
    if found is None:
        why = "it is not in the registry"
    elif not has_model(config, asked or found.model):
        why = f"its model {asked or found.model!r} is not in the configuration"
    if why is None:
        return
    raise Conflict(
        f"The way back of {last.prompt} in {last.environment}, {version}, is missing: {why}.",
        mend="Bring it back (`tidegate apply`), or `tidegate release withdraw` first: then none is needed.",
        code="way_back_missing",
    )


def check_config_keeps(
    config: Config, releases: Iterable[Release], versions: dict[tuple[str, str], PromptVersion]
) -> None:
    """Raise Conflict when a configuration lacks the environment or the model of what is live, or of its way back."""
    for release in (one for one in releases if one.arms):
        place = f"{release.prompt} is live in {release.environment}"
        if config.environment(release.environment) is None:
            raise Conflict(
                f"{place}, which the new file lacks.",
                mend=f"Keep it, or run `tidegate release withdraw {release.prompt} --env {release.environment}` first.",
                code="environment_in_use",
            )
        for model in models_of(release):
            if not has_model(config, model):
                raise Conflict(
                    f"{place} on the model {model!r}, now or on its way back, and the new file lacks it.",
                    mend="Keep the model, or release a version that asks for another one first.",
                    code="model_in_use",
                )
        for number in (*(arm.version for arm in release.arms), release.previous_version):
            version = versions.get((release.prompt, number)) if number is not None else None
            if version is not None and not has_model(config, version.model):
                role = "the way back" if number == release.previous_version else "live"
                raise Conflict(
                    f"{place}: {number} ({role}) asks for the model {version.model!r}, which the new file lacks.",
                    mend="Keep the model, or release a version that asks for another one first.",
                    code="model_in_use",
                )
