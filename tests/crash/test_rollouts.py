"""kill -9 of the leader before and after each of its writes: rollouts go on as if nothing had been.

Three control replicas on PostgreSQL; `python -m bench.rollout_crashes --schedules 1000` does the same for longer.
"""

import asyncio
import random

import msgspec
import pytest

from bench.crashes.schedules import Schedule, of_events, of_releases, random_schedule
from bench.rollout_crashes import Size, lane, report
from tests.support.postgres import PostgresServer
from tests.support.postgres import postgres_server as postgres_server
from tidegate.control.releases.model import Release
from tidegate.control.rollouts.model import Begun, Event, Plan, Rollout, Side, Stage
from tidegate.control.rollouts.step import begin, moved, onward
from tidegate.live.snapshot import Arm

WRITES = ("rollouts", "rollout_events", "releases", "pointers", "audit", "outbox", "snapshots", "commit")


async def test_no_move_is_lost_or_doubled_and_no_timer_set_back(postgres_server: PostgresServer) -> None:
    url = await asyncio.to_thread(postgres_server.create_migrated)
    size = Size(schedules=16, at_once=8, seed=7, ttl_ms=400)
    wrong, lives = await lane(url, size)
    await asyncio.to_thread(postgres_server.drop, url)
    assert wrong == []
    found = report(size, wrong, lives, 0.0)
    assert found["kills"] >= 8, "hardly anybody was killed"
    reached = " ".join(found["points"])
    assert "before" in reached
    assert "after" in reached
    assert sum(table in reached for table in WRITES) >= 4, found["points"]
    assert found["takeover_s"]["median"] is not None


SCHEDULE = Schedule(1, (0, 1), None, None)


def history() -> tuple[Rollout, list[Event], list[Release]]:
    """What a rollout of two stages leaves behind when all goes well."""
    plan = Plan(
        stages=tuple(
            Stage(name=str(at), kind="canary", share_bp=share, hold_s=hold)
            for at, (share, hold) in enumerate(((5000, 0), (10_000, 1)))
        )
    )
    fixed = Begun(
        rollout_id="roll_1",
        prompt="p1",
        environment="production",
        stable=Side(version="1.0.0"),
        candidate=Side(version="1.1.0"),
        salt="s",
        authors=(),
    )
    rollout = begin(fixed, plan, 1000)
    events = [event(rollout, "start", 1000)]
    for at_ms in (1100, 2200):
        move = onward(rollout, "")
        before, rollout = rollout, moved(rollout, move, at_ms)
        events.append(msgspec.structs.replace(event(rollout, move.kind, at_ms), from_stage=before.stage))
    arms: list[tuple[Arm, ...]] = [(Arm("1.0.0", 10_000),)]
    arms += [(Arm("1.0.0", 10_000 - share, "stable"), Arm("1.1.0", share, "candidate")) for share in (5000, 10_000)]
    line = [release(number, "canary", one) for number, one in enumerate(arms, start=1)]
    return rollout, events, [*line, release(4, "deploy", (Arm("1.1.0", 10_000),))]


def event(rollout: Rollout, kind: str, at_ms: int) -> Event:
    return Event(
        rollout_id="roll_1",
        seq=rollout.version,
        at_ms=at_ms,
        actor="system",
        kind=kind,
        from_state="running",
        to_state=rollout.state,
        from_stage=0,
        to_stage=rollout.stage,
        weight_bp=rollout.weight_bp,
        why="",
    )


def release(number: int, kind: str, arms: tuple[Arm, ...]) -> Release:
    return Release(
        release_id=f"rel_{number}",
        number=number,
        prompt="p1",
        environment="production",
        kind=kind,
        arms=arms,
        salt="s",
        commit_sha="",
        tag="",
        actor="",
        at_ms=0,
    )


def complaints(rollout: Rollout, events: list[Event], line: list[Release]) -> list[str]:
    found = tuple(events)
    return [*of_events(SCHEDULE, rollout, found), *of_releases(found, tuple(line), rollout)]


def test_what_is_in_order_is_not_complained_of() -> None:
    assert complaints(*history()) == []


@pytest.mark.parametrize("fault", ["lost", "doubled", "timer", "early", "share"])
def test_the_check_finds_what_it_looks_for(fault: str) -> None:
    rollout, events, line = history()
    if fault == "lost":
        del events[1]
    elif fault == "doubled":
        events.insert(1, events[1])
    elif fault == "timer":
        rollout = msgspec.structs.replace(rollout, entered_at_ms=1500)
    elif fault == "early":
        events[2] = msgspec.structs.replace(events[2], at_ms=1500)
    else:
        line.insert(2, msgspec.structs.replace(line[1], number=3))
    assert complaints(rollout, events, line)


def test_a_schedule_is_drawn_from_its_seed_alone() -> None:
    one, two = (random_schedule(3, random.Random(5)) for _ in range(2))
    assert one == two
