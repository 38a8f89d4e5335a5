"""Whole answers of Anthropic's: for those who asked in its words the bytes as they came, for the others in OpenAI's."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tidegate.gateway.anthropic_errors import translated
from tidegate.gateway.call import JSON_HEADER, Reply, Usage
from tidegate.gateway.providers.anthropic.words import UNREADABLE, Block, ErrorWords, Message, usage_of
from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.chatanswers import Refusal, bad_answer, choice_of, refused, whole_answer
from tidegate.kernel.errors import ProviderFailed

__all__ = ["COUNT_TOKENS", "MAX_WORD", "NATIVE", "ended", "read_anthropic", "thinking_block"]

COUNT_TOKENS = "messages.count_tokens"
NATIVE = frozenset({"messages", COUNT_TOKENS})
MAX_WORD = 64
NOT_FOUND = 404
PASSED_HEADERS = (b"retry-after", b"retry-after-ms", b"x-should-retry")
LIMITS = b"anthropic-ratelimit-"
ENDS: Final = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    "tool_use": "tool_calls",
}
"""Finish reasons by stop_reason; any other one is `stop`."""
Object = dict[str, Any]


class Counted(msgspec.Struct):
    """An answer of count_tokens."""

    input_tokens: int


class Failure(msgspec.Struct):
    """An error's body."""

    error: ErrorWords


_MESSAGE = msgspec.json.Decoder(Message)
_COUNTED = msgspec.json.Decoder(Counted)
_FAILURE = msgspec.json.Decoder(Failure)


def read_anthropic(ask: Ask, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
    """A whole answer in the words of `ask.endpoint`; raises ProviderFailed."""
    call = ask.call
    call.upstream_request_id = headers.get(b"request-id", b"").decode("latin-1")[:128] or None
    if status != 200:
        return _refusal(ask, status, headers, body)
    if ask.endpoint == COUNT_TOKENS:
        _decoded(_COUNTED, body)
        call.usage = Usage(
            0, 0
        )  # counting is free: https://docs.anthropic.com/en/docs/build-with-claude/token-counting
        return Reply(200, [JSON_HEADER], body)
    message: Message = _decoded(_MESSAGE, body)
    if message.type != "message":
        raise bad_answer(f"a {message.type[:MAX_WORD]!r} and no message")
    if ask.endpoint == "chat.completions":
        choice = {"index": 0, "message": _words(message.content), **ended(message.stop_reason or "")}
        reasoning = message.usage.thinking_tokens if message.usage is not None else None
        return whole_answer(ask, [choice], usage_of(message.usage), reasoning, message.model)
    call.usage = usage_of(message.usage)
    call.finish_reason = (message.stop_reason or "")[:MAX_WORD] or None
    return Reply(200, [JSON_HEADER], body)


def ended(stop_reason: str) -> Object:
    """The fields of a choice that stopped for this reason."""
    return choice_of(ENDS.get(stop_reason, "stop"), stop_reason)


def thinking_block(block: Block) -> Object:
    """A thinking block as it is to be sent back."""
    if block.type == "redacted_thinking":
        return {"type": block.type, "data": block.data}
    return {"type": block.type, "thinking": block.thinking, "signature": block.signature}


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        raise bad_answer(f"{len(body)} bytes that are not Anthropic's ({error})") from error


def _words(blocks: list[Block]) -> Object:
    message: Object = {"role": "assistant", "content": None, "refusal": None}
    text = [block.text for block in blocks if block.type == "text"]
    calls = []
    for block in blocks:
        if block.type == "tool_use":
            function = {"name": block.name, "arguments": bytes(block.input).decode()}
            calls.append({"id": block.id, "type": "function", "function": function})
    thoughts = [block for block in blocks if block.type in ("thinking", "redacted_thinking")]
    if text or not calls:
        message["content"] = "".join(text)
    if calls:
        message["tool_calls"] = calls
    if thoughts:
        message["reasoning_content"] = "".join(block.thinking for block in thoughts)
        message["extra_content"] = {"anthropic": {"thinking": [thinking_block(block) for block in thoughts]}}
    return message


def _refusal(ask: Ask, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
    """An error in the words of `ask.endpoint`: who asked in Anthropic's gets its bytes as they came."""
    try:
        said = _FAILURE.decode(body).error
    except UNREADABLE:
        said = None
    if said is None:
        taste = body[:200].decode(errors="replace")
        if status == NOT_FOUND:
            mend = "The operator must check the model's base_url."
            raise ProviderFailed(f"The upstream answered {status}: {taste}", status=status, mend=mend)
        reply = refused(ask.call, status, headers, Refusal(taste, "provider_error"))
        if ask.endpoint in NATIVE:
            reply = translated(reply, ask.call.call_id)
        return _told(ask, reply, headers)
    about_key = said.type in ("authentication_error", "permission_error")
    reply = refused(ask.call, status, headers, Refusal(f"{said.type}: {said.message}", said.type, None, about_key))
    if ask.endpoint in NATIVE:
        reply.body = body
    return _told(ask, reply, headers)


def _told(ask: Ask, reply: Reply, headers: Mapping[bytes, bytes]) -> Reply:
    there = {name for name, _ in reply.headers}
    limits = [name for name in headers if name.startswith(LIMITS)] if ask.endpoint in NATIVE else []
    names = (name for name in (*PASSED_HEADERS, *limits) if name in headers and name not in there)
    reply.headers += [(name, headers[name]) for name in names]
    return reply
