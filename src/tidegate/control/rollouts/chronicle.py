"""How a move of a rollout is written down: row, event, release and pointer, audit, news and Snapshot, in the caller's
transaction. The row is swapped: it must stand as it was seen, or nothing is written.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from tidegate.control.identity.model import Actor
from tidegate.control.identity.store import add_audit
from tidegate.control.policies import store as policies_store
from tidegate.control.prompts import store as prompts_store
from tidegate.control.releases import store as releases_store
from tidegate.control.releases.model import CANARY, SETTLED, Order, Release, Split, Stamp, next_release, split_release
from tidegate.control.releases.service import write_release, write_split
from tidegate.control.rollouts import store
from tidegate.control.rollouts.commands import By, superseded
from tidegate.control.rollouts.model import Event, Evidence, Rollout, Side
from tidegate.control.rollouts.placing import split_of
from tidegate.jobs.database import Tx
from tidegate.jobs.notifications import NOTIFY
from tidegate.jobs.outbox import enqueue
from tidegate.kernel.errors import Conflict
from tidegate.kernel.ids import new_id
from tidegate.live.assignment import BUCKETS, Arm

__all__ = ["STAGING", "Happened", "begun", "moved_on", "overtake", "side_text", "subject_of"]

SUPERSEDE = "supersede"

STAGING = "staging"
"""The environment in which a candidate is live during a stage of the kind `staging`."""

NEWS: Mapping[str, str] = MappingProxyType(
    {
        "start": "rollout.started",
        "advance": "rollout.advanced",
        "await_approval": "rollout.awaiting_approval",
        "promote": "rollout.promoted",
        "roll_back": "rollout.rolled_back",
        "pause": "rollout.paused",
        "inconclusive": "rollout.inconclusive",
    }
)
"""What the notifiers are told of; everything stands in the events and in the audit."""


class Happened(NamedTuple):
    """What moved a rollout, when (Unix ms, the database's), and what was known."""

    kind: str
    at_ms: int
    evidence: Evidence | None = None


def subject_of(rollout: Rollout) -> str:
    """By which name the audit and the notifiers know it."""
    return f"rollout/{rollout.environment}/{rollout.prompt}"


async def begun(tx: Tx, actor: Actor, rollout: Rollout) -> Release:
    """A rollout begins: everything but the Snapshot, which is the caller's."""
    await store.add(tx, rollout)
    release = await write_split(tx, actor, split_of(rollout), await _stamp(tx, actor, rollout, rollout.started_at_ms))
    event = _event(None, rollout, actor, "start", rollout.started_at_ms)
    await store.add_event(tx, event)
    await _into_staging(tx, actor, rollout, rollout.started_at_ms)
    await _tell(tx, actor, event, rollout, release)
    return release


async def moved_on(tx: Tx, actor: Actor, before: Rollout, after: Rollout, happened: Happened) -> Release | None:
    """A rollout moves: everything but the Snapshot. Returns the release where what is live has changed.

    Raises Conflict (`rollout_overtaken`) when it no longer stands as it was seen.
    """
    if not await store.swap(tx, before, after):
        raise _overtaken(before)
    at_ms, release = happened.at_ms, None
    if _is_told(before, after) and await _is_its_own(tx, after, happened.kind):
        split = split_of(after)
        if happened.kind == SETTLED:
            split = msgspec.structs.replace(split, kind=SETTLED, reason="")
        release = await write_split(tx, actor, split, await _stamp(tx, actor, after, at_ms))
    event = msgspec.structs.replace(_event(before, after, actor, happened.kind, at_ms), evidence=happened.evidence)
    await store.add_event(tx, event)
    if after.stage != before.stage:
        await _into_staging(tx, actor, after, at_ms)
    await _tell(tx, actor, event, after, release)
    return release


async def overtake(tx: Tx, actor: Actor, release: Release) -> None:
    """The rollout under way is over: this release takes its place (see `releases.service.Overtake`)."""
    rollout = await store.find(tx, release.prompt, release.environment)
    if rollout is None or rollout.ended_at_ms is not None:
        return
    what = f"{release.version} was deployed" if release.version is not None else "the prompt was withdrawn"
    after, move = superseded(rollout, By(actor.name, release.at_ms, f"{what} (release {release.number})"))
    await moved_on(tx, actor, rollout, after, Happened(move.kind, release.at_ms))


def _event(before: Rollout | None, after: Rollout, actor: Actor, kind: str, at_ms: int) -> Event:
    return Event(
        rollout_id=after.rollout_id,
        seq=after.version,
        at_ms=at_ms,
        actor=actor.name,
        kind=kind,
        from_state=before.state if before is not None else "",
        to_state=after.state,
        from_stage=before.stage if before is not None else 0,
        to_stage=after.stage,
        weight_bp=after.weight_bp,
        why=after.why,
    )


def _is_told(before: Rollout, after: Rollout) -> bool:
    """Whether the gateways have to be told of the difference."""
    shares = (before.weight_bp, before.shadow_bp) != (after.weight_bp, after.shadow_bp)
    return shares or before.ended_at_ms != after.ended_at_ms


async def _is_its_own(tx: Tx, rollout: Rollout, kind: str) -> bool:
    """Whether what is live is the rollout's to change: not when something took its place, then or since."""
    if kind != SETTLED:
        return kind != SUPERSEDE
    last = await releases_store.last(tx, rollout.prompt, rollout.environment)
    return last is not None and last.rollout is not None and last.rollout.rollout_id == rollout.rollout_id


async def _stamp(tx: Tx, actor: Actor, rollout: Rollout, at_ms: int) -> Stamp:
    """Of the version that the change is about: the candidate's, on the way back the stable one's."""
    side = rollout.stable if rollout.state == "rolled_back" else rollout.candidate
    kept = await prompts_store.find(tx, rollout.prompt, side.version)
    stored = await policies_store.latest(tx)
    return Stamp(
        release_id=new_id("rel"),
        at_ms=at_ms,
        actor=actor.name,
        commit_sha=kept[0].commit_sha if kept is not None else "",
        content_hash=kept[0].content_hash if kept is not None else "",
        config_revision=stored.revision if stored is not None else None,
    )


async def _into_staging(tx: Tx, actor: Actor, rollout: Rollout, at_ms: int) -> None:
    """Make the candidate live in staging, where the stage that it has come to asks for it and nothing is in the way."""
    if rollout.ended_at_ms is not None or rollout.now_in.kind != "staging":
        return
    prompt, side = rollout.prompt, rollout.candidate
    last = await releases_store.last(tx, prompt, STAGING)
    if last is not None and (last.kind == CANARY or (last.version, last.model) == (side.version, side.model)):
        return
    stamp = await _stamp(tx, actor, rollout, at_ms)
    order = Order(kind="deploy", prompt=prompt, environment=STAGING, version=side.version, reason=rollout.why)
    arms = (Arm(side.version, BUCKETS, model=side.model),)
    if last is None or last.version is None:
        release = msgspec.structs.replace(next_release(last, order, stamp), arms=arms)
    else:
        salt = f"{STAGING}/{prompt}/{last.number + 1}"
        split = Split(
            kind="deploy", prompt=prompt, environment=STAGING, arms=arms, rollout=None, salt=salt, reason=rollout.why
        )
        release = split_release(last, split, stamp)
    await write_release(tx, actor, last, release)


async def _tell(tx: Tx, actor: Actor, event: Event, rollout: Rollout, release: Release | None) -> None:
    """Write the audit row and, of what the notifiers are told of, the news."""
    detail: dict[str, object] = {
        "rollout_id": rollout.rollout_id,
        "candidate": side_text(rollout.candidate),
        "stable": side_text(rollout.stable),
        "state": rollout.state,
        "stage": rollout.now_in.name,
        "percent": rollout.weight_bp / 100,
        "why": event.why,
    }
    detail |= {"release": release.number} if release is not None else {}
    detail |= {"plan_hash": rollout.plan_hash} if event.kind == "start" else {}
    subject, at_ms = subject_of(rollout), event.at_ms
    await add_audit(tx, at_ms=at_ms, actor=actor, action=f"rollout.{event.kind}", subject=subject, diff=detail)
    if event.kind in NEWS:
        news = {
            "event": NEWS[event.kind],
            "at_ms": at_ms,
            "actor": actor.name,
            "subject": subject,
            "detail": detail,
        }
        await enqueue(tx, at_ms=at_ms, kind=NOTIFY, payload=news)


def _overtaken(seen: Rollout) -> Conflict:
    return Conflict(
        f"The rollout of {seen.prompt} in {seen.environment} has moved meanwhile.",
        mend=f"See `tidegate release status {seen.prompt} --env {seen.environment}`, then decide anew.",
        code="rollout_overtaken",
    )


def side_text(side: Side) -> str:
    """`1.1.0`, or `1.1.0 on small`."""
    return f"{side.version} on {side.model}" if side.model is not None else side.version
