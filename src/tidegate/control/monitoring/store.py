"""The SQL over `calls` and `feedback`. Their columns are CallRecord's and Feedback's fields; the gateway's adapters
create the tables and write them.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, column, delete, func, select, table, tuple_
from sqlalchemy import text as sql
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.control.monitoring.exposures import Exposed, Past, Scored
from tidegate.control.monitoring.model import HOUR_MS, CallFilter, Gap, Life, PairFilter
from tidegate.control.spend.model import CallTotals
from tidegate.live.calls import CallRecord
from tidegate.live.experiments import REQUEST, TAG
from tidegate.live.feedback import Feedback

__all__ = [
    "calls",
    "count_between",
    "delete_before",
    "delete_feedback",
    "ending_with",
    "exposed",
    "first_kept",
    "fresh",
    "gaps",
    "lives",
    "named",
    "newest_ms",
    "nth_oldest_ms",
    "oldest_feedback_ms",
    "one",
    "past",
    "past_scores",
    "scores",
    "shadows",
    "total",
    "totals",
    "used_bytes",
]

CALLS = table("calls", *(column(name) for name in CallRecord.__struct_fields__))
FEEDBACK = table("feedback", *(column(name) for name in Feedback.__struct_fields__))
CHUNK = 5_000
PROMPT = "prompt:"
COUNTING = "messages.count_tokens"

# A loose index scan over the primary key (gateway_id, seq): a few steps for each gateway, however many calls.
_LIVES = sql(
    """
    WITH RECURSIVE gateways(id) AS (
        SELECT min(gateway_id) FROM calls
        UNION ALL
        SELECT (SELECT min(calls.gateway_id) FROM calls WHERE calls.gateway_id > gateways.id)
        FROM gateways WHERE gateways.id IS NOT NULL
    )
    SELECT edges.gateway_id, edges.seq, edges.started_at_ms
    FROM gateways JOIN calls AS edges ON edges.gateway_id = gateways.id AND edges.seq IN (
        (SELECT min(ends.seq) FROM calls AS ends WHERE ends.gateway_id = gateways.id),
        (SELECT max(ends.seq) FROM calls AS ends WHERE ends.gateway_id = gateways.id)
    )
    ORDER BY edges.gateway_id, edges.seq
    """
)

_GAPS = sql(
    """
    SELECT gateway_id, seq, started_at_ms, before_seq, before_ms FROM (
        SELECT gateway_id, seq, started_at_ms,
            lag(seq) OVER line AS before_seq, lag(started_at_ms) OVER line AS before_ms
        FROM calls WHERE started_at_ms >= :scan_ms
        WINDOW line AS (PARTITION BY gateway_id ORDER BY seq)
    ) AS lines
    WHERE seq - before_seq > 1 AND before_ms >= :since_ms
    ORDER BY started_at_ms DESC LIMIT :limit
    """
)


async def calls(tx: AsyncConnection, wanted: CallFilter) -> tuple[CallRecord, ...]:
    """The newest calls that match, newest first."""
    query = _matching(select(CALLS), wanted).order_by(CALLS.c.started_at_ms.desc(), CALLS.c.call_id.desc())
    return await _records(tx, query.limit(wanted.limit))


async def fresh(tx: AsyncConnection, wanted: CallFilter, point: tuple[str, int, int]) -> tuple[CallRecord, ...]:
    """What one gateway stored after a point, in the order it was stored; at most `wanted.limit`."""
    gateway_id, after_seq, since_ms = point
    newer = (CALLS.c.gateway_id == gateway_id, CALLS.c.seq > after_seq, CALLS.c.started_at_ms >= since_ms)
    query = _matching(select(CALLS), wanted).where(*newer).order_by(CALLS.c.seq).limit(wanted.limit)
    return await _records(tx, query)


async def totals(tx: AsyncConnection, begins_at_ms: int, ends_at_ms: int) -> tuple[CallTotals, ...]:
    """Users' calls that reached an upstream and started in this stretch, summed up by what limits split them by. An
    unknown cost counts as what was reserved for the call.
    """
    alike = (CALLS.c.key_id, CALLS.c.route, CALLS.c.model_requested, CALLS.c.environment, CALLS.c.tags)
    tokens = func.coalesce(CALLS.c.input_tokens, 0) + func.coalesce(CALLS.c.output_tokens, 0)
    query = (
        select(
            *alike,
            func.count().label("requests"),
            func.sum(tokens).label("tokens"),
            func.sum(func.coalesce(CALLS.c.cost_nano_usd, CALLS.c.bound_nano_usd, 0)).label("nano_usd"),
        )
        .where(CALLS.c.started_at_ms >= begins_at_ms, CALLS.c.started_at_ms < ends_at_ms, CALLS.c.origin == "user")
        .where((CALLS.c.attempts > 0) | CALLS.c.cost_nano_usd.is_not(None))
        .group_by(*alike)
    )
    return tuple(
        CallTotals(
            key=row["key_id"],
            model=row["route"] or row["model_requested"],
            environment=row["environment"],
            tags=msgspec.json.decode(row["tags"] or "{}", type=dict[str, str]),
            requests=int(row["requests"]),
            tokens=int(row["tokens"]),
            nano_usd=int(row["nano_usd"]),
        )
        for row in (await tx.execute(query)).mappings()
    )


async def one(tx: AsyncConnection, call_id: str) -> CallRecord | None:
    """The call with this id; None when it is not (or no longer) there."""
    found = await _records(tx, select(CALLS).where(CALLS.c.call_id == call_id).limit(1))
    return found[0] if found else None


async def ending_with(tx: AsyncConnection, ending: str) -> tuple[CallRecord, ...]:
    """At most two calls whose id ends so."""
    like = CALLS.c.call_id.endswith(ending, autoescape=True)
    return await _records(tx, select(CALLS).where(like).limit(2))


async def named(tx: AsyncConnection, call_ids: Sequence[str]) -> tuple[CallRecord, ...]:
    """The calls with these ids, those that are there, in no order."""
    return await _records(tx, select(CALLS).where(CALLS.c.call_id.in_(call_ids))) if call_ids else ()


async def shadows(tx: AsyncConnection, wanted: PairFilter) -> tuple[CallRecord, ...]:
    """Copies of users' calls that match, newest first: ids sort by time."""
    query = select(CALLS).where(CALLS.c.shadow_of.is_not(None))
    if wanted.route is not None:
        query = query.where(CALLS.c.route == wanted.route)
    if wanted.before is not None:
        query = query.where(CALLS.c.call_id < wanted.before)
    return await _records(tx, query.order_by(CALLS.c.call_id.desc()).limit(wanted.limit))


