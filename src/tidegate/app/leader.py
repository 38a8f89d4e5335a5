"""The leader's work: one control process holds the lease and does the duties that must be done once."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from tidegate.jobs.database import Tx
from tidegate.jobs.lease import Lease
from tidegate.kernel.errors import TidegateError

__all__ = ["Duty", "Leader"]

log = logging.getLogger(__name__)


class Duty(NamedTuple):
    """Something to do again and again: at the latest after `every_s` seconds, at once when `wake` is set.

    A duty looks at the world and makes its move; whether it missed a turn changes nothing. `everywhere` means that each
    process does it, leader or not.
    """

    name: str
    every_s: float
    run: Callable[[], Awaitable[None]]
    wake: asyncio.Event | None = None
    everywhere: bool = False


class Leader:
    """Runs duties, each in a task of its own so that a slow one delays no other, while the lease is held."""

    def __init__(self, lease: Lease, ttl_s: float, duties: Sequence[Duty]) -> None:
        self._lease = lease
        self._ttl_s = ttl_s
        self._duties = tuple(duties)
        self._epoch: int | None = None
        self._elected = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._complaints: dict[str, str] = {}

    @property
    def leads(self) -> bool:
        """Whether this process holds the lease, as far as it knows."""
        return self._epoch is not None

    @property
    def complaints(self) -> dict[str, str]:
        """What went wrong in the last round of each duty that went wrong."""
        return dict(self._complaints)

    async def guard(self, tx: Tx) -> None:
        """Call inside a transaction that acts as the leader: raises Conflict (`lease_lost`) where it is none."""
        await self._lease.guard(tx, self._epoch or 0)

    def start(self) -> None:
        """Begin to stand for election, and to do the duties."""
        self._tasks = [asyncio.create_task(self._hold(), name="lease")]
        self._tasks += [asyncio.create_task(self._keep(duty), name=duty.name) for duty in self._duties]

    async def stop(self) -> None:
        """End every duty where it stands and let the lease go, so that another process need not wait for its end."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        epoch, self._epoch = self._epoch, None
        if epoch is not None:
            with contextlib.suppress(TidegateError):  # the database is away: the lease ends by itself
                await self._lease.release(epoch)

    async def _hold(self) -> None:
        while True:
            try:
                if self._epoch is None or not await self._lease.renew(self._epoch):
                    self._epoch = await self._lease.acquire()
            except TidegateError as error:
                self._epoch = None  # it may run out before the database is back
                self._complain("lease", error)
            else:
                self._complaints.pop("lease", None)
            if self._epoch is not None:
                self._elected.set()
            else:
                self._elected.clear()
            await asyncio.sleep(self._ttl_s / 3)

    async def _keep(self, duty: Duty) -> None:
        while True:
            if not duty.everywhere:
                await self._elected.wait()
            if duty.wake is not None:
                duty.wake.clear()
            try:
                await duty.run()
            except TidegateError as error:
                self._complain(duty.name, error)
            except Exception as error:  # a bug in one round must not end the duty
                log.exception("the duty %s failed", duty.name)
                self._complaints[duty.name] = f"{type(error).__name__}: {error}"
            else:
                self._complaints.pop(duty.name, None)
            await _wait(duty.wake, duty.every_s)

    def _complain(self, name: str, error: TidegateError) -> None:
        if self._complaints.get(name) != error.message:
            log.warning("%s: %s", name, error)
        self._complaints[name] = error.message


async def _wait(wake: asyncio.Event | None, seconds: float) -> None:
    if wake is None:
        await asyncio.sleep(seconds)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake.wait()
