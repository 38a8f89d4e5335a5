"""Streamed answers in OpenAI's dialect: whole server-sent events pass on as they came, while usage, first token and end
are noted.

Framing: https://html.spec.whatwg.org/multipage/server-sent-events.html. A stream is complete when `data: [DONE]` came,
or, for servers that do not send it, when every choice had its finish_reason; anything else is a cut.
"""

import re
import time

import msgspec

from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.chatanswers import bad_answer, cut
from tidegate.gateway.providers.eventlines import data_of
from tidegate.gateway.providers.openai.answers import (
    SILENT,
    UNREADABLE,
    UsageFields,
    message_of,
    note_usage,
    read_loosely,
)
from tidegate.gateway.providers.readers import PassingReader, choices_asked
from tidegate.kernel.errors import ProviderFailed

__all__ = ["ChatReader"]

MAX_WORD = 64
DONE = b"[DONE]"
NOTEWORTHY = re.compile(rb'"(?:usage"\s*:\s*\{|finish_reason"\s*:\s*"|error"\s*:)')


class Delta(msgspec.Struct):
    """What a chunk adds. Only whether there is something is noted, so that any shape of it will do."""

    content: msgspec.Raw = msgspec.Raw()
    reasoning_content: msgspec.Raw = msgspec.Raw()
    reasoning: msgspec.Raw = msgspec.Raw()
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


class ChatReader(PassingReader):
    """Reads chat.completions and completions."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask, _noteworthy)
        self._finished: set[int] = set()

    def end(self) -> bytes:
        """See `Reader`. The last event may lack its empty line, and may be missing when all choices have finished."""
        last = b""
        if not self.call.whole and data_of(self.blocks.rest.rstrip()) == DONE:
            self.call.whole = True
            last = b"data: [DONE]\n\n"
        if not self.call.whole and len(self._finished) < choices_asked(self.ask):
            raise cut()
        return last

    def note(self, data: bytes) -> bool:
        """See `PassingReader`."""
        if data == DONE:
            self.call.whole = True
            return True
        strict = True
        try:
            try:
                chunk = _CHUNK.decode(data)
            except msgspec.ValidationError:
                chunk, strict = read_loosely(data, Chunk), False
        except UNREADABLE as error:
            raise bad_answer(f"an event of {len(data)} bytes that cannot be read ({error})") from error
        if bytes(chunk.error) not in SILENT:
            raise ProviderFailed(f"The upstream broke off with an error: {message_of(chunk.error)}", mend="Try again.")
        return self._chunk(chunk, strict)

    def _chunk(self, chunk: Chunk, strict: bool) -> bool:
        call = self.call
        for choice in chunk.choices or ():
            if choice.text or (choice.delta is not None and _says(choice.delta)):
                call.last_token_s = time.perf_counter()
                if call.first_token_s is None:
                    call.first_token_s = call.last_token_s
            if choice.finish_reason is not None:
                call.finish_reason = choice.finish_reason[:MAX_WORD]
                self._finished.add(choice.index)
        if chunk.usage is not None:
            note_usage(self.ask, chunk.usage)
            if strict and not chunk.choices and not self.ask.usage_wanted:
                return False  # the client did not ask for it
        return True


def _noteworthy(block: bytes) -> bool:
    """The pattern begins with a sign to look for: with [DONE] in it, it took four times as long."""
    return block.rfind(DONE) >= 0 or NOTEWORTHY.search(block) is not None


def _says(delta: Delta) -> bool:
    return any(bytes(getattr(delta, name)) not in SILENT for name in delta.__struct_fields__)
