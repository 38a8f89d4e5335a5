"""Anthropic as a Provider: messages as they are, chat.completions by translation.

Addresses and headers: https://docs.anthropic.com/en/api/overview (read 2026-11). The client's own `anthropic-beta` goes
with its request.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from tidegate.gateway.call import Reply
from tidegate.gateway.providers.anthropic.answers import COUNT_TOKENS, NATIVE, read_anthropic
from tidegate.gateway.providers.anthropic.natives import native_body
from tidegate.gateway.providers.anthropic.requests import messages_body
from tidegate.gateway.providers.anthropic.streams import AsChatReader, MessagesReader
from tidegate.gateway.providers.base import Ask, Reader
from tidegate.gateway.providers.chatwords import unsupported
from tidegate.gateway.providers.eventlines import is_events
from tidegate.gateway.providers.keys import key_fault, key_of, target_of
from tidegate.gateway.upstream.target import Target
from tidegate.live.snapshot import Deployment

__all__ = ["BASE_URL", "VERSION", "AnthropicProvider"]

BASE_URL = "https://api.anthropic.com/v1"
VERSION = "2023-06-01"
SPOKEN = NATIVE | {"chat.completions"}
PATHS: Final = {COUNT_TOKENS: "/messages/count_tokens"}
_BETA = re.compile(rb"[\x20-\x7e]{1,2000}")


class AnthropicProvider:
    """Speaks to the Anthropic API."""

    def target(self, deployment: Deployment, environ: Mapping[str, str]) -> Target:
        """See `Provider`. A base URL without a path, as Anthropic's own clients write it, is completed with /v1."""
        key = key_of(deployment, environ)
        base_url = deployment.base_url or BASE_URL
        if not urlsplit(base_url).path.strip("/"):
            base_url = base_url.rstrip("/") + "/v1"
        own = {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}
        target = target_of(deployment, base_url, own)
        target.fault = key_fault(deployment, environ)
        return target

    def speaks(self, deployment: Deployment) -> frozenset[str]:
        """See `Provider`."""
        return SPOKEN

    def request(self, target: Target, ask: Ask) -> bytes:
        """See `Provider`."""
        body = native_body(ask) if ask.endpoint in NATIVE else messages_body(ask)
        request = target.post(PATHS.get(ask.endpoint, "/messages"), body)
        beta = ask.call.request.headers.get(b"anthropic-beta")
        if beta is None:
            return request
        if _BETA.fullmatch(beta) is None:
            raise unsupported("The header anthropic-beta cannot be passed on", "anthropic-beta", "Mend it.")
        first, _, rest = request.partition(b"\r\n")
        return b"%b\r\nanthropic-beta: %b\r\n%b" % (first, beta, rest)

    def streams(self, headers: Mapping[bytes, bytes]) -> bool:
        """See `Provider`."""
        return is_events(headers)

    def read(self, ask: Ask, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
        """See `read_anthropic`."""
        return read_anthropic(ask, status, headers, body)

    def reader(self, ask: Ask) -> Reader:
        """See `MessagesReader` and `AsChatReader`."""
        return MessagesReader(ask) if ask.endpoint == "messages" else AsChatReader(ask)
