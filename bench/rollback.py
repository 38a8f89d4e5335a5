"""How long a bad version lives after the command: `python -m bench.rollback [--count N] [--gateways N] [--json]`.

A whole platform (`tidegate up`, 4 gateway processes) serves a prompt under load. Again and again the newer version is
deployed, seen by all, and rolled back. Measured is the time from the command to the last request that was still sent
off and answered with the version that was rolled back; once with the command as an HTTP call to control, once as the
whole `tidegate release rollback` process.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.platform import Platform, platform
from bench.processes import BenchError, bounded

CONNECTIONS = 24
PAUSE_S = 0.01
SETTLE_S = 3.0
LIMIT_S = 900.0
OLD, NEW = "1.0.0", "1.1.0"


@dataclass
class Seen:
    """What the load saw: of each answered request when it was sent (perf_counter, s) and which version answered."""

    sent: list[tuple[float, str]] = field(default_factory=list)
    errors: int = 0

    def last(self, version: str, since: float) -> float:
        """When the last request that `version` answered was sent off, at the earliest `since`."""
        return max((at for at, by in reversed(self.sent) if by == version and at >= since), default=since)


async def _client(target: Platform, seen: Seen, stop: asyncio.Event) -> None:
    """One connection that asks again and again, a short pause between two requests."""
    body = json.dumps({"model": f"prompt:{target.prompt}", "variables": target.variables}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {target.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    reader, writer = await asyncio.open_connection("127.0.0.1", target.gateway_port)
    with contextlib.closing(writer):
        while not stop.is_set():
            sent_at = time.perf_counter()
            writer.write(request)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            await reader.readexactly(int(_header(answer, "content-length")))
            if " 200 " in answer[:20]:
                seen.sent.append((sent_at, _header(answer, "x-tidegate-version").partition("@")[2]))
            else:
                seen.errors += 1
            await asyncio.sleep(PAUSE_S)


def _header(head: str, name: str) -> str:
    for line in head.split("\r\n"):
        if line.startswith(name + ":"):
            return line.partition(":")[2].strip()
    return ""


async def measure(target: Platform, count: int, by_process: int) -> dict[str, object]:
    """Roll back `count` times by HTTP and `by_process` times by the command line, under load."""
    seen, stop = Seen(), asyncio.Event()
    clients = [asyncio.create_task(_client(target, seen, stop)) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    try:
        async with target.client() as control:
            by_http = [await _one(target, control, seen, by_command=False) for _ in _counted(count)]
            by_command = [await _one(target, control, seen, by_command=True) for _ in _counted(by_process)]
    finally:
        stop.set()
        ended = await asyncio.gather(*clients, return_exceptions=True)
    broken = [error for error in ended if isinstance(error, Exception)]
    if broken:
        raise BenchError(f"{len(broken)} connections broke, the first with {broken[0]!r}")
    return {
        **_percentiles(by_http),
        "cli": _percentiles(by_command),
        "requests": len(seen.sent),
        "requests_per_s": round(len(seen.sent) / (time.perf_counter() - started)),
        "errors": seen.errors,
    }


async def _one(target: Platform, control: httpx.AsyncClient, seen: Seen, *, by_command: bool) -> float:
    """Deploy the newer version, wait until all serve it, roll back; how long it lived on, in ms."""
    await target.deploy(control, NEW)
    await _moved(seen, NEW)
    since = time.perf_counter()
    if by_command:
        await asyncio.to_thread(target.rollback_by_command)
    else:
        await target.rollback(control)
    await _moved(seen, OLD)
    return (seen.last(NEW, since) - since) * 1000


async def _moved(seen: Seen, version: str) -> None:
    """Wait until the load has seen nothing but this version for a moment."""
    limit = time.perf_counter() + SETTLE_S
    while time.perf_counter() < limit:
        await asyncio.sleep(0.05)
        recent = [by for at, by in seen.sent[-500:] if at > time.perf_counter() - 0.1]
        if len(recent) >= CONNECTIONS and set(recent) == {version}:
            return
    raise BenchError(f"version {version} was not served by all within {SETTLE_S:g} s")


def _counted(count: int) -> Iterator[int]:
    for number in range(count):
        yield number
        if (number + 1) % 10 == 0:
            print(f"{number + 1} of {count} rollbacks", file=sys.stderr, flush=True)


def _percentiles(lags_ms: list[float]) -> dict[str, object]:
    if len(lags_ms) < 2:
        return {"n": len(lags_ms), "p50_ms": None, "p99_ms": None, "max_ms": None}
    cuts = statistics.quantiles(lags_ms, n=100, method="inclusive")
    return {
        "n": len(lags_ms),
        "p50_ms": round(cuts[49], 2),
        "p99_ms": round(cuts[98], 2),
        "max_ms": round(max(lags_ms), 2),
    }


@contextlib.contextmanager
def _site(gateways: int) -> Iterator[Platform]:
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
        run = Path(folder)
        with platform(run, gateways) as target:
            yield target


def main() -> int:
    """Run the measurement and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.rollback", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="rollbacks by HTTP (default 100)")
    parser.add_argument("--by-process", type=int, default=10, help="rollbacks by the whole CLI process (default 10)")
    parser.add_argument("--gateways", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        with bounded(LIMIT_S), _site(options.gateways) as target:
            result = asyncio.run(measure(target, options.count, options.by_process))
            result |= {"gateways": options.gateways, "gateways_that_served": target.gateways_that_served()}
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result) if options.json else _text(result))
    return 0


def _text(result: dict[str, object]) -> str:
    return "\n".join(f"{name:>22}  {value}" for name, value in result.items())


if __name__ == "__main__":
    sys.exit(main())
