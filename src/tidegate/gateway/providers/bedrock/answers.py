"""Answers in Converse's words: blocks, usage and errors.

Fields: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html; errors: the header
x-amzn-errortype names them, https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html (read 2026-11).
`inputTokens` does not count what was read from or written to the cache; our input does.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from tidegate.gateway.call import Reply, Usage
from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.chatanswers import Refusal, bad_answer, choice_of, refused, whole_answer

__all__ = ["UNREADABLE", "Counts", "ToolUse", "ended", "kind_of", "read_converse", "usage_of"]

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
ENDS: Final = {
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}
"""Finish reasons by stopReason; any other one is `stop`."""
ABOUT_KEY = frozenset(
    {
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)
Tokens: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Object = dict[str, Any]


class _Words(msgspec.Struct, frozen=True, rename="camel"):
    """An object of the answer; fields that we do not know pass unseen."""


class ToolUse(_Words, frozen=True):
    """A call of a tool; its input is there in a whole answer only."""

    tool_use_id: str
    name: str
    input: msgspec.Raw = msgspec.Raw(b"{}")


class Cited(_Words, frozen=True):
    """Text with citations."""

    content: list[Object] = []


class Block(_Words, frozen=True):
    """One block of the message."""

    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: Object | None = None
    citations_content: Cited | None = None


class Said(_Words, frozen=True):
    """The message."""

    content: list[Block] = []


class Output(_Words, frozen=True):
    """`output`."""

    message: Said = Said()


class Counts(_Words, frozen=True):
    """`usage`."""

    input_tokens: Tokens
    output_tokens: Tokens
    cache_read_input_tokens: Tokens | None = None
    cache_write_input_tokens: Tokens | None = None


class Answer(_Words, frozen=True):
    """A ConverseResponse."""

    output: Output
    stop_reason: str
    usage: Counts | None = None
    additional_model_response_fields: Any = None


_ANSWER = msgspec.json.Decoder(Answer)


def read_converse(ask: Ask, status: int, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
    """A whole answer in OpenAI's words; raises ProviderFailed."""
    ask.call.upstream_request_id = headers.get(b"x-amzn-requestid", b"").decode("latin-1")[:128] or None
    if status != 200:
        return refused(ask.call, status, headers, _refusal(headers, body))
    try:
        answer = _ANSWER.decode(body)
    except UNREADABLE as error:
        raise bad_answer(f"{len(body)} bytes that are no ConverseResponse ({error})") from error
    choice = {"index": 0, "message": _message(answer.output.message.content), **ended(answer.stop_reason)}
    if answer.additional_model_response_fields is not None:
        fields = {"additionalModelResponseFields": answer.additional_model_response_fields}
        message: Object = choice["message"]
        message["extra_content"] = {"bedrock": message.get("extra_content", {}).get("bedrock", {}) | fields}
    return whole_answer(ask, [choice], usage_of(answer.usage))


def ended(stop_reason: str) -> Object:
    """The fields of a choice that stopped for this reason."""
    return choice_of(ENDS.get(stop_reason, "stop"), stop_reason)


def usage_of(counts: Counts | None) -> Usage | None:
    """What was used."""
    if counts is None:
        return None
    read, written = counts.cache_read_input_tokens, counts.cache_write_input_tokens
    return Usage(counts.input_tokens + (read or 0) + (written or 0), counts.output_tokens, read, written)


def kind_of(word: str) -> str:
    """An error's name without what AWS writes around it: `namespace#Name:http://...`."""
    return word.partition(":")[0].rpartition("#")[2].strip()


def _message(blocks: list[Block]) -> Object:
    message: Object = {"role": "assistant", "content": None, "refusal": None}
    text, thought = [], []
    calls: list[Object] = []
    reasoning: list[Object] = []
    for block in blocks:
        if block.text is not None:
            text.append(block.text)
        if block.citations_content is not None:
            text.extend(str(one.get("text", "")) for one in block.citations_content.content)
        if block.tool_use is not None:
            use = block.tool_use
            function = {"name": use.name, "arguments": bytes(use.input).decode()}
            calls.append({"id": use.tool_use_id, "type": "function", "function": function})
        if block.reasoning_content is not None:
            reasoning.append(block.reasoning_content)
            words = block.reasoning_content.get("reasoningText")
            thought.append(str(words.get("text", "")) if isinstance(words, dict) else "")
    if text or not calls:
        message["content"] = "".join(text)
    if calls:
        message["tool_calls"] = calls
    if reasoning:
        message["reasoning_content"] = "".join(thought)
        message["extra_content"] = {"bedrock": {"reasoning": reasoning}}
    return message


def _refusal(headers: Mapping[bytes, bytes], body: bytes) -> Refusal:
    try:
        said: Any = msgspec.json.decode(body)
    except UNREADABLE:
        said = None
    told = said if isinstance(said, dict) else {}
    kind = kind_of(headers.get(b"x-amzn-errortype", b"").decode("latin-1") or str(told.get("__type", "")))
    message = told.get("message") or told.get("Message") or body[:200].decode(errors="replace")
    return Refusal(f"{kind}: {message}" if kind else str(message), kind or "provider_error", None, kind in ABOUT_KEY)
