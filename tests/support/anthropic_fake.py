"""Anthropic's Messages API as its own door behaves: headers checked, bodies held against the published fields, answers
and events in its wire format.

Fields: https://docs.anthropic.com/en/api/messages, .../messages-streaming, .../errors, .../messages-count-tokens
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.support.scene import snapshot_of
from tests.support.schemas import ANYTHING, Schema, faults
from tests.support.upstream import Received, ScriptedUpstream
from tests.support.wire import End, Step, answer, stream
from tidegate.live.snapshot import Snapshot

__all__ = [
    "MESSAGES",
    "FakeAnthropic",
    "anthropic_error",
    "block_events",
    "message",
    "message_events",
    "named",
    "text",
    "thinking",
    "tool_use",
]

CACHE: Final[Schema] = {"type": frozenset({"ephemeral"}), "ttl": frozenset({"5m", "1h"})}
SOURCE: Final[Schema] = {
    "type": frozenset({"base64", "url", "text"}),
    "media_type": frozenset(
        {"image/jpeg", "image/png", "image/gif", "image/webp", "application/pdf", "text/plain"},
    ),
    "data": str,
    "url": str,
}
INNER: Final[Schema] = {
    "type": frozenset({"text", "image", "document"}),
    "text": str,
    "source": SOURCE,
    "title": str,
    "cache_control": CACHE,
}
BLOCK: Final[Schema] = {
    "type": frozenset(
        {"text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking"},
    ),
    "text": str,
    "source": SOURCE,
    "title": str,
    "cache_control": CACHE,
    "id": str,
    "name": str,
    "input": dict,
    "tool_use_id": str,
    "content": [INNER],
    "is_error": bool,
    "thinking": str,
    "signature": str,
    "data": str,
}
TURNS: Final[dict[str, Schema]] = {
    "model": str,
    "messages": [{"role": frozenset({"user", "assistant"}), "content": [BLOCK]}],
    "system": [{"type": frozenset({"text"}), "text": str, "cache_control": CACHE}],
    "tools": [
        {
            "type": frozenset({"custom"}),
            "name": str,
            "description": str,
            "input_schema": dict,
            "strict": bool,
            "cache_control": CACHE,
        }
    ],
    "tool_choice": {
        "type": frozenset({"auto", "any", "tool", "none"}),
        "name": str,
        "disable_parallel_tool_use": bool,
    },
    "thinking": {
        "type": frozenset({"enabled", "disabled", "adaptive"}),
        "budget_tokens": int,
        "display": frozenset({"summarized", "omitted"}),
    },
    "output_config": {
        "effort": frozenset({"low", "medium", "high", "xhigh", "max"}),
        "format": {"type": frozenset({"json_schema"}), "schema": dict},
    },
    "cache_control": CACHE,
}
MESSAGES: Final[Schema] = {
    **TURNS,
    "max_tokens": int,
    "metadata": {"user_id": str},
    "stop_sequences": [str],
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "stream": bool,
    "service_tier": frozenset({"auto", "standard_only"}),
    "context_management": ANYTHING,
}
USAGE: Final = {
    "input_tokens": 9,
    "output_tokens": 3,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "service_tier": "standard",
}
CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")


def text(words: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": words}


def thinking(words: str, signature: str = "sig-1") -> dict[str, Any]:
    """A block of thoughts."""
    return {"type": "thinking", "thinking": words, "signature": signature}


def tool_use(name: str, given: Mapping[str, Any], call_id: str = "toolu_01") -> dict[str, Any]:
    """A call of a tool."""
    return {"type": "tool_use", "id": call_id, "name": name, "input": dict(given)}


def message(
    *blocks: Mapping[str, Any], stop: str | None = "end_turn", usage: Mapping[str, Any] = USAGE, **more: Any
) -> dict[str, Any]:
    """A message."""
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": list(blocks),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": dict(usage),
        **more,
    }


def named(body: Mapping[str, Any]) -> bytes:
    """One event under its name."""
    return f"event: {body['type']}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def block_events(index: int, block: Mapping[str, Any]) -> list[bytes]:
    """A block's events: its start, two deltas, its end."""
    kind = block["type"]
    at = {"index": index}
    deltas: list[dict[str, Any]] = []
    empty = dict(block)
    if kind == "text":
        empty = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": words} for words in _halves(block["text"])]
    elif kind == "tool_use":
        empty["input"] = {}
        words = json.dumps(block["input"], ensure_ascii=False) if block["input"] else ""
        deltas = [{"type": "input_json_delta", "partial_json": half} for half in ("", *_halves(words))]
    elif kind == "thinking":
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": words} for words in _halves(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    return [
        named({"type": "content_block_start", **at, "content_block": empty}),
        *(named({"type": "content_block_delta", **at, "delta": delta}) for delta in deltas),
        named({"type": "content_block_stop", **at}),
    ]


def message_events(*blocks: Mapping[str, Any], stop: str = "end_turn", usage: Mapping[str, Any] = USAGE) -> list[bytes]:
    """A whole stream."""
    begun = message(stop=None, usage={**usage, "output_tokens": 1})
    events = [named({"type": "message_start", "message": begun})]
    for index, block in enumerate(blocks):
        events += block_events(index, block)
        if index == 0:
            events.insert(2, named({"type": "ping"}))
    ended = {"stop_reason": stop, "stop_sequence": None}
    told = {"output_tokens": usage["output_tokens"]}
    events.append(named({"type": "message_delta", "delta": ended, "usage": told}))
    return [*events, named({"type": "message_stop"})]


