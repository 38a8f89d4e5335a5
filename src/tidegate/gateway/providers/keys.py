"""What all providers do with a deployment's key and times."""

from collections.abc import Mapping
from typing import Final

from tidegate.gateway.upstream.target import Target, make_target
from tidegate.kernel.errors import ProviderFailed
from tidegate.live.snapshot import Deployment

__all__ = ["key_fault", "key_of", "missing", "target_of"]

HEADERS: Final = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "tidegate"}


def key_of(deployment: Deployment, environ: Mapping[str, str]) -> str:
    """The deployment's key; empty when it has none."""
    return environ.get(deployment.api_key_env, "").strip() if deployment.api_key_env else ""


def key_fault(deployment: Deployment, environ: Mapping[str, str]) -> ProviderFailed | None:
    """The fault of a key that was named and is not there."""
    if not deployment.api_key_env or key_of(deployment, environ):
        return None
    return missing(deployment, deployment.api_key_env)


def missing(deployment: Deployment, variable: str) -> ProviderFailed:
    """A variable that is needed and not set: a target with this fault refuses its calls, and the gateway starts."""
    return ProviderFailed(
        f"Model {deployment.name!r} needs the environment variable {variable}, which is not set.",
        mend=f"Set {variable} where the gateway starts, then restart it.",
        code="api_key_env_missing",
    )


def target_of(deployment: Deployment, base_url: str, own: Mapping[str, str]) -> Target:
    """A target with the provider's own headers, the deployment's over them, and its times; raises Invalid."""
    given = {name.lower() for name in deployment.headers}
    headers = {name: value for name, value in {**HEADERS, **own}.items() if name.lower() not in given}
    target = make_target(deployment.name, base_url, {}, {**headers, **deployment.headers})
    target.connect_timeout_s = deployment.connect_timeout_s
    target.first_token_timeout_s = deployment.first_token_timeout_s
    target.idle_timeout_s = deployment.idle_timeout_s
    target.total_timeout_s = deployment.total_timeout_s
    return target
