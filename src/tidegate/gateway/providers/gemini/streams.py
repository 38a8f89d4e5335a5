"""Streamed answers in Gemini's words, told chunk by chunk.

A stream has no mark for its end: it is complete when every candidate that was asked for has finished, or the prompt was
blocked. Usage comes with each event and counts up; the last one holds.
"""

from collections.abc import AsyncIterator

import msgspec

from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.chatanswers import Telling, cut
from tidegate.gateway.providers.eventlines import event_data
from tidegate.gateway.providers.gemini.answers import (
    Said,
    blocked_words,
    broken_off,
    ended,
    logprobs_of,
    said,
    usage_of,
)
from tidegate.gateway.providers.gemini.words import UNREADABLE, Answer, Candidate, Counts
from tidegate.kernel.errors import ProviderFailed

__all__ = ["follow_gemini"]


async def follow_gemini(ask: Ask, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield chunks as events; raises ProviderFailed (`provider_cut`, or the upstream's own error) when it ends too
    early.
    """
    reader = _Reader(ask)
    try:
        async for data in event_data(chunks):
            block = reader.note(said(data))
            if block:
                yield block
    except ProviderFailed:
        if not reader.complete:
            raise
    if not reader.complete:
        raise cut()
    usage, reasoning = usage_of(reader.counts)
    yield reader.telling.end(usage, reasoning)


class _Reader:
    def __init__(self, ask: Ask) -> None:
        self.telling = Telling(ask)
        self.counts: Counts | None = None
        self._asked = _choices_asked(ask)
        self._finished: set[int] = set()
        self._calls: dict[int, int] = {}

    @property
    def complete(self) -> bool:
        """Every choice has finished."""
        return len(self._finished) >= self._asked

    def note(self, answer: Answer) -> bytes:
        """One event as chunks."""
        if answer.error is not None:
            raise broken_off(answer.error)
        self.counts = answer.usage_metadata or self.counts
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


def _choices_asked(ask: Ask) -> int:
    raw = ask.payload.get("n")
    try:
        return max(1, msgspec.json.decode(raw, type=int)) if raw is not None else 1
    except UNREADABLE:
        return 1
