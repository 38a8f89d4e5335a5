"""The OpenAI dialect as a Provider: requests pass through almost untouched, so fields that we do not know survive."""

from collections.abc import Mapping
from typing import Final

import msgspec

from tidegate.gateway.call import Reply
from tidegate.gateway.endpoints import ENDPOINTS
from tidegate.gateway.providers.base import Ask, Reader
from tidegate.gateway.providers.eventlines import is_events
from tidegate.gateway.providers.openai.answers import read_answer
from tidegate.gateway.providers.openai.responses import ResponseReader, read_response
from tidegate.gateway.providers.openai.streams import ChatReader
from tidegate.gateway.upstream.target import Target, make_target
from tidegate.kernel.errors import ProviderFailed
from tidegate.live.snapshot import Deployment

__all__ = ["OpenAIProvider"]

PATHS: Final = {endpoint.name: endpoint.upstream_path for endpoint in ENDPOINTS if endpoint.upstream_path}
HEADERS = (("Content-Type", "application/json"), ("Accept-Encoding", "identity"), ("User-Agent", "tidegate"))
EVERYTHING = frozenset({"chat.completions", "completions", "embeddings", "responses"})
WITHOUT_RESPONSES = EVERYTHING - {"responses"}
COUNTED = frozenset({"chat.completions", "completions"})
OK = 200
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

    def speaks(self, deployment: Deployment) -> frozenset[str]:
        """See `Provider`: everything, responses only where the upstream is said to have them."""
        return EVERYTHING if deployment.native_responses else WITHOUT_RESPONSES

    def request(self, target: Target, ask: Ask) -> bytes:
        """See `body`."""
        return target.request(ask.endpoint, self.body(ask))

    def body(self, ask: Ask) -> bytes:
        """The client's body with the upstream's model name, and with usage asked for in streams."""
        payload = {**ask.payload, "model": msgspec.Raw(msgspec.json.encode(ask.model))}
        if ask.stream and ask.endpoint in COUNTED and ask.deployment.stream_usage and not _asks_usage(ask):
            payload["stream_options"] = _with_usage(payload.get("stream_options"))
        return msgspec.json.encode(payload)

    def streams(self, headers: Mapping[bytes, bytes]) -> bool:
        """See `Provider`."""
        return is_events(headers)

    def read(self, ask: Ask, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
        """See `read_answer` and `read_response`."""
        if status == OK and ask.endpoint == "responses":
            return read_response(ask, headers, body)
        return read_answer(ask, status, headers, body)

    def reader(self, ask: Ask) -> Reader:
        """See `ChatReader` and `ResponseReader`."""
        return ResponseReader(ask) if ask.endpoint == "responses" else ChatReader(ask)


def _asks_usage(ask: Ask) -> bool:
    """The client's own words ask for it already; a dialect wants it without a word in the payload."""
    return ask.usage_wanted and ask.payload is ask.call.payload


def _with_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    """The client's stream_options with include_usage set; its other fields stay."""
    if options is None or bytes(options) == b"null":
        return INCLUDE_USAGE
    fields = msgspec.json.decode(options, type=dict[str, msgspec.Raw])
    return msgspec.Raw(msgspec.json.encode({**fields, "include_usage": True}))