async def lives(tx: AsyncConnection) -> tuple[Life, ...]:
    """What is kept of every gateway's life."""
    edges: dict[str, list[tuple[int, int]]] = {}
    for gateway_id, seq, started_at_ms in await tx.execute(_LIVES):
        edges.setdefault(gateway_id, []).append((seq, started_at_ms))
    return tuple(
        Life(
            gateway_id=gateway_id,
            first_seq=ends[0][0],
            first_ms=ends[0][1],
            last_seq=ends[-1][0],
            last_ms=ends[-1][1],
        )
        for gateway_id, ends in edges.items()
    )


async def gaps(tx: AsyncConnection, *, since_ms: int, limit: int) -> tuple[Gap, ...]:
    """Holes between two records that started at or after `since_ms`, newest first.

    The scan begins an hour earlier, so that a long call that started before the window and ended inside it is seen.
    """
    values = {"since_ms": since_ms, "scan_ms": since_ms - HOUR_MS, "limit": limit}
    return tuple(
        Gap(
            gateway_id=row["gateway_id"],
            first=row["before_seq"] + 1,
            last=row["seq"] - 1,
            after_ms=row["before_ms"],
            before_ms=row["started_at_ms"],
        )
        for row in (await tx.execute(_GAPS, values)).mappings()
    )


async def count_between(tx: AsyncConnection, gateway_id: str, after_seq: int, last_seq: int) -> int:
    """How many records of the gateway are there with after_seq < seq <= last_seq."""
    inside = (CALLS.c.gateway_id == gateway_id, CALLS.c.seq > after_seq, CALLS.c.seq <= last_seq)
    return int((await tx.execute(select(func.count()).select_from(CALLS).where(*inside))).scalar_one())


async def first_kept(tx: AsyncConnection, gateway_id: str, horizon_ms: int) -> int | None:
    """The lowest seq of the gateway that started at or after the horizon; None when none did."""
    young = (CALLS.c.gateway_id == gateway_id, CALLS.c.started_at_ms >= horizon_ms)
    found = (await tx.execute(select(CALLS.c.seq).where(*young).order_by(CALLS.c.seq).limit(1))).scalar()
    return int(found) if found is not None else None


