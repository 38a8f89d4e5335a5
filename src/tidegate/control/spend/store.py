"""The SQL of spending: which budget's events were told, so that each is told once."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.jobs.database import METADATA

__all__ = ["MARKS", "forget_marks", "mark", "marked"]

MARKS = sa.Table(
    "budget_marks",
    METADATA,
    sa.Column("counter", sa.Text, primary_key=True),
    sa.Column("window", sa.Text, primary_key=True),
    sa.Column("event", sa.Text, primary_key=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("ends_at_ms", sa.BigInteger, nullable=False),
)


async def marked(tx: AsyncConnection) -> set[tuple[str, str, str]]:
    """Every (counter, window, event) that was told and whose window is remembered."""
    rows = await tx.execute(sa.select(MARKS.c.counter, MARKS.c.window, MARKS.c.event))
    return {(row.counter, row.window, row.event) for row in rows}


async def mark(tx: AsyncConnection, key: tuple[str, str, str], *, at_ms: int, ends_at_ms: int) -> None:
    """Note that the event of this counter's window is told, in the transaction that tells it."""
    counter, window, event = key
    values = {"counter": counter, "window": window, "event": event, "at_ms": at_ms, "ends_at_ms": ends_at_ms}
    await tx.execute(sa.insert(MARKS).values(values))


async def forget_marks(tx: AsyncConnection, before_ms: int) -> int:
    """Forget the marks of windows that ended before this time; return how many."""
    return (await tx.execute(sa.delete(MARKS).where(MARKS.c.ends_at_ms < before_ms))).rowcount
