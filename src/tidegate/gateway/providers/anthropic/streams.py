"""Streamed answers of Anthropic's: told chunk by chunk in OpenAI's words, or passed on as they came.

Events: https://docs.anthropic.com/en/docs/build-with-claude/streaming (read 2026-11). A stream is complete at
message_stop; anything else is a cut.
"""

import re
import time
from collections.abc import AsyncIterator

import msgspec

from tidegate.gateway.providers.anthropic.answers import MAX_WORD, ended, thinking_block
from tidegate.gateway.providers.anthropic.words import UNREADABLE, Block, Counts, Event, status_of, usage_of
from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.chatanswers import Telling, bad_answer, cut
from tidegate.gateway.providers.eventlines import MAX_EVENT_BYTES, event_data
from tidegate.kernel.errors import ProviderFailed

__all__ = ["follow_as_chat", "follow_messages"]

NOTEWORTHY = re.compile(rb'"type"\s*:\s*"(?:message_start|message_delta|message_stop|error)"')
_EVENT = msgspec.json.Decoder(Event)


async def follow_messages(ask: Ask, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield whole events as they came, noting usage, first token and end; raises ProviderFailed (`provider_cut`, or the
    upstream's own error) when it ends too early.
    """
    call, tap, rest = ask.call, _Tap(ask), b""
    try:
        async for chunk in chunks:
            data = rest + chunk if rest else chunk
            if b"\r" in data:
                half = b"\r" if data.endswith(b"\r") else b""  # it may be half of a CRLF
                data = data[: len(data) - len(half)].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + half
            end = data.rfind(b"\n\n")
            block, rest = (data[: end + 2], data[end + 2 :]) if end >= 0 else (b"", data)
            if len(rest) > MAX_EVENT_BYTES:
                raise bad_answer("an event without an end")
            if block:
                tap.note(block)
                yield block
    except ProviderFailed:
        if not call.whole:
            raise
    if not call.whole:
        raise cut()


class _Tap:
    """Reads along. Once the first token was seen, a block is parsed only when it holds something noteworthy."""

    __slots__ = ("call", "counts")

    def __init__(self, ask: Ask) -> None:
        self.call = ask.call
        self.counts: Counts | None = None

    def note(self, block: bytes) -> None:
        call = self.call
        if call.first_token_s is not None and NOTEWORTHY.search(block) is None:
            call.last_token_s = time.perf_counter()
            return
        for lines in block.split(b"\n\n"):
            data = b"\n".join(line[5:].removeprefix(b" ") for line in lines.split(b"\n") if line.startswith(b"data:"))
            if data:
                self._event(_read(data))

    def _event(self, event: Event) -> None:
        call = self.call
        if event.type == "content_block_delta":
            call.last_token_s = time.perf_counter()
            if call.first_token_s is None:
                call.first_token_s = call.last_token_s
        elif event.type == "message_start" and event.message is not None:
            self.counts = event.message.usage
        elif event.type == "message_delta":
            if event.usage is not None:
                self.counts = event.usage.over(self.counts)
            if event.delta is not None and event.delta.stop_reason:
                call.finish_reason = event.delta.stop_reason[:MAX_WORD]
        elif event.type == "message_stop":
            call.usage = usage_of(self.counts)
            call.whole = True


async def follow_as_chat(ask: Ask, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield chunks of chat.completions; raises ProviderFailed as `follow_messages` does."""
    reader = _Reader(ask)
    try:
        async for data in event_data(chunks):
            block = reader.note(_read(data))
            if block:
                yield block
    except ProviderFailed:
        if not reader.complete:
            raise
    if not reader.complete:
        raise cut()
    counts = reader.counts
    yield reader.telling.end(usage_of(counts), counts.thinking_tokens if counts is not None else None)


class _Reader:
    def __init__(self, ask: Ask) -> None:
        self.telling = Telling(ask)
        self.counts: Counts | None = None
        self.complete = False
        self._open: dict[int, Block] = {}
        self._calls: dict[int, int] = {}
        self._silent: set[int] = set()

    def note(self, event: Event) -> bytes:
        """One event as chunks."""
        if event.type == "content_block_delta":
            return self._delta(event)
        if event.type == "content_block_start":
            return self._start(event)
        if event.type == "content_block_stop":
            return self._stop(event.index)
        if event.type == "message_start" and event.message is not None:
            self.counts = event.message.usage
            self.telling.model = event.message.model or self.telling.model
            return self.telling.chunk(0, {})
        if event.type == "message_delta":
            if event.usage is not None:
                self.counts = event.usage.over(self.counts)
            if event.delta is not None and event.delta.stop_reason:
                return self.telling.chunk(0, {}, ended(event.delta.stop_reason))
        self.complete = self.complete or event.type == "message_stop"
        return b""

    def _start(self, event: Event) -> bytes:
        block = event.content_block
        if block is None:
            return b""
        self._open[event.index] = block
        if block.type == "text" and block.text:
            return self.telling.chunk(0, {"content": block.text})
        if block.type != "tool_use":
            return b""
        index = self._calls[event.index] = len(self._calls)
        self._silent.add(event.index)
        function = {"name": block.name, "arguments": ""}
        call = {"index": index, "id": block.id, "type": "function", "function": function}
        return self.telling.chunk(0, {"tool_calls": [call]})

    def _delta(self, event: Event) -> bytes:
        delta, block = event.delta, self._open.get(event.index)
        if delta is None:
            return b""
        if block is None:
            raise bad_answer("more of a block that never began")
        if delta.type == "text_delta" and delta.text:
            return self.telling.chunk(0, {"content": delta.text})
        if delta.type == "input_json_delta" and delta.partial_json and event.index in self._calls:
            return self._argue(event.index, delta.partial_json)
        if delta.type == "signature_delta":
            block.signature += delta.signature
        elif delta.type == "thinking_delta" and delta.thinking:
            block.thinking += delta.thinking
            return self.telling.chunk(0, {"reasoning_content": delta.thinking})
        return b""

    def _argue(self, at: int, words: str) -> bytes:
        self._silent.discard(at)
        return self.telling.chunk(0, {"tool_calls": [{"index": self._calls[at], "function": {"arguments": words}}]})

    def _stop(self, at: int) -> bytes:
        """A call without input is told {}; a thinking block whole, with its signature: it is to be sent back so."""
        block = self._open.pop(at, None)
        if block is None:
            return b""
        if at in self._silent:
            return self._argue(at, bytes(block.input).decode())
        if block.type in ("thinking", "redacted_thinking"):
            return self.telling.chunk(0, {"extra_content": {"anthropic": {"thinking": [thinking_block(block)]}}})
        return b""


def _read(data: bytes) -> Event:
    """One event; raises ProviderFailed for what is none, and for an error."""
    try:
        event = _EVENT.decode(data)
    except UNREADABLE as error:
        raise bad_answer(f"an event of {len(data)} bytes that cannot be read ({error})") from error
    if event.type == "error":
        said = event.error
        kind, words = (said.type, said.message) if said is not None else ("error", "")
        raise ProviderFailed(
            f"The upstream broke off with an error: {kind}: {words[:2000]}", status=status_of(kind), mend="Try again."
        )
    return event