def anthropic_error(status: int, kind: str, words: str, headers: Sequence[tuple[str, str]] = ()) -> tuple[Step, ...]:
    """An error as an answer."""
    body = {"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_011"}
    return answer(body, status, headers=[("request-id", "req_011"), *headers])


class FakeAnthropic(ScriptedUpstream):
    """`say_whole` and `say_events` are for the next good requests; without them it greets."""

    KEY = "sk-ant-test"

    def __init__(self) -> None:
        super().__init__()
        self.respond = self._checked
        self.complaints: list[str] = []
        self._next: list[tuple[Step, ...]] = []

    @property
    def environ(self) -> dict[str, str]:
        """What a gateway in front of it needs."""
        return {"ANTHROPIC_API_KEY": self.KEY}

    def snapshot(self, **deployment: Any) -> Snapshot:
        """A world with it as the only upstream."""
        given = {"provider": "anthropic", "api_key_env": "ANTHROPIC_API_KEY", "upstream_model": "claude-sonnet-4-5"}
        return snapshot_of(self.url, **(given | deployment))

    @property
    def asked(self) -> dict[str, Any]:
        """The newest body."""
        return self.last.json

    def then(self, *steps: tuple[Step, ...]) -> None:
        """Answer the next good requests so."""
        self._next.extend(steps)

    def say_whole(self, *blocks: Mapping[str, Any], **more: Any) -> None:
        """Answer the next good request with these blocks."""
        self.then(answer(message(*blocks, **more), headers=[("request-id", "req_011")]))

    def say_events(self, events: Sequence[bytes], *, split: int | None = None, end: End | None = None) -> None:
        """Answer the next good request with these events."""
        self.then(stream(events, split=split, end=end, headers=[("request-id", "req_011")]))

    def _checked(self, received: Received) -> Sequence[Step]:
        counting = received.path == "/v1/messages/count_tokens"
        if received.method != "POST" or not (counting or received.path == "/v1/messages"):
            return self._wrong(404, "not_found_error", f"no such path: {received.path}")
        if received.headers.get("x-api-key") != self.KEY:
            return anthropic_error(401, "authentication_error", "invalid x-api-key")
        if received.headers.get("anthropic-version") != "2023-06-01":
            return self._wrong(400, "invalid_request_error", "anthropic-version: header is required")
        body = received.json
        for where, what in (*faults(_spelt_out(body), TURNS if counting else MESSAGES), *_missing(body, counting)):
            return self._wrong(400, "invalid_request_error", f"{where}: {what}")
        if self._next:
            return self._next.pop(0)
        if counting:
            return answer({"input_tokens": 14}, headers=[("request-id", "req_011")])
        if body.get("stream"):
            return stream(message_events(text("Hello there.")), headers=[("request-id", "req_011")])
        return answer(message(text("Hello there.")), headers=[("request-id", "req_011")])

    def _wrong(self, status: int, kind: str, words: str) -> tuple[Step, ...]:
        self.complaints.append(words)
        return anthropic_error(status, kind, words)


def _halves(words: str) -> tuple[str, ...]:
    middle = len(words) // 2
    return tuple(half for half in (words[:middle], words[middle:]) if half)


def _spelt_out(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with each string that stands for a block of text as that block."""

    def blocks(content: Any) -> Any:
        if isinstance(content, str):
            return [text(content)]
        if not isinstance(content, list):
            return content
        return [{**one, "content": blocks(one["content"])} if "content" in one else one for one in content]

    spelt = dict(body)
    if "system" in spelt:
        spelt["system"] = blocks(spelt["system"])
    spelt["messages"] = [{**turn, "content": blocks(turn["content"])} for turn in spelt["messages"]]
    return spelt


def _missing(body: Mapping[str, Any], counting: bool) -> list[tuple[str, str]]:
    """What the schema of fields does not tell: what must be there, empty texts, ids, and results after their calls."""
    found = []
    if not counting and not isinstance(body.get("max_tokens"), int):
        found.append(("max_tokens", "Field required"))
    if not 0 <= body.get("temperature", 0) <= 1:
        found.append(("temperature", "Input should be less than or equal to 1"))
    turns = _spelt_out(body)["messages"]
    if not turns:
        found.append(("messages", "at least one message is required"))
    open_calls: set[str] = set()
    for number, turn in enumerate(turns):
        for block in turn["content"]:
            if block["type"] == "text" and not block["text"]:
                found.append((f"messages.{number}", "text content blocks must be non-empty"))
        used = {block["id"] for block in turn["content"] if block["type"] == "tool_use"}
        told = {block["tool_use_id"] for block in turn["content"] if block["type"] == "tool_result"}
        if told != open_calls:
            found.append((f"messages.{number}", f"tool_use without tool_result, or the reverse: {open_calls ^ told}"))
        if not all(CALL_ID.fullmatch(one) for one in used | told):
            found.append((f"messages.{number}", "a tool_use id does not match '^[a-zA-Z0-9_-]+$'"))
        open_calls = used
    return found
