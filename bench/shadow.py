"""`python -m bench.shadow`: what users feel of 5% of their calls being copied: interleaved runs, without and with."""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.support.gateway_process import gateway_process
from tests.support.scene import ONCE, snapshot_of
from tidegate.live.snapshot import Route, Shadow, Snapshot

__all__ = ["main"]

CAP = 1_000_000_000_000
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "up-model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }
).encode()  # fmt: skip
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
BODY = json.dumps({"model": "gpt", "max_tokens": 16, "messages": [{"role": "user", "content": "Hi"}]}).encode()
ASK = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer sk-test\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
) + BODY


class Upstream:
    """Answers at once, and counts the copies."""

    def __init__(self) -> None:
        self.copies = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                body = await _message(reader)
                self.copies += b"new-model" in body
                writer.write(HEAD + ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """The body of the next message, whose length is told."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return head[:15] + await reader.readexactly(int(length.partition(b":")[2]))


def _world(port: int, share_bp: int, cap_nano_usd: int) -> Snapshot:
    snapshot = snapshot_of(f"http://127.0.0.1:{port}/v1")
    main = snapshot.deployments["main"]
    candidate = msgspec.structs.replace(main, name="candidate", upstream_model="new-model")
    shadow = Shadow(share_bp=share_bp, deployment="candidate", cap_nano_usd_per_day=cap_nano_usd, max_parallel=64)
    return msgspec.structs.replace(
        snapshot,
        deployments={**snapshot.deployments, "candidate": candidate},
        routes={"gpt": Route(alias="gpt", deployment="main", retry=ONCE, shadow=shadow if share_bp else None)},
    )


async def _user(port: int, until_s: float, pace_s: float, waited_ms: list[float]) -> int:
    """Ask at a steady pace over one connection; return how many calls failed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    failed = 0
    while (began_s := time.perf_counter()) < until_s:
        writer.write(ASK)
        answer = await _message(reader)
        waited_ms.append((time.perf_counter() - began_s) * 1000)
        failed += not answer.startswith(b"HTTP/1.1 200")
        await asyncio.sleep(pace_s)
    writer.close()
    return failed


async def _load(port: int, users: int, seconds: float, pace_s: float) -> tuple[list[float], int]:
    await asyncio.gather(*(_user(port, time.perf_counter() + 0.5, pace_s, []) for _ in range(users)))
    waited_ms: list[float] = []
    until_s = time.perf_counter() + seconds
    failed = await asyncio.gather(*(_user(port, until_s, pace_s, waited_ms) for _ in range(users)))
    return waited_ms, sum(failed)


async def measure(options: argparse.Namespace) -> list[dict[str, object]]:
    """One row for each way of running; the runs of each are interleaved, so that what drifts hits all alike."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ways = {"without": (0, CAP), "mirrored": (options.share_bp, CAP), "budget spent": (options.share_bp, 1)}
    found: dict[str, tuple[list[float], list[float], list[int]]] = {way: ([], [], []) for way in ways}
    for _ in range(options.reps):
        for way, (share_bp, cap) in ways.items():
            before = upstream.copies
            with tempfile.TemporaryDirectory(prefix="bench-shadow-") as folder:
                running = gateway_process(Path(folder), "raw", _world(port, share_bp, cap))
                _, gateway_port = await asyncio.to_thread(running.__enter__)
                try:
                    waited_ms, failed = await _load(
                        gateway_port, options.users, options.seconds, options.pace_ms / 1000
                    )
                finally:
                    await asyncio.to_thread(running.__exit__, None, None, None)
            medians, tails, counts = found[way]
            medians.append(statistics.median(waited_ms))
            tails.append(statistics.quantiles(waited_ms, n=100)[98])
            counts[:] = [
                a + b
                for a, b in zip(counts or [0, 0, 0], (len(waited_ms), failed, upstream.copies - before), strict=True)
            ]
    server.close()
    return [_row(way, *found[way]) for way in ways]


def _row(way: str, medians: list[float], tails: list[float], counts: list[int]) -> dict[str, object]:
    """Medians over the runs; `copies` counts those of the warm-up too."""
    calls, failed, copies = counts
    p50, p99 = statistics.median(medians), statistics.median(tails)
    return {
        "way": way,
        "calls": calls,
        "failed": failed,
        "copies": copies,
        "p50_ms": round(p50, 3),
        "p99_ms": round(p99, 3),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.shadow", description=__doc__)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--pace-ms", type=float, default=20.0)
    parser.add_argument("--share-bp", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rows = asyncio.run(measure(options))
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
        for row in rows:
            print("| " + " | ".join(str(value) for value in row.values()) + " |")
    return int(any(row["failed"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
