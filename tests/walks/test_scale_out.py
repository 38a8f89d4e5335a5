"""Many machines: three gateways and two control processes over PostgreSQL and Redis, each killed in turn under load.

The processes share nothing but the two servers and their secrets; a gateway has no tidegate.yaml. The upstream's own
bill is the oracle of budgets, and the clients' own count that of the call log.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.control import ADMIN_TOKEN, MASTER_KEY, make_workspace
from tests.support.platforms import clean_environ, tidegate
from tests.support.postgres import postgres_server as postgres_server
from tests.support.postgres import postgres_url as postgres_url
from tests.support.processes import Started, started
from tests.support.redis import RedisServer
from tidegate.app.sockets import free_port

CAP_USD, FEW = 3.0, 150
TOKEN_USD = 0.001
MOST_TOKENS = 20
CALLERS = 4
PAUSE_S = 0.04
FLUSH_S = 0.3
"""`policies.record_flush_ms` (50) and the time that storing takes on a busy machine."""

CONFIG = """\
apiVersion: tidegate/v1
models:
  main:
    provider: openai
    base_url: http://127.0.0.1:{upstream}/v1
    model: costly
    price: {{input_usd_per_1m_tokens: 0, output_usd_per_1m_tokens: 1000}}
routes:
  fast: {{model: main}}
{more}budgets:
  - {{name: cap, match: {{team: capped}}, usd: {cap}, per: month}}
limits:
  - {{name: few, match: {{team: limited}}, requests: {few}, per: day}}
prompts: {{repository: {repository}}}
"""


class FakeBilledUpstream:
    """OpenAI's chat completions, each of a length of its own; adds up what it has billed and how often, by `user`."""

    def __init__(self) -> None:
        self.usd: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    await self._one(reader, writer)
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        asked = json.loads(await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0])))
        team = asked["user"]
        self.calls[team] += 1
        tokens = 1 + sum(self.calls.values()) * 7 % MOST_TOKENS
        self.usd[team] += tokens
        await asyncio.sleep(0.01)
        usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9}
        choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
        body = json.dumps({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body))
        writer.write(body)


