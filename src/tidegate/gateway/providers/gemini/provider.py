"""Gemini as a Provider: chat and embeddings, each at the model's own path.

Addresses: https://ai.google.dev/api (read 2026-11). The key goes in a header, never in the address.
"""

from collections.abc import Mapping
from urllib.parse import quote

from tidegate.gateway.call import Reply
from tidegate.gateway.providers.base import Ask, Reader
from tidegate.gateway.providers.eventlines import is_events
from tidegate.gateway.providers.gemini.answers import read_gemini
from tidegate.gateway.providers.gemini.requests import embed_body, generate_body
from tidegate.gateway.providers.gemini.streams import GeminiReader
from tidegate.gateway.providers.keys import key_fault, key_of, target_of
from tidegate.gateway.upstream.target import Target
from tidegate.live.snapshot import Deployment

__all__ = ["BASE_URL", "GeminiProvider", "method_of"]

BASE_URL = "https://generativelanguage.googleapis.com/v1beta"
SPOKEN = frozenset({"chat.completions", "embeddings"})


class GeminiProvider:
    """Speaks to the Gemini API."""

    def target(self, deployment: Deployment, environ: Mapping[str, str]) -> Target:
        """See `Provider`."""
        key = key_of(deployment, environ)
        target = target_of(deployment, deployment.base_url or BASE_URL, {"x-goog-api-key": key} if key else {})
        target.fault = key_fault(deployment, environ)
        return target

    def speaks(self, deployment: Deployment) -> frozenset[str]:
        """See `Provider`."""
        return SPOKEN

    def request(self, target: Target, ask: Ask) -> bytes:
        """See `Provider`."""
        model = quote(ask.model.removeprefix("models/"), safe="")
        if ask.endpoint == "embeddings":
            return target.post(f"/models/{model}:batchEmbedContents", embed_body(ask))
        return target.post(f"/models/{model}:{method_of(ask)}", generate_body(ask))

    def streams(self, headers: Mapping[bytes, bytes]) -> bool:
        """See `Provider`."""
        return is_events(headers)

    def read(self, ask: Ask, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
        """See `read_gemini`."""
        return read_gemini(ask, status, headers, body)

    def reader(self, ask: Ask) -> Reader:
        """See `GeminiReader`."""
        return GeminiReader(ask)


def method_of(ask: Ask) -> str:
    """The method of a chat, whole or streamed as server-sent events."""
    return "streamGenerateContent?alt=sse" if ask.stream else "generateContent"
