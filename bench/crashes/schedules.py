"""Random rollouts, people who interfere, and what must hold of each when it is over."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import NamedTuple, TypeVar

import sqlalchemy as sa

from tidegate.control.gates.model import Gate, Ratio
from tidegate.control.identity.model import Actor
from tidegate.control.identity.store import AUDIT
from tidegate.control.prompts import store as prompts_store
from tidegate.control.prompts.model import Registration
from tidegate.control.releases import store as releases_store
from tidegate.control.releases.model import Order, Release, Stamp, next_release
from tidegate.control.rollouts import store
from tidegate.control.rollouts.chronicle import Happened, begun, moved_on
from tidegate.control.rollouts.commands import By, rolled_back
from tidegate.control.rollouts.model import Begun, Event, Plan, Rollout, Side, Stage
from tidegate.control.rollouts.placing import split_of
from tidegate.control.rollouts.step import begin
from tidegate.jobs.database import Database, Publish
from tidegate.jobs.outbox import OUTBOX
from tidegate.jobs.snapshots import SNAPSHOTS, prune_snapshots
from tidegate.kernel.errors import Conflict, Unavailable
from tidegate.kernel.ids import new_id
from tidegate.live.snapshot import PromptVersion, decode_snapshot

__all__ = ["Schedule", "carry_out", "of_events", "of_releases", "random_schedule"]

T = TypeVar("T")

PERSON = Actor("user_p", "paula", ("deployer",))
PLACE, STABLE, CANDIDATE = "production", "1.0.0", "1.1.0"
LOOK_S = 0.02
LONGEST_S = 120.0
TOLD = ("start", "advance", "promote", "roll_back")
GATE = Gate(metric="error_rate", rule=Ratio(1.5), shape="rate", better="lower", share=1.0)


class Schedule(NamedTuple):
    """A rollout: the holds of its stages in seconds, the stage in which it harms, and after how many seconds a person
    rolls it back (None: it does not, nobody does).
    """

    number: int
    holds_s: tuple[int, ...]
    harms_in: int | None
    person_after_s: float | None

    @property
    def prompt(self) -> str:
        """Its prompt's name, which tells the script of the evidence."""
        return f"p{self.number}" + (f"-breach-{self.harms_in}" if self.harms_in is not None else "")


def random_schedule(number: int, rng: random.Random) -> Schedule:
    """Three to six stages, some of which last a second; one in three harms, a person ends one in five."""
    holds = tuple(rng.choice((0, 0, 1)) for _ in range(rng.randint(3, 6)))
    harms_in = rng.randrange(len(holds)) if rng.random() < 1 / 3 else None
    person = rng.uniform(0, sum(holds) + 1) if rng.random() < 0.2 else None
    return Schedule(number, holds, harms_in, person)


async def carry_out(db: Database, publish: Publish, schedule: Schedule) -> list[str]:
    """Begin the rollout, wait for its end while others move it, and say what is wrong with what is left."""
    rollout = await _patiently(lambda: _begin(db, publish, schedule))
    if schedule.person_after_s is not None:
        await asyncio.sleep(schedule.person_after_s)
        await _patiently(lambda: _interfere(db, publish, rollout))
    try:
        async with asyncio.timeout(LONGEST_S):
            over = await _end(db, rollout.rollout_id)
    except TimeoutError:
        return [f"{schedule}: not over after {LONGEST_S:g} s"]
    wrong = [f"{schedule}: {one}" async for one in _wrong(db, schedule, over)]
    await _patiently(lambda: _forget(db, over))
    return wrong


async def _patiently(act: Callable[[], Awaitable[T]]) -> T:
    """As a person does: again, when the database is busy with those who die."""
    while True:
        with contextlib.suppress(Unavailable):
            return await act()
        await asyncio.sleep(LOOK_S)


async def _forget(db: Database, over: Rollout) -> None:
    """The next Snapshots need not carry it."""
    async with db.write() as tx:
        await tx.execute(sa.delete(releases_store.POINTERS).where(releases_store.POINTERS.c.prompt == over.prompt))
        await prune_snapshots(tx)


async def _begin(db: Database, publish: Publish, schedule: Schedule) -> Rollout:
    shares = [round(10_000 * (at + 1) / len(schedule.holds_s)) for at in range(len(schedule.holds_s))]
    plan = Plan(
        stages=tuple(
            Stage(name=f"stage {at}", kind="canary", share_bp=share, hold_s=hold)
            for at, (share, hold) in enumerate(zip(shares, schedule.holds_s, strict=True))
        ),
        gates=(GATE,),
        shadow_gates=(GATE,),
    )
    async with db.write() as tx:
        at_ms = await db.now_ms(tx)
        for number in (STABLE, CANDIDATE):
            version = PromptVersion(
                name=schedule.prompt, version=number, content_hash=number, model="any", template_format="jinja2"
            )
            registration = Registration(
                name=schedule.prompt, version=number, content_hash=number, commit_sha="c0ffee", registered_at_ms=at_ms,
                registered_by="paula",
            )  # fmt: skip
            await prompts_store.add(tx, registration, version)
        order = Order(kind="deploy", prompt=schedule.prompt, environment=PLACE, version=STABLE)
        stamp = Stamp(release_id=new_id("rel"), at_ms=at_ms, actor="paula")
        await releases_store.add(tx, next_release(None, order, stamp))
        fixed = Begun(
            rollout_id=new_id("roll"), prompt=schedule.prompt, environment=PLACE, stable=Side(version=STABLE),
            candidate=Side(version=CANDIDATE), salt="salt", authors=("paula",),
        )  # fmt: skip
        rollout = begin(fixed, plan, at_ms)
        await begun(tx, PERSON, rollout)
        await publish(tx)
    return rollout


