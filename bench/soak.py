"""Whether memory stays flat: `python -m bench.soak [--requests 1000000] [--json]`.

A whole platform (`tidegate up`) with one gateway, budgets, limits and call records on, before the canned upstream. 32
callers make a mix of calls: whole and streamed, streams that their caller leaves, calls over a budget, calls over a
limit, calls whose upstream fails, and calls that no upstream would understand. After every 50,000 requests the gateway
is at rest for two seconds and is looked at: its memory, open files and calls in flight.

The slope is a least-squares line through the samples after the first fifth, with its 95 % interval. One small object
kept for each request would be 5,000 KB or more in 100,000 requests.
"""

import argparse
import asyncio
import contextlib
import json
import math
import os
import re
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import uvloop

from bench.gateway.targets import upstream
from bench.gateway.tidegate_target import CALLS_DB, COUNT_CALLS
from bench.processes import BenchError, Stopped, bounded, free_port, running, tree, two_cores, until
from bench.soak_mix import MIX, Callers
from bench.workspace import Workspace

__all__ = ["Looked", "main", "slope", "verdicts"]

EVERY = 50_000
REST_S = 2.0
READY_S = 60.0
STORED_S = 60.0
FLAT_KB = 256.0
"""Per 100,000 requests: less than three bytes for each."""
LEAST_SAMPLES = 10
MORE_FDS = 16
CONFIG = """\
apiVersion: tidegate/v1
models:
  main: {{base_url: 'http://127.0.0.1:{port}/v1', provider: openai, {same}}}
  failing: {{base_url: 'http://127.0.0.1:{port}/fail/v1', provider: openai, {same}}}
routes:
  chat: {{model: main}}
  failing: {{model: failing, breaker: {{failures: 1000}}}}
budgets:
  - {{name: everything, usd: 1000000, per: month}}
  - {{name: teams, match: {{team: "*"}}, each: [team], usd: 1000000, per: day}}
  - {{name: spent, match: {{team: spent}}, usd: 0.000001, per: month}}
limits:
  - {{name: per-key, each: [key], requests: 100000000, per: minute}}
  - {{name: few, match: {{team: limited}}, requests: 1, per: day}}
"""
SAME = "model: gpt-4o-mini, price: {input_usd_per_1m_tokens: 0.15, output_usd_per_1m_tokens: 0.60}"
TEAMS = ("bench", "spent", "limited")


@dataclass(frozen=True)
class Looked:
    """The gateway at rest. Sizes are in KB; `anonymous_kb` is what it allocated itself, without files mapped."""

    requests: int
    seconds: float
    rss_kb: int
    pss_kb: int
    anonymous_kb: int
    open_files: int
    threads: int
    in_flight: float | None


