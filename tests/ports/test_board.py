"""The Board port's words, held by every adapter against the real store."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.support.boards import Follow, Store, postgres_store, sqlite_store
from tests.support.boards import follow as follow
from tests.support.postgres import PostgresServer
from tidegate.adapters.postgres import board as postgres_board
from tidegate.adapters.postgres.board import PostgresBoard
from tidegate.adapters.sqlite import bell as sqlite_bell
from tidegate.adapters.sqlite import board as sqlite_board
from tidegate.kernel.errors import Invalid
from tidegate.live.ports import Board
from tidegate.live.snapshot import SCHEMA, Snapshot, encode_snapshot


@pytest.fixture(scope="module")
def migrated_url(postgres_server: PostgresServer) -> Iterator[str]:
    url = postgres_server.create_migrated()
    yield url
    postgres_server.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return sqlite_store(tmp_path)
    url: str = request.getfixturevalue("migrated_url")
    connection = await asyncpg.connect(url)
    await connection.execute("DELETE FROM snapshots")
    await connection.close()
    return postgres_store(url)


@pytest.fixture
async def board(store: Store) -> AsyncIterator[Board]:
    board = store.board()
    yield board
    await board.close()


async def test_nothing_written_is_nothing(board: Board) -> None:
    assert await board.latest() is None


async def test_the_newest_wins_whatever_the_order(store: Store, board: Board) -> None:
    for generation in (3, 9, 5):
        await store.write(generation)
    newest = await board.latest()
    assert newest is not None
    assert newest.generation == 9


async def test_what_is_written_is_pushed_within_200_ms(
    store: Store, board: Board, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_board, "POLL_S", 60.0)
    monkeypatch.setattr(sqlite_bell, "COVER_S", 60.0)
    followed = follow(board, 0)
    await asyncio.sleep(0.1)
    delays = []
    for generation in range(1, 6):
        await store.write(generation)
        written = time.monotonic()
        await followed.until(generation)
        delays.append(followed.times[-1] - written)
    assert min(delays) < 0.2  # a busy machine may be late now and then, a poll always is
    assert followed.seen == [1, 2, 3, 4, 5]


async def test_only_newer_ones_come(store: Store, board: Board, follow: Follow) -> None:
    await store.write(4)
    await store.write(6)
    followed = follow(board, 6)
    await asyncio.sleep(0.1)
    await store.write(5)
    await asyncio.sleep(0.1)
    assert followed.seen == []
    await store.write(7)
    await followed.until(7)
    assert followed.seen == [7]


async def test_what_was_written_before_the_following_began_comes_first(
    store: Store, board: Board, follow: Follow
) -> None:
    await store.write(2)
    await follow(board, 0).until(2)


async def test_intermediate_ones_may_be_skipped_but_not_the_last(store: Store, board: Board, follow: Follow) -> None:
    followed = follow(board, 0)
    for generation in range(1, 30):
        await store.write(generation)
    await followed.until(29)
    assert followed.seen == sorted(set(followed.seen))


# Damage.


@pytest.mark.parametrize(
    ("damage", "sha256"),
    [(b"{", None), (b'{"generation": 5}', None), (b"\xff" * 40, None), (b"", "0" * 64)],
    ids=["half", "other bytes", "no text", "wrong sum"],
)
async def test_a_corrupt_one_is_told_and_skipped(
    store: Store, board: Board, follow: Follow, monkeypatch: pytest.MonkeyPatch, damage: bytes, sha256: str | None
) -> None:
    monkeypatch.setattr(sqlite_board, "AWAY_S", 0.02)
    monkeypatch.setattr(postgres_board, "AWAY_S", 0.02)
    await store.write(1)
    followed = follow(board, 0)
    await followed.until(1)
    await store.write(2, damage=damage, sha256=sha256)
    await asyncio.sleep(0.1)
    assert followed.seen == [1]
    assert board.fault is not None
    assert "snapshot" in board.fault
    other = store.board()
    with pytest.raises(Invalid) as caught:
        await other.latest()
    await other.close()
    assert caught.value.code == "snapshot_corrupt"
    await store.write(3)
    await followed.until(3)
    assert board.fault is None


async def test_one_of_a_schema_that_is_too_new_is_told(store: Store, board: Board) -> None:
    blob, digest = encode_snapshot(Snapshot(generation=8, schema=SCHEMA + 2))
    await store.write(8, damage=blob, sha256=digest)
    with pytest.raises(Invalid) as caught:
        await board.latest()
    assert caught.value.code == "snapshot_schema"


async def test_a_notification_that_was_lost_is_made_up_for(
    store: Store, board: Board, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_board, "POLL_S", 0.05)
    monkeypatch.setattr(PostgresBoard, "_notified", lambda *_: None)
    followed = follow(board, 0)
    await asyncio.sleep(0.1)
    await store.write(1)
    await followed.until(1, 4.0)


async def test_a_board_that_was_closed_can_be_closed_again(board: Board) -> None:
    await board.latest()
    await board.close()
    await board.close()
