"""`python -m bench.gateway.profile`: where the microseconds of one gateway worker go under load."""

import argparse
import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import bench
from bench.gateway import worker_hook
from bench.gateway.load import Traffic, drive, require_tools
from bench.gateway.measure import PACE_MS, measured
from bench.gateway.peers import bench_home
from bench.gateway.stacks import LOOP, Machine, Places, Weights, from_collapsed, from_cprofile, from_perf
from bench.gateway.targets import Site, Start, answer_of, is_true, upstream
from bench.gateway.tidegate_target import Tidegate
from bench.processes import (
    BenchError,
    Command,
    Stopped,
    bounded,
    busiest,
    free_port,
    running,
    two_cores,
    until,
)

SPY_HZ, PERF_HZ = 250, 997
SLACK_S = 30  # how long a profiler may take to write its result


@dataclass(frozen=True)
class Seen:
    """What the profilers saw of one worker, and what a request costs it when nobody looks."""

    cpu_us: float
    weights: Weights
    machine: Machine | None
    notes: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        require_tools()
        lacking = Tidegate().missing(bench_home())
        if lacking:
            raise BenchError(f"tidegate is not installed: {lacking}")
        with bounded(options.seconds * 4 + 240):
            seen = _seen(options)
    except (BenchError, Stopped, OSError) as error:
        print(f"bench.gateway.profile: {error}", file=sys.stderr)
        return 2
    print(_text(seen, options.top, "stream" if options.streams else "request"))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway.profile", description=__doc__)
    parser.add_argument("--seconds", type=int, default=8, help="how long to look (default 8)")
    parser.add_argument("--streams", action="store_true", help="paced streams in place of plain calls")
    parser.add_argument("--top", type=int, default=20, help="rows of each table (default 20)")
    parser.add_argument(
        "--method",
        choices=("auto", "py-spy", "cprofile"),
        default="auto",
        help="auto: py-spy where installed",
    )
    return parser.parse_args(arguments)


def _seen(options: argparse.Namespace) -> Seen:
    spy = None if options.method == "cprofile" else _tool("py-spy")
    if spy is None and options.method == "py-spy":
        raise BenchError("py-spy is not installed: python3 -m pip install py-spy")
    traffic = Traffic(32, options.seconds)
    if options.streams:
        traffic = Traffic(16, options.seconds, stream=True, pace_ms=PACE_MS)
    with tempfile.TemporaryDirectory(prefix="bench-profile-") as folder:
        site = Site(two_cores(), free_port(), Path(folder), bench_home())
        os.sched_setaffinity(0, {site.cores.load})
        with upstream(site.cores, site.upstream_port, site.run):
            start = Tidegate().prepare(site, free_port())
            with _worker(start, site) as pid:
                drive(start.endpoint, replace(traffic, seconds=2), site.run)
                plain = measured(start.endpoint, pid, traffic, site)
                machine, note = _perf(start, pid, traffic, site)
                found = _spied(spy, start, pid, traffic, site) if spy else None
            weights, told = found or _cprofiled(start, traffic, site)
    return Seen(plain.cpu_us, weights, machine, (told, note))


def _tool(name: str) -> str | None:
    folders = [Path(sys.executable).parent, bench_home() / "tools" / "bin"]
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")])
    return shutil.which(name, path=path)


def _places() -> Places:
    found = importlib.util.find_spec("tidegate")
    if found is None or not found.submodule_search_locations:
        raise BenchError("the package tidegate is not installed: python3 -m pip install -e .")
    return Places(Path(found.submodule_search_locations[0]))


@contextlib.contextmanager
def _worker(start: Start, site: Site) -> Iterator[int]:
    """The process id of the target's tree, once it answers."""
    if start.command is None:
        raise BenchError("this target has no process")
    with running(start.command, site.cores.measured) as process:
        if not until(lambda: is_true(answer_of(start.endpoint)), start.ready_s, every_s=0.2):
            raise BenchError(f"not ready: {start.command.log.read_text(errors='replace')[-300:]}")
        yield process.pid


def _spied(spy: str, start: Start, pid: int, traffic: Traffic, site: Site) -> tuple[Weights, str]:
    """py-spy without stopping the worker: a stopped worker is seen at its system calls far too often."""
    written, log = site.run / "stacks.txt", site.run / "py-spy.log"
    argv = [spy, "record", "--pid", str(busiest(pid)), "--nonblocking", "--full-filenames", "--format", "raw"]
    argv += ["--rate", str(SPY_HZ), "--duration", str(round(traffic.seconds)), "--output", str(written)]
    with running(Command(argv, log), site.cores.load) as recorder:
        drive(start.endpoint, replace(traffic, seconds=traffic.seconds + 1), site.run)
        _wait(recorder, "py-spy")
    if not written.exists():
        raise BenchError(f"py-spy wrote nothing: {log.read_text(errors='replace')[-300:]}")
    weights = from_collapsed(written.read_text().splitlines(), _places())
    seen = sum(weights.files.values())
    return (
        weights,
        f"Python: py-spy, {seen:,} samples at {SPY_HZ} Hz; a C call counts for the line that made it",
    )