async def delete_before(tx: AsyncConnection, gateway_id: str, seq: int) -> int:
    """Delete the gateway's records below `seq`; return how many went."""
    gone = await tx.execute(delete(CALLS).where(CALLS.c.gateway_id == gateway_id, CALLS.c.seq < seq))
    return gone.rowcount


async def nth_oldest_ms(tx: AsyncConnection, place: int) -> int | None:
    """When the call at this place (from 0) of all, oldest first, started; None when there are not so many."""
    query = select(CALLS.c.started_at_ms).order_by(CALLS.c.started_at_ms).limit(1).offset(place)
    found = (await tx.execute(query)).scalar()
    return int(found) if found is not None else None


async def exposed(tx: AsyncConnection, experiment_id: str) -> list[Exposed]:
    """Users' calls in the experiment, in the order of their start."""
    columns = (
        CALLS.c.call_id,
        CALLS.c.experiment_unit,
        CALLS.c.variant,
        CALLS.c.propensity,
        *(CALLS.c[name] for name in Exposed._fields[4:]),
    )
    query = select(*columns).where(CALLS.c.experiment_id == experiment_id, CALLS.c.origin == "user")
    found: list[Exposed] = []
    words: dict[str, str] = {}  # each word is held once, however many rows have it
    same = words.setdefault
    async for rows in _chunks(tx, query.order_by(CALLS.c.started_at_ms, CALLS.c.call_id)):
        for call_id, unit, variant, propensity, at_ms, ending, *figures in rows:
            whom, which, how = same(unit, unit), same(variant, variant), same(ending, ending)
            found.append(Exposed(call_id, whom, which, propensity, at_ms, how, *figures))
    return found


async def scores(tx: AsyncConnection, experiment_id: str) -> list[Scored]:
    """What was said of the calls in the experiment, by somebody of their environment, as it came in."""
    return await _scores(tx, _scored().where(CALLS.c.experiment_id == experiment_id, CALLS.c.origin == "user"))


async def past(tx: AsyncConnection, wanted: Past) -> list[Exposed]:
    """The calls, in the order of their start, each for the unit that an experiment would assign; of no variant."""
    unit = CALLS.c.call_id if wanted.unit == REQUEST else CALLS.c.unit
    columns = (CALLS.c.call_id, unit, CALLS.c.tags, *(CALLS.c[name] for name in Exposed._fields[4:]))
    query = _past(select(*columns), wanted).order_by(CALLS.c.started_at_ms.desc()).limit(wanted.limit)
    tag = wanted.unit.removeprefix(TAG) if wanted.unit.startswith(TAG) else None
    reads_tags = tag is not None or bool(wanted.tags)
    found: list[Exposed] = []
    async for rows in _chunks(tx, query):
        for call_id, whose, stored, *figures in rows:
            tags = msgspec.json.decode(stored or "{}", type=dict[str, str]) if reads_tags else {}
            whom = tags.get(tag) if tag is not None else whose
            if whom and all(tags.get(name) == value for name, value in wanted.tags.items()):
                found.append(Exposed(call_id, whom, "", 1.0, *figures))
    return found[::-1]


async def past_scores(tx: AsyncConnection, wanted: Past) -> list[Scored]:
    """What was said of these calls (and of more, where `tags` narrow them), as it came in."""
    return await _scores(tx, _past(_scored(), wanted))


async def newest_ms(tx: AsyncConnection) -> int | None:
    """When the newest call started; None when there is none."""
    found = (await tx.execute(select(func.max(CALLS.c.started_at_ms)))).scalar()
    return int(found) if found is not None else None


async def oldest_feedback_ms(tx: AsyncConnection) -> int | None:
    """When the oldest score came in; None when there is none."""
    found = (await tx.execute(select(func.min(FEEDBACK.c.at_ms)))).scalar()
    return int(found) if found is not None else None


async def delete_feedback(tx: AsyncConnection, horizon_ms: int, limit: int) -> int:
    """Delete at most `limit` scores that came in before the horizon, oldest first; return how many went."""
    query = select(FEEDBACK.c.feedback_id, FEEDBACK.c.name).where(FEEDBACK.c.at_ms < horizon_ms)
    old = query.order_by(FEEDBACK.c.at_ms).limit(limit).subquery()
    pair = tuple_(FEEDBACK.c.feedback_id, FEEDBACK.c.name)
    gone = await tx.execute(delete(FEEDBACK).where(pair.in_(select(old.c.feedback_id, old.c.name))))
    return gone.rowcount


