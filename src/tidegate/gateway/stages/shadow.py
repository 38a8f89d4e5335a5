"""The copies of some calls for a candidate: begun when the user's answer is over, never waited for."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from tidegate.gateway.call import Call, Handler, Reply
from tidegate.gateway.ports import Shadows

__all__ = ["Shadow"]

OK = 200


class Shadow:
    """Costs one look-up to a call whose route has no shadow. An answer that failed or broke off is not copied."""

    def __init__(self, shadows: Shadows) -> None:
        self._shadows = shadows

    async def __call__(self, call: Call, inner: Handler) -> Reply:
        start = self._shadows.copy(call)
        reply = await inner(call)
        if start is not None and reply.status == OK:
            if reply.events is None:
                asyncio.get_running_loop().call_soon(start)  # the door writes the reply first
            else:
                reply.events = _then(call, reply.events, start)
        return reply


async def _then(
    call: Call, events: AsyncGenerator[bytes, None], start: Callable[[], None]
) -> AsyncGenerator[bytes, None]:
    """Pass the events on; clients leave at [DONE], often before the last bytes behind it."""
    ended = False
    try:
        async for block in events:
            yield block
        ended = True
    finally:
        await events.aclose()
        if ended or call.whole:
            asyncio.get_running_loop().call_soon(start)
