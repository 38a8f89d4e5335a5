"""Boards whose store goes away, comes back, is locked or replaced."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.boards import INSERT, Follow, faulty, postgres_store, sqlite_store
from tests.support.boards import follow as follow
from tests.support.databases import migrated_bytes
from tests.support.postgres import PostgresServer
from tidegate.adapters.postgres import board as postgres_board
from tidegate.adapters.sqlite import board as sqlite_board
from tidegate.adapters.sqlite.board import SqliteBoard
from tidegate.kernel.errors import Unavailable
from tidegate.live.snapshot import Snapshot, encode_snapshot


async def test_postgres_away_and_back(
    postgres_server: PostgresServer, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_board, "AWAY_S", 0.05)
    monkeypatch.setattr(postgres_board, "POLL_S", 60.0)
    url = await asyncio.to_thread(postgres_server.create_migrated)
    store = postgres_store(url)
    board = store.board()
    await store.write(1)
    followed = follow(board, 0)
    await followed.until(1)
    await asyncio.to_thread(postgres_server.stop)
    try:
        await faulty(board)
        with pytest.raises(Unavailable) as caught:
            await store.board().latest()
        assert caught.value.code == "database_unavailable"
    finally:
        await asyncio.to_thread(postgres_server.start)
    await store.write(2)
    await followed.until(2)
    await store.write(3)
    await followed.until(3)  # told after the return too: a poll would be much later
    assert not board.fault
    await board.close()


async def test_sqlite_away_and_back(tmp_path: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_board, "AWAY_S", 0.02)
    file = tmp_path / "control.db"
    board = SqliteBoard(file)
    with pytest.raises(Unavailable) as caught:
        await board.latest()
    assert caught.value.code == "database_unavailable"
    assert not file.exists(), "looking must not make an empty database"
    followed = follow(board, 0)
    await faulty(board)
    file.write_bytes(migrated_bytes())
    put(file, 1)
    await followed.until(1)
    assert not board.fault
    file.rename(tmp_path / "elsewhere")
    await faulty(board)
    (tmp_path / "elsewhere").rename(file)
    put(file, 2)
    await followed.until(2)
    await board.close()


def put(file: Path, generation: int) -> None:
    blob, digest = encode_snapshot(Snapshot(generation=generation))
    with closing(sqlite3.connect(file)) as db, db:
        db.execute(f"{INSERT} (?, 0, 1, ?, ?)", (generation, blob, digest))


async def test_a_restored_file_is_noticed(tmp_path: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_board, "AWAY_S", 0.02)
    file, backup = tmp_path / "control.db", tmp_path / "backup.db"
    for each in (file, backup):
        each.write_bytes(migrated_bytes())
    put(file, 1)
    board = SqliteBoard(file)
    followed = follow(board, 0)
    await followed.until(1)
    put(backup, 2)
    os.replace(backup, file)
    await followed.until(2)
    put(file, 3)
    await followed.until(3)
    await board.close()


async def test_an_empty_database_is_told(tmp_path: Path) -> None:
    file = tmp_path / "control.db"
    file.touch()
    board = SqliteBoard(file)
    with pytest.raises(Unavailable, match="no such table"):
        await board.latest()
    await board.close()


async def test_a_writer_in_the_middle_of_its_work_holds_nobody_up(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    file = tmp_path / "a folder?#%" / "control.db"
    await store.write(1)
    board = store.board()
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute(f"{INSERT} (2, 0, 1, x'00', '')")
        newest = await board.latest()  # a look that has to wait is given up, and told
        writer.execute("ROLLBACK")
    assert newest is not None
    assert newest.generation == 1
    await board.close()
