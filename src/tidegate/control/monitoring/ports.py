"""What monitoring needs from outside: the batches that gateways leave, unpacked."""

from typing import Protocol

__all__ = ["Batches"]


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
