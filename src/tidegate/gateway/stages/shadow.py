"""The copies of some calls for a candidate: begun when the user's answer is over, never waited for."""

import asyncio
from collections.abc import Callable

from tidegate.gateway.call import Call, Handler, Reply
from tidegate.gateway.ports import Shadows
from tidegate.kernel.errors import ProviderFailed, Unavailable

__all__ = ["Shadow"]

OK = 200


class Shadow:
    """Costs one look-up to a call whose route has no shadow. What we refused and what the client left is not copied;
    what the upstream failed at is told as such.
    """

    def __init__(self, shadows: Shadows) -> None:
        self._shadows = shadows

    async def __call__(self, call: Call, inner: Handler) -> Reply:
        start = self._shadows.copy(call)
        if start is None:
            return await inner(call)
        try:
            reply = await inner(call)
        except (ProviderFailed, Unavailable):
            _soon(start, whole=False)
            raise
        if reply.events is None:
            _soon(start, whole=reply.status == OK)  # the door writes the reply first
        else:
            reply.events.when_over(lambda error: _then(call, start, error))
        return reply


def _then(call: Call, start: Callable[[bool], None], error: BaseException | None) -> None:
    """Clients leave at [DONE], often before the last bytes behind it."""
    if error is None or call.whole:
        _soon(start, whole=True)
    elif isinstance(error, ProviderFailed):
        _soon(start, whole=False)


def _soon(start: Callable[[bool], None], *, whole: bool) -> None:
    asyncio.get_running_loop().call_soon(start, whole)
