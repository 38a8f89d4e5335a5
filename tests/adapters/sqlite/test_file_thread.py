"""One file, one thread, one connection: made when needed, made anew when the file is another one."""

# ruff: noqa: ASYNC240  # tests touch files

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tidegate.adapters.sqlite.file_thread import FileThread, transaction
from tidegate.kernel.errors import Unavailable


def prepare(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS notes (words TEXT NOT NULL)")


def put(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO notes VALUES ('hello')")


def count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM notes").fetchone()[0])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "notes.db"


@pytest.fixture
async def thread(file: Path) -> AsyncIterator[FileThread]:
    made = FileThread(file, prepare, cannot="Notes cannot be kept in", code="notes_unavailable")
    yield made
    await made.close()


async def test_looking_makes_no_file_and_doing_makes_a_private_one(thread: FileThread, file: Path) -> None:
    assert await thread.look(count, -1) == -1
    assert not file.exists()
    await thread.do(put)
    assert await thread.look(count, -1) == 1
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_file_that_was_removed_is_made_anew_and_one_put_in_its_place_is_read(
    thread: FileThread, file: Path, tmp_path: Path
) -> None:
    await thread.do(put)
    file.rename(tmp_path / "aside.db")
    await thread.do(put)
    await thread.do(put)
    assert await thread.do(count) == 2
    (tmp_path / "aside.db").rename(file)
    assert await thread.do(count) == 1


async def test_what_cannot_be_done_is_told_with_the_files_name_and_can_be_tried_again(
    thread: FileThread, file: Path
) -> None:
    file.mkdir()
    with pytest.raises(Unavailable, match=r"Notes cannot be kept in notes\.db") as caught:
        await thread.do(put)
    assert (caught.value.code, bool(caught.value.mend)) == ("notes_unavailable", True)
    file.rmdir()
    await thread.do(put)
    assert await thread.do(count) == 1


async def test_a_transaction_is_all_or_nothing(thread: FileThread) -> None:
    def twice(connection: sqlite3.Connection) -> None:
        with transaction(connection):
            put(connection)
            raise ValueError("in the middle")

    with pytest.raises(ValueError, match="middle"):
        await thread.do(twice)
    assert await thread.do(count) == 0


async def test_closed_it_can_be_used_again(thread: FileThread) -> None:
    await thread.do(put)
    await thread.close()
    await thread.close()
    assert await thread.do(count) == 1
