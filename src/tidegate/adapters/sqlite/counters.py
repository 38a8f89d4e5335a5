"""Counters on SQLite: a file of its own, so that a budget never waits for the call log. Every exchange is on the disk
before it is answered (`synchronous=FULL`): money that was given out is remembered through a loss of power.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from tidegate.adapters.sqlite.wal import use_wal
from tidegate.kernel.errors import Unavailable
from tidegate.live.counting import Counted
from tidegate.live.ports import Line, Standing
from tidegate.live.tallies import Tally

__all__ = ["SqliteCounters"]

BUSY_TIMEOUT_S = 10.0
KEPT_MS = 40 * 86_400_000
CLEAN_EVERY_MS = 3_600_000

WINDOWS = 'SELECT counter, "window", ends_at_ms, cap, generation, settled FROM counter_windows'
SLICES = 'SELECT counter, "window", gateway_id, held, expires_ms, lives_until_ms FROM counter_slices'
ONE = ' WHERE counter = ? AND "window" = ?'

T = TypeVar("T")


class SqliteCounters:
    """Fills `live.ports.Counters`, from one thread of its own."""

    def __init__(self, file: Path, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._file = file
        self._now_ms = now_ms
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="counters")
        self._connection: sqlite3.Connection | None = None
        self._cleaned_at_ms = 0

    async def exchange(self, gateway_id: str, seq: int, lines: Sequence[Line]) -> Sequence[Standing]:
        """See `live.ports.Counters`."""
        return await self._in_turn(lambda connection: self._exchange(connection, gateway_id, seq, lines))

    async def standings(self) -> Sequence[Counted]:
        """See `control.spend.ports.Spending`."""
        return await self._in_turn(lambda connection: counted_of(_all(connection), self._now_ms()))

    async def rebuild(self, counted: Sequence[Counted]) -> None:
        """See `control.spend.ports.Spending`."""
        await self._in_turn(lambda connection: _rebuild(connection, counted))

    async def close(self) -> None:
        """See `live.ports.Counters`."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=True)

    async def _in_turn(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run the work in one transaction, in the thread."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(
                f"Limits and budgets cannot be counted in {self._file.name}: {error}.",
                mend="Check the disk and the file's rights; `tidegate doctor` tells more.",
                code="budget_store_unavailable",
            ) from error

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection or self._open()
        try:
            connection.execute("BEGIN IMMEDIATE")
            done = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            self._close()  # rolls back
            raise
        return done

    def _exchange(
        self, connection: sqlite3.Connection, gateway_id: str, seq: int, lines: Sequence[Line]
    ) -> Sequence[Standing]:
        last = connection.execute("SELECT seq, answer FROM counter_gateways WHERE gateway_id = ?", (gateway_id,))
        row = last.fetchone()
        if row is not None and row[0] == seq:
            return decode_answer(row[1])
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
        return standings

    def _open(self) -> sqlite3.Connection:
        self._file.touch(mode=0o600)
        connection = sqlite3.connect(self._file, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            use_wal(connection, BUSY_TIMEOUT_S)
            connection.execute("PRAGMA synchronous=FULL")
            for statement in COUNTERS_DDL:
                connection.execute(statement)
        except sqlite3.Error:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


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
