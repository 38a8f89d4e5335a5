"""Kept versions in SQL."""

from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from tests.support.databases import fresh_sqlite
from tests.support.promptfiles import library_of, prompt_text
from tidegate.control.prompts import store
from tidegate.control.prompts.model import Registration
from tidegate.live.snapshot import PromptVersion


def version(name: str, number: str) -> PromptVersion:
    text = prompt_text(name, number, says="Grüße, {{ name }} – 日本 \\U0001F30A")
    return library_of({f"prompts/{name}/v{number}.yaml": text}).versions[name][number]


def registration(name: str, number: str, at_ms: int = 5) -> Registration:
    return Registration(
        name=name, version=number, content_hash="h", commit_sha="c", registered_at_ms=at_ms, registered_by="alice"
    )


async def test_what_is_kept_comes_back_as_it_was(tmp_path: Path) -> None:
    db = await fresh_sqlite(tmp_path)
    try:
        async with db.write() as tx:
            greeting = version("greeting", "1.0.0")
            for number in range(1200):
                await store.add(tx, registration("greeting", f"1.0.{number}", 2000 - number), greeting)
            await store.add(tx, registration("other", "2.0.0"), version("other", "2.0.0"))
        async with db.read() as tx:
            assert await store.find(tx, "other", "2.0.0") == (registration("other", "2.0.0"), version("other", "2.0.0"))
            assert await store.find(tx, "other", "9.0.0") is None
            assert [one.name for one in await store.registrations(tx, "other")] == ["other"]
            everything = await store.registrations(tx)
            assert len(everything) == 1201
            assert everything[0].version == "1.0.1199"  # by name, then by time
            wanted = {("greeting", f"1.0.{number}") for number in range(1200)} | {("other", "2.0.0"), ("no", "1.0.0")}
            loaded = await store.load(tx, wanted)
            assert loaded.keys() == wanted - {("no", "1.0.0")}
            assert loaded["other", "2.0.0"] == version("other", "2.0.0")
            assert await store.load(tx, ()) == {}
    finally:
        await db.close()


async def test_a_version_is_kept_once(tmp_path: Path) -> None:
    db = await fresh_sqlite(tmp_path)
    try:
        async with db.write() as tx:
            await store.add(tx, registration("greeting", "1.0.0"), version("greeting", "1.0.0"))
            with pytest.raises(IntegrityError):
                await store.add(tx, registration("greeting", "1.0.0"), version("greeting", "1.0.0"))
    finally:
        await db.close()
