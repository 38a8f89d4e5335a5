"""Windows are judged once, whoever looks, how often, and whatever dies between; and they say what the calls say."""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from tests.control.monitoring.test_service import record
from tidegate.adapters.sql import schema
from tidegate.adapters.sqlite.batches import SqliteBatches
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.adapters.sqlite.records import SqliteRecords
from tidegate.control.experiments.model import Metric
from tidegate.control.gates.model import Drop, Gate, Ratio
from tidegate.control.monitoring.service import Calls
from tidegate.control.monitoring.store import FEEDBACK
from tidegate.control.monitoring.stretches.model import Rolled, Stretch
from tidegate.control.monitoring.stretches.reading import RolloutCalls
from tidegate.control.rollouts.model import Begun, Evidence, Plan, Rollout, Side, Stage
from tidegate.control.rollouts.observing import store
from tidegate.control.rollouts.observing.model import Cell, due_windows, settle_ms
from tidegate.control.rollouts.observing.observing import Observing
from tidegate.control.rollouts.step import begin
from tidegate.live.calls import CallRecord
from tidegate.live.feedback import Feedback

START_MS = 1_700_000_000_000
WINDOW_S = 10
LATENCY = Metric(name="latency_ms", source="call", field="latency_ms", shape="mean", better="lower", unit="ms")
ERRORS = Metric(
    name="error_rate", source="call", field="error", shape="rate", better="lower", per_unit="any", method="ratio"
)
SCORE = Metric(name="faithfulness", source="feedback", field="faithfulness", shape="mean", better="higher")


def gate(metric: Metric, rule: Any) -> Gate:
    return Gate(metric=metric.name, rule=rule, shape=metric.shape, better=metric.better, share=1 / 3, burn_in=2)


def rollout_of(share_bp: int = 2_500, *, kind: str = "canary", **fields: Any) -> Rollout:
    gates = (gate(ERRORS, Ratio(1.5)), gate(LATENCY, Ratio(1.5)), gate(SCORE, Drop(0.03)))
    stage = Stage(name="first", kind=kind, share_bp=share_bp)  # type: ignore[arg-type]
    plan: dict[str, Any] = {
        "stages": (stage,),
        "gates": gates,
        "shadow_gates": gates,
        "metrics": (ERRORS, LATENCY, SCORE),
        "window_s": WINDOW_S,
    }
    begun = Begun(
        rollout_id="roll_1", prompt="greeting", environment="production", stable=Side(version="1.0.0"),
        candidate=Side(version="2.0.0"), salt="s", authors=(),
    )  # fmt: skip
    return begin(begun, Plan(**(plan | fields)), START_MS)


class World(NamedTuple):
    """Two databases, and the way in to each."""

    db: SqliteDatabase
    calls: SqliteDatabase
    records: SqliteRecords
    log: RolloutCalls


@asynccontextmanager
async def world_in(folder: Path) -> AsyncIterator[World]:
    db, file = SqliteDatabase(folder / "control.db"), folder / "calls.db"
    calls, records, batches = SqliteDatabase(file), SqliteRecords(file), SqliteBatches(file)
    async with db.write() as tx:
        await tx.run_sync(schema.upgrade)
    await records.append([])
    try:
        yield World(db, calls, records, RolloutCalls(calls, Calls(calls, batches)))
    finally:
        await records.close()
        await batches.close()
        await calls.close()
        await db.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path) as made:
        yield made


def call(seq: int, at_s: float, unit: str, arm: str, share: float = 0.25, **fields: Any) -> CallRecord:
    given: dict[str, Any] = {
        "experiment_id": "roll_1",
        "experiment_unit": unit,
        "variant": arm,
        "propensity": share if arm == "candidate" else 1 - share,
        "environment": "production",
        "latency_ms": 100.0,
    }
    return record(seq, START_MS + round(at_s * 1000), **(given | fields))


async def say(world: World, one: CallRecord, value: float, after_s: float) -> None:
    said = Feedback(
        feedback_id=f"fb_{one.call_id}", call_id=one.call_id, name="faithfulness", value=value,
        at_ms=one.started_at_ms + round(after_s * 1000), environment="production", key_id="judge",
    )  # fmt: skip
    async with world.calls.write() as tx:
        await tx.execute(insert(FEEDBACK).values(msgspec.structs.asdict(said)))


def at(seconds: float) -> int:
    return START_MS + round(seconds * 1000)


async def cells(world: World, kind: str = "canary") -> list[Cell]:
    async with world.db.read() as tx:
        return await store.since(tx, "roll_1", kind, 0)


