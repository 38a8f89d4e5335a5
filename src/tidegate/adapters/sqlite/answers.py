"""Answers and scores of evaluations on SQLite: one file for all runs of a workspace, and for a CI's cache."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import msgspec

from tidegate.adapters.sqlite.file_thread import BUSY_TIMEOUT_S, FileThread, transaction
from tidegate.adapters.sqlite.wal import use_wal
from tidegate.control.evals.ports import Kept, Score
from tidegate.kernel.errors import Unavailable

__all__ = ["Emptied", "SqliteAnswers"]

DDL = (
    "CREATE TABLE IF NOT EXISTS eval_answers (key BLOB PRIMARY KEY, body BLOB NOT NULL, at_ms INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS eval_scores (key BLOB PRIMARY KEY, body BLOB NOT NULL, at_ms INTEGER NOT NULL)",
)
PUT = MappingProxyType(
    {
        "answer": "INSERT OR IGNORE INTO eval_answers VALUES (?, ?, ?)",
        "score": "INSERT OR IGNORE INTO eval_scores VALUES (?, ?, ?)",
    }
)

T = TypeVar("T")

_ENCODER = msgspec.json.Encoder()
_KEPT = msgspec.json.Decoder(Kept)
_SCORE = msgspec.json.Decoder(Score)


class Emptied(NamedTuple):
    """What was taken out of a cache, and the size of its file after that."""

    answers: int
    scores: int
    bytes: int


class _Row(NamedTuple):
    kind: str
    key: bytes
    body: bytes


class SqliteAnswers:
    """Fills `control.evals.ports.AnswerCache`. Reading happens at once, in the caller's thread (a look-up by key takes
    microseconds, and no writer holds it up); writes of all callers that come while one commits go into the next commit.
    A fault of the file is no fault of the run when reading: the answer is not found.
    """

    keeps = True

    def __init__(self, file: Path) -> None:
        self.file = file
        self._thread = FileThread(file, _prepare, cannot="Answers cannot be kept in", code="answers_unavailable")
        self._reader: sqlite3.Connection | None = None
        self._waiting: list[tuple[_Row, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def answer(self, key: str) -> Kept | None:
        """See `AnswerCache`."""
        return self._read("SELECT body FROM eval_answers WHERE key = ?", key, _KEPT)

    async def keep_answer(self, key: str, kept: Kept) -> None:
        """See `AnswerCache`."""
        await self._keep(_Row("answer", bytes.fromhex(key), _ENCODER.encode(kept)))

    async def score(self, key: str) -> Score | None:
        """See `AnswerCache`."""
        return self._read("SELECT body FROM eval_scores WHERE key = ?", key, _SCORE)

    async def keep_score(self, key: str, score: Score) -> None:
        """See `AnswerCache`."""
        await self._keep(_Row("score", bytes.fromhex(key), _ENCODER.encode(score)))

    async def empty(self, before_ms: int) -> Emptied:
        """Take out what is older, and give its room back. Raises Unavailable."""

        def work(connection: sqlite3.Connection) -> tuple[int, int]:
            with transaction(connection):
                answers = connection.execute("DELETE FROM eval_answers WHERE at_ms < ?", (before_ms,)).rowcount
                scores = connection.execute("DELETE FROM eval_scores WHERE at_ms < ?", (before_ms,)).rowcount
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return answers, scores

        answers, scores = await self._thread.look(work, (0, 0))
        return Emptied(answers, scores, self.file.stat().st_size if self.file.exists() else 0)

    async def close(self) -> None:
        """See `AnswerCache`. The log in front of the file is emptied, so that the file alone is the cache."""
        if self._writer is not None:
            await self._writer
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        with contextlib.suppress(Unavailable):  # told when an answer was to be kept
            await self._thread.look(_settle, None)
        await self._thread.close()

    def _read(self, query: str, key: str, decoder: "msgspec.json.Decoder[T]") -> T | None:
        try:
            if self._reader is None:
                if not self.file.exists():
                    return None
                self._reader = sqlite3.connect(self.file, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            row = self._reader.execute(query, (bytes.fromhex(key),)).fetchone()
            return None if row is None else decoder.decode(row[0])
        except (sqlite3.Error, msgspec.DecodeError):
            return None

    async def _keep(self, row: _Row) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="answers")
        await done

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            fault: Exception | None = None
            try:
                await self._thread.do(_put([row for row, _ in batch]))
            except Exception as error:
                fault = error
            for _, done in batch:
                if done.done():  # whoever waited has left
                    continue
                done.set_result(None) if fault is None else done.set_exception(fault)
        self._writer = None


def _prepare(connection: sqlite3.Connection) -> None:
    use_wal(connection, BUSY_TIMEOUT_S)
    connection.execute("PRAGMA synchronous=NORMAL")
    for statement in DDL:
        connection.execute(statement)


def _put(rows: Sequence[_Row]) -> Callable[[sqlite3.Connection], None]:
    def work(connection: sqlite3.Connection) -> None:
        now_ms = time.time_ns() // 1_000_000
        with transaction(connection):
            for kind, statement in PUT.items():
                connection.executemany(statement, [(row.key, row.body, now_ms) for row in rows if row.kind == kind])

    return work


def _settle(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):  # another process reads it: then it is emptied by the next one
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
