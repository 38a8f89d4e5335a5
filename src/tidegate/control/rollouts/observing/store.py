"""The SQL over what was judged of rollouts. A window is written once, in the transaction that moves the mark behind it:
whoever comes too late, or again, writes nothing.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.control.rollouts.observing.model import Cell, Figures
from tidegate.jobs.database import METADATA

__all__ = ["MARKS", "WINDOWS", "add", "mark", "since"]

WINDOWS = sa.Table(
    "rollout_windows",
    METADATA,
    sa.Column("rollout_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("share_bp", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("arm", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("judged", sa.Integer, nullable=False),
    sa.Column("arrived", sa.Integer, nullable=False),
    sa.Column("newest_ms", sa.BigInteger, nullable=False),
    sa.Column("figures", sa.Text, nullable=False),
)
"""One row a cell; `kind` is canary or shadow."""

MARKS = sa.Table(
    "rollout_marks",
    METADATA,
    sa.Column("rollout_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("windows", sa.Integer, nullable=False),
)
"""How many windows of a rollout were judged."""

ROWS = 500


_FIGURES = msgspec.json.Decoder(dict[str, Figures])


async def mark(tx: AsyncConnection, rollout_id: str, kind: str) -> int:
    """How many windows were judged."""
    query = sa.select(MARKS.c.windows).where(MARKS.c.rollout_id == rollout_id, MARKS.c.kind == kind)
    return int((await tx.execute(query)).scalar() or 0)


async def add(tx: AsyncConnection, of: tuple[str, str], span: tuple[int, int], cells: Sequence[Cell]) -> bool:
    """Keep the cells of the windows [first, until) of (rollout, kind), and move the mark there; False, and nothing is
    written, when it is no longer at `first`.
    """
    rollout_id, kind = of
    first, until = span
    if await mark(tx, rollout_id, kind) != first:
        return False
    if first == 0:
        await tx.execute(sa.delete(MARKS).where(MARKS.c.rollout_id == rollout_id, MARKS.c.kind == kind))
        await tx.execute(sa.insert(MARKS).values(rollout_id=rollout_id, kind=kind, windows=until))
    else:
        mine = (MARKS.c.rollout_id == rollout_id, MARKS.c.kind == kind)
        await tx.execute(sa.update(MARKS).where(*mine).values(windows=until))
    rows = [
        {
            "rollout_id": rollout_id,
            "kind": kind,
            "number": one.window,
            "share_bp": one.share_bp,
            "arm": one.arm,
            "judged": one.judged,
            "arrived": one.arrived,
            "newest_ms": one.newest_ms,
            "figures": msgspec.json.encode(one.figures).decode(),
        }
        for one in cells
    ]
    for at in range(0, len(rows), ROWS):
        await tx.execute(sa.insert(WINDOWS), rows[at : at + ROWS])
    return True


async def since(tx: AsyncConnection, rollout_id: str, kind: str, window: int) -> list[Cell]:
    """The cells of the windows from `window` on, in their order."""
    query = sa.select(WINDOWS).where(
        WINDOWS.c.rollout_id == rollout_id, WINDOWS.c.kind == kind, WINDOWS.c.number >= window
    )
    order = (WINDOWS.c.number, WINDOWS.c.share_bp, WINDOWS.c.arm)
    return [
        Cell(
            window=row["number"],
            share_bp=row["share_bp"],
            arm=row["arm"],
            judged=row["judged"],
            arrived=row["arrived"],
            newest_ms=row["newest_ms"],
            figures=_FIGURES.decode(row["figures"]),
        )
        for row in (await tx.execute(query.order_by(*order))).mappings()
    ]
