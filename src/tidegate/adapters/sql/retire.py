"""The end of an engine's life, with the connections that are still in use."""

import asyncio
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["retire"]


async def retire(*engines: AsyncEngine) -> None:
    """Close the engines' idle connections now, and those that are in use, or just being made, when they come back:
    SQLAlchemy would put these into a pool that nobody looks at any more. Goes on when its caller is cancelled.
    """
    for engine in engines:
        event.listen(engine.sync_engine.pool, "checkin", _closed)
    await asyncio.shield(asyncio.ensure_future(_dispose(engines)))


async def _dispose(engines: tuple[AsyncEngine, ...]) -> None:
    for engine in engines:
        await engine.dispose()


def _closed(connection: object, record: Any) -> None:
    record.close()
