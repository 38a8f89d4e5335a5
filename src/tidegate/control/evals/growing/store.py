"""The SQL of drawing cases: which calls, and what was said of them. Their columns are of the calls' database."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.control.evals.growing.model import Wanted
from tidegate.live.calls import CallRecord
from tidegate.live.feedback import Feedback

__all__ = ["candidates", "scores"]

CALLS = sa.table("calls", *(sa.column(name) for name in CallRecord.__struct_fields__))
FEEDBACK = sa.table("feedback", *(sa.column(name) for name in Feedback.__struct_fields__))


async def candidates(tx: AsyncConnection, wanted: Wanted, before: tuple[int, str] | None, limit: int) -> list[Any]:
    """Rows (call_id, started_at_ms, environment, prompt, prompt_version) of calls of users that ended well, newest
    first, that come after the one at `before` (start, id).
    """
    columns = (CALLS.c.call_id, CALLS.c.started_at_ms, CALLS.c.environment, CALLS.c.prompt, CALLS.c.prompt_version)
    query = sa.select(*columns).where(CALLS.c.origin == "user", CALLS.c.status == 200, CALLS.c.ending == "complete")
    same = {
        "prompt": wanted.prompt,
        "prompt_version": wanted.version,
        "environment": wanted.environment,
        "route": wanted.route,
        "key_id": wanted.key,
    }
    query = query.where(*(CALLS.c[name] == value for name, value in same.items() if value is not None))
    if wanted.after is not None:
        query = query.where(CALLS.c.started_at_ms > wanted.after)
    if wanted.before is not None:
        query = query.where(CALLS.c.started_at_ms < wanted.before)
    if before is not None:
        at_ms, call_id = before
        later = (CALLS.c.started_at_ms < at_ms) | ((CALLS.c.started_at_ms == at_ms) & (CALLS.c.call_id < call_id))
        query = query.where(CALLS.c.started_at_ms <= at_ms, later)
    rows = await tx.execute(query.order_by(CALLS.c.started_at_ms.desc(), CALLS.c.call_id.desc()).limit(limit))
    return list(rows.all())


async def scores(tx: AsyncConnection, call_ids: Sequence[str]) -> dict[str, dict[str, float]]:
    """By call and name the score that came in last, by somebody of the call's environment."""
    same = (CALLS.c.call_id == FEEDBACK.c.call_id) & (CALLS.c.environment == FEEDBACK.c.environment)
    query = sa.select(FEEDBACK.c.call_id, FEEDBACK.c.name, FEEDBACK.c.value).select_from(FEEDBACK.join(CALLS, same))
    order = (FEEDBACK.c.at_ms, FEEDBACK.c.feedback_id)
    found: dict[str, dict[str, float]] = {}
    for call_id, name, value in await tx.execute(query.where(FEEDBACK.c.call_id.in_(call_ids)).order_by(*order)):
        found.setdefault(call_id, {})[name] = value
    return found
