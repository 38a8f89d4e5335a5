"""The words of Anthropic's answers: messages, usage, events and errors.

Fields: https://docs.anthropic.com/en/api/messages, .../messages-streaming, .../errors (read 2026-11). `input_tokens`
does not count what was read from or written to the cache; our input does.
"""

from typing import Annotated, Any, Final, TypeAlias

import msgspec

from tidegate.gateway.call import Usage

__all__ = ["UNREADABLE", "Block", "Counts", "Delta", "ErrorWords", "Event", "Message", "status_of", "usage_of"]

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
STATUS: Final = {
    "api_error": 500,
    "authentication_error": 401,
    "billing_error": 402,
    "invalid_request_error": 400,
    "not_found_error": 404,
    "overloaded_error": 529,
    "permission_error": 403,
    "rate_limit_error": 429,
    "request_too_large": 413,
    "timeout_error": 504,
}
Tokens: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Object = dict[str, Any]


class _Words(msgspec.Struct):
    """An object of the answer; fields that we do not know pass unseen."""


class OutputDetails(_Words):
    """What the output was spent on."""

    thinking_tokens: Tokens | None = None


class Counts(_Words):
    """`usage`. In a stream the counts of message_delta stand over those of message_start."""

    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    cache_read_input_tokens: Tokens | None = None
    cache_creation_input_tokens: Tokens | None = None
    output_tokens_details: OutputDetails | None = None

    def over(self, before: "Counts | None") -> "Counts":
        """These counts, and of the ones before what these do not say."""
        if before is None:
            return self
        fields = self.__struct_fields__
        return Counts(*(getattr(before if getattr(self, name) is None else self, name) for name in fields))

    @property
    def thinking_tokens(self) -> int | None:
        """Tokens of the output that were thoughts."""
        return self.output_tokens_details.thinking_tokens if self.output_tokens_details is not None else None


class Block(_Words):
    """One block of a message: text, thinking, redacted_thinking or tool_use; others pass unseen."""

    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class Message(_Words):
    """A message: an answer, or what message_start begins."""

    type: str
    content: list[Block] = []
    model: str = ""
    stop_reason: str | None = None
    usage: Counts | None = None


class Delta(_Words):
    """What comes to a block, or to the message."""

    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    stop_reason: str | None = None


class ErrorWords(_Words):
    """What an error says."""

    type: str = "api_error"
    message: str = ""


class Event(_Words):
    """The fields of all events together; each kind has its own."""

    type: str = ""
    index: int = 0
    message: Message | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: Counts | None = None
    error: ErrorWords | None = None


def usage_of(counts: Counts | None) -> Usage | None:
    """What was used; the parts of the input together."""
    if counts is None:
        return None
    read, written = counts.cache_read_input_tokens, counts.cache_creation_input_tokens
    inputs = None if counts.input_tokens is None else counts.input_tokens + (read or 0) + (written or 0)
    return Usage(inputs, counts.output_tokens, read, written)


def status_of(kind: str) -> int | None:
    """The HTTP status that an error of this type has when it comes before a stream."""
    return STATUS.get(kind)
