"""Streamed answers of Anthropic's: told chunk by chunk in OpenAI's words, or passed on as they came.

Events: https://docs.anthropic.com/en/docs/build-with-claude/streaming (read 2026-11). A stream is complete at
message_stop; anything else is a cut.
"""

import re
import time
from collections.abc import Iterable

import msgspec

from tidegate.gateway.providers.anthropic.answers import MAX_WORD, ended, thinking_block
from tidegate.gateway.providers.anthropic.words import UNREADABLE, Block, Counts, Event, status_of, usage_of
from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.chatanswers import bad_answer
from tidegate.gateway.providers.eventlines import EventBlocks, data_of, events_of
from tidegate.gateway.providers.readers import PassingReader, TellingReader
from tidegate.kernel.errors import ProviderFailed

__all__ = ["AsChatReader", "MessagesReader"]

NOTEWORTHY = re.compile(rb'"type"\s*:\s*"(?:message_start|message_delta|message_stop|error)"')
_EVENT = msgspec.json.Decoder(Event)


class MessagesReader(PassingReader):
    """Passes messages on as they came."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask, NOTEWORTHY.search)
        self._counts: Counts | None = None

    def note(self, data: bytes) -> bool:
        """See `PassingReader`."""
        event, call = _read(data), self.call
        if event.type == "content_block_delta":
            call.last_token_s = time.perf_counter()
            if call.first_token_s is None:
                call.first_token_s = call.last_token_s
        elif event.type == "message_start" and event.message is not None:
            self._counts = event.message.usage
        elif event.type == "message_delta":
            if event.usage is not None:
                self._counts = event.usage.over(self._counts)
            if event.delta is not None and event.delta.stop_reason:
                call.finish_reason = event.delta.stop_reason[:MAX_WORD]
        elif event.type == "message_stop":
            call.usage = usage_of(self._counts)
            call.whole = True
        return True


class AsChatReader(TellingReader[bytes]):
    """Tells messages in the words of chat.completions."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask)
        self._blocks = EventBlocks()
        self._counts: Counts | None = None
        self._complete = False
        self._open: dict[int, Block] = {}
        self._calls: dict[int, int] = {}
        self._silent: set[int] = set()

    @property
    def complete(self) -> bool:
        """See `Reader`."""
        return self._complete

    def pieces(self, chunk: bytes) -> Iterable[bytes]:
        """See `TellingReader`."""
        block = self._blocks.feed(chunk)
        return [data for event in events_of(block) if (data := data_of(event))] if block else ()

    def last(self) -> bytes:
        """See `TellingReader`."""
        counts = self._counts
        return self.telling.end(usage_of(counts), counts.thinking_tokens if counts is not None else None)

    def note(self, piece: bytes) -> bytes:
        """See `TellingReader`."""
        event = _read(piece)
        if event.type == "content_block_delta":
            return self._delta(event)
        if event.type == "content_block_start":
            return self._start(event)
        if event.type == "content_block_stop":
            return self._stop(event.index)
        if event.type == "message_start" and event.message is not None:
            self._counts = event.message.usage
            self.telling.model = event.message.model or self.telling.model
            return self.telling.chunk(0, {})
        if event.type == "message_delta":
            if event.usage is not None:
                self._counts = event.usage.over(self._counts)
            if event.delta is not None and event.delta.stop_reason:
                return self.telling.chunk(0, {}, ended(event.delta.stop_reason))
        self._complete = self._complete or event.type == "message_stop"
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
