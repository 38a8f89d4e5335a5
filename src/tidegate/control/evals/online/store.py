"""The SQL of the scoring worker: which calls there are (in the calls' database), and what was tried (in control's)."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.control.evals.online.model import Scorable, Standing, Tried, name_of
from tidegate.jobs.database import METADATA
from tidegate.live.calls import CallRecord

__all__ = ["SCORES", "copied", "keep", "of_rollout", "of_route", "prune", "spent", "standing", "tried"]

CALLS = sa.table("calls", *(sa.column(name) for name in CallRecord.__struct_fields__))
SCORES = sa.Table(
    "online_scores",
    METADATA,
    sa.Column("call_id", sa.Text, primary_key=True),
    sa.Column("scorer", sa.Text, primary_key=True),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False),
    sa.Column("arm", sa.Text, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("value", sa.Float),
    sa.Column("error", sa.Text),
    sa.Column("cost_nano_usd", sa.BigInteger),
    sa.Index("ix_online_scores_about", "about", "at_ms"),
    sa.Index("ix_online_scores_state", "state", "at_ms"),
)
IDS = 500
WELL = (CALLS.c.status == 200, CALLS.c.ending == "complete", CALLS.c.environment.is_not(None))
WORDS = (CALLS.c.call_id, CALLS.c.variant, CALLS.c.started_at_ms, CALLS.c.environment)


async def of_rollout(tx: AsyncConnection, rollout_id: str, since_ms: int, limit: int) -> list[Scorable]:
    """The newest calls of a rollout that ended well, at most `limit` of each arm; of users who are served by two, else
    copies, and (`copied`) what they copy.
    """
    found: list[Scorable] = []
    mine = (CALLS.c.experiment_id == rollout_id, CALLS.c.started_at_ms >= since_ms, *WELL)
    split = (CALLS.c.origin == "user") & (CALLS.c.propensity < 1)
    for arm in ("stable", "candidate"):
        query = sa.select(*WORDS).where(*mine, CALLS.c.variant == arm, split | (CALLS.c.origin == "shadow"))
        rows = await tx.execute(query.order_by(CALLS.c.started_at_ms.desc()).limit(limit))
        found.extend(Scorable(*row) for row in rows)
    return found


async def copied(tx: AsyncConnection, call_ids: Sequence[str]) -> list[Scorable]:
    """The users' calls of which these are copies."""
    found: list[Scorable] = []
    for some in _some(call_ids):
        names = sa.select(CALLS.c.shadow_of).where(CALLS.c.call_id.in_(some), CALLS.c.shadow_of.is_not(None))
        users = [name for (name,) in await tx.execute(names)]
        query = sa.select(CALLS.c.call_id, CALLS.c.variant, CALLS.c.started_at_ms, CALLS.c.environment)
        rows = await tx.execute(query.where(CALLS.c.call_id.in_(users), *WELL)) if users else ()
        found.extend(Scorable(one, arm or "", at_ms, place) for one, arm, at_ms, place in rows)
    return found


async def of_route(tx: AsyncConnection, route: str, since_ms: int, limit: int) -> list[Scorable]:
    """The newest calls of users of a route that ended well."""
    query = sa.select(CALLS.c.call_id, CALLS.c.started_at_ms, CALLS.c.environment).where(
        CALLS.c.started_at_ms >= since_ms, CALLS.c.route == route, CALLS.c.origin == "user", *WELL
    )
    rows = await tx.execute(query.order_by(CALLS.c.started_at_ms.desc()).limit(limit))
    return [Scorable(call_id, "", at_ms, place) for call_id, at_ms, place in rows]


async def tried(tx: AsyncConnection, call_ids: Sequence[str]) -> dict[tuple[str, str], Tried]:
    """What was tried on these calls, by (call, scorer)."""
    found: dict[tuple[str, str], Tried] = {}
    for some in _some(call_ids):
        for row in (await tx.execute(sa.select(SCORES).where(SCORES.c.call_id.in_(some)))).mappings():
            one = Tried(**row)
            found[one.call_id, one.scorer] = one
    return found


async def keep(tx: AsyncConnection, all_of: Sequence[Tried]) -> None:
    """Write these, in the place of what was there."""
    for one in all_of:
        mine = (SCORES.c.call_id == one.call_id, SCORES.c.scorer == one.scorer)
        values = msgspec.structs.asdict(one)
        if (await tx.execute(sa.update(SCORES).where(*mine).values(values))).rowcount == 0:
            await tx.execute(sa.insert(SCORES).values(values))


async def spent(tx: AsyncConnection, about: str, since_ms: int) -> int:
    """What judges have cost here since a time, in nano-dollars."""
    query = sa.select(sa.func.sum(SCORES.c.cost_nano_usd)).where(SCORES.c.about == about, SCORES.c.at_ms >= since_ms)
    return int((await tx.execute(query)).scalar() or 0)


async def standing(tx: AsyncConnection, since_ms: int) -> list[Standing]:
    """How the scoring of everything goes, since a time."""
    alike = (SCORES.c.about, SCORES.c.arm, SCORES.c.scorer)
    query = sa.select(
        *alike,
        SCORES.c.state,
        SCORES.c.error,
        sa.func.count().label("calls"),
        sa.func.avg(SCORES.c.value).label("mean"),
        sa.func.sum(SCORES.c.cost_nano_usd).label("cost"),
    ).where(SCORES.c.at_ms >= since_ms)
    rows = (await tx.execute(query.group_by(*alike, SCORES.c.state, SCORES.c.error).order_by(*alike))).mappings().all()
    groups: dict[tuple[str, str, str], list[Mapping[str, object]]] = {}
    for row in rows:
        groups.setdefault((row["about"], row["arm"], row["scorer"]), []).append(dict(row))
    return [_standing(place, since_ms, group) for place, group in groups.items()]


async def prune(tx: AsyncConnection, before_ms: int, limit: int) -> int:
    """Forget at most `limit` that are older; return how many went."""
    old = sa.select(SCORES.c.call_id).where(SCORES.c.at_ms < before_ms).limit(limit)
    return (await tx.execute(sa.delete(SCORES).where(SCORES.c.call_id.in_(old)))).rowcount


def _standing(place: tuple[str, str, str], since_ms: int, rows: Sequence[Mapping[str, object]]) -> Standing:
    counts = [(str(row["state"]), row["error"], int(str(row["calls"]))) for row in rows]
    means = [float(str(row["mean"])) for row in rows if row["state"] == "scored" and row["mean"] is not None]
    return Standing(
        about=place[0],
        arm=place[1],
        scorer=name_of(place[2]),
        since_ms=since_ms,
        scored=sum(calls for state, _, calls in counts if state == "scored"),
        waiting=sum(calls for state, _, calls in counts if state in ("claimed", "again")),
        mean=means[0] if means else None,
        failed={str(error): calls for state, error, calls in counts if state == "failed"},
        cost_nano_usd=sum(int(str(row["cost"] or 0)) for row in rows),
    )


def _some(call_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (call_ids[at : at + IDS] for at in range(0, len(call_ids), IDS))
