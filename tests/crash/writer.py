"""A process that is killed between two writes: it tells each step and waits for leave to take the next.

Run as `python -m tests.crash.writer FILE TRANSFERS`. Each transfer moves 1 between accounts and notes it.
"""

import asyncio
import sys
from pathlib import Path

import sqlalchemy as sa

from tidegate.adapters.sqlite.database import SqliteDatabase

STEPS = (
    "UPDATE accounts SET amount = amount - 1 WHERE id = 1",
    "UPDATE accounts SET amount = amount + 1 WHERE id = 2",
    "INSERT INTO moves VALUES (:number)",
)


def tell(words: str) -> None:
    """Say where we are; go on when told to."""
    print(words, flush=True)
    sys.stdin.readline()


async def main(file: Path, transfers: int) -> None:
    """Take every step of every transfer."""
    db = SqliteDatabase(file)
    for number in range(transfers):
        async with db.write() as tx:
            tell(f"{number} begun")
            for at, step in enumerate(STEPS):
                await tx.execute(sa.text(step), {"number": number})
                tell(f"{number} step {at}")
        tell(f"{number} committed")
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