# What counts, and where.


async def test_a_unit_is_judged_once_under_each_split_and_comes_in_once(world: World) -> None:
    await world.records.append(
        [
            call(1, 1, "ann", "stable", 0.05),
            call(2, 2, "ann", "stable", 0.05, ending="failed"),
            call(3, 12, "ann", "stable", 0.05),
            call(4, 13, "bob", "stable", 0.05),
            call(5, 21, "ann", "stable", 0.25),  # the split grew: both are judged anew, and are not new
            call(6, 22, "bob", "candidate", 0.25),
            call(7, 23, "cat", "candidate", 0.25),
        ]
    )
    evidence = await Observing(world.db, world.log).observe(rollout_of(), at(100))
    found = [(one.window, one.share_bp, one.arm, one.judged, one.arrived) for one in await cells(world)]
    assert found == [(0, 500, 0, 1, 1), (1, 500, 0, 1, 1), (2, 2500, 0, 1, 0), (2, 2500, 1, 2, 1)]
    assert next(one.figures["error_rate"] for one in await cells(world)) == (1, 0.0, 0.0)
    assert (evidence.units, evidence.seen_at_ms, evidence.stage) == (2, at(23), 0)


async def test_calls_before_the_split_and_of_others_do_not_count(world: World) -> None:
    await world.records.append(
        [
            call(1, 1, "ann", "stable", 0.0),
            call(2, 2, "ann", "stable", experiment_id="roll_2"),
            call(3, 3, "ann", "stable", origin="shadow"),
            call(4, 4, "ann", "stable"),
        ]
    )
    await Observing(world.db, world.log).observe(rollout_of(), at(100))
    assert [(one.judged, one.arrived, one.newest_ms) for one in await cells(world)] == [(1, 1, at(4))]


async def test_a_call_that_hangs_counts_when_it_is_over(world: World) -> None:
    rollout = rollout_of()
    settle_s = settle_ms(rollout.plan) / 1000
    await world.records.append([call(1, 1, "ann", "candidate")])
    await Observing(world.db, world.log).observe(rollout, at(100))
    hung = call(2, 5, "bob", "candidate", ending="timeout", latency_ms=120_000.0)
    await world.records.append([hung])
    await Observing(world.db, world.log).observe(rollout, at(200))
    first, second = await cells(world)
    assert (first.window, first.figures["error_rate"]) == (0, (1, 0.0, 0.0))
    assert second.window == (5 + 120 - settle_s) // WINDOW_S
    assert (second.figures["error_rate"][1], second.figures["latency_ms"][1]) == (1.0, 120_000.0)


async def test_scores_are_waited_for_as_long_as_the_plan_says_and_no_longer(world: World) -> None:
    early, late = call(1, 1, "ann", "candidate"), call(2, 2, "bob", "candidate")
    again = call(3, 20, "ann", "candidate", ending="failed")
    await world.records.append([early, late, again])
    await say(world, early, 0.8, after_s=29)
    await say(world, late, 0.4, after_s=31)
    await Observing(world.db, world.log).observe(rollout_of(observe_s=30), at(200))
    (one,) = await cells(world)
    assert (one.window, one.judged) == (3, 2)
    assert one.figures["faithfulness"] == (1, 0.8, 0.0)
    assert one.figures["error_rate"][:2] == (2, 0.5)


async def test_a_window_is_not_judged_before_what_was_under_way_is_over(world: World) -> None:
    rollout, observing = rollout_of(), Observing(world.db, world.log)
    await world.records.append([call(1, 1, "ann", "candidate")])
    due_s = WINDOW_S + settle_ms(rollout.plan) / 1000 + 2
    assert (await observing.observe(rollout, at(due_s) - 1)).seen_at_ms is None
    assert (await observing.observe(rollout, at(due_s))).seen_at_ms == at(1)


async def test_a_stage_counts_the_units_that_were_judged_in_it(world: World) -> None:
    await world.records.append([call(n, n, f"u{n}", "candidate") for n in range(1, 40)])
    later = msgspec.structs.replace(rollout_of(), entered_at_ms=at(20))
    assert (await Observing(world.db, world.log).observe(later, at(100))).units == 20
    other = msgspec.structs.replace(rollout_of(), weight_bp=5_000)
    assert (await Observing(world.db, world.log).observe(other, at(100))).units == 0