async def ask(port: int, method: str, path: str, secret: str, body: object = None) -> tuple[int, Any]:
    """One request on a connection of its own; raises OSError when the other side breaks off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        data = b"" if body is None else json.dumps(body).encode()
        writer.write(
            f"{method} {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {secret}\r\nconnection: close\r\n"
            f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n".encode()
            + data
        )
        head, separator, rest = (await asyncio.wait_for(reader.read(-1), 30)).partition(b"\r\n\r\n")
        if not separator:
            raise ConnectionResetError("no answer")
        return int(head.split()[1]), json.loads(rest)
    finally:
        writer.close()


async def until(check: Callable[[], Any], what: str, patience_s: float = 20.0) -> None:
    """Wait for a coroutine function to return something true."""
    limit, seen = time.monotonic() + patience_s, ""
    while True:
        try:
            if await check():
                return
        except (OSError, AssertionError) as error:
            seen = str(error)
        assert time.monotonic() < limit, f"{what}: {seen}"
        await asyncio.sleep(0.05)


class Member:
    """A process with a folder and a port of its own, that can be killed and started again."""

    def __init__(self, words: tuple[str, ...], folder: Path, environ: dict[str, str]) -> None:
        folder.mkdir(exist_ok=True)
        self.port = free_port("127.0.0.1", 0)
        self.away: list[tuple[float, float]] = []
        self._command = tidegate(*words, "--port", str(self.port))
        self._environ = clean_environ(**environ, TIDEGATE_WORKSPACE=str(folder))
        self._stack = ExitStack()
        self.process: Started | None = None

    def start(self) -> None:
        self.process = self._stack.enter_context(started(self._command, cwd=Path("/"), environ=self._environ))

    def stop(self) -> None:
        self._stack.close()

    async def kill(self) -> None:
        """`kill -9`; from now on its connections may break."""
        assert self.process is not None
        self.away.append((time.monotonic(), float("inf")))
        self.process.process.kill()
        await asyncio.to_thread(self.process.ends)

    async def restart(self) -> None:
        self.start()
        await until(self.ready, "a killed process does not come back")
        self.away[-1] = (self.away[-1][0], time.monotonic())

    async def ready(self) -> bool:
        assert self.process is not None
        assert self.process.process.poll() is None or self.away, self.process.text
        return (await ask(self.port, "GET", "/readyz", ADMIN_TOKEN))[0] == 200

    def was_away(self, began: float, ended: float) -> bool:
        return any(began <= until_s and ended >= from_s for from_s, until_s in self.away)


class Load:
    """Callers that go round all gateways. `broken`: what failed though its gateway was there."""

    def __init__(self, gateways: list[Member], keys: dict[str, str]) -> None:
        self._gateways, self._keys = gateways, keys
        self.statuses: dict[str, Counter[int]] = {team: Counter() for team in keys}
        self.answered: list[tuple[int, float]] = []
        self.broken: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Load"]:
        tasks = [asyncio.create_task(self._call(team, n)) for team in self._keys for n in range(CALLERS)]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(outcome, asyncio.CancelledError):
                    self.broken.append(repr(outcome))

    async def _call(self, team: str, number: int) -> None:
        body = {
            "model": "fast",
            "user": team,
            "max_tokens": MOST_TOKENS,
            "messages": [{"role": "user", "content": "?"}],
        }
        while True:
            number += 1
            gateway = self._gateways[number % len(self._gateways)]
            began = time.monotonic()
            try:
                status, said = await ask(gateway.port, "POST", "/v1/chat/completions", self._keys[team], body)
            except OSError as error:
                if not gateway.was_away(began, time.monotonic()):
                    self.broken.append(f"{team}: {error!r}")
            else:
                self.statuses[team][status] += 1
                self.answered.append((gateway.port, time.monotonic()))
                if status not in ((200,) if team == "free" else (200, 429)):
                    self.broken.append(f"{team}: {status} {said}")
            await asyncio.sleep(PAUSE_S)


class Site:
    """Two control processes and three gateways, before one upstream; `keys` by team."""

    def __init__(self, folder: Path, environ: dict[str, str], upstream_port: int) -> None:
        self.controls = [Member(("control", "--apply"), folder / f"control-{n}", environ) for n in range(2)]
        self.gateways = [Member(("gateway",), folder / f"gateway-{n}", environ) for n in range(3)]
        self.keys: dict[str, str] = {}
        self._folder = folder
        self._about = {"upstream": upstream_port, "cap": CAP_USD, "few": FEW, "repository": folder / "prompts"}

    def config(self, more: str = "") -> str:
        """Give both control processes a new tidegate.yaml, as a ConfigMap does; return it."""
        text = CONFIG.format(more=more, **self._about)
        for number in range(2):
            (self._folder / f"control-{number}" / "tidegate.yaml").write_text(text)
        return text

    async def begin(self) -> None:
        """All processes are ready, and serve what was decided first."""
        self.config()
        for member in (*self.controls, *self.gateways):
            member.start()
        for member in (*self.controls, *self.gateways):
            await until(member.ready, "a process does not start")
        for team in ("free", "capped", "limited"):
            order = {"name": team, "tags": {"team": team}, "scopes": ["inference", "prompts"]}
            self.keys[team] = (await api(self.controls[0], "POST", "/keys", order))["secret"]
        await released(self.controls[0], "1.0.0")
        await self.until_all(lambda names, version: "prompt:greeting" in names and version == "1.0.0")

    async def until_all(self, agree: Callable[[list[str], str], bool]) -> None:
        """Wait until every gateway serves what is meant: the models' names, and the version of the prompt."""

        async def agrees(gateway: Member) -> bool:
            _, models = await ask(gateway.port, "GET", "/v1/models", self.keys["free"])
            _, prompts = await ask(gateway.port, "GET", "/v1/prompts", self.keys["free"])
            names = [one["id"] for one in models["data"]]
            version = json.dumps(prompts).partition('"version": "')[2].partition('"')[0]
            assert agree(names, version), f"it serves {names} and version {version} of {prompts}"
            return True

        for gateway in self.gateways:
            await until(partial(agrees, gateway), "a gateway did not follow")

    def last_flushes(self, answered: list[tuple[int, float]]) -> int:
        """How many answers the killed gateways gave so shortly before that their records may be lost."""
        return sum(
            1 for gateway in self.gateways for at, _ in gateway.away for port, when in answered
            if port == gateway.port and at - FLUSH_S < when <= at + FLUSH_S
        )  # fmt: skip


