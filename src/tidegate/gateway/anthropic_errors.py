"""Errors in Anthropic's own shape, so that Anthropic's clients raise the exceptions that their users already catch.

Shape and types: https://docs.anthropic.com/en/api/errors (read 2026-11): `{"type": "error", "error": {"type",
"message"}, "request_id"}`. Statuses and headers are those of `openai_errors`.
"""

from types import MappingProxyType

import msgspec

from tidegate.gateway.call import JSON_HEADER, Reply
from tidegate.gateway.openai_errors import error_reply as openai_reply
from tidegate.gateway.openai_errors import error_status
from tidegate.kernel.errors import ProviderFailed, TidegateError

__all__ = ["error_body", "error_event", "error_reply", "kind_of", "translated"]

KINDS = MappingProxyType(
    {
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        503: "overloaded_error",
        504: "timeout_error",
        529: "overloaded_error",
    }
)
BUSY = (429, 503, 504, 529)


class Said(msgspec.Struct):
    """What an error in OpenAI's shape says."""

    message: str = ""


class Failure(msgspec.Struct):
    """The body of one."""

    error: Said


_FAILURE = msgspec.json.Decoder(Failure)


def kind_of(status: int) -> str:
    """The type of an error with this HTTP status."""
    return KINDS.get(status, "invalid_request_error" if 400 <= status < 500 else "api_error")


def error_body(error: TidegateError, request_id: str | None = None) -> bytes:
    """The JSON body of an error: the field, message and mend together. An upstream that is busy is told as such."""
    status = error_status(error)
    if isinstance(error, ProviderFailed) and error.status in BUSY:
        status = error.status
    words = f"{error.param}: {error}" if error.param else str(error)
    return _body(kind_of(status), words, request_id)


def error_event(error: TidegateError, request_id: str | None = None) -> bytes:
    """The error as one server-sent event: what a stream that fails after its first byte ends with, never followed by
    message_stop.
    """
    return b"event: error\ndata: " + error_body(error, request_id) + b"\n\n"


def error_reply(error: TidegateError, request_id: str | None = None) -> Reply:
    """The error as a whole reply, with Retry-After where waiting helps and x-should-retry where it does not."""
    reply = openai_reply(error)
    reply.body = error_body(error, request_id)
    return reply


def translated(reply: Reply, request_id: str | None = None) -> Reply:
    """An upstream's error that is told in OpenAI's shape, in Anthropic's: status and headers stay."""
    try:
        words = _FAILURE.decode(reply.body).error.message
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        words = ""
    headers = [(name, value) for name, value in reply.headers if name != JSON_HEADER[0]]
    body = _body(kind_of(reply.status), words or f"The upstream answered {reply.status}.", request_id)
    return Reply(reply.status, [JSON_HEADER, *headers], body)


def _body(kind: str, words: str, request_id: str | None) -> bytes:
    return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": words}, "request_id": request_id})
