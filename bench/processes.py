"""Processes under measurement: pinned to a core, watched through /proc, ended by process id."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
TERM_S = 8.0  # how long a process may take to end after SIGTERM before it is killed


class BenchError(Exception):
    """The measurement cannot be made; the text says why and how to mend it."""


class Stopped(Exception):
    """The whole run must end now: its time is over, or it was told to."""


@dataclass(frozen=True)
class Cores:
    """The core of the process under measurement, and the core of everything that loads it."""

    measured: int
    load: int


def two_cores() -> Cores:
    """The first two cores that this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise BenchError("two CPU cores are needed: one for the gateway, one for the upstream and the load")
    return Cores(allowed[0], allowed[1])


@contextlib.contextmanager
def bounded(limit_s: float) -> Iterator[None]:
    """Raises Stopped inside the block after `limit_s`, or on SIGTERM, so that its clean-up runs."""

    def on_alarm(_signal: int, _frame: FrameType | None) -> None:
        raise Stopped(f"stopped after {limit_s:.0f} s, the bound of this run")

    def on_term(_signal: int, _frame: FrameType | None) -> None:
        raise Stopped("stopped by SIGTERM")

    before = signal.signal(signal.SIGALRM, on_alarm), signal.signal(signal.SIGTERM, on_term)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before[0])
        signal.signal(signal.SIGTERM, before[1])


@dataclass(frozen=True)
class Command:
    """How to start one process that stays in the foreground."""

    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


@contextlib.contextmanager
def running(command: Command, core: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The process, pinned to `core` from its start; it and its descendants have ended on leaving."""
    with command.log.open("ab") as log:
        process = _start_pinned(command, core, log)
    try:
        yield process
    finally:
        stop(process)


def _start_pinned(command: Command, core: int, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})  # a child inherits it, its threads and children too
    try:
        return subprocess.Popen(
            list(command.argv),
            env={**os.environ, **command.env},
            cwd=command.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    except OSError as error:
        raise BenchError(f"cannot start {command.argv[0]}: {error}") from error
    finally:
        os.sched_setaffinity(0, own)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM to the process, then SIGKILL to what is left of it and of its descendants."""
    family = [(pid, _started_at(pid)) for pid in tree(process.pid)]
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(TERM_S)
    end = time.monotonic() + 1.0
    while any(_alive(pid, born) for pid, born in family) and time.monotonic() < end:
        time.sleep(0.05)
    for pid, born in family:
        if _alive(pid, born):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.wait(TERM_S)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def _started_at(pid: int) -> str:
    stat = _stat(pid)
    return stat[19] if stat else ""


def _alive(pid: int, started_at: str) -> bool:
    """Whether the same process, not a later one with its number, still runs."""
    stat = _stat(pid)
    return bool(stat) and stat[0] != "Z" and stat[19] == started_at


def tree(pid: int) -> list[int]:
    """`pid` and its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := _stat(int(entry))):
            children.setdefault(int(stat[1]), []).append(int(entry))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def cpu_s(pid: int) -> float:
    """User and system time used so far by the process, its living descendants and the ones it has reaped."""
    ticks = sum(int(value) for member in tree(pid) for value in _stat(member)[11:15])
    return ticks / TICKS_PER_S


def busiest(pid: int) -> int:
    """The member of the process tree with the most CPU time: the worker, when `pid` only supervises it."""
    return max(tree(pid), key=lambda member: sum(map(int, _stat(member)[11:13])))


def peak_rss_mb(pid: int) -> float:
    """The sum of the peak resident sizes of the process tree; pages that two processes share count twice."""
    total_kb = 0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{member}/status").read_text()
            peak = re.search(r"VmHWM:\s+(\d+) kB", status)
            total_kb += int(peak.group(1)) if peak else 0
    return total_kb / 1024


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(check: Callable[[], bool], limit_s: float, every_s: float = 0.1) -> bool:
    """Whether `check` came true within `limit_s`."""
    end = time.monotonic() + limit_s
    while not check():
        if time.monotonic() > end:
            return False
        time.sleep(every_s)
    return True


def busy_share(cores: Cores, over_s: float = 0.3) -> float:
    """How busy the two cores are: 0 idle, 1 both full. Niced work yields, so it counts as idle time."""
    idle, total = _core_ticks(cores)
    time.sleep(over_s)
    idle_after, total_after = _core_ticks(cores)
    return 1 - (idle_after - idle) / max(1, total_after - total)


def _core_ticks(cores: Cores) -> tuple[int, int]:
    both = [_ticks_of(core) for core in (cores.measured, cores.load)]
    idle = sum(nice + at_rest + waiting for _, nice, _, at_rest, waiting, *_ in both)
    return idle, sum(map(sum, both))


def _ticks_of(core: int) -> list[int]:
    """The core's ticks since boot: user, nice, system, idle, iowait, irq, softirq, steal."""
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    return next([int(value) for value in values[:8]] for name, *values in lines if name == f"cpu{core}")


def core_used_s(core: int) -> float:
    """The time that processes have used on this core since boot, interrupts apart."""
    return sum(_ticks_of(core)[:3]) / TICKS_PER_S


def wait_quiet(cores: Cores, limit_s: float, threshold: float = 0.08) -> float:
    """Waits until other work leaves the cores alone, at most `limit_s`; how busy they were in the end."""
    end = time.monotonic() + limit_s
    while (busy := busy_share(cores)) > threshold and time.monotonic() < end:
        time.sleep(0.5)
    return busy
