"""Answers of the Responses API, passed on as they came: usage, first token and end are noted.

Events: https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11). A stream is complete at
response.completed, response.incomplete or response.failed, which carry what was used; anything else is a cut. One that
failed before it said anything is the upstream's error, so that it can be asked elsewhere.
"""

import re
import time
from collections.abc import Mapping

import msgspec

from tidegate.gateway.call import JSON_HEADER, Reply, Usage
from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.chatanswers import bad_answer
from tidegate.gateway.providers.openai.answers import SILENT, UNREADABLE, TokenDetails, Tokens, message_of
from tidegate.gateway.providers.readers import PassingReader
from tidegate.kernel.errors import ProviderFailed

__all__ = ["ResponseReader", "read_response"]

MAX_WORD = 64
NOTEWORTHY = re.compile(rb'"type"\s*:\s*"(?:response\.(?:completed|incomplete|failed)|error)"')
TERMINAL = ("response.completed", "response.incomplete", "response.failed")


class ResponseUsage(msgspec.Struct):
    """`usage`."""

    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    input_tokens_details: TokenDetails | None = None


class Incomplete(msgspec.Struct):
    """`incomplete_details`."""

    reason: str | None = None


class Response(msgspec.Struct):
    """The fields of a response that we note; all others pass unseen."""

    status: str | None = None
    usage: ResponseUsage | None = None
    incomplete_details: Incomplete | None = None
    error: msgspec.Raw = msgspec.Raw()


class Event(msgspec.Struct):
    """The fields of an event that we note. An error's words stand at its top, or under `error`."""

    type: str = ""
    response: Response | None = None
    message: str = ""
    error: msgspec.Raw = msgspec.Raw()


_RESPONSE = msgspec.json.Decoder(Response)
_EVENT = msgspec.json.Decoder(Event)


def read_response(ask: Ask, headers: Mapping[bytes, bytes], body: bytes) -> Reply:
    """A whole response, as it came, also one that failed; raises ProviderFailed for what is none."""
    ask.call.upstream_request_id = headers.get(b"x-request-id", b"").decode("latin-1")[:128] or None
    try:
        response = _RESPONSE.decode(body)
    except UNREADABLE as error:
        raise bad_answer(f"{len(body)} bytes that are no response ({error})") from error
    if response.status is None:
        if bytes(response.error) not in SILENT:
            raise _failed(response.error)
        raise bad_answer("it is no response")
    _note(ask, response)
    return Reply(200, [JSON_HEADER], body)


class ResponseReader(PassingReader):
    """Reads the events of a response."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask, NOTEWORTHY.search)

    def note(self, data: bytes) -> bool:
        """See `PassingReader`."""
        if data == b"[DONE]":
            return True
        try:
            event = _EVENT.decode(data)
        except UNREADABLE as error:
            raise bad_answer(f"an event of {len(data)} bytes that cannot be read ({error})") from error
        call = self.call
        if event.type.endswith(".delta"):
            call.last_token_s = time.perf_counter()
            if call.first_token_s is None:
                call.first_token_s = call.last_token_s
        elif event.type in TERMINAL and event.response is not None:
            if event.type == "response.failed" and call.first_token_s is None:
                raise _failed(event.response.error)
            _note(self.ask, event.response)
            call.whole = True
        elif event.type == "error" or bytes(event.error) not in SILENT:
            raise _failed(event.error if not event.message else msgspec.Raw(msgspec.json.encode(event.message)))
        return True


def _note(ask: Ask, response: Response) -> None:
    usage = response.usage
    if usage is not None:
        details = usage.input_tokens_details or TokenDetails()
        ask.call.usage = Usage(
            usage.input_tokens, usage.output_tokens, details.cached_tokens, details.cache_write_tokens
        )
    reason = response.incomplete_details.reason if response.incomplete_details is not None else None
    ask.call.finish_reason = (reason or response.status or "")[:MAX_WORD] or None


def _failed(error: msgspec.Raw) -> ProviderFailed:
    words = message_of(error) if bytes(error) not in SILENT else "it does not say why"
    return ProviderFailed(f"The upstream broke off with an error: {words}", mend="Try again.")
