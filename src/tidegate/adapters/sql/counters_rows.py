"""The shared counters as rows, for both SQL dialects: what is read, what the tallies make of it, what is written back.

counter_windows   one row for each counter's window: cap, generation, settled
counter_slices    what each gateway process holds of it
counter_gateways  the last exchange of each gateway process and its answer, so that asking again changes nothing
counter_births    one row: the store's birth mark (live/births.py)
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tidegate.live.counting import Counted
from tidegate.live.ports import Line, Standing
from tidegate.live.tallies import Part, Tally, apply

__all__ = ["COUNTERS_DDL", "counted_of", "decode_answer", "encode_answer", "settle_lines", "tallies_of", "window_rows"]

COUNTERS_DDL: tuple[str, ...] = (
    """CREATE TABLE IF NOT EXISTS counter_windows (
    counter TEXT NOT NULL, "window" TEXT NOT NULL, ends_at_ms BIGINT NOT NULL, cap BIGINT NOT NULL,
    generation BIGINT NOT NULL, settled BIGINT NOT NULL, PRIMARY KEY (counter, "window"))""",
    """CREATE TABLE IF NOT EXISTS counter_slices (
    counter TEXT NOT NULL, "window" TEXT NOT NULL, gateway_id TEXT NOT NULL, held BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL, lives_until_ms BIGINT NOT NULL, PRIMARY KEY (counter, "window", gateway_id))""",
    """CREATE TABLE IF NOT EXISTS counter_gateways (
    gateway_id TEXT NOT NULL PRIMARY KEY, seq BIGINT NOT NULL, answer TEXT NOT NULL, seen_at_ms BIGINT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS counter_births (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1), mark TEXT NOT NULL, state TEXT NOT NULL)""",
)

_ANSWER = msgspec.json.Decoder(tuple[Standing, ...])

Key = tuple[str, str]


def encode_answer(standings: Sequence[Standing]) -> str:
    """The answer as it is kept for a gateway that asks again."""
    return msgspec.json.encode(standings).decode()


def decode_answer(text: str) -> tuple[Standing, ...]:
    """The answer that was kept."""
    return _ANSWER.decode(text)


def tallies_of(windows: Iterable[Sequence[object]], slices: Iterable[Sequence[object]]) -> dict[Key, Tally]:
    """The tallies that rows of both tables, in their columns' order, amount to."""
    found: dict[Key, Tally] = {}
    for counter, window, *numbers in windows:
        ends_at_ms, cap, generation, settled = (int(str(number)) for number in numbers)
        key = (str(counter), str(window))
        found[key] = Tally(*key, ends_at_ms, cap, generation, settled)
    for counter, window, gateway_id, *numbers in slices:
        tally = found.get((str(counter), str(window)))
        if tally is not None:
            tally.parts[str(gateway_id)] = Part(*(int(str(number)) for number in numbers))
    return found


def settle_lines(found: dict[Key, Tally], gateway_id: str, lines: Sequence[Line], now_ms: int) -> tuple[Standing, ...]:
    """Apply the lines to the tallies, making those that are new; return the standings."""
    standings = []
    for line in lines:
        key = (line.counter, line.window)
        tally = found.get(key)
        if tally is None:
            tally = found[key] = Tally(line.counter, line.window, line.ends_at_ms)
        standings.append(apply(tally, gateway_id, line, now_ms))
    return tuple(standings)


def window_rows(
    found: Mapping[Key, Tally], gateway_id: str
) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The rows to write back: every window, and this gateway's slices of them."""
    windows: list[tuple[object, ...]] = []
    slices: list[tuple[object, ...]] = []
    for (counter, window), tally in found.items():
        windows.append((counter, window, tally.ends_at_ms, tally.cap, tally.generation, tally.settled))
        part = tally.parts.get(gateway_id)
        if part is not None:
            slices.append((counter, window, gateway_id, part.held, part.expires_ms, part.lives_until_ms))
    return windows, slices


def counted_of(found: Mapping[Key, Tally], now_ms: int) -> tuple[Counted, ...]:
    """The tallies as control sees them."""
    return tuple(
        Counted(
            counter=one.counter,
            window=one.window,
            cap=one.cap,
            settled=one.settled,
            held=one.held(now_ms),
            ends_at_ms=one.ends_at_ms,
        )
        for one in found.values()
    )
