"""What monitoring needs from outside: the batches that gateways leave, unpacked, and the content that they keep."""

from collections.abc import Sequence
from typing import Protocol

from tidegate.live.contents import Erased, Resealed
from tidegate.live.ports import Content

__all__ = ["Batches", "ContentStore"]


class Batches(Protocol):
    """The log of batches in front of the call log."""

    async def unpack(self) -> int:
        """Unpack some of the oldest batches into the call log, each record once; return how many records they held, 0
        when there is nothing to unpack. Raises Unavailable.
        """
        ...

    async def close(self) -> None:
        """Give back connections and threads."""
        ...


class ContentStore(Protocol):
    """The content that gateways keep, opened."""

    async def get(self, call_id: str) -> Content | None:
        """What was said in the call; None when nothing is there. Raises Unavailable, or Invalid when it cannot be
        opened (`sealed_key_unknown`, `sealed_corrupt`).
        """
        ...

    async def kept(self, call_ids: Sequence[str]) -> frozenset[str]:
        """Of which of these calls content is there; needs no key. Raises Unavailable."""
        ...

    async def erase(self, subject: str) -> Erased:
        """Delete every row of the subject, and the shadows of its calls, in one transaction. Raises Unavailable, or
        Invalid without a master key.
        """
        ...

    async def prune(self, now_ms: int, limit: int) -> int:
        """Delete at most `limit` rows that have expired; return how many. Needs no key. Raises Unavailable."""
        ...

    async def reseal(self, after: str, limit: int) -> Resealed:
        """Seal anew what lies under another master key than the current one, at most `limit` calls whose ids come after
        `after`, by id. Raises Unavailable, or Invalid without a master key.
        """
        ...

    async def close(self) -> None:
        """Give back connections and threads."""
        ...
