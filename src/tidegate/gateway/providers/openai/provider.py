"""The OpenAI dialect as a Provider: requests pass through almost untouched, so fields that we do not know survive."""

from collections.abc import AsyncIterator, Mapping
from typing import Final

import msgspec

from tidegate.gateway.call import Call, Reply
from tidegate.gateway.endpoints import ENDPOINTS
from tidegate.gateway.providers.openai.answers import read_answer
from tidegate.gateway.providers.openai.streams import follow
from tidegate.gateway.upstream.target import Target, make_target
from tidegate.kernel.errors import ProviderFailed
from tidegate.live.snapshot import Deployment

__all__ = ["OpenAIProvider"]

PATHS: Final = {endpoint.name: endpoint.upstream_path for endpoint in ENDPOINTS if endpoint.upstream_path}
HEADERS = (("Content-Type", "application/json"), ("Accept-Encoding", "identity"), ("User-Agent", "tidegate"))
INCLUDE_USAGE = msgspec.Raw(b'{"include_usage":true}')


class OpenAIProvider:
    """Speaks to any server with OpenAI's HTTP API."""

    def target(self, deployment: Deployment, environ: Mapping[str, str]) -> Target:
        """Prepare address and headers. A key that is not in the environment makes a target that refuses, not a
        gateway that will not start.
        """
        variable = deployment.api_key_env
        secret = environ.get(variable, "").strip() if variable else ""
        own = (*HEADERS, ("Authorization", f"Bearer {secret}")) if secret else HEADERS
        said = {name.lower() for name in deployment.headers}
        headers = {name: value for name, value in own if name.lower() not in said}
        target = make_target(deployment.name, deployment.base_url, PATHS, {**headers, **deployment.headers})
        if variable and not secret:
            target.fault = ProviderFailed(
                f"Model {deployment.name!r} needs the environment variable {variable}, which is not set.",
                mend=f"Set {variable} where the gateway starts, then restart it.",
                code="api_key_env_missing",
            )
        target.connect_timeout_s = deployment.connect_timeout_s
        target.first_token_timeout_s = deployment.first_token_timeout_s
        target.idle_timeout_s = deployment.idle_timeout_s
        target.total_timeout_s = deployment.total_timeout_s
        return target

    def encode(self, call: Call, deployment: Deployment) -> bytes:
        """The client's body with the upstream's model name, and with usage asked for in streams."""
        payload = call.payload
        payload["model"] = msgspec.Raw(msgspec.json.encode(deployment.upstream_model))
        if call.stream and not call.usage_wanted:
            payload["stream_options"] = _with_usage(payload.get("stream_options"))
        return msgspec.json.encode(payload)

    def read(self, call: Call, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
        """See `read_answer`."""
        return read_answer(call, status, headers, body)

    def follow(self, call: Call, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """See `streams.follow`."""
        return follow(call, chunks)


def _with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    """The client's stream_options with include_usage set; its other fields stay."""
    if options is None or bytes(options) == b"null":
        return INCLUDE_USAGE
    fields = msgspec.json.decode(options, type=dict[str, msgspec.Raw])
    return msgspec.Raw(msgspec.json.encode({**fields, "include_usage": True}))
