"""A process that takes the lease, is frozen past its end, and then wants to write.

Run as `python -m tests.crash.leader FILE TTL_MS`.
"""

import asyncio
import sys
from pathlib import Path

import sqlalchemy as sa

from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.jobs.lease import Lease
from tidegate.kernel.errors import Conflict


async def main(file: Path, ttl_ms: int) -> None:
    """Acquire, say so, wait for a word, write under the epoch, say how it ended."""
    db = SqliteDatabase(file)
    lease = Lease(db, "leader", "first", ttl_ms)
    epoch = await lease.acquire()
    print(f"epoch {epoch}", flush=True)
    sys.stdin.readline()
    try:
        async with db.write() as tx:
            await lease.guard(tx, epoch or 0)
            await tx.execute(sa.text("INSERT INTO acts VALUES ('first')"))
        print("wrote", flush=True)
    except Conflict as error:
        print(error.code, flush=True)
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
