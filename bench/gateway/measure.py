"""One sample of one target, and many samples interleaved."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bench.gateway.canned import EVENTS
from bench.gateway.load import Endpoint, Traffic, Window, ask, drive
from bench.gateway.targets import Site, Start, Target, answer_of, is_true
from bench.processes import (
    BenchError,
    Stopped,
    core_used_s,
    cpu_s,
    free_port,
    peak_rss_mb,
    running,
    until,
    wait_quiet,
)

PACE_MS = 2  # between two events of the streams whose CPU is counted
MERGED = 7  # a gateway may join or drop this many events of a stream, not more


@dataclass(frozen=True)
class Windows:
    """How long one sample looks."""

    warm_s: float
    calls_s: float
    streams_s: float
    first_events: int  # streams whose first event is timed
    quiet_s: float  # how long to wait for other work to leave the cores

    def whole_s(self, least_s: float) -> float:
        """An upper bound of one sample's length, the start of the target included."""
        long = sum(max(window, least_s) for window in (self.warm_s, self.calls_s, self.streams_s))
        return 240 + self.quiet_s + long + self.first_events


FULL = Windows(warm_s=3, calls_s=5, streams_s=5, first_events=40, quiet_s=20)
QUICK = Windows(warm_s=1, calls_s=2, streams_s=2, first_events=15, quiet_s=2)


@dataclass
class Sample:
    """The figures of one run of one target; None where it has none."""

    busy_before: float
    rps_c32: float | None = None
    cpu_us_per_request: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_us_per_stream: float | None = None
    ttfb_ms: float | None = None
    rss_mb: float | None = None
    others: float = 0.0  # the share of the gateway's core that other work took, at its worst
    answered: int = 0
    errors: int = 0
    proof: str | None = None
    failures: list[str] = field(default_factory=list)


def sample(target: Target, site: Site, windows: Windows) -> Sample:
    """Starts the target, measures it and ends it. A failure is kept with the figures that came before it."""
    taken = Sample(busy_before=round(wait_quiet(site.cores, windows.quiet_s), 3))
    try:
        start = target.prepare(site, free_port())
        if start.command is None:
            _observe(taken, start, None, site, windows)
            return taken
        with running(start.command, site.cores.measured) as process:

            def ready() -> bool:
                nonlocal start
                start = start.located()
                if process.poll() is not None:
                    raise BenchError(f"it ended with {process.returncode}: {_tail(start)}")
                return is_true(answer_of(start.endpoint))

            if not until(ready, start.ready_s, every_s=0.2):
                raise BenchError(f"not ready after {start.ready_s:.0f} s: {_tail(start)}")
            _observe(taken, start, process.pid, site, windows)
        if start.proof is not None:
            taken.proof = start.proof(taken.answered)
    except (BenchError, OSError) as error:
        taken.failures.append(" ".join(f"{type(error).__name__}: {error}".split()))
    return taken


def _tail(start: Start) -> str:
    return start.command.log.read_text(errors="replace")[-300:].strip() if start.command else ""


@dataclass(frozen=True)
class Measured:
    """A window of load, the CPU that the target used in it, and how much of its core other work took."""

    window: Window
    cpu_s: float
    others: float

    @property
    def cpu_us(self) -> float:
        """For each request that ended in the window."""
        return self.cpu_s * 1e6 / self.window.requests


def measured(endpoint: Endpoint, pid: int, traffic: Traffic, site: Site) -> Measured:
    """Drives the load and reads the target's CPU clock, and its core's, around it."""
    core = site.cores.measured
    before, core_before = cpu_s(pid), core_used_s(core)
    window = drive(endpoint, traffic, site.run)
    used, core_used = cpu_s(pid) - before, core_used_s(core) - core_before
    if not window.requests:
        raise BenchError(f"no call ended within {window.seconds:.0f} s")
    return Measured(window, used, max(0.0, core_used - used) / window.seconds)


