"""Events: the body of a streamed reply, on its way from an upstream to whoever reads it.

It is poured where the reader can take it: what the upstream's connection receives is read along and written to the
client in the same breath, without a task being woken for each event. Others pull it with `async for`.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from tidegate.kernel.errors import ProviderFailed, TidegateError

__all__ = ["Events", "Reader", "Source", "Write"]

Write = Callable[[bytes], bool]
"""Takes a piece; True: no more is wanted until `go_on`."""


class Source(Protocol):
    """Where the bytes come from: an exchange with an upstream."""

    async def piece(self) -> bytes:
        """The next piece, empty at the end; raises ProviderFailed."""
        ...

    async def pour(self, take: Write) -> None:
        """Hand over all that is still to come, as it comes; returns at the end. Raises ProviderFailed, and what `take`
        raises.
        """
        ...

    def go_on(self) -> None:
        """More is wanted again."""
        ...


class Reader(Protocol):
    """Reads one streamed answer along: it waits for nothing, whoever holds the connection feeds it. What it returns are
    whole server-sent events in the words of the endpoint that was asked; usage, first token and end are noted on the
    call.
    """

    @property
    def failure(self) -> ProviderFailed | None:
        """What broke the answer off behind the events that `feed` returned last: to be raised when those are handed
        on.
        """
        ...

    @property
    def complete(self) -> bool:
        """The answer's last event was read: what breaks off now is nobody's loss."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """The events that the chunk completes, empty when it completes none. Raises ProviderFailed."""
        ...

    def end(self) -> bytes:
        """The events that the end of the stream makes; raises ProviderFailed (`provider_cut`) if too early."""
        ...


class Events:
    """Read once: with `pour`, or with `async for` and then `aclose`. However that ends, everybody who asked with
    `when_over` is told, once.
    """

    __slots__ = ("_ahead", "_ended", "_mend", "_over", "_pulling", "_reader", "_source", "_taps", "_told")

    def __init__(self, source: Source, reader: Reader) -> None:
        self._source = source
        self._reader = reader
        self._ahead: list[bytes] = []
        self._ended = False
        self._taps: list[Callable[[bytes], None]] = []
        self._told: list[Callable[[BaseException | None], None]] = []
        self._mend: Callable[[TidegateError], bytes | None] | None = None
        self._over = False
        self._pulling: AsyncGenerator[bytes, None] | None = None

    def tap(self, see: Callable[[bytes], None]) -> None:
        """Have every block shown to `see` as it passes."""
        self._taps.append(see)

    def when_over(self, tell: Callable[[BaseException | None], None]) -> None:
        """Have `tell` called when the reading is over, after those who asked before: with None when it came to the end,
        else with what ended it (CancelledError and GeneratorExit: who read went away).
        """
        self._told.append(tell)

    def mend_with(self, mend: Callable[[TidegateError], bytes | None]) -> None:
        """Let `mend` make the last block of an error; where it returns None, the error is raised."""
        self._mend = mend

    async def peek(self, enough: Callable[[], bool], most_bytes: int) -> None:
        """Read ahead until there is enough, or the end. Raises ProviderFailed: then nothing was shown to anybody."""
        size = 0
        while (block := await self._next()) is not None:
            self._ahead.append(block)
            size += len(block)
            if enough() or size > most_bytes:
                return

    async def pour(self, write: Write) -> None:
        """Write it all; returns at the end. Raises what could not be mended."""
        error: BaseException | None = None
        try:
            for block in self._ahead:
                self._show(block, write)
            if not self._ended:
                await self._pour_on(write)
        except TidegateError as broken:
            error = broken
            last = self._mended(broken)
            if last is None:
                raise
            write(last)
        except BaseException as left:
            error = left
            raise
        finally:
            self._finish(error)

    def go_on(self) -> None:
        """More is wanted again."""
        self._source.go_on()

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        self._pulling = self._pulled()
        return self._pulling

    async def aclose(self) -> None:
        """No more is wanted."""
        if self._pulling is not None:
            await self._pulling.aclose()
        self._finish(GeneratorExit())

    async def _pour_on(self, write: Write) -> None:
        reader, taps = self._reader, self._taps
        feed = reader.feed

        def take(chunk: bytes) -> bool:
            block, full = feed(chunk), False
            if block:
                for see in taps:
                    see(block)
                full = write(block)
            if reader.failure is not None:
                raise reader.failure
            return full

        try:
            if reader.failure is not None:  # behind what was read ahead
                raise reader.failure
            await self._source.pour(take)
        except ProviderFailed:
            if not reader.complete:
                raise
        last = reader.end()
        if last:
            self._show(last, write)

    def _show(self, block: bytes, write: Write) -> None:
        self._seen(block)
        write(block)

    async def _pulled(self) -> AsyncGenerator[bytes, None]:
        error: BaseException | None = None
        try:
            for block in self._ahead:
                self._seen(block)
                yield block
            while (more := await self._next()) is not None:
                self._seen(more)
                yield more
        except TidegateError as broken:
            error = broken
            last = self._mended(broken)
            if last is None:
                raise
            yield last
        except BaseException as left:
            error = left
            raise
        finally:
            self._finish(error)

    def _seen(self, block: bytes) -> None:
        for see in self._taps:
            see(block)

    async def _next(self) -> bytes | None:
        """The next block; None behind the last."""
        if self._ended:
            return None
        reader = self._reader
        try:
            if reader.failure is not None:
                raise reader.failure
            while chunk := await self._source.piece():
                block = reader.feed(chunk)
                if block:
                    return block
                if reader.failure is not None:
                    raise reader.failure
        except ProviderFailed:
            if not reader.complete:
                raise
        self._ended = True
        return reader.end() or None

    def _mended(self, error: TidegateError) -> bytes | None:
        return self._mend(error) if self._mend is not None else None

    def _finish(self, error: BaseException | None) -> None:
        if self._over:
            return
        self._over = True
        failure: Exception | None = None
        for tell in self._told:
            try:
                tell(error)
            except Exception as fault:  # the others are told all the same
                failure = failure or fault
        if failure is not None:
            raise failure