async def test_copies_are_judged_beside_what_they_copy(world: World) -> None:
    users = [
        call(n, 0, f"u{n}", "stable", 0.0, started_at_ms=at(n / 10) - 5_000, latency_ms=50.0 + n) for n in range(1, 31)
    ]
    copied: dict[str, Any] = {"propensity": None, "origin": "shadow"}
    copies = [
        call(100 + n, n / 10, f"u{n}", "candidate", shadow_of=one.call_id, latency_ms=500.0 + n, ending=how, **copied)
        for n, (one, how) in enumerate(zip(users, ("failed", "complete") * 15, strict=True), 1)
    ]
    lost = call(200, 4, "x", "candidate", shadow_of="call_gone", **copied)
    await world.records.append([*users, *copies, lost])
    rollout = rollout_of(100, kind="shadow")
    evidence = await Observing(world.db, world.log).observe(rollout, at(100))
    stable, candidate = await cells(world, "shadow")
    assert (stable.judged, candidate.judged, evidence.units) == (30, 30, 30)
    assert (stable.figures["error_rate"][1], candidate.figures["error_rate"][1]) == (0.0, 0.5)
    assert candidate.figures["latency_ms"][1] - stable.figures["latency_ms"][1] == pytest.approx(450.0)
    assert set(evidence.breached) == {"error_rate", "latency_ms"}
    assert (await Observing(world.db, world.log).verdict(rollout)).answer == "block"


async def test_before_anything_can_be_seen_nothing_is_said(world: World) -> None:
    evidence = await Observing(world.db, world.log).observe(rollout_of(0, kind="offline"), at(100))
    assert evidence == Evidence(at_ms=at(100), stage=0)


async def test_a_broken_split_and_a_breach_are_told_and_an_even_one_is_not(world: World) -> None:
    shuffled = random.Random(5)
    calls = []
    for n in range(1_200):
        arm = "candidate" if shuffled.random() < 0.25 else "stable"
        calls.append(call(n + 1, n / 20, f"u{n}", arm, ending="failed" if arm == "candidate" else "complete"))
    await world.records.append(calls)
    evidence = await Observing(world.db, world.log).observe(rollout_of(), at(120))
    assert evidence.breached == ("error_rate",)
    assert evidence.split_p > 0.05
    skewed = [call(10_000 + n, 121 + n / 100, f"v{n}", "candidate") for n in range(300)]
    await world.records.append(skewed)
    assert (await Observing(world.db, world.log).observe(rollout_of(), at(200))).split_p < 0.001


# However it is looked at.


class Dies(RuntimeError):
    """The process is gone."""


class Mortal:
    """A log that dies at some readings."""

    def __init__(self, log: RolloutCalls, lives: Iterator[bool]) -> None:
        self._log = log
        self._lives = lives

    def _live(self) -> None:
        if not next(self._lives, True):
            raise Dies

    async def users(self, stretch: Stretch) -> Rolled:
        found = await self._log.users(stretch)
        self._live()
        return found

    async def copies(self, stretch: Stretch) -> Rolled:
        found = await self._log.copies(stretch)
        self._live()
        return found

    async def edge_ms(self, stretch: Stretch, limit: int) -> int | None:
        self._live()
        return await self._log.edge_ms(stretch, limit)


class Play(NamedTuple):
    """Calls with their scores, and when somebody looks, in seconds; which readings are survived, and how many calls
    are read at a time.
    """

    calls: Sequence[CallRecord]
    scores: Sequence[tuple[int, float, float]]
    looks: Sequence[float]
    lives: Sequence[bool]
    at_once: int
    observe_s: int


@st.composite
def plays(draw: st.DrawFn) -> Play:
    shuffled = random.Random(draw(st.integers(0, 2**32)))
    units = draw(st.integers(1, 25))
    calls = []
    for seq in range(1, draw(st.integers(1, 60)) + 1):
        at_s = shuffled.uniform(0, 90)
        number = shuffled.randrange(units)
        share = 0.2 if at_s < 45 else 0.5
        arm = "candidate" if number / units >= 1 - share else "stable"
        latency = shuffled.choice([5.0, 300.0, 9_999.0, 10_000.0, 10_001.0, 35_000.0, 61_500.0])
        ending = shuffled.choice(["complete", "complete", "failed", "cancelled"])
        calls.append(call(seq, at_s, f"u{number}", arm, share, latency_ms=latency, ending=ending))
    scored = [(at, shuffled.random(), shuffled.uniform(0, 20)) for at in range(len(calls)) if shuffled.random() < 0.5]
    looks = sorted(draw(st.lists(st.floats(0, 180), max_size=12)))
    lives = draw(st.lists(st.booleans(), max_size=30))
    return Play(calls, scored, looks, lives, draw(st.integers(0, 20)), draw(st.sampled_from([0, 7, 25])))


