"""SqliteDatabase among the things that happen to files: locked, moved, replaced, full, damaged."""

# ruff: noqa: ASYNC240, PT012  # tests touch files; what is tried is a transaction

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.kernel.errors import Unavailable

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "control.db"


@pytest.fixture
async def db(file: Path) -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(file, busy_timeout_s=0.2)
    async with database.write() as tx:
        await tx.exec_driver_sql("CREATE TABLE notes (words TEXT)")
    yield database
    await database.close()


async def put(db: SqliteDatabase, words: str = "hello") -> None:
    async with db.write() as tx:
        await tx.execute(sa.text("INSERT INTO notes VALUES (:words)"), {"words": words})


async def count(db: SqliteDatabase) -> int:
    async with db.read() as tx:
        return int((await tx.exec_driver_sql("SELECT count(*) FROM notes")).scalar_one())


@contextmanager
def lock_of_another_process(file: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield
        finally:
            process.communicate("go\n", timeout=10)


async def refusal(db: SqliteDatabase) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        await put(db)
    assert caught.value.mend
    return caught.value


async def test_the_file_is_private_and_in_wal_mode(db: SqliteDatabase, file: Path) -> None:
    await put(db)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.with_name("control.db-wal").stat().st_mode & 0o777 == 0o600
    async with db.read() as tx:
        pragmas = [
            (await tx.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert pragmas == ["wal", 1, 1]


async def test_locked_by_another_process(db: SqliteDatabase, file: Path) -> None:
    with lock_of_another_process(file):
        error = await refusal(db)
        assert await count(db) == 0  # readers go on
    assert error.code == "database_locked"
    assert str(file) in error.message
    await put(db)
    assert await count(db) == 1


async def test_waiting_for_another_process_ends_with_its_lock(db: SqliteDatabase, file: Path) -> None:
    patient = SqliteDatabase(file, busy_timeout_s=10)
    with lock_of_another_process(file):
        writing = asyncio.create_task(put(patient))
        await asyncio.sleep(0.05)
        assert not writing.done()
    await writing
    assert await count(db) == 1
    await patient.close()


async def test_a_file_that_is_gone_is_not_written_nor_made_anew(db: SqliteDatabase, file: Path) -> None:
    await put(db)
    aside = file.with_name("aside.db")
    file.rename(aside)
    assert (await refusal(db)).code == "database_gone"
    with pytest.raises(Unavailable):
        await count(db)
    assert not file.exists()
    aside.rename(file)
    await put(db)
    assert await count(db) == 2


async def test_a_file_that_goes_during_a_transaction_takes_no_commit(db: SqliteDatabase, file: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        async with db.write() as tx:
            await tx.exec_driver_sql("INSERT INTO notes VALUES ('lost')")
            file.unlink()
    assert caught.value.code == "database_gone"


async def test_a_restored_file_is_opened_anew(db: SqliteDatabase, file: Path, tmp_path: Path) -> None:
    await put(db)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE notes (words TEXT)")
        connection.executemany("INSERT INTO notes VALUES (?)", [("a",), ("b",), ("c",)])
        connection.commit()
    await count(db)
    for name in ("control.db", "control.db-wal", "control.db-shm"):
        file.with_name(name).unlink(missing_ok=True)
    other.rename(file)
    assert await count(db) == 3
    await put(db)
    assert await count(db) == 4


async def test_a_full_disk_takes_nothing_and_later_everything(db: SqliteDatabase) -> None:
    async with db.write() as tx:
        pages = (await tx.exec_driver_sql("PRAGMA page_count")).scalar_one()
        await tx.exec_driver_sql(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(Unavailable) as caught:
        async with db.write() as tx:
            await tx.exec_driver_sql("INSERT INTO notes VALUES ('small')")
            await tx.exec_driver_sql("INSERT INTO notes VALUES (zeroblob(1000000))")
    assert caught.value.code == "disk_full"
    assert "nothing was half-written" in caught.value.mend
    assert await count(db) == 0
    async with db.write() as tx:
        await tx.exec_driver_sql("PRAGMA max_page_count = 100000")
    await put(db)
    assert await count(db) == 1


async def test_a_damaged_file_is_called_damaged(db: SqliteDatabase, file: Path) -> None:
    for number in range(50):
        await put(db, f"{number}" * 500)
    await db.close()
    blob = bytearray(file.read_bytes())
    blob[4096:] = b"\xff" * (len(blob) - 4096)
    file.write_bytes(blob)
    with pytest.raises(Unavailable) as caught:
        await count(db)
    assert caught.value.code == "database_corrupt"
    assert "restore" in caught.value.mend


async def test_a_file_that_is_something_else_is_called_so(file: Path) -> None:
    file.write_text("apiVersion: tidegate/v1\n" * 500)
    database = SqliteDatabase(file)
    error = await refusal(database)
    assert error.code == "database_corrupt"
    assert "not a SQLite database" in error.message
    await database.close()


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "nowhere" / "control.db")
    error = await refusal(database)
    assert error.code == "database_unopenable"
    assert "No such file or directory" in error.message
    assert not (tmp_path / "nowhere").exists()
    await database.close()


async def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path)
    error = await refusal(database)
    assert error.code == "database_unopenable"
    assert "it is a folder" in error.message
    await database.close()


STRANGER = 65534
OPEN_AS_A_STRANGER = """
import asyncio, os, sys
from pathlib import Path
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.kernel.errors import Unavailable

async def main():
    if os.geteuid() == 0:
        os.setuid(int(sys.argv[2]))  # root may open everything
    database = SqliteDatabase(Path(sys.argv[1]))
    try:
        async with database.read():
            print("opened")
    except Unavailable as error:
        print(error.code)
    await database.close()

asyncio.run(main())
"""


@pytest.mark.parametrize(("mode", "found"), [(0o000, "database_unopenable"), (0o666, "opened")])
def test_a_file_that_this_user_may_not_open(mode: int, found: str) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to strangers on the way down
        Path(folder).chmod(0o777)
        file = Path(folder) / "control.db"
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE t (x)")
        file.chmod(mode)
        command = [sys.executable, "-c", OPEN_AS_A_STRANGER, str(file), str(STRANGER)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == found


async def test_only_a_migrated_file_has_tables(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "empty.db")
    with pytest.raises(Unavailable) as caught:
        await count(database)
    assert caught.value.code == "database_not_migrated"
    await database.close()
