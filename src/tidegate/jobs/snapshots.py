"""The table `snapshots`: the sheet of paper that control hands to the gateways, in the transaction that decides."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, Text, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.jobs.database import METADATA

__all__ = ["CHANNEL", "KEPT", "SNAPSHOTS", "add_snapshot", "newest_generation", "prune_snapshots"]

CHANNEL = "tidegate_snapshot"
"""PostgreSQL: the channel on which the generation of a new snapshot is told."""

KEPT = 20
"""How many snapshots stay, the newest ones."""

SNAPSHOTS = Table(
    "snapshots",
    METADATA,
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("written_at_ms", BigInteger, nullable=False),
    Column("schema", Integer, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Column("sha256", Text, nullable=False),
)


async def newest_generation(tx: AsyncConnection) -> int:
    """The generation of the newest snapshot, 0 when there is none."""
    found = (await tx.execute(select(func.max(SNAPSHOTS.c.generation)))).scalar_one()
    return int(found or 0)


async def add_snapshot(
    tx: AsyncConnection, *, generation: int, written_at_ms: int, schema: int, blob: bytes, sha256: str
) -> None:
    """Append a snapshot; PostgreSQL's listeners are told when the transaction commits."""
    row = {"written_at_ms": written_at_ms, "schema": schema, "blob": blob, "sha256": sha256}
    await tx.execute(insert(SNAPSHOTS).values(generation=generation, **row))
    if tx.dialect.name == "postgresql":
        await tx.execute(select(func.pg_notify(CHANNEL, str(generation))))


async def prune_snapshots(tx: AsyncConnection, *, keep: int = KEPT) -> int:
    """Delete all but the newest `keep`; return how many went."""
    newest = await newest_generation(tx)
    gone = await tx.execute(delete(SNAPSHOTS).where(SNAPSHOTS.c.generation <= newest - keep))
    return gone.rowcount