@asynccontextmanager
async def site(folder: Path, database_url: str, bill: FakeBilledUpstream) -> AsyncIterator[Site]:
    """The processes, ready."""
    make_workspace(folder / "prompts")
    async with AsyncExitStack() as stack:
        server = await asyncio.start_server(bill.serve, "127.0.0.1", 0, backlog=1024)
        stack.callback(server.close)
        redis = RedisServer()
        stack.callback(redis.stop)
        environ = {
            "TIDEGATE_DATABASE_URL": database_url, "TIDEGATE_REDIS_URL": redis.url,
            "TIDEGATE_MASTER_KEY": MASTER_KEY, "TIDEGATE_ADMIN_TOKEN": ADMIN_TOKEN,
        }  # fmt: skip
        made = Site(folder, environ, server.sockets[0].getsockname()[1])
        for member in (*made.controls, *made.gateways):
            stack.callback(member.stop)
        await made.begin()
        yield made


async def kill_gateways(site: Site) -> None:
    """Each in turn. While the second is away a version goes live and a route is added: it knows both afterwards."""
    for number, gateway in enumerate(site.gateways):
        await gateway.kill()
        if number == 1:
            await released(site.controls[1], "1.1.0")
            await api(site.controls[1], "PUT", "/config", {"text": site.config("  extra: {model: main}\n")})
        await gateway.restart()
    await site.until_all(lambda names, version: "extra" in names and version == "1.1.0")


async def kill_controls(site: Site) -> None:
    """The one that follows, then the one that leads; a rollback does not wait for the next leader."""
    first, second = site.controls
    leader, follower = (first, second) if await leads(first) else (second, first)
    await follower.kill()
    await follower.restart()
    await leader.kill()
    await api(follower, "POST", "/releases/production/greeting/rollback", {"reason": "the way back"})
    await site.until_all(lambda names, version: "extra" in names and version == "1.0.0")
    await until(lambda: leads(follower), "nobody took over")
    await leader.restart()
    assert not await leads(leader)


@pytest.mark.slow
async def test_each_process_is_killed_in_turn_and_nobody_else_notices(tmp_path: Path, postgres_url: str) -> None:
    bill = FakeBilledUpstream()
    async with site(tmp_path, postgres_url, bill) as processes:
        async with Load(processes.gateways, processes.keys).running() as load:
            await asyncio.sleep(0.5)
            await kill_gateways(processes)
            await kill_controls(processes)
            await until_spent(load)
        await asyncio.sleep(2 * FLUSH_S)
        gaps = await api(processes.controls[0], "GET", "/calls/gaps")
        stored = await stored_calls(postgres_url)
    assert load.broken == []
    assert load.statuses["free"].total() > 100
    assert CAP_USD / 2 < bill.usd["capped"] * TOKEN_USD <= CAP_USD
    assert FEW / 2 < bill.calls["limited"] <= FEW
    may_be_lost = processes.last_flushes(load.answered)
    assert sum(gap["last"] - gap["first"] + 1 for gap in gaps) <= may_be_lost
    assert stored >= len(load.answered) - may_be_lost, "what was answered is in the call log"


async def api(control: Member, method: str, path: str, body: object = None) -> Any:
    """One request to a control process, which must succeed."""
    status, said = await ask(control.port, method, f"/api/v1{path}", ADMIN_TOKEN, body)
    assert status < 300, said
    return said


async def released(control: Member, version: str) -> None:
    """Make a version live, as soon as control has read it from Git."""
    order = {"prompt": "greeting", "version": version, "environment": "production", "emergency": True, "reason": "now"}
    await until(lambda: api(control, "POST", "/releases", order), f"{version} cannot be deployed")


async def leads(control: Member) -> bool:
    """Whether the process does the leader's duties."""
    _, said = await ask(control.port, "GET", "/readyz", ADMIN_TOKEN)
    return bool(said["parts"]["leader"]["detail"]["leads"])


async def until_spent(load: Load) -> None:
    """Go on until the budget and the limit have refused somebody."""

    async def refused() -> bool:
        return all(load.statuses[team][429] for team in ("capped", "limited"))

    await until(refused, "the budget was never spent")


async def stored_calls(url: str) -> int:
    """How many records of chat completions are in the call log."""
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM calls WHERE endpoint = 'chat.completions'"))
    finally:
        await connection.close()
