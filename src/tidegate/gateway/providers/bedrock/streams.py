"""Streamed answers in Converse's words, told chunk by chunk.

Events: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html (read 2026-11). A stream
is complete when messageStop (why) and metadata (usage) have both come, in this order; anything else is a cut.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from tidegate.gateway.call import Usage
from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.bedrock.answers import UNREADABLE, Counts, ToolUse, ended, usage_of
from tidegate.gateway.providers.bedrock.framing import Frame, Frames
from tidegate.gateway.providers.chatanswers import bad_answer
from tidegate.gateway.providers.readers import TellingReader
from tidegate.kernel.errors import ProviderFailed

__all__ = ["ConverseReader"]

STATUS: Final = {
    "internalServerException": 500,
    "modelStreamErrorException": 424,
    "modelTimeoutException": 408,
    "serviceUnavailableException": 503,
    "throttlingException": 429,
    "validationException": 400,
}
Object = dict[str, Any]


class _Words(msgspec.Struct, rename="camel"):
    """An event; fields that we do not know pass unseen."""


class UseDelta(_Words):
    """More of a call's input."""

    input: str = ""


class ReasoningDelta(_Words):
    """More of the model's reasoning."""

    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class Start(_Words):
    """What a block begins as."""

    tool_use: ToolUse | None = None


class Delta(_Words):
    """What comes to a block."""

    text: str | None = None
    tool_use: UseDelta | None = None
    reasoning_content: ReasoningDelta | None = None


class Event(_Words):
    """The fields of all events together; each event has its own."""

    content_block_index: int = 0
    start: Start | None = None
    delta: Delta | None = None
    stop_reason: str = ""
    usage: Counts | None = None
    message: str = ""


_EVENT = msgspec.json.Decoder(Event)


class ConverseReader(TellingReader[Frame]):
    """Reads the events of ConverseStream."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask)
        self._frames = Frames()
        self._usage: Usage | None = None
        self._stopped = False
        self._complete = False
        self._calls: dict[int, int] = {}
        self._reasoning: dict[int, Object] = {}

    @property
    def complete(self) -> bool:
        """See `Reader`."""
        return self._complete

    def pieces(self, chunk: bytes) -> Iterable[Frame]:
        """See `TellingReader`."""
        return self._frames.feed(chunk)

    def last(self) -> bytes:
        """See `TellingReader`."""
        return self.telling.end(self._usage)

    def note(self, piece: Frame) -> bytes:
        """See `TellingReader`."""
        try:
            event = _EVENT.decode(piece.payload)
        except UNREADABLE as error:
            raise bad_answer(f"an event of {len(piece.payload)} bytes that cannot be read ({error})") from error
        if piece.headers.get(":message-type") != "event":
            raise _exception(piece, event)
        kind = piece.headers.get(":event-type")
        if kind == "messageStart":
            return self.telling.chunk(0, {})
        if kind == "contentBlockStart":
            return self._start(event)
        if kind == "contentBlockDelta":
            return self._delta(event)
        if kind == "contentBlockStop":
            return self._stop(event)
        if kind == "messageStop":
            self._stopped = True
            return self.telling.chunk(0, {}, ended(event.stop_reason))
        if kind == "metadata":
            self._usage = usage_of(event.usage)
            self._complete = self._stopped
        return b""

    def _start(self, event: Event) -> bytes:
        use = event.start.tool_use if event.start is not None else None
        if use is None:
            return b""
        index = self._calls[event.content_block_index] = len(self._calls)
        function = {"name": use.name, "arguments": ""}
        call = {"index": index, "id": use.tool_use_id, "type": "function", "function": function}
        return self.telling.chunk(0, {"tool_calls": [call]})

    def _delta(self, event: Event) -> bytes:
        delta = event.delta
        if delta is None:
            return b""
        if delta.text:
            return self.telling.chunk(0, {"content": delta.text})
        if delta.tool_use is not None and delta.tool_use.input:
            index = self._calls.get(event.content_block_index)
            if index is None:
                raise bad_answer("the input of a call that never began")
            call = {"index": index, "function": {"arguments": delta.tool_use.input}}
            return self.telling.chunk(0, {"tool_calls": [call]})
        if delta.reasoning_content is not None:
            return self._reason(event.content_block_index, delta.reasoning_content)
        return b""

    def _reason(self, index: int, delta: ReasoningDelta) -> bytes:
        block = self._reasoning.setdefault(index, {})
        if delta.redacted_content is not None:
            block["redactedContent"] = block.get("redactedContent", "") + delta.redacted_content
            return b""
        words = block.setdefault("reasoningText", {"text": ""})
        if delta.signature is not None:
            words["signature"] = delta.signature
        if not delta.text:
            return b""
        words["text"] += delta.text
        return self.telling.chunk(0, {"reasoning_content": delta.text})

    def _stop(self, event: Event) -> bytes:
        """At a reasoning block's end it is told whole, with its signature: it is to be sent back so."""
        block = self._reasoning.pop(event.content_block_index, None)
        if block is None:
            return b""
        return self.telling.chunk(0, {"extra_content": {"bedrock": {"reasoning": [block]}}})


def _exception(frame: Frame, event: Event) -> ProviderFailed:
    kind = frame.headers.get(":exception-type") or frame.headers.get(":error-code") or "error"
    words = event.message or frame.headers.get(":error-message", "")
    return ProviderFailed(
        f"The upstream broke off with an error: {kind}: {words[:2000]}", status=STATUS.get(kind), mend="Try again."
    )
