"""Announcing an event that a tick finds again and again, and that shall be told once."""

from collections.abc import Mapping

import msgspec
import sqlalchemy as sa

from tidegate.jobs.database import Tx
from tidegate.jobs.notifications import NOTIFY
from tidegate.jobs.outbox import OUTBOX, enqueue

__all__ = ["announce_once"]


async def announce_once(tx: Tx, *, at_ms: int, payload: Mapping[str, object]) -> bool:
    """Enqueue an event unless the very same one is in the outbox, done or not; return whether it was enqueued."""
    text = msgspec.json.encode(payload, order="deterministic").decode()
    same = sa.select(OUTBOX.c.id).where(OUTBOX.c.kind == NOTIFY, OUTBOX.c.payload == text).limit(1)
    if (await tx.execute(same)).first() is not None:
        return False
    await enqueue(tx, at_ms=at_ms, kind=NOTIFY, payload=payload)
    return True
