"""The tables `experiments` (a row for each run), `experiment_events` (what happened to it, append-only) and
`experiment_analyses` (the last one of a run that is over: it outlives the calls that it was made from).
"""

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.control.experiments.model import Analysis, Decision, Definition, Experiment, Happening
from tidegate.jobs.database import METADATA

__all__ = [
    "ANALYSES",
    "EVENTS",
    "EXPERIMENTS",
    "Looks",
    "add",
    "add_event",
    "change",
    "events",
    "find",
    "get",
    "keep_analysis",
    "kept_analysis",
    "looks",
    "newest",
    "note",
    "over_without_analysis",
    "running",
    "weights_log",
]

EXPERIMENTS = Table(
    "experiments",
    METADATA,
    Column("experiment_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("layer", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("definition", Text, nullable=False),
    Column("salt", Text, nullable=False),
    Column("from_bp", Integer, nullable=False),
    Column("to_bp", Integer, nullable=False),
    Column("weights_bp", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("decision", Text),
    Column("looked_at_ms", BigInteger, nullable=False),
    Column("weighed_at_ms", BigInteger, nullable=False),
    Index("ix_experiments_name", "name", "started_at_ms"),
    Index("ix_experiments_state", "state"),
)
"""`definition`, `weights_bp` and `decision` are JSON. `looked_at_ms` and `weighed_at_ms`: when a tick last judged the
guardrails, and the weights.
"""

EVENTS = Table(
    "experiment_events",
    METADATA,
    Column("experiment_id", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("detail", Text, nullable=False),
)
ANALYSES = Table(
    "experiment_analyses",
    METADATA,
    Column("experiment_id", Text, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("analysis", LargeBinary, nullable=False),
)
RUNNING = "running"
WEIGHTS = "weights_bp"


class Looks(msgspec.Struct, frozen=True):
    """When a tick last judged the guardrails, and when it last judged the weights (Unix ms)."""

    looked_at_ms: int
    weighed_at_ms: int


async def add(tx: AsyncConnection, experiment: Experiment) -> None:
    """Append a run, not looked at yet."""
    definition = experiment.definition
    began = experiment.started_at_ms
    fixed = {
        "experiment_id": experiment.experiment_id,
        "name": definition.name,
        "environment": definition.environment,
        "subject": definition.subject,
        "layer": definition.layer,
        "definition": _json(definition),
        "salt": experiment.salt,
        "from_bp": experiment.from_bp,
        "to_bp": experiment.to_bp,
        "actor": experiment.actor,
        "started_at_ms": began,
        "looked_at_ms": began,
        "weighed_at_ms": began,
    }
    await tx.execute(insert(EXPERIMENTS).values(fixed | _moving(experiment)))


async def change(tx: AsyncConnection, experiment: Experiment) -> None:
    """Write what can change of a run: its state, weights, end and decision."""
    place = EXPERIMENTS.c.experiment_id == experiment.experiment_id
    await tx.execute(update(EXPERIMENTS).where(place).values(_moving(experiment)))


async def note(tx: AsyncConnection, experiment_id: str, looks: Looks) -> None:
    """Write when a tick looked."""
    values = msgspec.structs.asdict(looks)
    await tx.execute(update(EXPERIMENTS).where(EXPERIMENTS.c.experiment_id == experiment_id).values(values))


async def looks(tx: AsyncConnection, experiment_id: str) -> Looks:
    """When a tick looked; the run is there."""
    columns = (EXPERIMENTS.c.looked_at_ms, EXPERIMENTS.c.weighed_at_ms)
    row = (await tx.execute(select(*columns).where(EXPERIMENTS.c.experiment_id == experiment_id))).one()
    return Looks(*row)


async def find(tx: AsyncConnection, name: str) -> Experiment | None:
    """The newest run of this name, None when there was none."""
    query = select(EXPERIMENTS).where(EXPERIMENTS.c.name == name).order_by(*_NEWEST_FIRST).limit(1)
    row = (await tx.execute(query)).mappings().first()
    return _experiment(row) if row is not None else None


async def get(tx: AsyncConnection, experiment_id: str) -> Experiment:
    """The run with this id, which is there."""
    query = select(EXPERIMENTS).where(EXPERIMENTS.c.experiment_id == experiment_id)
    return _experiment((await tx.execute(query)).mappings().one())


async def running(tx: AsyncConnection) -> tuple[Experiment, ...]:
    """Every run that is under way, in the order of their start."""
    query = select(EXPERIMENTS).where(EXPERIMENTS.c.state == RUNNING)
    order = (EXPERIMENTS.c.started_at_ms, EXPERIMENTS.c.experiment_id)
    return tuple(_experiment(row) for row in (await tx.execute(query.order_by(*order))).mappings())


async def over_without_analysis(tx: AsyncConnection, after_ms: int, before_ms: int) -> tuple[Experiment, ...]:
    """Runs that ended in this stretch and whose last analysis is not kept yet."""
    beside = EXPERIMENTS.outerjoin(ANALYSES, ANALYSES.c.experiment_id == EXPERIMENTS.c.experiment_id)
    query = select(EXPERIMENTS).select_from(beside).where(ANALYSES.c.experiment_id.is_(None))
    query = query.where(EXPERIMENTS.c.ended_at_ms > after_ms, EXPERIMENTS.c.ended_at_ms <= before_ms)
    return tuple(_experiment(row) for row in (await tx.execute(query)).mappings())


async def keep_analysis(tx: AsyncConnection, analysis: Analysis) -> None:
    """Keep the last analysis of a run, unless one is kept already."""
    if await kept_analysis(tx, analysis.experiment_id) is None:
        row = {
            "experiment_id": analysis.experiment_id,
            "at_ms": analysis.at_ms,
            "analysis": msgspec.json.encode(analysis),
        }
        await tx.execute(delete(ANALYSES).where(ANALYSES.c.experiment_id == analysis.experiment_id))
        await tx.execute(insert(ANALYSES).values(row))


async def kept_analysis(tx: AsyncConnection, experiment_id: str) -> Analysis | None:
    """The last analysis of a run that is over; None when none is kept, or this version cannot read it."""
    query = select(ANALYSES.c.analysis).where(ANALYSES.c.experiment_id == experiment_id)
    blob = (await tx.execute(query)).scalar()
    if blob is None:
        return None
    try:
        return msgspec.json.decode(blob, type=Analysis)
    except msgspec.DecodeError:
        return None


async def newest(tx: AsyncConnection, *, environment: str | None = None, limit: int) -> tuple[Experiment, ...]:
    """Runs, newest first."""
    query = select(EXPERIMENTS).order_by(*_NEWEST_FIRST).limit(limit)
    if environment is not None:
        query = query.where(EXPERIMENTS.c.environment == environment)
    return tuple(_experiment(row) for row in (await tx.execute(query)).mappings())


async def add_event(tx: AsyncConnection, experiment_id: str, happening: Happening) -> None:
    """Append what happened, under the next number; the caller holds the turn."""
    last = select(func.max(EVENTS.c.seq)).where(EVENTS.c.experiment_id == experiment_id)
    seq = int((await tx.execute(last)).scalar_one() or 0) + 1
    row = {
        "experiment_id": experiment_id,
        "seq": seq,
        "kind": happening.kind,
        "at_ms": happening.at_ms,
        "actor": happening.actor,
        "detail": _json(happening.detail),
    }
    await tx.execute(insert(EVENTS).values(row))


async def events(tx: AsyncConnection, experiment_id: str) -> tuple[Happening, ...]:
    """What happened to a run, oldest first."""
    query = select(EVENTS).where(EVENTS.c.experiment_id == experiment_id).order_by(EVENTS.c.seq)
    return tuple(
        Happening(
            kind=row["kind"],
            at_ms=row["at_ms"],
            actor=row["actor"],
            detail=msgspec.json.decode(row["detail"], type=dict[str, object]),
        )
        for row in (await tx.execute(query)).mappings()
    )


async def weights_log(tx: AsyncConnection, experiment_id: str) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Since when (Unix ms) which weights held, oldest first."""
    told = [one for one in await events(tx, experiment_id) if WEIGHTS in one.detail]
    return tuple((one.at_ms, msgspec.convert(one.detail[WEIGHTS], tuple[int, ...])) for one in told)


_NEWEST_FIRST = (EXPERIMENTS.c.started_at_ms.desc(), EXPERIMENTS.c.experiment_id.desc())


def _moving(experiment: Experiment) -> dict[str, object]:
    return {
        "state": experiment.state,
        WEIGHTS: _json(experiment.weights_bp),
        "ended_at_ms": experiment.ended_at_ms,
        "decision": _json(experiment.decision) if experiment.decision is not None else None,
    }


def _experiment(row: RowMapping) -> Experiment:
    return Experiment(
        experiment_id=row["experiment_id"],
        definition=msgspec.json.decode(row["definition"], type=Definition),
        state=row["state"],
        salt=row["salt"],
        from_bp=row["from_bp"],
        to_bp=row["to_bp"],
        weights_bp=msgspec.json.decode(row[WEIGHTS], type=tuple[int, ...]),
        actor=row["actor"],
        started_at_ms=row["started_at_ms"],
        ended_at_ms=row["ended_at_ms"],
        decision=msgspec.json.decode(row["decision"], type=Decision) if row["decision"] is not None else None,
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
