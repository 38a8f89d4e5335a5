"""`python -m bench.shadow`: what users feel of 5% of their calls being copied.

One gateway, with records on, on a core of its own; the canned upstream and the users on the other. Users come at a
fixed mean rate far below saturation, at random moments (a Poisson process), and never wait for each other: a call's
time counts from the moment it was due, so that a gateway that stands still is charged for all who came meanwhile. The
same gateway serves four routes, in turns of some seconds and in another order each cycle:

without, again: no copies, twice. What `again` differs from `without` is the noise of the method.
mirrored: 5% of calls are copied.
spent: 5% would be, but the shadow's budget is used up.

In one cycle the users of all four come at the same moments. The difference of two p99 has a 95% interval from a
bootstrap that draws whole cycles. `late_p99_ms` tells how late the load itself was: times contain it, differences do
not. Exit status: 0 when every interval ends at or below 1 ms; 1 when one does not, when calls failed or when too few
were copied; 2 when nothing was measured.
"""

import argparse
import asyncio
import json
import os
import random
import re
import selectors
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.calling import Connection, call_bytes
from bench.gateway import canned
from bench.gateway.load import Endpoint, require_tools
from bench.gateway.peers import bench_home
from bench.gateway.targets import Site, answer_of, is_true, upstream
from bench.gateway.tidegate_target import Tidegate
from bench.processes import BenchError, Stopped, bounded, core_used_s, cpu_s, free_port, running, two_cores, until

__all__ = ["Turn", "difference_ms", "failure", "main", "percentile", "verdict"]

WAYS = ("without", "again", "mirrored", "spent")
GOAL_MS = 1.0
MET = "met"
PERCENT = 5
DRAWS = 400
CONNECTIONS = 64
WARM_S = 2.0
SETTLE_S = 0.3
ROUTES = """\
routes:
  bench-chat: {{model: upstream}}
  without: {{model: upstream}}
  again: {{model: upstream}}
  mirrored: {{model: upstream, shadow: {{model: upstream, percent: 5, max_usd_per_day: 1000, max_parallel: 64}}}}
  spent: {{model: upstream, shadow: {{model: upstream, percent: 5, max_usd_per_day: 0.000001, max_parallel: 64}}}}
"""


@dataclass
class Turn:
    """The calls of one way in one cycle, in ms: from the moment when each was due to its whole answer."""

    took_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    failed: int = 0


@dataclass
class Users:
    """They come whether or not the others have been served."""

    port: int
    key: str
    _free: deque[Connection] = field(default_factory=deque)
    _under_way: int = 0

    async def open(self) -> None:
        """Connections for as many as will ever be there at once, used in turn: none lies idle until it is closed."""
        self._free = deque([await Connection.opened(self.port) for _ in range(CONNECTIONS)])

    def close(self) -> None:
        """Close the connections."""
        for connection in self._free:
            connection.abort()

    async def come(self, route: str, rate: float, seconds: float, draw: random.Random) -> Turn:
        """So many calls a second on the average, for so long."""
        loop, turn = asyncio.get_running_loop(), Turn()
        data = call_bytes(self.key, canned.request(route))
        over: asyncio.Future[None] = loop.create_future()
        end = loop.time() + seconds

        def come(due: float) -> None:
            following = due + draw.expovariate(rate)
            if following < end:
                loop.call_at(following, come, following)
            else:
                over.set_result(None)
            if not self._free:
                turn.failed += 1  # CONNECTIONS of them wait already
                return
            turn.late_ms.append((loop.time() - due) * 1e3)
            connection = self._free.popleft()
            self._under_way += 1
            connection.ask(data, lambda status: heard(status, due, connection))

        def heard(status: int | None, due: float, connection: Connection) -> None:
            turn.took_ms.append((loop.time() - due) * 1e3)
            if status != 200:
                turn.failed += 1
                print(f"a call of {route!r} ended with {status or 'a broken connection'}", file=sys.stderr, flush=True)
            self._under_way -= 1
            if status is not None:
                self._free.append(connection)

        first = loop.time() + draw.expovariate(rate)
        loop.call_at(first, come, first)
        await over
        await asyncio.sleep(SETTLE_S)
        if self._under_way:
            raise BenchError(f"{self._under_way} calls were not answered within {SETTLE_S} s of the turn's end")
        return turn


async def measure(endpoint: Endpoint, options: argparse.Namespace) -> dict[str, list[Turn]]:
    """The turns of each way, one for each cycle."""
    users = Users(endpoint.port, endpoint.key)
    await users.open()
    turns: dict[str, list[Turn]] = {way: [] for way in WAYS}
    for way in WAYS:
        await users.come(way, options.rate, WARM_S, random.Random(0))
    order = random.Random(3)
    for cycle in range(options.cycles):
        for way in order.sample(WAYS, len(WAYS)):
            turns[way].append(await users.come(way, options.rate, options.seconds, random.Random(cycle)))
        print(f"cycle {cycle + 1} of {options.cycles}", file=sys.stderr, flush=True)
    users.close()
    return turns


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least value that `share` of them do not exceed (nearest rank)."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def difference_ms(ours: Sequence[Turn], theirs: Sequence[Turn], share: float) -> tuple[float, float, float]:
    """How much greater our percentile is than theirs, over all turns; with its 95 % interval from a bootstrap that
    draws cycles with replacement, the same of both.
    """
    if ours is theirs:
        return 0.0, 0.0, 0.0
    left, right = [sorted(one.took_ms) for one in ours], [sorted(one.took_ms) for one in theirs]
    draw, cycles = random.Random(1), range(len(left))

    def of(chosen: Sequence[int]) -> float:
        return _pooled(left, chosen, share) - _pooled(right, chosen, share)

    found = sorted(of(draw.choices(cycles, k=len(left))) for _ in range(DRAWS))
    return of(cycles), percentile(found, 0.025), percentile(found, 0.975)


