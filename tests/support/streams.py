"""Streams without a network: pieces that come, and then the end or an error."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from tidegate.gateway.events import Events, Reader

__all__ = ["Pieces", "followed"]


class Pieces:
    """A Source that gives what an iterator does."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    async def piece(self) -> bytes:
        """See `Source`."""
        return await anext(self._pieces, b"")

    async def pour(self, take: Callable[[bytes], bool]) -> None:
        """See `Source`."""
        async for piece in self._pieces:
            take(piece)

    def go_on(self) -> None:
        """Nothing waits."""


async def followed(reader: Reader, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """What the reader tells of these pieces."""
    async with aclosing(Events(Pieces(pieces), reader)) as events:
        async for block in events:
            yield block
