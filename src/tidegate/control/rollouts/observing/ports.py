"""What observing needs of the call log; monitoring fills it."""

from typing import Protocol

from tidegate.control.monitoring.stretches.model import Rolled, Stretch

__all__ = ["RolloutLog"]


class RolloutLog(Protocol):
    """A rollout's calls, by stretches of time."""

    async def users(self, stretch: Stretch) -> Rolled:
        """Users' calls in the stretch, and what was said of them. Raises Unavailable."""
        ...

    async def copies(self, stretch: Stretch) -> Rolled:
        """Copies in the stretch, the users' calls of which they are, and what was said of both. Raises Unavailable."""
        ...

    async def edge_ms(self, stretch: Stretch, limit: int) -> int | None:
        """When the call after the first `limit` of the stretch started; None when there are not more. Raises
        Unavailable.
        """
        ...
