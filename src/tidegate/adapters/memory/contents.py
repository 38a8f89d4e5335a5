"""Content in this process's memory, unsealed: for tests, and nothing else."""

from collections.abc import Sequence

from tidegate.live.contents import Erased, Resealed
from tidegate.live.ports import Content

__all__ = ["MemoryContents"]


class MemoryContents:
    """Fills `live.ports.Contents`, and control's `ContentStore`."""

    def __init__(self) -> None:
        self.stored: dict[str, Content] = {}

    async def put(self, batch: Sequence[Content]) -> None:
        """See `live.ports.Contents`."""
        for content in batch:
            self.stored.setdefault(content.call_id, content)

    async def get(self, call_id: str) -> Content | None:
        """See `control.monitoring.ports.ContentStore`."""
        return self.stored.get(call_id)

    async def kept(self, call_ids: Sequence[str]) -> frozenset[str]:
        """See `control.monitoring.ports.ContentStore`."""
        return frozenset(call_ids) & self.stored.keys()

    async def erase(self, subject: str) -> Erased:
        """See `control.monitoring.ports.ContentStore`; the hash is the subject itself."""
        theirs = {call_id for call_id, content in self.stored.items() if content.subject == subject}
        theirs |= {call_id for call_id, content in self.stored.items() if content.shadow_of in theirs}
        for call_id in theirs:
            del self.stored[call_id]
        return Erased(subject_hash=subject, erased=len(theirs), unchecked=0)

    async def prune(self, now_ms: int, limit: int) -> int:
        """See `control.monitoring.ports.ContentStore`."""
        over = [call_id for call_id, content in self.stored.items() if content.expires_at_ms <= now_ms][:limit]
        for call_id in over:
            del self.stored[call_id]
        return len(over)

    async def reseal(self, after: str, limit: int) -> Resealed:
        """See `control.monitoring.ports.ContentStore`; nothing is sealed here."""
        return Resealed()

    async def close(self) -> None:
        """Nothing to give back."""