async def _interfere(db: Database, publish: Publish, rollout: Rollout) -> None:
    """A person rolls it back, from a process that does not lead, unless it is over."""
    async with db.write() as tx:
        seen = await store.get(tx, rollout.rollout_id)
        at_ms = await db.now_ms(tx)
        try:
            after, move = rolled_back(seen, By("paula", at_ms))
        except Conflict:
            return
        await moved_on(tx, PERSON, seen, after, Happened(move.kind, at_ms))
        await publish(tx)


async def _end(db: Database, rollout_id: str) -> Rollout:
    while True:
        async with db.read() as tx:
            found = await store.get(tx, rollout_id)
        if found.ended_at_ms is not None:
            return found
        await asyncio.sleep(LOOK_S)


async def _wrong(db: Database, schedule: Schedule, over: Rollout) -> AsyncIterator[str]:
    """Every sentence is a promise that was broken."""
    async with db.read() as tx:
        events = await store.events(tx, over.rollout_id)
        line = (await releases_store.history(tx, over.prompt, PLACE, limit=1000))[::-1]
        subject = f"rollout/{PLACE}/{over.prompt}"
        audited = sa.select(AUDIT.c.action).where(AUDIT.c.subject == subject).order_by(AUDIT.c.audit_id)
        actions = [action.removeprefix("rollout.") for action in (await tx.execute(audited)).scalars()]
        errands = sa.select(sa.func.count()).where(
            OUTBOX.c.kind == "notify", OUTBOX.c.payload.contains(f'"subject":"{subject}"')
        )
        told = (await tx.execute(errands)).scalar_one()
        newest = sa.select(SNAPSHOTS.c.blob).order_by(SNAPSHOTS.c.generation.desc()).limit(1)
        snapshot = decode_snapshot((await tx.execute(newest)).scalar_one())
    kinds = [event.kind for event in events]
    for one in (
        *of_events(schedule, over, events),
        *of_releases(events, line, over),
    ):
        yield one
    if actions != kinds:
        yield f"the audit says {actions}, the events {kinds}"
    if told != sum(kind in TOLD for kind in kinds):
        yield f"{told} notifications of {kinds}"
    live = snapshot.releases.get(PLACE, {}).get(over.prompt)
    wanted = split_of(over)
    if live is None or (live.arms, live.rollout) != (wanted.arms, wanted.rollout):
        yield f"the Snapshot says {live}, the row {wanted}"


def of_events(schedule: Schedule, over: Rollout, events: tuple[Event, ...]) -> Iterator[str]:
    """No move is lost or doubled, no number missing, no timer set back."""
    kinds = [event.kind for event in events]
    if [event.seq for event in events] != list(range(1, over.version + 1)):
        yield f"the events have the numbers {[event.seq for event in events]}, the row has version {over.version}"
    stages = len(schedule.holds_s)
    if schedule.harms_in is not None:
        planned = ["start", *["advance"] * schedule.harms_in, "roll_back"]
    else:
        planned = ["start", *["advance"] * (stages - 1), "promote"]
    acted = [event.kind for event in events if event.actor == PERSON.name][1:] == ["roll_back"]
    cut_short = acted and kinds[-1] == "roll_back" and kinds[:-1] == planned[: len(kinds) - 1]
    if kinds != planned and not cut_short:
        yield f"it went {kinds}, planned was {planned}"
    if [event.to_stage for event in events if event.kind == "advance"] != list(range(1, kinds.count("advance") + 1)):
        yield "a stage was left out, or entered twice"
    entered = events[0].at_ms
    for event in events[1:]:
        held = schedule.holds_s[event.from_stage] * 1000
        if event.kind in ("advance", "promote") and event.at_ms - entered < held:
            yield f"stage {event.from_stage} was left {event.at_ms - entered} ms after its start, not {held}"
        if event.to_stage != event.from_stage:
            entered = event.at_ms
    if over.entered_at_ms != entered:
        yield f"the row says that its stage began at {over.entered_at_ms}, the events {entered}"
    if (over.state == "promoted") != (kinds[-1] == "promote"):
        yield f"the row is {over.state} after {kinds[-1]}"


def of_releases(events: tuple[Event, ...], line: tuple[Release, ...], over: Rollout) -> Iterator[str]:
    """Each share was made live once, in order."""
    if [one.number for one in line] != list(range(1, len(line) + 1)):
        yield f"the releases have the numbers {[one.number for one in line]}"
    given = [event.weight_bp for event in events]
    made = [
        10_000 if one.kind == "deploy" else 0 if one.kind == "rollback" else one.arms[-1].weight_bp for one in line[1:]
    ]
    if made != given:
        yield f"the releases gave {made}, the events say {given}"
    if line[-1].arms != split_of(over).arms:
        yield f"live is {line[-1].arms}"
