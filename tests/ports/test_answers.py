"""The cache of answers: in memory and on SQLite, held to the same words."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tidegate.adapters.memory.answers import MemoryAnswers, NoAnswers
from tidegate.adapters.sqlite.answers import SqliteAnswers
from tidegate.control.evals.model import Score
from tidegate.control.evals.ports import AnswerCache, Kept
from tidegate.kernel.errors import Unavailable

A, B = "a1" * 32, "b2" * 32


@pytest.fixture(params=["memory", "sqlite"])
async def cache(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AnswerCache]:
    opened: AnswerCache = MemoryAnswers() if request.param == "memory" else SqliteAnswers(tmp_path / "cache.db")
    yield opened
    await opened.close()


async def test_what_is_kept_is_found(cache: AnswerCache) -> None:
    assert cache.keeps
    assert await cache.answer(A) is None
    assert await cache.score(A) is None
    kept = Kept(text="é\n", run_id="r", input_tokens=1, cost_nano_usd=2, latency_ms=3.5, finish_reason="stop")
    await cache.keep_answer(A, kept)
    await cache.keep_score(A, Score(value=0.5, passed=True, why="so"))
    assert await cache.answer(A) == kept
    assert await cache.score(A) == Score(value=0.5, passed=True, why="so")
    assert await cache.answer(B) is None


async def test_the_first_answer_stays(cache: AnswerCache) -> None:
    await cache.keep_answer(A, Kept(text="first"))
    await cache.keep_answer(A, Kept(text="second"))
    found = await cache.answer(A)
    assert found is not None
    assert found.text == "first"


async def test_many_at_the_same_time_are_all_kept(cache: AnswerCache) -> None:
    keys = [f"{at:064x}" for at in range(200)]
    await asyncio.gather(*(cache.keep_answer(key, Kept(text=key)) for key in keys))
    found = [await cache.answer(key) for key in keys]
    assert [one.text for one in found if one is not None] == keys


async def test_nothing_keeps_nothing() -> None:
    nothing = NoAnswers()
    await nothing.keep_answer(A, Kept(text="x"))
    await nothing.keep_score(A, Score(value=1.0))
    assert not nothing.keeps
    assert await nothing.answer(A) is None
    assert await nothing.score(A) is None
    await nothing.close()


class TestSqlite:
    async def test_another_process_finds_it_as_soon_as_it_is_kept(self, tmp_path: Path) -> None:
        one, other = SqliteAnswers(tmp_path / "c.db"), SqliteAnswers(tmp_path / "c.db")
        assert await other.answer(A) is None
        await one.keep_answer(A, Kept(text="x"))
        assert await other.answer(A) == Kept(text="x")
        await other.keep_answer(B, Kept(text="y"))
        assert await one.answer(B) == Kept(text="y")
        await one.close()
        await other.close()

    async def test_the_file_alone_is_the_cache_once_it_is_closed(self, tmp_path: Path) -> None:
        cache = SqliteAnswers(tmp_path / "c.db")
        await cache.keep_answer(A, Kept(text="x" * 10_000))
        await cache.close()
        (tmp_path / "elsewhere.db").write_bytes((tmp_path / "c.db").read_bytes())
        moved = SqliteAnswers(tmp_path / "elsewhere.db")
        assert await moved.answer(A) == Kept(text="x" * 10_000)
        await moved.close()

    async def test_looking_makes_no_file(self, tmp_path: Path) -> None:
        cache = SqliteAnswers(tmp_path / "c.db")
        assert await cache.answer(A) is None
        await cache.close()
        assert os.listdir(tmp_path) == []

    async def test_a_damaged_file_finds_nothing_and_says_so_when_it_is_to_keep(self, tmp_path: Path) -> None:
        (tmp_path / "c.db").write_bytes(b"no database" * 1000)
        cache = SqliteAnswers(tmp_path / "c.db")
        assert await cache.answer(A) is None
        with pytest.raises(Unavailable) as caught:
            await cache.keep_answer(A, Kept(text="x"))
        assert caught.value.code == "answers_unavailable"
        await cache.close()

    async def test_old_ones_are_taken_out(self, tmp_path: Path) -> None:
        cache = SqliteAnswers(tmp_path / "c.db")
        await cache.keep_answer(A, Kept(text="x" * 100_000))
        await cache.keep_score(B, Score(value=1.0))
        size = (tmp_path / "c.db").stat().st_size
        assert tuple(await cache.empty(0))[:2] == (0, 0)
        emptied = await cache.empty(2**60)
        assert (emptied.answers, emptied.scores) == (1, 1)
        assert await cache.answer(A) is None
        await cache.close()
        assert (tmp_path / "c.db").stat().st_size < max(size, 100_000)
        with sqlite3.connect(tmp_path / "c.db") as connection:
            assert connection.execute("SELECT count(*) FROM eval_answers").fetchone() == (0,)
        connection.close()
