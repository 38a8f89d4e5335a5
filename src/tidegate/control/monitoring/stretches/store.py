"""The SQL over a rollout's calls. Each reads from an index of its own (`adapters/sql/calls_table.py`): calls in time,
the first call of a unit in an arm of a weight, calls that took long.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, case, column, exists, false, literal_column, select, table, true
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.control.monitoring.exposures import Exposed, Scored
from tidegate.control.monitoring.model import HOUR_MS
from tidegate.control.monitoring.stretches.model import Stretch
from tidegate.live.calls import CallRecord
from tidegate.live.feedback import Feedback

__all__ = ["copies", "edge_ms", "expositions", "originals", "scores_of"]

CALLS = table("calls", *(column(name) for name in CallRecord.__struct_fields__))
FEEDBACK = table("feedback", *(column(name) for name in Feedback.__struct_fields__))
CHUNK = 5_000
LONG_MS = 30_000
"""From where on calls are in the index of those that took long."""
IDS = 500
FIGURES = ("ending", "cost_nano_usd", "latency_ms", "ttft_ms", "tpot_ms", "input_tokens", "output_tokens")


async def edge_ms(tx: AsyncConnection, stretch: Stretch, limit: int) -> int | None:
    """When the call at place `limit` (from 0) of the stretch started; None when there are not so many."""
    query = select(CALLS.c.started_at_ms).where(
        CALLS.c.experiment_id == stretch.rollout_id,
        CALLS.c.started_at_ms >= stretch.from_ms,
        CALLS.c.started_at_ms < stretch.until_ms,
    )
    found = (await tx.execute(query.order_by(CALLS.c.started_at_ms).limit(1).offset(limit))).scalar()
    return int(found) if found is not None else None


async def expositions(tx: AsyncConnection, stretch: Stretch) -> tuple[list[Exposed], frozenset[str]]:
    """Users' calls of units whose arm and weight did not count before, as they count, and the units that counted
    before in any arm. Calls before and after the split (nobody could be served by the other) are left out.
    """
    seen = false() if stretch.once else _before(stretch, any_arm=True)
    columns = (
        CALLS.c.call_id,
        CALLS.c.experiment_unit,
        CALLS.c.variant,
        CALLS.c.propensity,
        _counts_at(stretch),
        *(CALLS.c[name] for name in FIGURES),
        case((seen, 1), else_=0),
    )
    fresh = true() if stretch.once else ~_before(stretch)
    users = (CALLS.c.origin == "user", CALLS.c.propensity < 1, fresh)
    found: list[Exposed] = []
    known: set[str] = set()
    same: dict[str, str] = {}  # each word is held once, however many rows have it
    for some in _parts(stretch):
        async for rows in _chunks(tx, select(*columns).where(*users, *some)):
            for call_id, unit, variant, propensity, at_ms, ending, *figures, was_seen in rows:
                if not unit:
                    continue
                unit, variant, ending = (same.setdefault(word, word) for word in (unit, variant, ending))
                found.append(Exposed(call_id, unit, variant, propensity, int(at_ms), ending, *figures))
                if was_seen:
                    known.add(unit)
    return found, frozenset(known)


async def copies(tx: AsyncConnection, stretch: Stretch) -> list[tuple[Exposed, str]]:
    """Copies for the candidate, as they count, each with the id of the user's call."""
    columns = (CALLS.c.call_id, CALLS.c.shadow_of, CALLS.c.variant, _counts_at(stretch))
    query = select(*columns, *(CALLS.c[name] for name in FIGURES))
    found: list[tuple[Exposed, str]] = []
    for some in _parts(stretch):
        async for rows in _chunks(tx, query.where(CALLS.c.origin == "shadow", *some)):
            for call_id, user, variant, at_ms, *figures in rows:
                if user:
                    found.append((Exposed(call_id, user, variant, 1.0, int(at_ms), *figures), user))
    return found