def _pooled(turns: Sequence[Sequence[float]], chosen: Sequence[int], share: float) -> float:
    return percentile(sorted(value for index in chosen for value in turns[index]), share)


def row(way: str, turns: dict[str, list[Turn]], copies: dict[str, int], others: float) -> dict[str, object]:
    """What is told of one way; `others` is the share of the gateway's core that other work took."""
    took = sorted(value for one in turns[way] for value in one.took_ms)
    late = sorted(value for one in turns[way] for value in one.late_ms)
    failed = sum(one.failed for one in turns[way])
    found: dict[str, object] = {
        "way": way,
        "calls": len(took),
        "failed": failed,
        "copies": copies.get("sent", 0),
        "copies_refused": copies.get("skipped_budget", 0),
        "p50_ms": round(statistics.median(took), 3),
        "p99_ms": round(percentile(took, 0.99), 3),
        "p999_ms": round(percentile(took, 0.999), 3),
        "late_p99_ms": round(percentile(late, 0.99), 3),
        "other_work_on_its_core": round(others, 3),
    }
    added = {share: difference_ms(turns[way], turns["without"], share) for share in (0.5, 0.99)}
    for name, (middle, low, high) in zip(("p50", "p99"), added.values(), strict=True):
        found[f"{name}_added_ms"], found[f"{name}_interval_ms"] = round(middle, 3), [round(low, 3), round(high, 3)]
    found["verdict"] = failure(way, len(took), failed, copies) or verdict(*added[0.99][1:])
    return found


def failure(way: str, calls: int, failed: int, copies: dict[str, int]) -> str:
    """Why the figures of a way are not what they seem; empty when they are."""
    if failed:
        return "calls failed"
    outcome = {"mirrored": "sent", "spent": "skipped_budget"}.get(way)
    wanted = calls * PERCENT / 100
    if outcome and copies.get(outcome, 0) < wanted - 5 * wanted**0.5:
        return f"too few copies {outcome}"
    return ""


def verdict(low: float, high: float) -> str:
    """Whether the interval of what was added keeps the goal."""
    return MET if high <= GOAL_MS else "missed" if low > GOAL_MS else "undecided"


def copied(port: int) -> dict[str, dict[str, int]]:
    """What became of the copies of each route."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    found: dict[str, dict[str, int]] = {}
    for line in re.findall(r"^tidegate_shadow(?:_total)?\{.*$", text, re.MULTILINE):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
        found.setdefault(labels["route"], {})[labels["outcome"]] = int(float(line.rpartition(" ")[2]))
    return found


def run(options: argparse.Namespace) -> list[dict[str, object]]:
    """One row for each way."""
    target = Tidegate("shadow", ROUTES, "5% of the calls of two routes copied, no other limits")
    with tempfile.TemporaryDirectory(prefix="bench-shadow-") as folder:
        site = Site(two_cores(), free_port(), Path(folder), bench_home())
        os.sched_setaffinity(0, {site.cores.load})
        with upstream(site.cores, site.upstream_port, site.run):
            start = target.prepare(site, free_port())
            assert start.command is not None
            with running(start.command, site.cores.measured) as process:
                if not until(lambda: is_true(answer_of(start.endpoint)), start.ready_s):
                    raise BenchError(f"not ready: {start.command.log.read_text(errors='replace')[-300:]}")
                began, core_s, own_s = time.monotonic(), core_used_s(site.cores.measured), cpu_s(process.pid)
                with asyncio.Runner(loop_factory=_precise) as runner:
                    turns = runner.run(measure(start.endpoint, options))
                others_s = core_used_s(site.cores.measured) - core_s - (cpu_s(process.pid) - own_s)
                others = max(0.0, others_s) / (time.monotonic() - began)
                time.sleep(2.0)
                copies = copied(start.endpoint.port)
    return [row(way, turns, copies.get(way, {}), others) for way in WAYS]


def _precise() -> asyncio.AbstractEventLoop:
    """A loop with timers of microseconds: select(2) takes them, where epoll and uvloop round up to milliseconds."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.shadow", description=__doc__)
    parser.add_argument("--cycles", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one turn; a cycle has four")
    parser.add_argument("--rate", type=float, default=500.0, help="calls a second")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        require_tools()
        with bounded(180 + options.cycles * 5 * (options.seconds + 1)):
            rows = run(options)
    except (BenchError, Stopped) as error:
        print(f"bench.shadow: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
        for one in rows:
            print("| " + " | ".join(str(value) for value in one.values()) + " |")
    return int(any(one["verdict"] != MET for one in rows))


if __name__ == "__main__":
    raise SystemExit(main())
