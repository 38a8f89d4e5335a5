"""Boards over real stores, and somebody who follows them."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from tests.support.databases import migrated_bytes
from tidegate.adapters.postgres.board import PostgresBoard
from tidegate.adapters.sqlite.board import SqliteBoard
from tidegate.live.ports import Board
from tidegate.live.snapshot import SCHEMA, Snapshot, encode_snapshot

__all__ = ["INSERT", "Follow", "Followed", "Store", "faulty", "follow", "postgres_store", "sqlite_store"]

Write = Callable[..., Awaitable[None]]


class Store:
    """A control database in which snapshots are written as control writes them."""

    def __init__(self, board: Callable[[], Board], insert: Write) -> None:
        self.board = board
        self._insert = insert

    async def write(self, generation: int, *, damage: bytes = b"", sha256: str | None = None) -> None:
        """Publish a snapshot of this generation; `damage` replaces its bytes."""
        blob, digest = encode_snapshot(Snapshot(generation=generation))
        await self._insert(generation, damage or blob, sha256 or digest)


INSERT = "INSERT INTO snapshots (generation, written_at_ms, schema, blob, sha256) VALUES "


def sqlite_store(folder: Path) -> Store:
    file = folder / "a folder?#%" / "control.db"
    file.parent.mkdir()
    file.write_bytes(migrated_bytes())

    async def insert(generation: int, blob: bytes, digest: str) -> None:
        with closing(sqlite3.connect(file)) as db, db:
            db.execute(f"{INSERT} (?, 0, ?, ?, ?)", (generation, SCHEMA, blob, digest))

    return Store(lambda: SqliteBoard(file), insert)


def postgres_store(url: str) -> Store:
    async def insert(generation: int, blob: bytes, digest: str) -> None:
        connection = await asyncpg.connect(url)
        async with connection.transaction():
            await connection.execute(f"{INSERT} ($1, 0, $2, $3, $4)", generation, SCHEMA, blob, digest)
            await connection.execute("SELECT pg_notify('tidegate_snapshot', $1)", str(generation))
        await connection.close()

    return Store(lambda: PostgresBoard(url), insert)


async def faulty(board: Board) -> None:
    """Wait until the board tells that its store is away."""
    async with asyncio.timeout(5):
        while board.fault is None:  # noqa: ASYNC110  # the port tells nobody
            await asyncio.sleep(0.01)


class Followed:
    """Follows a board and notes what came and when."""

    def __init__(self, board: Board, after: int) -> None:
        self.seen: list[int] = []
        self.times: list[float] = []
        self._task = asyncio.create_task(self._follow(board, after))

    async def _follow(self, board: Board, after: int) -> None:
        async for snapshot in board.changes(after):
            self.seen.append(snapshot.generation)
            self.times.append(time.monotonic())

    async def until(self, generation: int, timeout_s: float = 5.0) -> None:
        async with asyncio.timeout(timeout_s):
            while generation not in self.seen:
                assert not self._task.done()
                await asyncio.sleep(0.002)

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
async def follow() -> AsyncIterator[Callable[[Board, int], Followed]]:
    all_followed: list[Followed] = []

    def begin(board: Board, after: int) -> Followed:
        all_followed.append(Followed(board, after))
        return all_followed[-1]

    yield begin
    for followed in all_followed:
        await followed.end()


Follow = Callable[[Board, int], Followed]
