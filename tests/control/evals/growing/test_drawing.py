"""Cases drawn from calls: which, redacted, and who is written down for it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, select

from tests.control.evals.online.test_scoring import World
from tests.support.databases import fresh_sqlite
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.adapters.sqlite.records import SqliteRecords
from tidegate.control.evals.growing.drawing import Drawing
from tidegate.control.evals.growing.model import Drawn, ScoreFilter, Wanted, score_filter
from tidegate.control.identity.model import Actor
from tidegate.control.identity.store import AUDIT
from tidegate.control.monitoring.service import Calls
from tidegate.control.monitoring.store import FEEDBACK
from tidegate.kernel.errors import Forbidden, Invalid
from tidegate.live.calls import CallRecord

REVIEWER = Actor("user_1", "rita", ("reviewer",))
EDITOR = Actor("user_2", "ed", ("editor",))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    file = tmp_path / "calls.db"
    db, calls, records = await fresh_sqlite(tmp_path), SqliteDatabase(file), SqliteRecords(file)
    await records.append([])
    made = World(db, calls, records, file)
    yield made
    await records.close()
    await made.batches.close()
    await calls.close()
    await db.close()


async def draw(world: World, actor: Actor = REVIEWER, **wanted: Any) -> Drawn:
    drawing = Drawing(world.db, world.calls, Calls(world.calls, world.batches), world.contents)
    return await drawing.draw(actor, Wanted(**wanted))


async def say(world: World, call: CallRecord, value: float, at_ms: int = 1) -> None:
    row = {
        "feedback_id": f"fb_{call.call_id}_{at_ms}", "call_id": call.call_id, "name": "faithfulness", "value": value,
        "at_ms": at_ms, "environment": "production", "key_id": "judge",
    }  # fmt: skip
    async with world.calls.write() as tx:
        await tx.execute(insert(FEEDBACK).values(row))


def put(world: World, call: CallRecord, **request: Any) -> None:
    content = world.contents.stored[call.call_id]
    world.contents.stored[call.call_id] = msgspec.structs.replace(content, request=json.dumps(request).encode())


async def test_the_newest_kept_calls_that_match_come_redacted(world: World) -> None:
    old, new = await world.call(prompt="faq", ago_ms=5_000), await world.call(prompt="faq", prompt_version="1.0.0")
    await world.call(prompt="other")
    await world.call(prompt="faq", ending="cut")
    gone = await world.call(prompt="faq", ago_ms=9_000)
    del world.contents.stored[gone.call_id]
    said = [{"role": "user", "content": "Write to ada@example.org"}]
    put(world, new, messages=said, variables={"mail": "ada@example.org"})
    found = await draw(world, prompt="faq")
    assert [one.call_id for one in found.cases] == [new.call_id, old.call_id]
    assert (found.cases[0].variables, found.cases[0].messages, found.cases[0].version) == (
        {"mail": "[EMAIL]"}, (), "1.0.0",
    )  # fmt: skip
    assert found.cases[1].messages == ({"role": "user", "content": "Say hello"},)
    assert all(one.answer is None for one in found.cases)
    assert (found.redactions, found.looked_at, found.left_out) == ({"email": 1}, 3, {"not_kept": 1})
    assert len((await draw(world, prompt="faq", limit=1)).cases) == 1


async def test_scores_choose_and_the_newest_one_counts(world: World) -> None:
    bad, mended, none = await world.call(), await world.call(), await world.call()
    await say(world, bad, 0.2)
    await say(world, mended, 0.2)
    await say(world, mended, 0.9, at_ms=2)
    found = await draw(world, scores=(ScoreFilter("faithfulness", "<", 0.5),), answers=True)
    assert [(one.call_id, one.scores, one.answer) for one in found.cases] == [
        (bad.call_id, {"faithfulness": 0.2}, "HELLO")
    ]
    assert found.left_out == {"other_score": 1, "no_score": 1}
    assert none.call_id not in str(found.cases)


async def test_who_reads_is_written_down_and_who_may_not_reads_nothing(world: World) -> None:
    one = await world.call()
    with pytest.raises(Forbidden):
        await draw(world, EDITOR)
    await draw(world)
    async with world.db.read() as tx:
        rows = (await tx.execute(select(AUDIT).where(AUDIT.c.action == "content.read"))).mappings().all()
    (row,) = rows
    assert (row["actor"], row["subject"]) == ("rita", "calls/dataset")
    assert msgspec.json.decode(row["diff"])["call_ids"] == [one.call_id]


@pytest.mark.parametrize(
    ("text", "below", "at"),
    [("x<0.5", True, False), ("x <= 0.5", True, True), ("x>=0.5", False, True), ("x=0.5", False, True)],
)
def test_filters_compare_as_they_are_written(text: str, below: bool, at: bool) -> None:
    found = score_filter(text)
    assert (found.holds(0.4), found.holds(0.5)) == (below, at)


@pytest.mark.parametrize("text", ["x", "<0.5", "x<y", "x<0.5 or y"])
def test_what_compares_nothing_is_told(text: str) -> None:
    with pytest.raises(Invalid):
        score_filter(text)