def _observe(taken: Sample, start: Start, pid: int | None, site: Site, windows: Windows) -> None:
    endpoint, least = start.endpoint, start.least_window_s
    taken.answered = drive(endpoint, Traffic(32, max(windows.warm_s, start.warm_s)), site.run).requests
    calls = _loaded(taken, start, pid, Traffic(32, max(windows.calls_s, least)), site)
    taken.rps_c32, taken.p50_ms, taken.p99_ms = calls.window.per_s, calls.window.p50_ms, calls.window.p99_ms
    if pid is not None:
        taken.cpu_us_per_request, taken.rss_mb = calls.cpu_us, peak_rss_mb(pid)
    require_stream(endpoint)
    paced = Traffic(16, max(windows.streams_s, least), stream=True, pace_ms=PACE_MS)
    drive(endpoint, replace(paced, seconds=1), site.run)
    streams = _loaded(taken, start, pid, paced, site)
    taken.ttfb_ms = _first_event_ms(endpoint, windows.first_events)
    if pid is not None:
        taken.cpu_us_per_stream, taken.rss_mb = streams.cpu_us, peak_rss_mb(pid)


def _loaded(taken: Sample, start: Start, pid: int | None, traffic: Traffic, site: Site) -> Measured:
    if pid is None:
        seen = Measured(drive(start.endpoint, traffic, site.run), 0.0, 0.0)
    else:
        seen = measured(start.endpoint, pid, traffic, site)
    taken.answered += seen.window.requests
    taken.errors += seen.window.errors
    taken.others = max(taken.others, round(seen.others, 3))
    return seen


def require_stream(endpoint: Endpoint) -> None:
    """Refuses a target whose stream is not the upstream's: its events, and the time between them."""
    began_s = time.perf_counter()
    answer = ask(endpoint, stream=True, pace_ms=PACE_MS)
    took_ms = (time.perf_counter() - began_s) * 1e3
    events = answer.body.count(b"data: ")
    if answer.status != 200 or events < EVENTS - MERGED or b"[DONE]" not in answer.body:
        raise BenchError(f"bad stream: status {answer.status}, {events} events, ends in {answer.body[-120:]!r}")
    if took_ms < (EVENTS - 1) * PACE_MS:
        raise BenchError(f"its stream took {took_ms:.0f} ms: the upstream was not told to wait between two events")


def _first_event_ms(endpoint: Endpoint, streams: int) -> float:
    """The median time from a request to its first event, one stream at a time."""
    times = [ask(endpoint, stream=True, pace_ms=1).first_event_s for _ in range(streams)]
    seen = [seconds for seconds in times if seconds is not None]
    if len(seen) < streams:
        raise BenchError(f"{streams - len(seen)} of {streams} streams had no event")
    return statistics.median(seen) * 1e3


def interleaved(
    targets: Sequence[Target], repetitions: int, take: Callable[[Target], Sample], tell: Callable[[str], None]
) -> dict[str, list[Sample]]:
    """Samples of every target, each repetition beginning with another one, so that drift hits all alike."""
    samples: dict[str, list[Sample]] = {target.name: [] for target in targets}
    for repetition in range(repetitions):
        first = repetition * len(targets) // repetitions
        for target in [*targets[first:], *targets[:first]]:
            tell(f"[{repetition + 1}/{repetitions}] {target.name} ...")
            try:
                taken = take(target)
            except Stopped as why:
                tell(str(why))
                return _cut_short(samples, target.name, str(why))
            samples[target.name].append(taken)
            tell(f"[{repetition + 1}/{repetitions}] {target.name}: {_line(taken)}")
    return samples


def _cut_short(samples: dict[str, list[Sample]], at: str, why: str) -> dict[str, list[Sample]]:
    """What was taken before the run was stopped; the target at hand, and those without a sample, say so."""
    for name, taken in samples.items():
        if name == at or not taken:
            taken.append(Sample(busy_before=0.0, failures=[why]))
    return samples


def _line(taken: Sample) -> str:
    if taken.rps_c32 is None:
        return "; ".join(taken.failures)
    cpu = "" if taken.cpu_us_per_request is None else f", {taken.cpu_us_per_request:,.0f} us CPU a request"
    failed = "".join(f"; FAILED {failure}" for failure in taken.failures)
    return f"{taken.rps_c32:,.0f} requests/s{cpu}, cores {taken.busy_before:.0%} busy before{failed}"
