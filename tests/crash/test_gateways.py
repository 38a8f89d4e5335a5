"""kill -9 of one of two real gateways on one file of counters, in mid load: no cent over the budget, on any count."""

import asyncio
import os
import re
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.support.databases import migrated_bytes
from tests.support.processes import Started, started
from tests.support.scene import snapshot_of
from tests.support.upstream import Received, ScriptedUpstream
from tests.support.wire import Pause, Step, answer, chat, usage_of
from tidegate.adapters.sqlite.batches import unpack_batches
from tidegate.adapters.sqlite.counters import SqliteCounters
from tidegate.app.supervisor.orders import Orders, given
from tidegate.live.snapshot import LimitRule, encode_snapshot
from tidegate.settings import Settings

CAP = 15_000_000
"""0.015 $, in nano-dollars: about 400 calls."""
INPUT_NANO_USD, OUTPUT_NANO_USD = 1_000, 2_000
MOST_TOKENS = 20
CALLERS = 5
BODY = {"model": "gpt", "max_tokens": MOST_TOKENS, "messages": [{"role": "user", "content": "Hi"}]}


class Bill:
    """What the provider will want to be paid, answered or not."""

    def __init__(self) -> None:
        self.calls = 0
        self.nano_usd = 0
        self._lock = threading.Lock()

    def respond(self, received: Received) -> Sequence[Step]:
        with self._lock:
            self.calls += 1
            tokens = 1 + self.calls * 7 % MOST_TOKENS
            self.nano_usd += 9 * INPUT_NANO_USD + tokens * OUTPUT_NANO_USD
        return (Pause(0.01), *answer(chat(usage=usage_of(9, tokens))))


class Watch:
    """Looks at the shared counters all the time: settled + held, and what each gateway holds."""

    def __init__(self, file: Path) -> None:
        self.looks = 0
        self.highest = 0
        self._file = file

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._look())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _look(self) -> None:
        counters = SqliteCounters(self._file)
        try:
            while True:
                for one in await counters.standings():
                    self.looks += 1
                    self.highest = max(self.highest, one.settled + one.held)
                await asyncio.sleep(0.002)
        finally:
            await counters.close()

    def held(self) -> dict[str, int]:
        with closing(sqlite3.connect(self._file)) as connection:
            return dict(connection.execute("SELECT gateway_id, held FROM counter_slices WHERE held > 0"))

    def settled(self) -> int:
        with closing(sqlite3.connect(self._file)) as connection:
            return int(connection.execute("SELECT settled FROM counter_windows").fetchone()[0])


class Load:
    """Callers of both gateways, who go on until their budget is out or their gateway is gone."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.ports = ports
        self.statuses: dict[int, Counter[int]] = {port: Counter() for port in ports}
        self.broken: Counter[int] = Counter()
        self.after = 0
        """How many calls were served after `killed`."""
        self.killed = False

    async def run(self) -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            await asyncio.gather(*(self._call(client, port) for port in self.ports for _ in range(CALLERS)))

    async def _call(self, client: httpx.AsyncClient, port: int) -> None:
        while True:
            headers = {"authorization": "Bearer sk-test"}
            killed = self.killed
            try:
                reply = await client.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=BODY, headers=headers)
            except httpx.TransportError:
                self.broken[port] += 1
                return
            self.statuses[port][reply.status_code] += 1
            if reply.status_code != 200:
                assert reply.json()["error"]["code"] == "insufficient_quota"
                return
            self.after += killed

    async def served(self, count: int) -> None:
        async with asyncio.timeout(30):
            while any(one[200] < count for one in self.statuses.values()):  # noqa: ASYNC110  # counted by many
                await asyncio.sleep(0.005)


@contextmanager
def running(settings: Settings) -> Iterator[tuple[Started, int]]:
    environ = given(Orders(process="gateway", settings=settings), os.environ)
    with started([sys.executable, "-m", "tidegate.doors.http.gateway"], environ=environ) as process:
        found = re.search(r"'127.0.0.1', (\d+)", process.saw("serves on"))
        assert found
        yield process, int(found[1])


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as running_upstream:
        yield running_upstream


@pytest.fixture
def settings(tmp_path: Path, upstream: ScriptedUpstream) -> Settings:
    """A workspace whose budget is small."""
    found = Settings(workspace=tmp_path, gateway_port=0)
    found.state_dir.mkdir()
    found.control_db_file.write_bytes(migrated_bytes())
    budget = LimitRule(name="all", unit="nano_usd", cap=CAP, per="month")
    snapshot = msgspec.structs.replace(snapshot_of(f"{upstream.url}/v1"), limits=(budget,))
    blob, digest = encode_snapshot(snapshot)
    with closing(sqlite3.connect(found.control_db_file)) as db, db:
        db.execute("INSERT INTO snapshots VALUES (?, 0, 1, ?, ?)", (snapshot.generation, blob, digest))
    return found


def recorded(settings: Settings) -> int:
    """The cost of all calls whose records are on the disk, in nano-dollars."""
    with closing(sqlite3.connect(settings.calls_db_file, isolation_level=None)) as db:
        while unpack_batches(db):
            pass
        return int(db.execute("SELECT sum(cost_nano_usd) FROM calls").fetchone()[0])


async def test_a_gateway_that_is_killed_costs_its_slice_and_no_more(
    settings: Settings, upstream: ScriptedUpstream
) -> None:
    bill, watch = Bill(), Watch(settings.counters_db_file)
    upstream.respond = bill.respond
    with running(settings) as (doomed, one), running(settings) as (living, other):
        load = Load((one, other))
        loading = asyncio.create_task(load.run())
        await load.served(20)
        async with watch.looking():
            await load.served(40)
            doomed.process.kill()
            load.killed = True
            await asyncio.to_thread(doomed.ends)
            await loading  # until the living one refuses
        living.process.terminate()
        assert await asyncio.to_thread(living.ends) == 0
    assert load.broken == {one: CALLERS}
    assert load.after > 0, "the living one served nobody"
    assert load.statuses[other][429] == CALLERS
    assert watch.looks > 0
    assert watch.highest <= CAP
    settled, held = watch.settled(), watch.held()
    assert len(held) == 1, "the dead one's slice stays spent, and the living one gave its own back"
    [dead] = held.values()
    assert settled + dead <= CAP
    assert bill.nano_usd <= settled + dead, "what the dead one had spent is covered by its slice"
    assert recorded(settings) <= min(bill.nano_usd, CAP)
    assert bill.nano_usd >= CAP // 2, "the budget was hardly used"
