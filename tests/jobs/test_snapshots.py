"""The snapshots' table."""

from pathlib import Path

from sqlalchemy import select

from tests.support.databases import fresh_sqlite
from tidegate.jobs.snapshots import KEPT, SNAPSHOTS, add_snapshot, newest_generation, prune_snapshots


async def test_the_newest_twenty_stay(tmp_path: Path) -> None:
    db = await fresh_sqlite(tmp_path)
    async with db.write() as tx:
        assert await newest_generation(tx) == 0
        for generation in range(1, 31):
            await add_snapshot(tx, generation=generation, written_at_ms=1, schema=1, blob=b"{}", sha256="x")
        assert await prune_snapshots(tx) == 10
        assert await prune_snapshots(tx) == 0
        left = list((await tx.execute(select(SNAPSHOTS.c.generation).order_by(SNAPSHOTS.c.generation))).scalars())
        assert left == list(range(31 - KEPT, 31))
        assert await newest_generation(tx) == 30
    await db.close()
