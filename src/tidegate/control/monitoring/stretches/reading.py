"""The verbs over a rollout's calls, read by stretches."""

from tidegate.control.monitoring.exposures import Exposed
from tidegate.control.monitoring.service import Calls
from tidegate.control.monitoring.stretches import store
from tidegate.control.monitoring.stretches.model import Rolled, Stretch
from tidegate.jobs.database import Database

__all__ = ["RolloutCalls"]


class RolloutCalls:
    """Reads the calls' store. What the gateways have left is brought in first, each time."""

    def __init__(self, db: Database, calls: Calls) -> None:
        self._db = db
        self._calls = calls

    async def users(self, stretch: Stretch) -> Rolled:
        """Users' calls in the stretch, and what was said of them. Raises Unavailable."""
        await self._calls.unpack()
        async with self._db.read() as tx:
            found, seen = await store.expositions(tx, stretch)
            said = await store.scores_of(tx, [one.call_id for one in found])
        return Rolled(_in_order(found), said, seen)

    async def copies(self, stretch: Stretch) -> Rolled:
        """Copies in the stretch, the users' calls of which they are, and what was said of both. Raises Unavailable."""
        await self._calls.unpack()
        async with self._db.read() as tx:
            found = await store.copies(tx, stretch)
            users = await store.originals(tx, [user for _, user in found])
            said = await store.scores_of(tx, [*(one.call_id for one, _ in found), *(one.call_id for one in users)])
        by_id = {one.call_id: one for one in users}
        copied = {one.call_id: by_id[user] for one, user in found if user in by_id}
        return Rolled(_in_order([one for one, _ in found]), said, copied=copied)

    async def edge_ms(self, stretch: Stretch, limit: int) -> int | None:
        """When the call after the first `limit` of the stretch started; None when there are not more. Raises
        Unavailable.
        """
        await self._calls.unpack()
        async with self._db.read() as tx:
            return await store.edge_ms(tx, stretch, limit)


def _in_order(calls: list[Exposed]) -> list[Exposed]:
    return sorted(calls, key=lambda one: (one.started_at_ms, one.call_id))
