"""The tables of rollouts: `rollouts` (a row for each, as it stands), `rollout_events` (what happened, append-only),
`rollout_approvals`, `rollout_looks` (what the leader saw last) and `rollout_drills`.
"""

import msgspec
from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, delete, insert, select, text, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.control.rollouts.model import LIVE, Approval, Drill, Event, Evidence, Rollout
from tidegate.jobs.database import METADATA

__all__ = [
    "APPROVALS",
    "DRILLS",
    "EVENTS",
    "LOOKS",
    "ROLLOUTS",
    "add",
    "add_approval",
    "add_drill",
    "add_event",
    "approvals",
    "copying",
    "drills",
    "events",
    "find",
    "get",
    "keep_look",
    "live",
    "look",
    "newest",
    "swap",
]

_ONGOING = text("ended_at_ms IS NULL")

ROLLOUTS = Table(
    "rollouts",
    METADATA,
    Column("rollout_id", Text, primary_key=True),
    Column("prompt", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("weight_bp", Integer, nullable=False),
    Column("shadow_bp", Integer, nullable=False),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("rollout", Text, nullable=False),
    Index("ix_rollouts_prompt", "prompt", "environment", "started_at_ms"),
    Index(
        "uq_rollouts_live",
        "environment",
        "prompt",
        unique=True,
        sqlite_where=_ONGOING,
        postgresql_where=_ONGOING,
    ),
)
"""`rollout` is the whole of it as JSON; the other columns repeat what is asked for. Of a prompt in an environment
one goes on.
"""

EVENTS = Table(
    "rollout_events",
    METADATA,
    Column("rollout_id", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("from_stage", Integer, nullable=False),
    Column("to_stage", Integer, nullable=False),
    Column("weight_bp", Integer, nullable=False),
    Column("why", Text, nullable=False),
    Column("evidence", Text),
)
APPROVALS = Table(
    "rollout_approvals",
    METADATA,
    Column("rollout_id", Text, primary_key=True),
    Column("stage", Integer, primary_key=True, autoincrement=False),
    Column("plan_hash", Text, primary_key=True),
    Column("who", Text, primary_key=True),
    Column("roles", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
)
LOOKS = Table(
    "rollout_looks",
    METADATA,
    Column("rollout_id", Text, primary_key=True),
    Column("evidence", Text, nullable=False),
)
DRILLS = Table(
    "rollout_drills",
    METADATA,
    Column("drill_id", Text, primary_key=True),
    Column("prompt", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("drill", Text, nullable=False),
    Index("ix_rollout_drills_prompt", "prompt", "at_ms"),
)


async def add(tx: AsyncConnection, rollout: Rollout) -> None:
    """Append a rollout; there must be no other that goes on of its prompt in its environment."""
    fixed = {
        "rollout_id": rollout.rollout_id,
        "prompt": rollout.prompt,
        "environment": rollout.environment,
        "started_at_ms": rollout.started_at_ms,
    }
    await tx.execute(insert(ROLLOUTS).values(fixed | _moving(rollout)))


async def swap(tx: AsyncConnection, seen: Rollout, after: Rollout) -> bool:
    """Write how it stands after a move, if it still stands as it was seen; False when somebody was faster."""
    place = (ROLLOUTS.c.rollout_id == seen.rollout_id) & (ROLLOUTS.c.version == seen.version)
    return (await tx.execute(update(ROLLOUTS).where(place).values(_moving(after)))).rowcount == 1


async def get(tx: AsyncConnection, rollout_id: str) -> Rollout:
    """The rollout with this id, which is there."""
    query = select(ROLLOUTS.c.rollout).where(ROLLOUTS.c.rollout_id == rollout_id)
    return _decoded((await tx.execute(query)).scalar_one())


async def find(tx: AsyncConnection, prompt: str, environment: str) -> Rollout | None:
    """The newest rollout of the prompt in the environment, None when there was none."""
    query = select(ROLLOUTS.c.rollout).where(ROLLOUTS.c.prompt == prompt, ROLLOUTS.c.environment == environment)
    found = (await tx.execute(query.order_by(*_NEWEST_FIRST).limit(1))).scalar()
    return _decoded(found) if found is not None else None


async def live(tx: AsyncConnection) -> tuple[Rollout, ...]:
    """Every rollout that goes on, in the order of their start."""
    query = select(ROLLOUTS.c.rollout).where(ROLLOUTS.c.state.in_(LIVE))
    found = (await tx.execute(query.order_by(ROLLOUTS.c.started_at_ms, ROLLOUTS.c.rollout_id))).scalars()
    return tuple(map(_decoded, found))


async def copying(tx: AsyncConnection) -> tuple[Rollout, ...]:
    """Those that are over and still have calls copied for their candidate."""
    query = select(ROLLOUTS.c.rollout).where(ROLLOUTS.c.ended_at_ms.is_not(None), ROLLOUTS.c.shadow_bp > 0)
    return tuple(map(_decoded, (await tx.execute(query)).scalars()))


async def newest(
    tx: AsyncConnection, *, environment: str | None = None, prompt: str | None = None, limit: int
) -> tuple[Rollout, ...]:
    """Rollouts, newest first."""
    query = select(ROLLOUTS.c.rollout).order_by(*_NEWEST_FIRST).limit(limit)
    if environment is not None:
        query = query.where(ROLLOUTS.c.environment == environment)
    if prompt is not None:
        query = query.where(ROLLOUTS.c.prompt == prompt)
    return tuple(map(_decoded, (await tx.execute(query)).scalars()))


async def add_event(tx: AsyncConnection, event: Event) -> None:
    """Append what happened; its `seq` is taken by nothing else."""
    values = msgspec.structs.asdict(event)
    values["evidence"] = _json(event.evidence) if event.evidence is not None else None
    await tx.execute(insert(EVENTS).values(values))


async def events(tx: AsyncConnection, rollout_id: str) -> tuple[Event, ...]:
    """What happened to a rollout, oldest first."""
    query = select(EVENTS).where(EVENTS.c.rollout_id == rollout_id).order_by(EVENTS.c.seq)
    return tuple(_event(row) for row in (await tx.execute(query)).mappings())


async def add_approval(tx: AsyncConnection, rollout_id: str, approval: Approval) -> None:
    """Append an approval; nobody gives the same one twice."""
    values = msgspec.structs.asdict(approval) | {"rollout_id": rollout_id, "roles": _json(approval.roles)}
    await tx.execute(insert(APPROVALS).values(values))


async def approvals(tx: AsyncConnection, rollout: Rollout) -> tuple[Approval, ...]:
    """The approvals of the stage and plan in which the rollout is, in the order in which they were given."""
    query = (
        select(APPROVALS)
        .where(
            APPROVALS.c.rollout_id == rollout.rollout_id,
            APPROVALS.c.stage == rollout.stage,
            APPROVALS.c.plan_hash == rollout.plan_hash,
        )
        .order_by(APPROVALS.c.at_ms, APPROVALS.c.who)
    )
    return tuple(
        Approval(
            stage=row["stage"],
            plan_hash=row["plan_hash"],
            who=row["who"],
            roles=msgspec.json.decode(row["roles"], type=tuple[str, ...]),
            at_ms=row["at_ms"],
            note=row["note"],
        )
        for row in (await tx.execute(query)).mappings()
    )


async def keep_look(tx: AsyncConnection, rollout_id: str, evidence: Evidence) -> None:
    """Keep what was seen last, in place of what was seen before."""
    values = {"evidence": _json(evidence)}
    changed = await tx.execute(update(LOOKS).where(LOOKS.c.rollout_id == rollout_id).values(values))
    if changed.rowcount == 0:
        await tx.execute(insert(LOOKS).values(values | {"rollout_id": rollout_id}))


async def look(tx: AsyncConnection, rollout_id: str) -> Evidence | None:
    """What was seen last; None when nothing was, or this version cannot read it."""
    found = (await tx.execute(select(LOOKS.c.evidence).where(LOOKS.c.rollout_id == rollout_id))).scalar()
    return _evidence(found)


async def add_drill(tx: AsyncConnection, drill: Drill) -> None:
    """Keep what a drill found."""
    values = {name: getattr(drill, name) for name in ("drill_id", "prompt", "environment", "version", "actor", "at_ms")}
    await tx.execute(delete(DRILLS).where(DRILLS.c.drill_id == drill.drill_id))
    await tx.execute(insert(DRILLS).values(values | {"drill": _json(drill)}))


async def drills(tx: AsyncConnection, prompt: str, *, version: str | None = None, limit: int = 20) -> tuple[Drill, ...]:
    """The drills of a prompt, newest first."""
    query = select(DRILLS.c.drill).where(DRILLS.c.prompt == prompt)
    if version is not None:
        query = query.where(DRILLS.c.version == version)
    query = query.order_by(DRILLS.c.at_ms.desc(), DRILLS.c.drill_id.desc()).limit(limit)
    return tuple(msgspec.json.decode(one, type=Drill) for one in (await tx.execute(query)).scalars())


_NEWEST_FIRST = (ROLLOUTS.c.started_at_ms.desc(), ROLLOUTS.c.rollout_id.desc())
_DECODER = msgspec.json.Decoder(Rollout)


def _moving(rollout: Rollout) -> dict[str, object]:
    return {
        "state": rollout.state,
        "version": rollout.version,
        "stage": rollout.stage,
        "weight_bp": rollout.weight_bp,
        "shadow_bp": rollout.shadow_bp,
        "ended_at_ms": rollout.ended_at_ms,
        "rollout": _json(rollout),
    }


def _event(row: RowMapping) -> Event:
    values = {name: row[name] for name in Event.__struct_fields__}
    return Event(**(values | {"evidence": _evidence(row["evidence"])}))


def _evidence(blob: str | None) -> Evidence | None:
    if blob is None:
        return None
    try:
        return msgspec.json.decode(blob, type=Evidence)
    except msgspec.DecodeError:
        return None


def _decoded(blob: str) -> Rollout:
    return _DECODER.decode(blob)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
