"""Verdicts that control keeps: who may hand them in, which is the newest, what is refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import fresh_sqlite
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.control.evals import store
from tidegate.control.evals.model import Verdict
from tidegate.control.evals.service import Evaluations
from tidegate.control.identity.model import SYSTEM, Actor
from tidegate.control.identity.service import Identity
from tidegate.jobs.database import Tx
from tidegate.kernel.errors import Forbidden, Invalid

EDITOR = Actor("user_e", "ed", ("editor",))


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    one = await fresh_sqlite(tmp_path)
    yield one
    await one.close()


def verdict(answer: str = "pass", **fields: Any) -> Verdict:
    given: dict[str, Any] = {
        "answer": answer,
        "why": "As it was.",
        "prompt": "greeting",
        "version": "1.1.0",
        "content_hash": "abc",
        "baseline_version": "1.0.0",
        "dataset_sha256": "d" * 64,
        "findings": (),
    }
    return Verdict(**(given | fields))


async def test_the_newest_one_on_what_a_version_says_is_found(db: SqliteDatabase) -> None:
    evaluations = Evaluations(db)
    await evaluations.record(EDITOR, verdict("block"))
    kept = await evaluations.record(EDITOR, verdict())
    await evaluations.record(EDITOR, verdict("warn", content_hash="other", version="1.2.0"))
    await evaluations.record(EDITOR, verdict("block", model="spare"))
    async with db.read() as tx:
        assert await store.newest(tx, "abc") == kept
        of_spare = await store.newest(tx, "abc", "spare")
        assert of_spare is not None
        assert of_spare.verdict.answer == "block"
        assert await store.newest(tx, "nothing") is None
    assert kept.at_ms == kept.verdict.at_ms > 0
    assert [one.verdict.answer for one in await evaluations.list(version="1.1.0")] == ["block", "pass", "block"]
    assert [one.verdict.version for one in await evaluations.list(content_hash="other")] == ["1.2.0"]
    assert len(await evaluations.list("greeting", limit=2)) == 2
    assert await evaluations.list("farewell") == ()


async def test_it_stands_in_the_audit(db: SqliteDatabase) -> None:
    async def publish(tx: Tx) -> int:
        return 1

    await Evaluations(db).record(EDITOR, verdict("warn"))
    (row,) = await Identity(db, publish).list_audit(SYSTEM, limit=5)
    assert (row.actor, row.action, row.subject) == ("ed", "eval.record", "evaluation/greeting")
    assert (row.diff["answer"], row.diff["version"]) == ("warn", "1.1.0")


@pytest.mark.parametrize(
    "fields", [{"content_hash": ""}, {"content_hash": "x" * 200}, {"prompt": "No!"}, {"version": "latest"}]
)
async def test_what_names_no_version_is_refused(db: SqliteDatabase, fields: dict[str, str]) -> None:
    with pytest.raises(Invalid) as caught:
        await Evaluations(db).record(EDITOR, verdict(**fields))
    assert caught.value.mend
    assert await Evaluations(db).list() == ()


async def test_nobody_without_a_role_records(db: SqliteDatabase) -> None:
    with pytest.raises(Forbidden, match=r"eval\.record"):
        await Evaluations(db).record(Actor("user_n", "nora", ()), verdict())
