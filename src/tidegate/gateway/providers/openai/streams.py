"""Streamed answers in OpenAI's dialect: whole server-sent events pass on as they came, while usage, first token and end
are noted.

Framing: https://html.spec.whatwg.org/multipage/server-sent-events.html. A stream is complete when `data: [DONE]` came,
or, for servers that do not send it, when every choice had its finish_reason; anything else is a cut.
"""

import re
import time
from collections.abc import AsyncIterator, Mapping

import msgspec

from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.openai.answers import (
    SILENT,
    UNREADABLE,
    UsageFields,
    message_of,
    note_usage,
    read_loosely,
)
from tidegate.kernel.errors import ProviderFailed

__all__ = ["follow", "is_event_stream"]

MAX_EVENT_BYTES = 8 << 20
MAX_WORD = 64
NOTEWORTHY = re.compile(rb'\[DONE\]|"usage"\s*:\s*\{|"finish_reason"\s*:\s*"|"error"\s*:')


class Delta(msgspec.Struct):
    """What a chunk adds. Only whether there is something is noted, so that any shape of it will do."""

    content: msgspec.Raw = msgspec.Raw()
    reasoning_content: msgspec.Raw = msgspec.Raw()
    refusal: msgspec.Raw = msgspec.Raw()
    tool_calls: msgspec.Raw = msgspec.Raw()
    function_call: msgspec.Raw = msgspec.Raw()


class ChunkChoice(msgspec.Struct):
    """A chunk's choice: `delta` for chat, `text` for completions."""

    index: int = 0
    delta: Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    """The fields of a chunk that we note."""

    choices: list[ChunkChoice] | None = None
    usage: UsageFields | None = None
    error: msgspec.Raw = msgspec.Raw()


_CHUNK = msgspec.json.Decoder(Chunk)


def is_event_stream(headers: Mapping[bytes, bytes]) -> bool:
    """Whether an answer with these headers is made of server-sent events that can be read as they are."""
    return (
        headers.get(b"content-type", b"").lower().startswith(b"text/event-stream")
        and headers.get(b"content-encoding", b"identity").lower() == b"identity"
    )


async def follow(ask: Ask, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield whole events as they complete; raises ProviderFailed (`provider_cut`, or the upstream's own error) when it
    ends too early.
    """
    call = ask.call
    tap = _Tap(ask)
    rest = b""
    try:
        async for chunk in chunks:
            data = rest + chunk if rest else chunk
            if b"\r" in data:
                data = _unix(data)
            end = data.rfind(b"\n\n")
            block, rest = (data[: end + 2], data[end + 2 :]) if end >= 0 else (b"", data)
            if len(rest) > MAX_EVENT_BYTES:
                raise _unreadable("it has no end")
            if block and (block := tap.note(block)):
                yield block
    except ProviderFailed:
        if not call.whole:
            raise
    if _data(rest) == b"[DONE]":
        yield tap.note(b"data: [DONE]\n\n")
    if not tap.complete:
        raise ProviderFailed(
            "The upstream's stream ended before its answer was complete.", mend="Try again.", code="provider_cut"
        )


def _unix(data: bytes) -> bytes:
    """Lines may end in CRLF, LF or CR; a CR at the end may be half of a CRLF and is left for the next look."""
    last = b"\r" if data.endswith(b"\r") else b""
    whole = data[:-1] if last else data
    return whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + last


class _Tap:
    """Reads along. Once the first token was seen, a block is parsed only when it holds something noteworthy."""

    __slots__ = ("ask", "call", "finished")

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.call = ask.call
        self.finished: set[int] = set()

    @property
    def complete(self) -> bool:
        """[DONE] came, or all the choices that were asked for have finished."""
        return self.call.whole or len(self.finished) >= _choices_asked(self.ask)

    def note(self, block: bytes) -> bytes:
        """Note what the block says and return what the client shall see of it."""
        call = self.call
        if call.first_token_s is not None and NOTEWORTHY.search(block) is None:
            call.last_token_s = time.perf_counter()
            return block
        return b"".join([self._event(event) for event in _events(block)])

    def _event(self, event: bytes) -> bytes:
        data = _data(event)
        if not data:
            return event
        if data == b"[DONE]":
            self.call.whole = True
            return event
        strict = True
        try:
            try:
                chunk = _CHUNK.decode(data)
            except msgspec.ValidationError:
                chunk, strict = read_loosely(data, Chunk), False
        except UNREADABLE as error:
            raise _unreadable(str(error)) from error
        if bytes(chunk.error) not in SILENT:
            raise ProviderFailed(f"The upstream broke off with an error: {message_of(chunk.error)}", mend="Try again.")
        return self._chunk(chunk, event, strict)

    def _chunk(self, chunk: Chunk, event: bytes, strict: bool) -> bytes:
        call = self.call
        for choice in chunk.choices or ():
            if choice.text or (choice.delta is not None and _says(choice.delta)):
                call.last_token_s = time.perf_counter()
                if call.first_token_s is None:
                    call.first_token_s = call.last_token_s
            if choice.finish_reason is not None:
                call.finish_reason = choice.finish_reason[:MAX_WORD]
                self.finished.add(choice.index)
        if chunk.usage is not None:
            note_usage(self.ask, chunk.usage)
            if strict and not chunk.choices and not self.ask.usage_wanted:
                return b""  # the client did not ask for it
        return event


def _unreadable(why: str) -> ProviderFailed:
    return ProviderFailed(
        f"The upstream sent an event that cannot be read: {why}.",
        mend="Check the model server.",
        code="provider_bad_answer",
    )


def _choices_asked(ask: Ask) -> int:
    raw = ask.payload.get("n")
    try:
        return max(1, msgspec.json.decode(raw, type=int)) if raw is not None else 1
    except UNREADABLE:
        return 1


def _says(delta: Delta) -> bool:
    return any(
        bytes(said) not in SILENT
        for said in (delta.content, delta.tool_calls, delta.reasoning_content, delta.refusal, delta.function_call)
    )


def _events(block: bytes) -> list[bytes]:
    """Split a block of whole events, each with its blank line."""
    return [event + b"\n\n" for event in block.split(b"\n\n") if event]


def _data(event: bytes) -> bytes:
    """The event's data lines, joined; empty for a comment or a keep-alive."""
    if event.startswith(b"data: ") and event.count(b"\n") == 2:
        return event[6:-2].strip()
    lines = (line for line in event.split(b"\n") if line.startswith(b"data:"))
    return b"\n".join(line[5:].strip() for line in lines)
