"""A streamed body, poured or pulled: the same blocks, the same ending, told once."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.gateway.events import Events
from tidegate.kernel.errors import ProviderFailed, ProviderTimeout, TidegateError

CUT = ProviderFailed("It broke off.", code="provider_cut")


class Scripted:
    """A Source that gives pieces, then ends or breaks off; a pour that is told to stop waits for `go_on`."""

    def __init__(self, pieces: list[bytes], error: Exception | None = None) -> None:
        self.pieces = list(pieces)
        self.error = error
        self.held = asyncio.Event()
        self.free = asyncio.Event()

    async def piece(self) -> bytes:
        if self.pieces:
            return self.pieces.pop(0)
        if self.error is not None:
            raise self.error
        return b""

    async def pour(self, take: Callable[[bytes], bool]) -> None:
        while piece := await self.piece():
            if take(piece):
                self.held.set()
                self.free.clear()
                await self.free.wait()

    def go_on(self) -> None:
        self.free.set()


class Upper:
    """A Reader that tells every line in capitals; `!` in a piece breaks off behind it, `.` is the answer's end."""

    def __init__(self) -> None:
        self.failure: ProviderFailed | None = None
        self.complete = False
        self.rest = b""

    def feed(self, chunk: bytes) -> bytes:
        self.complete = self.complete or b"." in chunk
        lines, _, self.rest = (self.rest + chunk).rpartition(b"\n")
        if b"!" in chunk and not self.complete:
            self.failure = CUT
        return lines.upper()

    def end(self) -> bytes:
        if not self.complete:
            raise ProviderFailed("too early", code="provider_cut")
        return self.rest.upper() + b"<end>"


class Seen:
    """What was told of the end."""

    def __init__(self, events: Events) -> None:
        self.told: list[str] = []
        self.shown = b""
        events.tap(self.show)
        events.when_over(lambda error: self.told.append(type(error).__name__))

    def show(self, block: bytes) -> None:
        self.shown += block


async def poured(events: Events) -> tuple[bytes, str]:
    out = []
    try:
        await events.pour(lambda block: bool(out.append(block)))  # type: ignore[func-returns-value]
    except TidegateError as error:
        return b"".join(out), error.code
    return b"".join(out), "ok"


async def pulled(events: Events) -> tuple[bytes, str]:
    out = []
    try:
        async with aclosing(events):
            async for block in events:
                out.append(block)
    except TidegateError as error:
        return b"".join(out), error.code
    return b"".join(out), "ok"


PIECES = st.lists(st.text("ab\n!.", min_size=1, max_size=4).map(str.encode), max_size=8)


@given(PIECES, st.sampled_from([None, CUT, ProviderTimeout("silent")]), st.booleans(), st.integers(-1, 6))
async def test_poured_and_pulled_are_one(
    pieces: list[bytes], error: ProviderFailed | None, mended: bool, ahead: int
) -> None:
    seen, outcomes = [], []
    for read in (poured, pulled):
        events = Events(Scripted(pieces, error), Upper())
        seen.append(Seen(events))
        if mended:
            events.mend_with(lambda broken: b"<mended>")
        if ahead >= 0:
            try:
                await events.peek(lambda: False, ahead)
            except ProviderFailed as broken:
                outcomes.append((b"peeked", broken.code))
                assert seen[-1].shown == b""  # nobody saw anything of it
                continue
        outcomes.append(await read(events))
        assert len(seen[-1].told) == 1
        assert seen[-1].shown == outcomes[-1][0].removesuffix(b"<mended>")
    assert outcomes[0] == outcomes[1]
    assert seen[0].told == seen[1].told


async def test_what_broke_off_is_told_behind_the_events_before_it() -> None:
    events = Events(Scripted([b"one\ntwo!\n"]), Upper())
    seen = Seen(events)
    assert await poured(events) == (b"ONE\nTWO!", "provider_cut")
    assert seen.told == ["ProviderFailed"]


async def test_what_breaks_off_behind_the_end_is_nobodys_loss() -> None:
    events = Events(Scripted([b"one.\n"], CUT), Upper())
    assert await poured(events) == (b"ONE.<end>", "ok")


async def test_a_reader_that_is_full_is_waited_for() -> None:
    source = Scripted([b"a\n", b"b\n", b"c.\n"])
    events = Events(source, Upper())
    out: list[bytes] = []

    def write(block: bytes) -> bool:
        out.append(block)
        return len(out) == 2

    pouring = asyncio.create_task(events.pour(write))
    await source.held.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert out == [b"A", b"B"]
    events.go_on()
    await pouring
    assert out == [b"A", b"B", b"C.", b"<end>"]


async def test_who_leaves_while_pouring_is_told_once() -> None:
    source = Scripted([b"a\n", b"b\n"])
    events = Events(source, Upper())
    seen = Seen(events)
    pouring = asyncio.create_task(events.pour(lambda block: True))
    await source.held.wait()
    pouring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pouring
    await events.aclose()
    assert seen.told == ["CancelledError"]


async def test_events_that_nobody_reads_are_told_over_too() -> None:
    events = Events(Scripted([b"a\n"]), Upper())
    seen = Seen(events)
    await events.aclose()
    await events.aclose()
    assert seen.told == ["GeneratorExit"]
    assert seen.shown == b""


async def test_everybody_is_told_though_one_of_them_fails() -> None:
    events = Events(Scripted([b"a.\n"]), Upper())

    def fail(error: BaseException | None) -> None:
        raise ZeroDivisionError

    events.when_over(fail)
    seen = Seen(events)
    with pytest.raises(ZeroDivisionError):
        await poured(events)
    assert seen.told == ["NoneType"]
