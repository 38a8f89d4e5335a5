"""Vertex AI as a Provider: Gemini's bodies at a project's and location's address.

Addresses: https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest (read 2026-11).
`options.project` and `options.location` say where; `options.auth: token` takes a ready token from `api_key_env`.
Otherwise `api_key_env` (GOOGLE_APPLICATION_CREDENTIALS) names the variable with the path of a service account's JSON
key, or with the key itself.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from tidegate.gateway.call import Reply
from tidegate.gateway.providers.base import Ask, Reader
from tidegate.gateway.providers.eventlines import is_events
from tidegate.gateway.providers.gemini.answers import read_gemini
from tidegate.gateway.providers.gemini.provider import method_of
from tidegate.gateway.providers.gemini.requests import generate_body, predict_body
from tidegate.gateway.providers.gemini.streams import GeminiReader
from tidegate.gateway.providers.keys import missing, target_of
from tidegate.gateway.providers.vertex.tokens import ReadyToken, ServiceTokens, read_account
from tidegate.gateway.upstream.target import Target
from tidegate.kernel.errors import Invalid
from tidegate.live.snapshot import Deployment

__all__ = ["VertexProvider"]

CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"
GLOBAL = "global"
SPOKEN = frozenset({"chat.completions", "embeddings"})


class VertexProvider:
    """Speaks to Gemini models on Vertex AI."""

    def target(self, deployment: Deployment, environ: Mapping[str, str]) -> Target:
        """See `Provider`."""
        project, location = _place(deployment)
        host = "aiplatform.googleapis.com" if location == GLOBAL else f"{location}-aiplatform.googleapis.com"
        target = target_of(deployment, deployment.base_url or f"https://{host}/v1", {})
        target.base_path += f"/projects/{quote(project, safe='')}/locations/{quote(location, safe='')}"
        variable = deployment.api_key_env or CREDENTIALS
        given = environ.get(variable, "").strip()
        if not given:
            target.fault = missing(deployment, variable)
        elif deployment.options.get("auth") == "token":
            target.signer = ReadyToken(given)
        else:
            tokens = ServiceTokens(deployment.name, read_account(deployment.name, _read(given, variable), variable))
            target.signer, target.prepare = tokens, tokens.prepare
        return target

    def speaks(self, deployment: Deployment) -> frozenset[str]:
        """See `Provider`."""
        return SPOKEN

    def request(self, target: Target, ask: Ask) -> bytes:
        """See `Provider`."""
        model = f"/publishers/google/models/{quote(ask.model, safe='')}"
        if ask.endpoint == "embeddings":
            return target.post(f"{model}:predict", predict_body(ask))
        return target.post(f"{model}:{method_of(ask)}", generate_body(ask))

    def streams(self, headers: Mapping[bytes, bytes]) -> bool:
        """See `Provider`."""
        return is_events(headers)

    def read(self, ask: Ask, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
        """See `read_gemini`."""
        return read_gemini(ask, status, headers, body)

    def reader(self, ask: Ask) -> Reader:
        """See `GeminiReader`."""
        return GeminiReader(ask)


def _place(deployment: Deployment) -> tuple[str, str]:
    for name in ("project", "location"):
        if not deployment.options.get(name):
            raise Invalid(
                f"Model {deployment.name!r} at Vertex AI needs options.{name}.",
                mend="Write options: {project: my-project, location: europe-west4}.",
                code="missing_option",
            )
    return deployment.options["project"], deployment.options["location"]


def _read(path: str, variable: str) -> bytes:
    if path.startswith("{"):
        return path.encode()
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise Invalid(
            f"The file that {variable} names cannot be read: {error}.",
            mend="Name the JSON key of a service account.",
            code="bad_credentials",
        ) from error
