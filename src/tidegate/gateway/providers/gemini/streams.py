"""Streamed answers in Gemini's words, told chunk by chunk.

A stream has no mark for its end: it is complete when every candidate that was asked for has finished, or the prompt was
blocked. Usage comes with each event and counts up; the last one holds.
"""

from collections.abc import Iterable

from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.eventlines import EventBlocks, data_of, events_of
from tidegate.gateway.providers.gemini.answers import (
    Said,
    blocked_words,
    broken_off,
    ended,
    logprobs_of,
    said,
    usage_of,
)
from tidegate.gateway.providers.gemini.words import Candidate, Counts
from tidegate.gateway.providers.readers import TellingReader, choices_asked

__all__ = ["GeminiReader"]


class GeminiReader(TellingReader[bytes]):
    """Reads the events of streamGenerateContent."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask)
        self._counts: Counts | None = None
        self._asked = choices_asked(ask)
        self._blocks = EventBlocks()
        self._finished: set[int] = set()
        self._calls: dict[int, int] = {}

    @property
    def complete(self) -> bool:
        """Every choice has finished."""
        return len(self._finished) >= self._asked

    def pieces(self, chunk: bytes) -> Iterable[bytes]:
        """See `TellingReader`."""
        block = self._blocks.feed(chunk)
        return [data for event in events_of(block) if (data := data_of(event))] if block else ()

    def last(self) -> bytes:
        """See `TellingReader`."""
        return self.telling.end(*usage_of(self._counts))

    def note(self, piece: bytes) -> bytes:
        """See `TellingReader`."""
        answer = said(piece)
        if answer.error is not None:
            raise broken_off(answer.error)
        self._counts = answer.usage_metadata or self._counts
        self.telling.model = answer.model_version or self.telling.model
        blocked = blocked_words(answer) if not answer.candidates else None
        if blocked is not None:
            self._finished.update(range(self._asked))
            return self.telling.chunk(0, {"refusal": blocked[0]}, blocked[1])
        return b"".join([self._chunk(candidate) for candidate in answer.candidates])

    def _chunk(self, candidate: Candidate) -> bytes:
        index = candidate.index
        before = self._calls.get(index, 0)
        told = Said(candidate.content.parts if candidate.content else [], before)
        self._calls[index] = before + len(told.calls)
        finish = None
        if candidate.finish_reason and candidate.finish_reason != "FINISH_REASON_UNSPECIFIED":
            finish = ended(candidate.finish_reason, bool(self._calls[index]))
            self._finished.add(index)
        if not told.delta and finish is None:
            return b""
        return self.telling.chunk(index, told.delta, finish, logprobs_of(candidate))
