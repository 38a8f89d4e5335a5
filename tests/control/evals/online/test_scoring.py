"""The worker: what it scores, in what order, for how much, and what becomes of it when it dies."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from tests.control.monitoring.test_service import record
from tests.support.databases import fresh_sqlite
from tidegate.adapters.memory.contents import MemoryContents
from tidegate.adapters.memory.feedbacks import MemoryFeedbacks
from tidegate.adapters.sqlite.batches import SqliteBatches
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.adapters.sqlite.records import SqliteRecords
from tidegate.control.evals.model import Sample, Score, ScorerUse
from tidegate.control.evals.online import store
from tidegate.control.evals.online.model import Job
from tidegate.control.evals.online.scoring import STUCK_MS, OnlineScoring, ScoringStores
from tidegate.control.identity.store import AUDIT
from tidegate.kernel.errors import NotFound, Refused, TidegateError, Unavailable
from tidegate.live.calls import CallRecord
from tidegate.live.ports import Content

NAME = "shouting"
CAP = 1_000


class Shouting:
    """Whether the answer is in capitals. `judge`: it costs, and `says` what goes wrong before it goes well."""

    def __init__(self, *, judge: bool = False, says: Sequence[TidegateError | BaseException] = ()) -> None:
        self.use = ScorerUse(name=NAME, version="1.0.0", exact=not judge)
        self.asked: list[str] = []
        self.says = list(says)
        self.judge = judge

    async def score(self, sample: Sample) -> Score:
        self.asked.append(sample.case.id)
        if self.says:
            raise self.says.pop(0)
        return Score(value=float(sample.answer.isupper()), cost_nano_usd=100 if self.judge else None)


class Desk:
    """Fills `ports.Bench`."""

    def __init__(self, scorer: Shouting, *jobs: Job) -> None:
        self._scorer = scorer
        self._jobs = jobs

    async def jobs(self) -> Sequence[Job]:
        return self._jobs

    def scorer(self, name: str, environment: str) -> Shouting:
        if name != NAME:
            raise NotFound("scorer", name)
        return self._scorer


class World:
    """Control's database, the calls', content and feedback."""

    def __init__(self, db: SqliteDatabase, calls: SqliteDatabase, records: SqliteRecords, file: Path) -> None:
        self.db, self.calls, self.records = db, calls, records
        self.batches = SqliteBatches(file)
        self.contents, self.feedback = MemoryContents(), MemoryFeedbacks()
        self.seq = 0

    def worker(self, scorer: Shouting, *jobs: Job, **bounds: Any) -> OnlineScoring:
        stores = ScoringStores(self.db, self.calls, self.contents, self.feedback)
        return OnlineScoring(stores, Desk(scorer, *jobs), **bounds)

    async def call(self, words: str = "HELLO", **fields: Any) -> CallRecord:
        self.seq += 1
        async with self.calls.read() as tx:
            now_ms = await self.calls.now_ms(tx)
        given = {"environment": "production", "route": "gpt"}
        one = record(self.seq, now_ms - fields.pop("ago_ms", 1_000) + self.seq, **(given | fields))
        await self.records.append([one])
        while await self.batches.unpack():
            pass
        request = {"messages": [{"role": "user", "content": "Say hello"}]}
        answer = {"choices": [{"message": {"content": words}}]}
        content = Content(
            call_id=one.call_id, at_ms=one.started_at_ms, expires_at_ms=one.started_at_ms + 10**9, route="gpt",
            endpoint="chat.completions", request=json.dumps(request).encode(), answer=json.dumps(answer).encode(),
        )  # fmt: skip
        await self.contents.put([content])
        return one

    async def rolled(self, arm: str, words: str = "HELLO", **fields: Any) -> CallRecord:
        given = {"experiment_id": "roll_1", "variant": arm, "experiment_unit": f"u{self.seq}", "propensity": 0.5}
        return await self.call(words, **(given | fields))

    def values(self) -> dict[str, float]:
        return {one.call_id: one.value for one in self.feedback.stored}


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


def job(**fields: Any) -> Job:
    given: dict[str, Any] = {
        "about": "route:gpt",
        "scorers": (NAME,),
        "share_bp": 10_000,
        "cap_nano_usd_per_day": CAP,
        "within_ms": 60_000,
        "route": "gpt",
    }
    return Job(**(given | fields))


ROLLOUT = job(about="roll_1", route=None, rollout_id="roll_1")


async def test_a_calls_score_is_left_as_feedback_of_the_judges(world: World) -> None:
    loud, quiet = await world.call("HELLO"), await world.call("hello")
    assert await world.worker(Shouting(), job()).round() == 2
    assert world.values() == {loud.call_id: 1.0, quiet.call_id: 0.0}
    (one, _) = world.feedback.stored
    assert (one.name, one.key_id, one.environment) == (NAME, "judge", "production")


async def test_only_what_ended_well_is_kept_and_is_a_users_is_scored(world: World) -> None:
    good = await world.call()
    await world.call(ending="failed", status=500)
    await world.call(origin="judge")
    await world.call(route="other")
    await world.call(ago_ms=120_000)
    gone = await world.call()
    del world.contents.stored[gone.call_id]
    await world.worker(Shouting(), job()).round()
    assert set(world.values()) == {good.call_id}


async def test_no_call_is_scored_twice_by_any_number_of_workers(world: World) -> None:
    for _ in range(20):
        await world.call()
    scorer = Shouting()
    workers = [world.worker(scorer, job(), batch=5) for _ in range(3)]
    for _ in range(6):
        await asyncio.gather(*(one.round() for one in workers))
    assert len(scorer.asked) == len(set(scorer.asked)) == len(world.values()) == 20


async def test_the_arms_of_a_rollout_are_scored_alike(world: World) -> None:
    for number in range(12):
        await world.rolled("candidate" if number % 6 == 0 else "stable")
    worker = world.worker(Shouting(), ROLLOUT, batch=4)
    await worker.round()
    counts = {(one.arm, one.scored) for one in await worker.standing()}
    assert counts == {("candidate", 2), ("stable", 2)}


async def test_copies_are_scored_with_what_they_copy_and_the_rest_of_the_stable_arm_is_not(world: World) -> None:
    alone: dict[str, Any] = {"propensity": 1.0}
    user = await world.rolled("stable", "hello", **alone)
    await world.rolled("stable", **alone)
    copy = await world.rolled("candidate", propensity=None, origin="shadow", shadow_of=user.call_id)
    await world.worker(Shouting(), ROLLOUT).round()
    assert world.values() == {user.call_id: 0.0, copy.call_id: 1.0}


async def test_a_budget_that_is_spent_ends_the_judging_until_the_next_day_and_facts_go_on(world: World) -> None:
    for _ in range(30):
        await world.call()
    judge = Shouting(judge=True)
    worker = world.worker(judge, job(), batch=4)
    for _ in range(8):
        await worker.round()
    assert CAP // 100 <= len(judge.asked) <= CAP // 100 + 3
    (standing,) = await worker.standing()
    assert standing.cost_nano_usd == len(judge.asked) * 100
    await world.worker(Shouting(), job(), batch=40).round()
    assert len(world.values()) == 30


async def test_what_passes_is_tried_again_and_what_does_not_is_counted(world: World) -> None:
    await world.call()
    scorer = Shouting(says=[Unavailable("Away.", code="gateway_unreachable")])
    worker = world.worker(scorer, job())
    assert [await worker.round() for _ in range(2)] == [0, 1]
    await world.call()
    stubborn = world.worker(Shouting(says=[Unavailable("Away.", code="gateway_unreachable")] * 9), job())
    assert [await stubborn.round() for _ in range(5)] == [0] * 5
    await world.call()
    broken = world.worker(Shouting(says=[ValueError("?")]), job())
    assert [await broken.round() for _ in range(2)] == [0, 0]
    (standing,) = await worker.standing()
    assert (standing.scored, standing.failed) == (1, {"gateway_unreachable": 1, "ValueError": 1})


async def test_judges_are_left_alone_when_a_limit_has_refused_one(world: World) -> None:
    for _ in range(6):
        await world.call()
    judge = Shouting(judge=True, says=[Refused("No more today.", code="insufficient_quota")])
    worker = world.worker(judge, job(), batch=1)
    for _ in range(4):
        await worker.round()
    assert len(judge.asked) == 1


async def test_who_dies_while_judging_leaves_it_to_the_next_and_a_score_that_was_paid_for_is_not_paid_again(
    world: World,
) -> None:
    one = await world.call()
    scorer = Shouting(judge=True, says=[asyncio.CancelledError()])
    with pytest.raises(asyncio.CancelledError):
        await world.worker(scorer, job()).round()
    assert await world.worker(scorer, job()).round() == 0  # somebody may still be at it
    await age(world)
    world.feedback.away = True
    with pytest.raises(Unavailable):
        await world.worker(scorer, job()).round()
    assert (world.values(), len(scorer.asked)) == ({}, 2)
    world.feedback.away = False
    await age(world)
    assert await world.worker(scorer, job()).round() == 1
    assert (world.values(), len(scorer.asked)) == ({one.call_id: 1.0}, 2)
    assert await world.worker(scorer, job()).round() == 0


async def test_reading_is_written_down_once_a_batch(world: World) -> None:
    for _ in range(3):
        await world.call()
    worker = world.worker(Shouting(), job())
    await worker.round()
    await worker.round()
    async with world.db.read() as tx:
        rows = (await tx.execute(select(AUDIT).where(AUDIT.c.action == "content.read"))).mappings().all()
    (row,) = rows
    assert (row["actor"], row["subject"], msgspec.json.decode(row["diff"])["calls"]) == (
        "system",
        "scoring/route:gpt",
        3,
    )


async def test_a_scorer_that_is_none_is_told_and_the_others_go_on(world: World) -> None:
    await world.call()
    await world.call()
    worker = world.worker(Shouting(), job(scorers=("shuoting", NAME)), batch=1)
    assert [await worker.round() for _ in range(3)] == [1, 1, 0]
    assert "shuoting" in worker.faults["shuoting"]


async def test_what_holds_no_words_is_counted_once(world: World) -> None:
    one = await world.call()
    world.contents.stored[one.call_id] = msgspec.structs.replace(world.contents.stored[one.call_id], answer=b"\xff")
    worker = world.worker(Shouting(), job())
    for _ in range(3):
        assert await worker.round() == 0
    (standing,) = await worker.standing()
    assert standing.failed == {"content_unreadable": 1}


async def age(world: World) -> None:
    """Let the time pass after which a claim is taken for left."""
    async with world.db.write() as tx:
        await tx.execute(update(store.SCORES).values(at_ms=store.SCORES.c.at_ms - STUCK_MS - 1))
