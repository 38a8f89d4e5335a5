"""What the readers of streamed answers share: those that pass events on as they came, and those that tell them anew.

What fails in the chunk that brought the first token is raised at once, for nobody has seen any of it: the call may go
elsewhere. What fails later is told behind the events that came before it.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import msgspec

from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.chatanswers import Telling, cut
from tidegate.gateway.providers.eventlines import EventBlocks, data_of, events_of
from tidegate.kernel.errors import ProviderFailed

__all__ = ["PassingReader", "TellingReader", "choices_asked"]

T = TypeVar("T")


class PassingReader(ABC):
    """Passes events on as they came. Once the first token was seen, a block is parsed only when it is `noteworthy`:
    when it may hold more than text.
    """

    def __init__(self, ask: Ask, noteworthy: Callable[[bytes], object]) -> None:
        self.ask = ask
        self.call = ask.call
        self.failure: ProviderFailed | None = None
        self.blocks = EventBlocks()
        self._noteworthy = noteworthy

    @property
    def complete(self) -> bool:
        """See `Reader`."""
        return self.call.whole

    @abstractmethod
    def note(self, data: bytes) -> bool:
        """Note what an event says, and return whether the client shall see it; raises ProviderFailed."""

    def feed(self, chunk: bytes) -> bytes:
        """See `Reader`."""
        block = self.blocks.feed(chunk)
        if not block:
            return b""
        call = self.call
        if call.first_token_s is not None and not self._noteworthy(block):
            call.last_token_s = time.perf_counter()
            return block
        return self._looked_at(block)

    def end(self) -> bytes:
        """See `Reader`."""
        if not self.complete:
            raise cut()
        return b""

    def _looked_at(self, block: bytes) -> bytes:
        first = self.call.first_token_s is None
        shown = []
        for event in events_of(block):
            data = data_of(event)
            try:
                if not data or self.note(data):
                    shown.append(event)
            except ProviderFailed as failure:
                if not self.complete:
                    if first:
                        raise
                    self.failure = failure
                break
        shown.append(b"")
        return b"\n\n".join(shown)


class TellingReader(ABC, Generic[T]):
    """Tells what comes in the words of chat.completions, piece by piece: an event's data, or a frame."""

    def __init__(self, ask: Ask) -> None:
        self.call = ask.call
        self.telling = Telling(ask)
        self.failure: ProviderFailed | None = None

    @property
    @abstractmethod
    def complete(self) -> bool:
        """See `Reader`."""

    @abstractmethod
    def pieces(self, chunk: bytes) -> Iterable[T]:
        """The pieces that the chunk completes; raises ProviderFailed."""

    @abstractmethod
    def note(self, piece: T) -> bytes:
        """One piece as chunks of chat.completions; raises ProviderFailed."""

    @abstractmethod
    def last(self) -> bytes:
        """The end of a complete answer."""

    def feed(self, chunk: bytes) -> bytes:
        """See `Reader`."""
        first = self.call.first_token_s is None
        told = b""
        try:
            for piece in self.pieces(chunk):
                told += self.note(piece)
        except ProviderFailed as failure:
            if not self.complete:
                if first:
                    raise
                self.failure = failure
        return told

    def end(self) -> bytes:
        """See `Reader`."""
        if not self.complete:
            raise cut()
        return self.last()


def choices_asked(ask: Ask) -> int:
    """How many choices the answer is to have."""
    raw = ask.payload.get("n")
    try:
        return max(1, msgspec.json.decode(raw, type=int)) if raw is not None else 1
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 1
