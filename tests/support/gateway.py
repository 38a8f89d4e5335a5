"""A real gateway in a thread: the doors, the pipeline and the pool as they are; board and records in memory."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import uvloop

from tidegate.adapters.memory.contents import MemoryContents
from tidegate.adapters.memory.counters import MemoryCounters
from tidegate.adapters.memory.feedbacks import MemoryFeedbacks
from tidegate.app.gateway import Gateway
from tidegate.app.sockets import bind
from tidegate.app.stores import Stores
from tidegate.doors.http.bounds import Limits
from tidegate.doors.http.gateway.listener import Listener
from tidegate.doors.http.gateway.serve import serve
from tidegate.doors.http.tls import open_certificate
from tidegate.kernel.errors import Unavailable
from tidegate.live.calls import CallRecord
from tidegate.live.ports import Contents
from tidegate.live.snapshot import Snapshot
from tidegate.settings import Settings

__all__ = ["MemoryBoard", "MemoryRecords", "RunningGateway", "until"]

T = TypeVar("T")


def until(condition: Callable[[], T], timeout_s: float = 20.0) -> T:
    """Wait until the condition holds, and return what it returned; fails after `timeout_s`."""
    limit = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < limit, "it did not come about in time"
        time.sleep(0.002)
    return found


class MemoryBoard:
    """A Board whose snapshots are pushed by hand."""

    def __init__(self, *snapshots: Snapshot) -> None:
        self.fault: str | None = None
        self._snapshots = list(snapshots)
        self._news = asyncio.Event()

    async def latest(self) -> Snapshot | None:
        if self.fault:
            raise Unavailable(self.fault)
        return self._snapshots[-1] if self._snapshots else None

    async def changes(self, after: int) -> AsyncIterator[Snapshot]:
        while True:
            self._news.clear()
            newest = self._snapshots[-1] if self._snapshots else None
            if newest is not None and newest.generation > after:
                after = newest.generation
                yield newest
            await self._news.wait()

    def push(self, snapshot: Snapshot) -> None:
        """Make it the newest."""
        self._snapshots.append(snapshot)
        self._news.set()

    async def close(self) -> None:
        """Nothing to give back."""


class MemoryRecords:
    """Records in a list; `away` makes the store unreachable."""

    def __init__(self) -> None:
        self.stored: list[CallRecord] = []
        self.batches: list[int] = []
        self.away = False
        self.closed = False

    async def append(self, batch: Sequence[CallRecord]) -> None:
        if self.away:
            raise Unavailable("The store is away.", code="records_unavailable")
        self.batches.append(len(batch))
        self.stored.extend(batch)

    async def close(self) -> None:
        self.closed = True


class _Complaints(logging.Handler):
    def __init__(self, seen: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._seen = seen
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._seen.append(self.format(record))


class RunningGateway:
    """One gateway, from `with` to its end. Whatever it logs as an error, or the loop complains of, fails the test; a
    test that provokes an error clears `complaints`.
    """

    def __init__(
        self,
        snapshot: Snapshot | None,
        workspace: Path,
        *,
        transport: str = "raw",
        limits: Limits | None = None,
        environ: Mapping[str, str] | None = None,
        board_fault: str | None = None,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self.complaints: list[str] = []
        self.records = MemoryRecords()
        self.counters = MemoryCounters()
        self.contents: Contents = MemoryContents()  # a test may put another in its place before it begins
        self.feedbacks = MemoryFeedbacks()
        self.port = 0
        self._given = snapshot
        cert, key = map(str, tls) if tls else ("", "")
        self._settings = Settings(workspace=workspace, transport=transport, gateway_tls_cert=cert, gateway_tls_key=key)
        self._limits = limits or Limits(sweep_s=0.05)
        self._environ = environ or {}
        self._board_fault = board_fault
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)

    def __enter__(self) -> Self:
        self._handler = _Complaints(self.complaints)
        for name in ("tidegate", "uvicorn", "asyncio"):
            logging.getLogger(name).addHandler(self._handler)
        self._thread.start()
        assert self._ready.wait(10)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for name in ("tidegate", "uvicorn", "asyncio"):
            logging.getLogger(name).removeHandler(self._handler)
        assert self.complaints == []

    @property
    def url(self) -> str:
        return f"{'https' if self._settings.gateway_tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What OpenAI's clients call base_url."""
        return f"{self.url}/v1"

    def told(self) -> None:
        """Tell it to stop, as SIGTERM does."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._told.set)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Tell it to stop, and wait until it has."""
        self.told()
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), "the gateway did not stop"

    def push(self, snapshot: Snapshot) -> None:
        """Have control publish a snapshot, and wait until it is served."""
        self._loop.call_soon_threadsafe(self.board.push, snapshot)
        until(lambda: self.gateway._world is not None and self.gateway._world.generation >= snapshot.generation)

    def do(self, action: Callable[[], Any]) -> Any:
        """Run a function on the gateway's loop, and return what it returns."""

        async def run() -> Any:
            return action()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(5)

    def has_waiters(self) -> bool:
        """Whether somebody waits for news."""
        world = self.gateway._world
        return bool(self.do(lambda: world is not None and world.superseded._waiters))

    def wait_records(self, count: int, timeout_s: float = 20.0) -> list[CallRecord]:
        """Wait until `count` records are stored, and return all."""
        until(lambda: len(self.records.stored) >= count, timeout_s)
        return list(self.records.stored)

    def wait_record(self, count: int = 1) -> CallRecord:
        """Wait until `count` records are stored, and return the newest."""
        return self.wait_records(count)[-1]

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._main())
        except BaseException as error:
            self._failure = error
            self.complaints.append(repr(error))
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _, context: self.complaints.append(str(context)))
        self._told = asyncio.Event()
        self.board = MemoryBoard(*([self._given] if self._given else []))
        self.board.fault = self._board_fault
        stores = Stores(self.board, self.records, self.counters, self.contents, self.feedbacks)
        self.gateway = Gateway(self._settings, stores, self._environ)
        await self.gateway.start()
        sock = bind("127.0.0.1", 0)
        self.port = sock.getsockname()[1]
        listener = Listener(self.gateway, self._limits, open_certificate(self._settings))
        serving = asyncio.create_task(serve(listener, self._settings.transport, sock, self._told))
        await asyncio.sleep(0)
        self._ready.set()
        await serving
        await self.gateway.stop()
