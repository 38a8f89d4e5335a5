"""The copies of some calls for a candidate: begun when the user's answer is over, never waited for."""

import asyncio
from collections.abc import Callable

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
                reply.events.when_over(lambda error: _then(call, start, error))
        return reply


def _then(call: Call, start: Callable[[], None], error: BaseException | None) -> None:
    """Clients leave at [DONE], often before the last bytes behind it."""
    if error is None or call.whole:
        asyncio.get_running_loop().call_soon(start)