@dataclass(frozen=True)
class Site:
    """The platform under load."""

    workspace: Workspace
    keys: dict[str, str]
    supervisor: int

    @property
    def port(self) -> int:
        return int(self.workspace.env["TIDEGATE_GATEWAY_PORT"])

    def gateway(self) -> int:
        """The gateway's process id."""
        for pid in tree(self.supervisor):
            with contextlib.suppress(OSError):
                if b"http.gateway" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        raise BenchError("the gateway process is gone")

    def look(self, requests: int, seconds: float) -> Looked:
        """Look at the gateway."""
        pid = self.gateway()
        status = Path(f"/proc/{pid}/status").read_text()
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return Looked(
            requests,
            round(seconds, 1),
            _number(r"VmRSS:\s+(\d+)", status),
            _number(r"\nPss:\s+(\d+)", rollup),
            _number(r"RssAnon:\s+(\d+)", status),
            len(os.listdir(f"/proc/{pid}/fd")),
            _number(r"Threads:\s+(\d+)", status),
            self._in_flight(),
        )

    def _in_flight(self) -> float | None:
        """The sum of the gateway's own gauges of calls in flight; None when it shows none."""
        text = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=10).text
        found = re.findall(r"^tidegate\w*in_flight\w*(?:\{[^}]*\})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found)) if found else None

    def stored(self) -> int:
        """How many call records the store has."""
        file = self.workspace.folder / CALLS_DB
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return int(connection.execute(COUNT_CALLS).fetchone()[0])


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    if found is None:
        raise BenchError(f"/proc does not show {pattern}")
    return int(found[1])


def slope(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """The rise for each 100,000 steps of x, and the half width of its 95 % interval (Student's t, residuals taken as
    independent; https://doi.org/10.1002/9781118625590, chapter 1).
    """
    xs, ys, free = [float(x) for x, _ in points], [y for _, y in points], len(points) - 2
    line = statistics.linear_regression(xs, ys)
    rest = sum((y - line.intercept - line.slope * x) ** 2 for x, y in points)
    error = math.sqrt(rest / free / sum((x - statistics.fmean(xs)) ** 2 for x in xs))
    return line.slope * 1e5, _student(0.975, free) * error * 1e5


def _student(share: float, free: int) -> float:
    """The quantile of Student's t, by Abramowitz and Stegun 26.7.5: right to 1 % from four degrees of freedom on."""
    z = statistics.NormalDist().inv_cdf(share)
    return z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)


@contextlib.contextmanager
def platform(run: Path) -> Iterator[Site]:
    """`tidegate up` with one gateway, on the first core; the upstream and the callers have the second."""
    cores, upstream_port = two_cores(), free_port()
    os.sched_setaffinity(0, {cores.load})
    with upstream(cores, upstream_port, run):
        ports = {"TIDEGATE_CONTROL_PORT": str(free_port()), "TIDEGATE_GATEWAY_PORT": str(free_port())}
        workspace = Workspace(run / "workspace", ports)
        workspace.folder.mkdir()
        workspace.run("init", ".", "--bare")
        (workspace.folder / "tidegate.yaml").write_text(CONFIG.format(port=upstream_port, same=SAME))
        command = workspace.process("up", "--gateways", "1")
        with running(command, cores.measured) as supervisor:
            until(lambda: b"ready" in command.log.read_bytes() or supervisor.poll() is not None, READY_S)
            if b"ready" not in command.log.read_bytes() or supervisor.poll() is not None:
                raise BenchError(f"`tidegate up` is not ready: {command.log.read_text()[-600:]}")
            keys = {team: workspace.create_key(team, "--tag", f"team={team}") for team in TEAMS}
            time.sleep(1.0)
            yield Site(workspace, keys, supervisor.pid)


async def load(site: Site, requests: int, tell: Callable[[Looked], None]) -> tuple[list[Looked], Counter[str]]:
    """Make the requests; what was seen after each part, and the answers by kind of call."""
    callers, began, looks = Callers(site.port, site.keys), time.monotonic(), []
    every = min(EVERY, max(1, requests // LEAST_SAMPLES))
    for made in range(every, requests + every, every):
        await callers.make(min(every, requests - made + every))
        await asyncio.sleep(REST_S)
        looks.append(await asyncio.to_thread(site.look, min(made, requests), time.monotonic() - began))
        tell(looks[-1])
    callers.close()
    return looks, callers.answers


def verdicts(looks: Sequence[Looked], answers: Counter[str], stored: int, requests: int) -> dict[str, dict[str, Any]]:
    """What is wanted and what was seen; `ok` is None where too little was seen to say."""
    warm = [one for one in looks if one.requests > requests / 5]
    wrong = {what: count for what, count in answers.items() if what.endswith("WRONG")}
    found: dict[str, dict[str, Any]] = {
        "answers not as expected": {"seen": wrong or 0, "wanted": "0", "ok": not wrong},
        "records stored": {"seen": stored, "wanted": f"{requests}", "ok": stored == requests},
    }
    enough = requests >= LEAST_SAMPLES * EVERY
    for name in ("rss_kb", "pss_kb", "anonymous_kb"):
        rise, half = slope([(one.requests, float(getattr(one, name))) for one in warm])
        seen = {"slope": round(rise, 1), "interval": [round(rise - half, 1), round(rise + half, 1)]}
        flat = rise <= FLAT_KB if enough and name != "pss_kb" else None  # pages shared with others come and go
        found[f"{name} per 100,000 requests"] = {"seen": seen, "wanted": f"<= {FLAT_KB:.0f} KB", "ok": flat}
    files = [one.open_files for one in looks]
    fine = files[-1] <= files[0] + MORE_FDS
    found["open files"] = {"seen": [files[0], files[-1]], "wanted": f"+{MORE_FDS} at most", "ok": fine}
    at_rest = looks[-1].in_flight
    found["calls in flight at rest"] = {"seen": at_rest, "wanted": "0", "ok": None if at_rest is None else not at_rest}
    return found


def main() -> int:
    """Run and print; 1 when something is not as wanted, 2 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        with (
            bounded(300 + options.requests / 400),
            tempfile.TemporaryDirectory(prefix="tidegate-soak-") as folder,
            platform(Path(folder)) as site,
        ):
            looks, answers = uvloop.run(load(site, options.requests, _tell))
            until(lambda: site.stored() >= options.requests, STORED_S, every_s=1.0)
            found = verdicts(looks, answers, site.stored(), options.requests)
    except (BenchError, Stopped) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        series = [asdict(one) for one in looks]
        print(json.dumps({"mix": MIX, "answers": answers, "series": series, "verdicts": found}, indent=1))
    else:
        print(_text(looks, answers, found))
    return int(any(one["ok"] is False for one in found.values()))


def _tell(one: Looked) -> None:
    print(f"{one.requests:,} requests, {one.seconds:.0f} s: {one.pss_kb:,} KB PSS", file=sys.stderr, flush=True)


def _text(looks: Sequence[Looked], answers: Counter[str], found: dict[str, dict[str, Any]]) -> str:
    names = list(asdict(looks[0]))
    lines = ["| " + " | ".join(names) + " |", "|" + "---:|" * len(names)]
    lines += ["| " + " | ".join(f"{value}" for value in asdict(one).values()) + " |" for one in looks]
    lines += ["", "answers: " + ", ".join(f"{what} {count:,}" for what, count in sorted(answers.items())), ""]
    lines += ["| what | seen | wanted | ok |", "|---|---|---|---|"]
    for what, one in found.items():
        ok = "" if one["ok"] is None else "yes" if one["ok"] else "NO"
        lines.append(f"| {what} | {json.dumps(one['seen'])} | {one['wanted']} | {ok} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
