"""The journal: takes finished calls' records at memory speed and hands them to the store in batches, off the path."""

import logging
from collections.abc import Callable, Sequence

from tidegate.gateway.drain import Drain
from tidegate.kernel.errors import TidegateError
from tidegate.live.calls import CallRecord
from tidegate.live.ports import Records

__all__ = ["Journal"]

log = logging.getLogger(__name__)

MAX_PENDING = 100_000
MAX_BATCH = 5_000
AGAIN_S = 0.5
PATIENCE_S = 5.0


class Journal:
    """Batches records for one life of one gateway process.

    Promise: a record is stored within about `flush_ms` (so that kill -9 loses at most that much), and all are stored by
    `close`. While the store is away records wait in memory, at most MAX_PENDING; beyond that the newest is dropped. A
    record that the store cannot take is dropped too, and never holds the others up. Both are counted, and the hole in
    `seq` shows them for ever.
    """

    def __init__(
        self, records: Records, gateway_id: str, flush_ms: Callable[[], int], *, patience_s: float = PATIENCE_S
    ) -> None:
        self.gateway_id = gateway_id
        self.dropped = 0
        self.store_error: str | None = None
        self._records = records
        self._patience_s = patience_s
        self._pending: list[CallRecord] = []
        self._seq = 0
        self._drain = Drain("journal", self._flush, lambda: flush_ms() / 1000, again_s=AGAIN_S)
        self._arrived = self._drain.arrived

    def next_seq(self) -> int:
        """The number of the next record: 1, 2, 3, ... without a hole."""
        self._seq += 1
        return self._seq

    def put(self, record: CallRecord) -> None:
        """Take a record."""
        if len(self._pending) >= MAX_PENDING:
            self.dropped += 1
            return
        self._pending.append(record)
        if not self._arrived.is_set():
            self._arrived.set()

    @property
    def waiting(self) -> int:
        """Records that are not stored yet."""
        return len(self._pending)

    def start(self) -> None:
        """Begin to flush."""
        self._drain.start()

    async def close(self) -> None:
        """Stop, then store what is left; tries for `patience_s` if the store is away, then logs how many were lost."""
        await self._drain.close(self._patience_s)
        if self._pending:
            log.error("%d call records could not be stored: %s", len(self._pending), self.store_error)
        await self._records.close()

    async def _flush(self) -> bool:
        """Store the pending records, batch by batch; what could not be stored stays at the front."""
        while self._pending:
            batch = self._pending[:MAX_BATCH]
            try:
                await self._store(batch)
            except TidegateError as error:
                if self.store_error is None:
                    log.warning("call records wait in memory: %s", error)
                self.store_error = str(error)
                return False
            self.store_error = None
            del self._pending[: len(batch)]
        return True

    async def _store(self, batch: Sequence[CallRecord]) -> None:
        """Store a batch; one that cannot be stored is halved until the record that is to blame stands alone."""
        try:
            await self._records.append(batch)
        except TidegateError:
            raise
        except Exception as error:
            if len(batch) == 1:
                self.dropped += 1
                log.error("the record of %s cannot be stored and is dropped: %r", batch[0].call_id, error)
                return
            middle = len(batch) // 2
            await self._store(batch[:middle])
            await self._store(batch[middle:])