async def watched(play: Play, folder: Path) -> tuple[list[Cell], Evidence]:
    """Look at the calls as they come in, one life after another, and once at last."""
    rollout, end_s = rollout_of(observe_s=play.observe_s), 260.0
    async with world_in(folder) as world:
        lives, waiting = iter(play.lives), sorted(play.calls, key=lambda one: one.started_at_ms + one.latency_ms)
        said = {play.calls[at].call_id: (value, after) for at, value, after in play.scores}
        observing = Observing(world.db, Mortal(world.log, lives), at_once=play.at_once, slices=3)
        for look in [*play.looks, end_s, end_s]:
            over = [one for one in waiting if one.started_at_ms + one.latency_ms <= at(look)]
            waiting = waiting[len(over) :]
            await world.records.append(over)
            for one in over:
                if one.call_id in said:
                    await say(world, one, *said[one.call_id])
            try:
                await observing.observe(rollout, at(look))
            except Dies:
                observing = Observing(world.db, Mortal(world.log, lives), at_once=play.at_once, slices=3)
        last = await Observing(world.db, world.log, slices=1_000).observe(rollout, at(end_s))
        return await cells(world), last


async def at_once(play: Play, folder: Path) -> tuple[list[Cell], Evidence]:
    """Look once, when everything is over."""
    async with world_in(folder) as world:
        await world.records.append(play.calls)
        for number, value, after in play.scores:
            await say(world, play.calls[number], value, after)
        evidence = await Observing(world.db, world.log).observe(rollout_of(observe_s=play.observe_s), at(260))
        return await cells(world), evidence


def by_hand(play: Play) -> dict[tuple[int, int, int], tuple[int, int, float]]:
    """What a person would count: (window, share, arm) -> (judged, arrived, sum of latencies of units' first calls)."""
    settle = settle_ms(rollout_of().plan)
    when = {
        one.call_id: int(one.started_at_ms + max(0.0, one.latency_ms - settle) if one.latency_ms > settle else 0)
        or one.started_at_ms
        for one in play.calls
    }
    found: dict[tuple[int, int, int], tuple[int, int, float]] = {}
    judged: set[tuple[str | None, float | None]] = set()
    came: set[str | None] = set()
    for one in sorted(play.calls, key=lambda one: (when[one.call_id], one.call_id)):
        key = (one.experiment_unit, one.propensity)
        if key in judged:
            continue
        judged.add(key)
        arm = int(one.variant == "candidate")
        share = round(((one.propensity or 0) if arm else 1 - (one.propensity or 0)) * 10_000)
        place = ((when[one.call_id] + play.observe_s * 1000 - START_MS) // (WINDOW_S * 1000), share, arm)
        known = 0.0 if one.ending == "cancelled" else one.latency_ms
        count, new, total = found.get(place, (0, 0, 0.0))
        found[place] = (count + 1, new + (one.experiment_unit not in came), total + known)
        came.add(one.experiment_unit)
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plays())
def test_any_schedule_of_looks_with_deaths_between_finds_what_one_look_finds(play: Play) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        gathered, last = asyncio.run(watched(play, Path(one)))
        whole, single = asyncio.run(at_once(play, Path(other)))
    assert gathered == whole
    assert last == single
    expected = by_hand(play)
    due = due_windows(rollout_of().plan, START_MS, at(260))
    assert {(one.window, one.share_bp, one.arm): (one.judged, one.arrived) for one in whole} == {
        place: (judged, arrived) for place, (judged, arrived, _) in expected.items() if place[0] < due
    }
    if not play.observe_s:
        for cell in whole:
            n, mean, _ = cell.figures.get("latency_ms", (0, 0.0, 0.0))
            assert n * mean == pytest.approx(expected[cell.window, cell.share_bp, cell.arm][2])


async def test_two_who_judge_at_the_same_time_write_once(world: World) -> None:
    await world.records.append([call(n, n, f"u{n}", "candidate" if n % 4 == 0 else "stable") for n in range(1, 60)])
    one, other = Observing(world.db, world.log), Observing(world.db, world.log)
    both = await asyncio.gather(*(who.observe(rollout_of(), at(200)) for who in (one, other)))
    assert both[0] == both[1]
    assert sum(cell.judged for cell in await cells(world)) == 59
