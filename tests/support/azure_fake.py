"""Azure OpenAI as its own door behaves: paths, versions and keys are checked, answers carry Azure's extras.

Addresses: https://learn.microsoft.com/azure/ai-foundry/openai/reference; extras: .../how-to/content-filters
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.support.scene import snapshot_of
from tests.support.upstream import Received, ScriptedUpstream, usual
from tests.support.wire import Step, answer, chat, chat_events, chunk, event, stream, usage_of
from tidegate.live.snapshot import Snapshot

__all__ = ["FakeAzure"]

SAFE = {"hate": {"filtered": False, "severity": "safe"}}
DATED = re.compile(r"/openai/deployments/([^/]+)/(chat/completions|completions|embeddings)\?(.*)")
UNDATED = re.compile(r"/openai/v1/(chat/completions|completions|embeddings|responses)(?:\?(.*))?")
VERSION = re.compile(r"\d{4}-\d\d-\d\d(-preview)?")


class FakeAzure(ScriptedUpstream):
    """`deployments` are those that it has; `bearer` is the token that it takes instead of the key."""

    KEY = "azure-key"

    def __init__(self, bearer: str | None = None) -> None:
        super().__init__()
        self.respond = self._checked
        self.bearer = bearer
        self.deployments = {"my deployment"}
        self._next: list[tuple[Step, ...]] = []

    @property
    def environ(self) -> dict[str, str]:
        """What a gateway in front of it needs."""
        return {"AZURE_OPENAI_API_KEY": self.bearer or self.KEY}

    @property
    def root(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def snapshot(self, base: str = "", **deployment: Any) -> Snapshot:
        """A world with it as the only upstream."""
        given = {"provider": "azure", "upstream_model": "my deployment", "api_key_env": "AZURE_OPENAI_API_KEY"}
        return snapshot_of(self.root + base, **(given | deployment))

    def then(self, *steps: tuple[Step, ...]) -> None:
        """Answer the next good requests so."""
        self._next.extend(steps)

    def _checked(self, received: Received) -> Sequence[Step]:
        denied = self._denied(received)
        if denied is not None:
            return denied
        dated, undated = DATED.fullmatch(received.path), UNDATED.fullmatch(received.path)
        if dated is not None:
            versions = parse_qs(dated[3]).get("api-version", [""])
            if not VERSION.fullmatch(versions[0]):
                return _error(404, "404", "Resource not found")
            name = unquote(dated[1])
        elif undated is not None:
            if parse_qs(undated[2] or "").get("api-version", ["v1"])[0] not in ("v1", "preview"):
                return _error(400, "BadRequest", "API version not supported")
            name = received.json["model"]
        else:
            return _error(404, "404", "Resource not found")
        if name not in self.deployments:
            return _error(404, "DeploymentNotFound", "The API deployment for this resource does not exist.")
        return self._next.pop(0) if self._next else self._good(received)

    def _good(self, received: Received) -> Sequence[Step]:
        if "chat/completions" not in received.path:
            return usual(replace(received, path=received.path.partition("?")[0]))
        if not received.json.get("stream"):
            body = chat(prompt_filter_results=[{"prompt_index": 0, "content_filter_results": SAFE}])
            body["choices"][0]["content_filter_results"] = SAFE
            return answer(body)
        first = chunk([], prompt_filter_results=[{"prompt_index": 0, "content_filter_results": SAFE}])
        wanted = (received.json.get("stream_options") or {}).get("include_usage")
        return stream([event(first), *chat_events(usage=usage_of() if wanted else None)])

    def _denied(self, received: Received) -> tuple[Step, ...] | None:
        headers = received.headers
        if self.bearer is None and headers.get("api-key") == self.KEY and "authorization" not in headers:
            return None
        if self.bearer and headers.get("authorization") == f"Bearer {self.bearer}" and "api-key" not in headers:
            return None
        return _error(401, "401", "Access denied due to invalid subscription key or wrong API endpoint.")


def _error(status: int, code: str, words: str) -> tuple[Step, ...]:
    return answer({"error": {"code": code, "message": words}}, status)