def _wait(recorder: "subprocess.Popen[bytes]", name: str) -> None:
    try:
        recorder.wait(SLACK_S)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{name} did not end") from error


def _perf(start: Start, pid: int, traffic: Traffic, site: Site) -> tuple[Machine | None, str]:
    """The processor's view by the kernel's own sampler, where perf is installed and allowed."""
    perf = _tool("perf")
    if perf is None:
        return (
            None,
            "C libraries: not seen, perf is not installed (on Debian: sudo apt-get install -y linux-perf)",
        )
    data, log = site.run / "perf.data", site.run / "perf.log"
    argv = [
        perf,
        "record",
        "--quiet",
        "-e",
        "cpu-clock",
        "-F",
        str(PERF_HZ),
        "-p",
        str(busiest(pid)),
        "-o",
        str(data),
    ]
    with running(Command([*argv, "--", "sleep", str(round(traffic.seconds))], log), site.cores.load) as recorder:
        drive(start.endpoint, replace(traffic, seconds=traffic.seconds + 1), site.run)
        _wait(recorder, "perf")
    done = subprocess.run(
        [perf, "script", "-i", str(data), "-F", "ip,sym,dso"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    machine = from_perf(done.stdout.splitlines(), _places())
    if not machine.libraries:
        return None, f"C libraries: perf saw nothing: {log.read_text(errors='replace').strip()[-200:]}"
    return machine, f"C libraries: perf, {machine.libraries.total():,} samples at {PERF_HZ} Hz"


def _cprofiled(start: Start, traffic: Traffic, site: Site) -> tuple[Weights, str]:
    """cProfile inside a second worker. It makes small functions look dearer than they are."""
    hook = site.run / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text("from bench.gateway.worker_hook import install\n\ninstall()\n")
    if start.command is None:
        raise BenchError("this target has no process")
    path = os.pathsep.join([str(hook), str(Path(bench.__file__).parents[1])])
    target = site.run / "cprofile"
    env = {**start.command.env, "PYTHONPATH": path, worker_hook.VARIABLE: str(target)}
    hooked = replace(start, command=replace(start.command, env=env))
    with _worker(hooked, site) as pid:
        drive(hooked.endpoint, replace(traffic, seconds=2), site.run)
        worker = busiest(pid)
        if not Path(f"{target}.{worker}{worker_hook.READY}").exists():
            raise BenchError("the worker did not load the profiler: does it start Python with -I or -E?")
        os.kill(worker, signal.SIGUSR1)
        used_us = measured(hooked.endpoint, worker, traffic, site).cpu_s * 1e6
        os.kill(worker, signal.SIGUSR2)
        written = Path(f"{target}.{worker}{worker_hook.SEEN}")
        if not until(written.exists, SLACK_S):
            raise BenchError("the worker did not write its profile")
    weights = from_cprofile(written, _places())
    outside = max(0, round(used_us) - weights.files.total())
    weights.files[LOOP] += outside
    weights.stages[LOOP] += outside
    return (
        weights,
        "Python: cProfile, which makes small functions look dearer than they are (py-spy does not)",
    )


def _text(seen: Seen, top: int, unit: str) -> str:
    parts = [f"One {unit} costs the worker {seen.cpu_us:,.1f} us of CPU, unobserved. The tables share that out."]
    parts.append(_table("room and stage (with what it called)", seen.weights.stages, seen.cpu_us, top))
    parts.append(_table("file or package that ran (self time)", seen.weights.files, seen.cpu_us, top))
    if seen.machine is not None:
        parts.append(_table("library that ran (self time)", seen.machine.libraries, seen.cpu_us, top))
        functions = Counter({f"{library}: {name}": n for (library, name), n in seen.machine.functions.items()})
        parts.append(_table("C function that ran (self time)", functions, seen.cpu_us, top))
    parts.append("\n".join(f"- {note}" for note in seen.notes))
    return "\n\n".join(parts)


def _table(head: str, weights: Counter[str], cpu_us: float, top: int) -> str:
    total = weights.total() or 1
    lines = [f"| {head} | share | us |", "|---|---:|---:|"]
    shown = weights.most_common(top)
    rest = weights.total() - sum(weight for _, weight in shown)
    for name, weight in [*shown, *([("(the rest)", rest)] if rest else [])]:
        lines.append(f"| {name} | {weight / total:.1%} | {cpu_us * weight / total:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