async def originals(tx: AsyncConnection, call_ids: Sequence[str]) -> list[Exposed]:
    """The users' calls with these ids, those that are there."""
    columns = (CALLS.c.call_id, CALLS.c.variant, CALLS.c.started_at_ms, *(CALLS.c[name] for name in FIGURES))
    found: list[Exposed] = []
    for some in _some(call_ids):
        for call_id, variant, at_ms, *figures in await tx.execute(select(*columns).where(CALLS.c.call_id.in_(some))):
            found.append(Exposed(call_id, call_id, variant or "", 1.0, at_ms, *figures))
    return found


async def scores_of(tx: AsyncConnection, call_ids: Sequence[str]) -> list[Scored]:
    """What was said of these calls by somebody of their environment, as it came in."""
    same = (CALLS.c.call_id == FEEDBACK.c.call_id) & (CALLS.c.environment == FEEDBACK.c.environment)
    columns = (FEEDBACK.c.call_id, FEEDBACK.c.name, FEEDBACK.c.value, FEEDBACK.c.at_ms, FEEDBACK.c.feedback_id)
    query = select(*columns).select_from(FEEDBACK.join(CALLS, same))
    rows: list[Any] = []
    for some in _some(call_ids):
        rows.extend(await tx.execute(query.where(FEEDBACK.c.call_id.in_(some))))
    rows.sort(key=lambda row: (row.at_ms, row.feedback_id))
    return [Scored(row.call_id, row.name, row.value, row.at_ms) for row in rows]


def _parts(stretch: Stretch) -> tuple[tuple[ColumnElement[bool], ...], ...]:
    """The conditions of the calls that count in the stretch: those that were over in time, and those that took longer,
    which began at most an hour before.
    """
    mine = CALLS.c.experiment_id == stretch.rollout_id
    at, settle = _ended_less(stretch), stretch.settle_ms
    in_time = (
        mine,
        CALLS.c.started_at_ms >= stretch.from_ms,
        CALLS.c.started_at_ms < stretch.until_ms,
        CALLS.c.latency_ms <= settle,
    )
    late = (
        mine,
        CALLS.c.started_at_ms >= stretch.from_ms - HOUR_MS,
        CALLS.c.started_at_ms < stretch.until_ms,
        CALLS.c.latency_ms > settle,
        *((CALLS.c.latency_ms > literal_column(str(LONG_MS)),) if settle >= LONG_MS else ()),
        at >= stretch.from_ms,
        at < stretch.until_ms,
    )
    return in_time, late


def _before(stretch: Stretch, *, any_arm: bool = False) -> ColumnElement[bool]:
    """Whether a call of the same unit (and of the same arm of the same weight) counted before the stretch."""
    early = CALLS.alias("early")
    alike = [
        early.c.experiment_id == CALLS.c.experiment_id,
        early.c.experiment_unit == CALLS.c.experiment_unit,
        early.c.propensity < 1,
        early.c.started_at_ms < stretch.from_ms,
        early.c.origin == "user",
        (early.c.latency_ms <= stretch.settle_ms)
        | (early.c.started_at_ms + early.c.latency_ms - stretch.settle_ms < stretch.from_ms),
    ]
    if not any_arm:
        alike += [early.c.propensity == CALLS.c.propensity, early.c.variant == CALLS.c.variant]
    return exists(select(1).select_from(early).where(*alike).correlate(CALLS))


def _counts_at(stretch: Stretch) -> ColumnElement[Any]:
    return case((CALLS.c.latency_ms > stretch.settle_ms, _ended_less(stretch)), else_=CALLS.c.started_at_ms)


def _ended_less(stretch: Stretch) -> ColumnElement[Any]:
    return CALLS.c.started_at_ms + CALLS.c.latency_ms - stretch.settle_ms


def _some(call_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (call_ids[at : at + IDS] for at in range(0, len(call_ids), IDS))


async def _chunks(tx: AsyncConnection, query: Select[Any]) -> AsyncIterator[Sequence[Any]]:
    """The rows, some at a time, so that a long answer holds up nobody else."""
    async with tx.stream(query, execution_options={"yield_per": CHUNK}) as rows:
        async for some in rows.partitions():
            yield some
