"""The Contents port's words, held by every adapter against the real store; and what lies on the disk."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.support.postgres import PostgresServer
from tidegate.adapters.memory.contents import MemoryContents
from tidegate.adapters.postgres.contents import PostgresContents
from tidegate.adapters.sqlite.contents import SqliteContents
from tidegate.adapters.vault.contents import ContentSeals
from tidegate.kernel.errors import Invalid, Unavailable
from tidegate.live.ports import Content

MASTER = "0123456789abcdef0123456789abcdef"
NEXT = "fedcba9876543210fedcba9876543210"
AnyContents = SqliteContents | PostgresContents
SECRETS = (b"swordfish", b"the answer is 42", b"ada@example.org", b"hidden-route")


def said(number: int = 1, **fields: Any) -> Content:
    values: dict[str, Any] = {
        "call_id": f"call_{number:032x}",
        "at_ms": 1000 + number,
        "expires_at_ms": 100_000,
        "route": "hidden-route",
        "endpoint": "chat.completions",
        "request": b'{"messages":[{"role":"user","content":"swordfish"}]}',
        "answer": b'{"choices":[{"message":{"content":"the answer is 42"}}]}',
        "subject": "ada@example.org",
    }
    return Content(**values | fields)


@dataclass
class Store:
    """A place for content, opened under any master key, and a way to look at it that is not ours."""

    opened: Callable[..., AnyContents]
    rows: Callable[[], Awaitable[list[dict[str, Any]]]]
    run: Callable[[str], Awaitable[None]]


def on_disk(folder: Path) -> list[bytes]:
    """The bytes of every file of the folder."""
    return [file.read_bytes() for file in folder.iterdir()]


def seals(*keys: str) -> ContentSeals:
    return ContentSeals(keys[0], keys[1:])


def sqlite_store(file: Path) -> Store:
    async def rows() -> list[dict[str, Any]]:
        with closing(sqlite3.connect(file)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute("SELECT * FROM call_contents ORDER BY call_id")]

    async def run(statement: str) -> None:
        with closing(sqlite3.connect(file)) as db, db:
            db.execute(statement)

    return Store(lambda *keys: SqliteContents(file, lambda: seals(*keys)), rows, run)


def postgres_store(url: str) -> Store:
    async def rows() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(url)
        found = await connection.fetch("SELECT * FROM call_contents ORDER BY call_id")
        await connection.close()
        return [dict(row) for row in found]

    async def run(statement: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(statement)
        await connection.close()

    return Store(lambda *keys: PostgresContents(url, lambda: seals(*keys)), rows, run)


@pytest.fixture(scope="module")
def url(postgres_server: PostgresServer) -> Iterator[str]:
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return sqlite_store(tmp_path / "contents?#.db")
    store = postgres_store(request.getfixturevalue("url"))
    await store.run("DROP TABLE IF EXISTS call_contents")
    return store


@pytest.fixture
async def contents(store: Store) -> AsyncIterator[AnyContents]:
    contents = store.opened(MASTER)
    yield contents
    await contents.close()


async def test_content_comes_back_as_it_was(contents: AnyContents) -> None:
    full = said(1, shadow_of="call_x", answer=bytes(range(256)), subject="späti\0")
    bare = said(2, subject=None)
    await contents.put([full, bare])
    assert await contents.get(full.call_id) == full
    assert await contents.get(bare.call_id) == bare
    assert await contents.get("call_other") is None
    assert await contents.kept([full.call_id, "call_other"]) == {full.call_id}


async def test_content_put_twice_is_not_doubled(store: Store, contents: AnyContents) -> None:
    await contents.put([said(1)])
    await contents.put([said(1, answer=b"other"), said(2)])
    assert len(await store.rows()) == 2
    first = await contents.get(said(1).call_id)
    assert first is not None
    assert first.answer == said(1).answer


async def test_a_row_shows_no_word_no_route_and_no_subject(store: Store, contents: AnyContents) -> None:
    await contents.put([said(1)])
    (row,) = await store.rows()
    assert set(row) == {"call_id", "at_ms", "expires_at_ms", "subject_hash", "shadow_of", "key_id", "body"}
    shown = repr(row).encode() + bytes(row["body"])
    assert all(secret not in shown for secret in SECRETS)


async def test_the_same_words_are_sealed_differently_each_time(store: Store, contents: AnyContents) -> None:
    await contents.put([said(1), said(2)])
    one, two = await store.rows()
    assert one["body"][40:] != two["body"][40:]
    assert one["subject_hash"] == two["subject_hash"]


async def test_another_master_key_opens_nothing_and_a_previous_one_all(store: Store, contents: AnyContents) -> None:
    await contents.put([said(1)])
    stranger = store.opened(NEXT)
    with pytest.raises(Invalid) as caught:
        await stranger.get(said(1).call_id)
    assert caught.value.code == "sealed_key_unknown"
    await stranger.close()
    rotated = store.opened(NEXT, MASTER)
    await rotated.put([said(2)])
    assert [await rotated.get(said(number).call_id) for number in (1, 2)] == [said(1), said(2)]
    await rotated.close()


async def test_a_row_put_into_anothers_place_is_refused(store: Store, contents: AnyContents) -> None:
    await contents.put([said(1), said(2)])
    await store.run("UPDATE call_contents SET body = (SELECT body FROM call_contents ORDER BY call_id LIMIT 1)")
    with pytest.raises(Invalid) as caught:
        await contents.get(said(2).call_id)
    assert caught.value.code == "sealed_corrupt"
    await store.run("UPDATE call_contents SET body = substring(body, 1, 20)")
    with pytest.raises(Invalid) as caught:
        await contents.get(said(1).call_id)
    assert caught.value.code == "sealed_corrupt"


async def test_erasing_takes_all_of_the_subject_with_its_pairs_and_nobody_elses(
    store: Store, contents: AnyContents
) -> None:
    pair = said(3, subject=None, shadow_of=said(1).call_id)
    others = said(4, subject="bob"), said(5, subject=None)
    await contents.put([said(1), said(2), pair, *others])
    gone = await contents.erase("ada@example.org")
    assert (gone.erased, gone.unchecked) == (3, 0)
    assert "ada" not in gone.subject_hash
    assert [row["call_id"] for row in await store.rows()] == [one.call_id for one in others]
    assert (await contents.erase("ada@example.org")).erased == 0


async def test_erasing_finds_what_previous_master_keys_sealed_and_tells_of_what_it_cannot_check(
    store: Store, contents: AnyContents
) -> None:
    await contents.put([said(1), said(2, subject="bob"), said(3, subject=None)])
    stranger = store.opened(NEXT)
    await stranger.put([said(4)])
    gone = await stranger.erase("ada@example.org")
    assert (gone.erased, gone.unchecked) == (1, 2)
    await stranger.close()
    rotated = store.opened(NEXT, MASTER)
    gone = await rotated.erase("ada@example.org")
    assert (gone.erased, gone.unchecked) == (1, 0)
    await rotated.close()


async def test_sealed_anew_it_is_read_and_erased_without_the_old_key(store: Store, contents: AnyContents) -> None:
    pair = said(5, subject=None, shadow_of=said(1).call_id)
    await contents.put([said(1), said(2), said(3, subject="bob"), said(4, subject=None), pair])
    strange = store.opened("strange0123456789strange0123456789")
    await strange.put([said(6)])
    await strange.close()
    rotating = store.opened(NEXT, MASTER)
    await rotating.put([said(7)])
    before = {row["call_id"]: row["body"] for row in await store.rows()}
    after, told = "", []
    while True:
        told.append(some := await rotating.reseal(after, 2))
        if some.next is None:
            break
        after = some.next
    assert (sum(one.resealed for one in told), sum(one.unopened for one in told)) == (5, 1)
    assert (await rotating.reseal("", 100)).resealed == 0
    await rotating.close()
    rows = await store.rows()
    assert {row["call_id"] for row in rows if row["body"] == before[row["call_id"]]} == {
        said(6).call_id,
        said(7).call_id,
    }
    only_new = store.opened(NEXT)
    assert [await only_new.get(one.call_id) for one in (said(2), pair)] == [said(2), pair]
    gone = await only_new.erase("ada@example.org")
    assert (gone.erased, gone.unchecked) == (4, 1)
    await only_new.close()


async def test_what_has_expired_goes_in_bounded_batches(store: Store, contents: AnyContents) -> None:
    await contents.put([said(number, expires_at_ms=number) for number in range(1, 8)])
    assert [await contents.prune(5, 3) for _ in range(3)] == [3, 2, 0]
    assert [row["expires_at_ms"] for row in await store.rows()] == [6, 7]


async def test_an_empty_store_is_asked_in_vain(contents: AnyContents) -> None:
    assert await contents.get("call_1") is None
    assert await contents.kept(["call_1"]) == frozenset()
    assert await contents.prune(10**13, 10) == 0
    assert (await contents.erase("ada")).erased == 0
    assert (await contents.reseal("", 10)).next is None


async def test_many_that_begin_at_once_make_one_table(store: Store) -> None:
    many = [store.opened(MASTER) for _ in range(5)]
    await asyncio.gather(*(one.put([said(number)]) for number, one in enumerate(many)))
    for one in many:
        await one.close()
    assert len(await store.rows()) == 5


async def test_without_a_master_key_nothing_is_kept(tmp_path: Path, url: str) -> None:
    def closed() -> ContentSeals:
        raise Invalid("There is no key.", code="key_file")

    await postgres_store(url).run("DROP TABLE IF EXISTS call_contents")
    for contents in (SqliteContents(tmp_path / "contents.db", closed), PostgresContents(url, closed)):
        with pytest.raises(Invalid):
            await contents.put([said(1)])
        assert await contents.prune(10**13, 10) == 0
        await contents.close()
    assert on_disk(tmp_path) == []


async def test_no_plaintext_byte_is_in_the_files_and_what_was_erased_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "contents.db"
    contents = SqliteContents(file, lambda: seals(MASTER))
    await contents.put([said(number) for number in range(20)])
    body = (await sqlite_store(file).rows())[0]["body"]
    assert any(body[60:120] in held for held in on_disk(tmp_path))
    assert all(secret not in held for held in on_disk(tmp_path) for secret in SECRETS)
    assert file.stat().st_mode & 0o777 == 0o600
    assert (await contents.erase("ada@example.org")).erased == 20
    assert all(body[60:120] not in held for held in on_disk(tmp_path))
    await contents.close()


async def test_sqlite_away_and_back(tmp_path: Path) -> None:
    file = tmp_path / "state" / "contents.db"
    contents = SqliteContents(file, lambda: seals(MASTER))
    with pytest.raises(Unavailable) as caught:
        await contents.put([said(1)])
    assert caught.value.code == "contents_unavailable"
    file.parent.mkdir()
    await contents.put([said(1)])
    for one in file.parent.iterdir():
        one.unlink()
    await contents.put([said(2)])
    assert [row["call_id"] for row in await sqlite_store(file).rows()] == [said(2).call_id]
    await contents.close()


async def test_postgres_away_and_back(postgres_server: PostgresServer, url: str) -> None:
    store = postgres_store(url)
    await store.run("DROP TABLE IF EXISTS call_contents")
    contents = store.opened(MASTER)
    await contents.put([said(1)])
    await asyncio.to_thread(postgres_server.stop)
    try:
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                await contents.put([said(2)])
            assert caught.value.code == "contents_unavailable"
    finally:
        await asyncio.to_thread(postgres_server.start)
    await contents.put([said(2)])
    assert len(await store.rows()) == 2
    await contents.close()


async def test_memory_answers_as_the_others_do() -> None:
    contents = MemoryContents()
    pair = said(2, subject=None, shadow_of=said(1).call_id)
    await contents.put([said(1), pair, said(3, subject="bob", expires_at_ms=5)])
    await contents.put([msgspec.structs.replace(said(1), answer=b"other")])
    assert await contents.get(said(1).call_id) == said(1)
    assert (await contents.erase("ada@example.org")).erased == 2
    assert [await contents.prune(5, 1) for _ in range(2)] == [1, 0]
    assert (await contents.reseal("", 1)).next is None
    assert await contents.kept([said(3).call_id, said(1).call_id]) == frozenset()
    await contents.close()
