"""The feedback log: hands scores to the store and answers once they are committed. What comes while one commit is under
way shares the next, so that many scores cost few.
"""

import asyncio
import logging
from collections.abc import Sequence

from tidegate.kernel.errors import TidegateError, Unavailable
from tidegate.live.feedback import Feedback
from tidegate.live.ports import Feedbacks

__all__ = ["FeedbackLog"]

log = logging.getLogger(__name__)

MAX_WAITING = 10_000
CODE = "feedback_unavailable"


class FeedbackLog:
    """Fills `gateway.ports.FeedbackLog`. Nothing waits for a store that is away: whoever asks is told at once."""

    def __init__(self, store: Feedbacks | None) -> None:
        """Without a store, all is refused."""
        self.fault: str | None = None if store is not None else "there is no store for feedback"
        self._store = store
        self._waiting: list[tuple[Sequence[Feedback], asyncio.Future[None]]] = []
        self._count = 0
        self._task: asyncio.Task[None] | None = None

    async def put(self, scores: Sequence[Feedback]) -> None:
        """See `gateway.ports.FeedbackLog`."""
        if self._count + len(scores) > MAX_WAITING:
            raise Unavailable("Too much feedback waits to be stored.", mend="Try again in a moment.", code=CODE)
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((scores, stored))
        self._count += len(scores)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._empty(), name="feedback")
        await stored

    async def close(self) -> None:
        """Store what waits, and give the store back."""
        if self._task is not None:
            await asyncio.wait({self._task})
        if self._store is not None:
            await self._store.close()

    async def _empty(self) -> None:
        while self._waiting:
            taken, self._waiting, self._count = self._waiting, [], 0
            fault = await self._stored([one for scores, _ in taken for one in scores])
            self.fault = None if fault is None else fault.message
            for _, stored in taken:
                if stored.done():  # whoever asked has left; the scores are kept all the same
                    continue
                if fault is None:
                    stored.set_result(None)
                else:
                    stored.set_exception(Unavailable(fault.message, mend=fault.mend, code=fault.code))

    async def _stored(self, batch: Sequence[Feedback]) -> TidegateError | None:
        """Why the batch could not be stored; None when it is."""
        try:
            if self._store is None:
                raise Unavailable("This gateway has no store for feedback.", code=CODE)
            await self._store.put(batch)
        except TidegateError as error:
            return error
        except Exception as error:
            log.exception("feedback cannot be stored")
            return Unavailable(f"Feedback cannot be stored: {error!r}.", mend="See the gateway's log.", code=CODE)
        return None
