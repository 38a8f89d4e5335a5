"""Counters on SQLite: a file of its own, so that a budget never waits for the call log. Every exchange is on the disk
before it is answered (`synchronous=FULL`): money that was given out is remembered through a loss of power.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tidegate.adapters.sql.counters_rows import (
    COUNTERS_DDL,
    counted_of,
    decode_answer,
    encode_answer,
    settle_lines,
    tallies_of,
    window_rows,
)
from tidegate.adapters.sqlite.file_thread import BUSY_TIMEOUT_S, FileThread, transaction
from tidegate.adapters.sqlite.wal import use_wal
from tidegate.kernel.ids import new_id
from tidegate.live.births import LOST, Birth, counters_lost, meet, reopened
from tidegate.live.counting import Counted
from tidegate.live.ports import Line, Standing
from tidegate.live.tallies import Tally

__all__ = ["SqliteCounters"]

KEPT_MS = 40 * 86_400_000
CLEAN_EVERY_MS = 3_600_000

WINDOWS = 'SELECT counter, "window", ends_at_ms, cap, generation, settled FROM counter_windows'
SLICES = 'SELECT counter, "window", gateway_id, held, expires_ms, lives_until_ms FROM counter_slices'
ONE = ' WHERE counter = ? AND "window" = ?'

T = TypeVar("T")


class SqliteCounters:
    """Fills `live.ports.Counters`, and control's `Spending`."""

    def __init__(self, file: Path, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._thread = FileThread(
            file, _prepare, cannot="Limits and budgets cannot be counted in", code="budget_store_unavailable"
        )
        self._now_ms = now_ms
        self._known: str | None = None
        self._cleaned_at_ms = 0

    async def exchange(self, gateway_id: str, seq: int, lines: Sequence[Line]) -> Sequence[Standing]:
        """See `live.ports.Counters`."""
        known, standings = await self._in_turn(lambda connection: self._exchange(connection, gateway_id, seq, lines))
        self._known = known  # what was not committed is not known
        if standings is None:
            raise counters_lost(self._thread.file.name)
        return standings

    async def standings(self) -> Sequence[Counted]:
        """See `control.spend.ports.Spending`."""
        return await self._in_turn(lambda connection: counted_of(_all(connection), self._now_ms()))

    async def rebuild(self, counted: Sequence[Counted]) -> None:
        """See `control.spend.ports.Spending`."""
        await self._in_turn(lambda connection: _rebuild(connection, counted))

    async def birth(self) -> Birth | None:
        """See `control.spend.ports.Spending`."""
        return await self._thread.look(_birth, None)

    async def lose(self) -> None:
        """See `control.spend.ports.Spending`."""
        await self._in_turn(lambda connection: _write_birth(connection, Birth(_mark(connection), LOST)))

    async def close(self) -> None:
        """See `live.ports.Counters`."""
        await self._thread.close()

    async def _in_turn(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work in one transaction, in the thread."""

        def transacted(connection: sqlite3.Connection) -> T:
            with transaction(connection):
                return work(connection)

        return await self._thread.do(transacted)

    def _exchange(
        self, connection: sqlite3.Connection, gateway_id: str, seq: int, lines: Sequence[Line]
    ) -> tuple[str | None, Sequence[Standing] | None]:
        """The mark to know, and the standings; None: the store is not the one that was known."""
        meeting = meet(self._known, _birth(connection), new_id("store"))
        if meeting.write is not None:
            _write_birth(connection, meeting.write)
        if meeting.lost:
            return meeting.known, None
        last = connection.execute("SELECT seq, answer FROM counter_gateways WHERE gateway_id = ?", (gateway_id,))
        row = last.fetchone()
        if row is not None and row[0] == seq:
            return meeting.known, decode_answer(row[1])
        now_ms = self._now_ms()
        connection.execute(
            "UPDATE counter_slices SET lives_until_ms = ? + expires_ms "
            "WHERE gateway_id = ? AND expires_ms > 0 AND lives_until_ms > ?",
            (now_ms, gateway_id, now_ms),
        )
        keys = dict.fromkeys((line.counter, line.window) for line in lines)
        windows = [row for key in keys for row in connection.execute(WINDOWS + ONE, key)]
        slices = [row for key in keys for row in connection.execute(SLICES + ONE, key)]
        found = tallies_of(windows, slices)
        standings = settle_lines(found, gateway_id, lines, now_ms)
        window_values, slice_values = window_rows(found, gateway_id)
        connection.executemany("INSERT OR REPLACE INTO counter_windows VALUES (?, ?, ?, ?, ?, ?)", window_values)
        connection.executemany("INSERT OR REPLACE INTO counter_slices VALUES (?, ?, ?, ?, ?, ?)", slice_values)
        kept = (gateway_id, seq, encode_answer(standings), now_ms)
        connection.execute("INSERT OR REPLACE INTO counter_gateways VALUES (?, ?, ?, ?)", kept)
        if now_ms - self._cleaned_at_ms > CLEAN_EVERY_MS:
            self._cleaned_at_ms = now_ms
            _clean(connection, now_ms)
        return meeting.known, standings


def _prepare(connection: sqlite3.Connection) -> None:
    use_wal(connection, BUSY_TIMEOUT_S)
    connection.execute("PRAGMA synchronous=FULL")
    for statement in COUNTERS_DDL:
        connection.execute(statement)


def _birth(connection: sqlite3.Connection) -> Birth | None:
    row = connection.execute("SELECT mark, state FROM counter_births").fetchone()
    return None if row is None else Birth(*row)


def _mark(connection: sqlite3.Connection) -> str:
    found = _birth(connection)
    return new_id("store") if found is None else found.mark


def _write_birth(connection: sqlite3.Connection, birth: Birth) -> None:
    connection.execute("INSERT OR REPLACE INTO counter_births VALUES (1, ?, ?)", (birth.mark, birth.state))


def _clean(connection: sqlite3.Connection, now_ms: int) -> None:
    """Forget windows that ended long ago, and processes that were silent for as long."""
    before = (now_ms - KEPT_MS,)
    connection.execute(
        'DELETE FROM counter_slices WHERE (counter, "window") IN '
        '(SELECT counter, "window" FROM counter_windows WHERE ends_at_ms < ?)',
        before,
    )
    connection.execute("DELETE FROM counter_windows WHERE ends_at_ms < ?", before)
    connection.execute("DELETE FROM counter_gateways WHERE seen_at_ms < ?", before)


def _all(connection: sqlite3.Connection) -> dict[tuple[str, str], Tally]:
    return tallies_of(connection.execute(WINDOWS), connection.execute(SLICES))


def _rebuild(connection: sqlite3.Connection, counted: Sequence[Counted]) -> None:
    for one in counted:
        connection.execute(
            'INSERT INTO counter_windows VALUES (?, ?, ?, ?, 0, ?) ON CONFLICT (counter, "window") '
            "DO UPDATE SET settled = MAX(settled, excluded.settled)",
            (one.counter, one.window, one.ends_at_ms, one.cap, one.settled),
        )
    _write_birth(connection, reopened(_birth(connection), new_id("store")))
