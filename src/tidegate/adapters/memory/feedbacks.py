"""Feedback in this process's memory: for tests, and nothing else."""

from collections.abc import Sequence

from tidegate.kernel.errors import Unavailable
from tidegate.live.feedback import Feedback

__all__ = ["MemoryFeedbacks"]


class MemoryFeedbacks:
    """Fills `live.ports.Feedbacks`; `away` makes the store unreachable, `batches` are the sizes that came."""

    def __init__(self) -> None:
        self.away = False
        self.batches: list[int] = []
        self._stored: dict[tuple[str, str], Feedback] = {}

    @property
    def stored(self) -> list[Feedback]:
        """All, in the order in which they came."""
        return list(self._stored.values())

    async def put(self, batch: Sequence[Feedback]) -> None:
        """See `live.ports.Feedbacks`."""
        if self.away:
            raise Unavailable("The store is away.", code="feedback_unavailable")
        self.batches.append(len(batch))
        for one in batch:
            self._stored.setdefault((one.feedback_id, one.name), one)

    async def close(self) -> None:
        """Nothing to give back."""
