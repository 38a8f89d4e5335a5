"""Azure OpenAI as a Provider: OpenAI's words, at a deployment's own path or under /openai/v1.

Addresses: https://learn.microsoft.com/azure/ai-foundry/openai/reference and .../api-version-lifecycle (read 2026-11).
With a dated `options.api_version`: {base_url}/openai/deployments/{model}/...?api-version=DATE. Without one (or with
v1, latest, preview), or when base_url ends in /openai/v1: {base_url}/openai/v1/... The key goes as `api-key`, or with
`options.auth: bearer` as a bearer token (Microsoft Entra ID).
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from tidegate.gateway.call import Reply
from tidegate.gateway.providers.base import Ask, Reader
from tidegate.gateway.providers.keys import key_fault, key_of, target_of
from tidegate.gateway.providers.openai.provider import PATHS, OpenAIProvider
from tidegate.gateway.upstream.target import Target
from tidegate.live.snapshot import Deployment

__all__ = ["AzureProvider", "models_path", "passed_path"]

V1 = "/openai/v1"
UNDATED = ("", "v1")
SPOKEN: Final = frozenset({"chat.completions", "completions", "embeddings"})


class AzureProvider:
    """Speaks to Azure OpenAI; what is said there is OpenAI's."""

    def __init__(self) -> None:
        self._openai = OpenAIProvider()

    def target(self, deployment: Deployment, environ: Mapping[str, str]) -> Target:
        """See `Provider`."""
        key = key_of(deployment, environ)
        bearer = deployment.options.get("auth") == "bearer"
        own = {"Authorization": f"Bearer {key}"} if bearer else {"api-key": key}
        target = target_of(deployment, deployment.base_url, own if key else {})
        target.fault = key_fault(deployment, environ)
        return target

    def speaks(self, deployment: Deployment) -> frozenset[str]:
        """See `Provider`: responses are served under /openai/v1 only."""
        return self._openai.speaks(deployment) if _is_v1(deployment) else SPOKEN

    def request(self, target: Target, ask: Ask) -> bytes:
        """OpenAI's body at Azure's path."""
        return target.post(_path(ask), self._openai.body(ask))

    def streams(self, headers: Mapping[bytes, bytes]) -> bool:
        """See `Provider`."""
        return self._openai.streams(headers)

    def read(self, ask: Ask, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
        """See `Provider`."""
        return self._openai.read(ask, status, headers, body)

    def reader(self, ask: Ask) -> Reader:
        """See `Provider`."""
        return self._openai.reader(ask)


def passed_path(deployment: Deployment, path: str) -> str | None:
    """Where a path of OpenAI's API is under the base URL, its query with it; None where there is only the dated API."""
    if not _is_v1(deployment):
        return None
    version = quote(deployment.options.get("api_version", ""), safe="")
    start = "" if deployment.base_url.rstrip("/").endswith(V1) else V1
    return f"{start}{path}" if version in UNDATED else f"{start}{path}?api-version={version}"


def models_path(deployment: Deployment) -> str:
    """Where the resource lists its models, under the base URL; costs no token."""
    version = quote(deployment.options.get("api_version", ""), safe="")
    if not _is_v1(deployment):
        return f"/openai/models?api-version={version}"
    start = "" if deployment.base_url.rstrip("/").endswith(V1) else V1
    return f"{start}/models" if version in UNDATED else f"{start}/models?api-version={version}"


def _is_v1(deployment: Deployment) -> bool:
    version = deployment.options.get("api_version", "")
    return deployment.base_url.rstrip("/").endswith(V1) or not version[:1].isdigit()


def _path(ask: Ask) -> str:
    deployment = ask.deployment
    version = quote(deployment.options.get("api_version", ""), safe="")
    path = PATHS[ask.endpoint]
    if _is_v1(deployment):
        start = "" if deployment.base_url.rstrip("/").endswith(V1) else V1
        query = "" if version in UNDATED else f"?api-version={version}"
        return f"{start}{path}{query}"
    return f"/openai/deployments/{quote(ask.model, safe='')}{path}?api-version={version}"
