"""Waiting for something that happens in another task, process or repository."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

__all__ = ["until"]


async def until(seen: Callable[[], bool | Awaitable[bool]], *, timeout_s: float = 20.0) -> None:
    """Return as soon as `seen()` is true; fails after the timeout."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = seen()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.005)
