"""The content log: takes what was said in some calls at memory speed and hands it to the store in batches, off the
path.
"""

import logging

from tidegate.gateway.drain import Drain
from tidegate.kernel.errors import TidegateError, Unavailable
from tidegate.live.ports import Content, Contents

__all__ = ["ContentLog"]

log = logging.getLogger(__name__)

MAX_PENDING = 2_000
MAX_PENDING_BYTES = 32 << 20
MAX_BATCH = 100
FLUSH_S = 0.25
AGAIN_S = 1.0
PATIENCE_S = 3.0


class ContentLog:
    """Fills `gateway.ports.ContentLog`, for one life of one gateway process.

    While the store is away content waits in memory, at most MAX_PENDING calls or MAX_PENDING_BYTES; beyond that the
    newest is dropped. What cannot be sealed (no master key) is dropped: content is kept sealed or not at all. All that
    is dropped is counted. A kill -9 loses what came within the last FLUSH_S.
    """

    def __init__(self, store: Contents | None, *, flush_s: float = FLUSH_S, patience_s: float = PATIENCE_S) -> None:
        """Without a store, all is dropped."""
        self.dropped = 0
        self.fault: str | None = None if store is not None else "there is no content store"
        self._store = store
        self._patience_s = patience_s
        self._told = False
        self._pending: list[Content] = []
        self._bytes = 0
        self._drain = Drain("contents", self._flush, lambda: flush_s, again_s=AGAIN_S)

    def put(self, content: Content) -> None:
        """See `gateway.ports.ContentLog`."""
        size = _size(content)
        if len(self._pending) >= MAX_PENDING or self._bytes + size > MAX_PENDING_BYTES:
            self.dropped += 1
            return
        self._pending.append(content)
        self._bytes += size
        self._drain.arrived.set()

    def drop(self) -> None:
        """See `gateway.ports.ContentLog`."""
        self.dropped += 1

    def start(self) -> None:
        """Begin to flush."""
        self._drain.start()

    async def close(self) -> None:
        """Stop, then store what is left; tries for `patience_s` if the store is away, then counts it as dropped."""
        await self._drain.close(self._patience_s)
        if self._pending:
            log.warning("the content of %d calls could not be kept: %s", len(self._pending), self.fault)
            self._forget(len(self._pending), lost=True)
        if self._store is not None:
            await self._store.close()

    async def _flush(self) -> bool:
        """Store what is pending, batch by batch; it stays while the store is away."""
        while self._pending:
            batch = self._pending[:MAX_BATCH]
            try:
                if self._store is None:
                    self._tell("there is no content store")
                else:
                    await self._store.put(batch)
                    self.fault, self._told = None, False
            except Unavailable as error:
                self._tell(str(error))
                return False
            except TidegateError as error:
                self._tell(str(error))
            except Exception as error:
                self._tell(repr(error))
            self._forget(len(batch), lost=self.fault is not None)
        return True

    def _tell(self, fault: str) -> None:
        """Say once, until it is well again, that content is not kept."""
        if not self._told:
            log.warning("the content of calls is not kept: %s", fault)
        self.fault, self._told = fault, True

    def _forget(self, count: int, *, lost: bool) -> None:
        self._bytes -= sum(map(_size, self._pending[:count]))
        del self._pending[:count]
        if lost:
            self.dropped += count


def _size(content: Content) -> int:
    return len(content.request) + len(content.answer)