async def total(tx: AsyncConnection) -> int:
    """How many calls are kept."""
    return int((await tx.execute(select(func.count()).select_from(CALLS))).scalar_one())


async def used_bytes(tx: AsyncConnection) -> int:
    """How much room the calls take.

    SQLite: the pages in use of the calls' own file, which never shrinks but is filled again. PostgreSQL: calls times
    the mean size of the newest thousand and a half more for indexes, since a relation's own size counts the dead too.
    """
    if tx.dialect.name == "sqlite":
        pages, free, page_bytes = [await _pragma(tx, name) for name in ("page_count", "freelist_count", "page_size")]
        return (pages - free) * page_bytes
    mean = (
        "SELECT avg(pg_column_size(recent)) FROM (SELECT * FROM calls ORDER BY started_at_ms DESC LIMIT 1000) AS recent"
    )
    row_bytes = (await tx.execute(sql(mean))).scalar_one()
    return int(float(row_bytes or 0) * 1.5 * await total(tx))


def _matching(query: Select[Any], wanted: CallFilter) -> Select[Any]:
    same = {
        "key_id": wanted.key,
        "prompt": wanted.prompt,
        "prompt_version": wanted.version,
        "ending": wanted.ending,
        "environment": wanted.environment,
        "origin": wanted.origin,
    }
    query = query.where(*(CALLS.c[name] == value for name, value in same.items() if value is not None))
    if wanted.after is not None:
        query = query.where(CALLS.c.started_at_ms > wanted.after)
    if wanted.before is not None:
        query = query.where(CALLS.c.started_at_ms < wanted.before)
    return query


def _past(query: Select[Any], wanted: Past) -> Select[Any]:
    """Whoever asked for a version by number, or only counted tokens, would not have been assigned anything."""
    name = wanted.subject.removeprefix(PROMPT)
    assigned = CALLS.c.release_id.is_not(None) | CALLS.c.experiment_id.is_not(None)
    of = (CALLS.c.prompt == name) & assigned if name != wanted.subject else CALLS.c.route == wanted.subject
    stretch = (CALLS.c.started_at_ms >= wanted.since_ms, CALLS.c.started_at_ms < wanted.before_ms)
    query = query.where(*stretch, of, CALLS.c.environment == wanted.environment, CALLS.c.origin == "user")
    query = query.where(CALLS.c.endpoint != COUNTING)
    return query.where(CALLS.c.key_id.in_(wanted.key_ids)) if wanted.key_ids else query


def _scored() -> Select[Any]:
    """Scores beside their calls; those of another environment's keys are left out."""
    same = (CALLS.c.call_id == FEEDBACK.c.call_id) & (CALLS.c.environment == FEEDBACK.c.environment)
    columns = (FEEDBACK.c.call_id, FEEDBACK.c.name, FEEDBACK.c.value, FEEDBACK.c.at_ms)
    return select(*columns).select_from(FEEDBACK.join(CALLS, same))


async def _scores(tx: AsyncConnection, query: Select[Any]) -> list[Scored]:
    found: list[Scored] = []
    async for rows in _chunks(tx, query.order_by(FEEDBACK.c.at_ms, FEEDBACK.c.feedback_id)):
        found.extend(Scored(*row) for row in rows)
    return found


async def _chunks(tx: AsyncConnection, query: Select[Any]) -> AsyncIterator[Sequence[Any]]:
    """The rows, some at a time, so that a long answer holds up nobody else."""
    async with tx.stream(query, execution_options={"yield_per": CHUNK}) as rows:
        async for some in rows.partitions():
            yield some


async def _pragma(tx: AsyncConnection, name: str) -> int:
    return int((await tx.execute(sql(f"PRAGMA {name}"))).scalar_one())


async def _records(tx: AsyncConnection, query: Select[Any]) -> tuple[CallRecord, ...]:
    return tuple(_record(row) for row in (await tx.execute(query)).mappings().all())


def _record(row: RowMapping) -> CallRecord:
    values = dict(row)
    values["tags"] = msgspec.json.decode(row["tags"] or "{}", type=dict[str, str])
    values["stream"] = bool(row["stream"])
    values["attempts"] = row["attempts"] or 0
    return CallRecord(**values)
