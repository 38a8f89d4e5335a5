"""What control costs: `python -m bench.control [--count N] [--keys N,N] [--json]`.

Rollbacks inside one control process on SQLite, from the verb to the commit, Snapshot written, with so many virtual keys
in the workspace; and `tidegate --help` as a whole process. No gateway and no HTTP: `bench.rollback` has those.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from bench.workspace import Workspace, program
from tidegate.app.control import Control
from tidegate.app.first_start import first_start
from tidegate.control.identity.model import SYSTEM, KeySpec
from tidegate.control.releases.model import Order
from tidegate.settings import load_settings

PROMPT, OLD, NEW, PLACE = "support-answer", "1.0.0", "1.1.0", "production"
GOALS = {"rollback_p50_ms": 10.0, "help_p50_ms": 200.0}


async def rollbacks(folder: Path, count: int, keys: int) -> dict[str, float]:
    """Milliseconds of wall and CPU time for one rollback."""
    settings = load_settings(folder, {})
    await first_start(settings)
    control = Control(settings, {})
    await control.start()
    try:
        for number in range(keys):
            await control.identity.create_key(SYSTEM, KeySpec(name=f"key-{number}"))
        await control.releases.deploy(SYSTEM, PROMPT, OLD, PLACE)
        wall, cpu = [], []
        hasty = Order(kind="deploy", prompt=PROMPT, environment=PLACE, version=NEW, reason="a bench", emergency=True)
        for _ in range(count):
            await control.releases.place(SYSTEM, hasty)
            while await control.outbox.waiting():  # noqa: ASYNC110  # the outbox is a table
                await asyncio.sleep(0.02)
            begun, busy = time.perf_counter(), time.process_time()
            await control.releases.rollback(SYSTEM, PROMPT, PLACE)
            wall.append((time.perf_counter() - begun) * 1000)
            cpu.append((time.process_time() - busy) * 1000)
    finally:
        await control.stop()
    wall.sort()
    return {
        "keys": keys,
        "rollback_p50_ms": round(statistics.median(wall), 2),
        "rollback_p99_ms": round(wall[min(len(wall) - 1, round(len(wall) * 0.99))], 2),
        "rollback_max_ms": round(wall[-1], 2),
        "rollback_cpu_p50_ms": round(statistics.median(cpu), 2),
    }


def helps(count: int = 20) -> float:
    """Median milliseconds of `tidegate --help`; the first run, which may compile, is left out."""
    took = []
    for _ in range(count + 1):
        begun = time.perf_counter()
        subprocess.run([str(program()), "--help"], stdout=subprocess.DEVNULL, check=True)
        took.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(took[1:]), 1)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.control", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=100, help="rollbacks for each number of keys")
    parser.add_argument("--keys", default="0,1000", help="virtual keys in the workspace")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    runs = []
    for keys in (int(text) for text in options.keys.split(",")):
        with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
            home = Path(folder) / "home"
            Workspace(Path(folder), {}).run(
                "init", str(home), "--model", "http://127.0.0.1:9/v1", "--model-name", "none"
            )
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runs.append(runner.run(rollbacks(home, options.count, keys)))
    result = {"rollbacks": runs, "help_p50_ms": helps(), "goals": GOALS}
    if options.json:
        print(json.dumps(result))
        return 0
    for run in runs:
        print("rollback: " + ", ".join(f"{name} {value:g}" for name, value in run.items()))
    print(f"tidegate --help: {result['help_p50_ms']} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
