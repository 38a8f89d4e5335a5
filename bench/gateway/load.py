"""Sends load: wrk for rates, a plain socket for the time to the first event. Both speak to one Endpoint."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.gateway import canned
from bench.processes import BenchError

HERE = Path(__file__).parent
PATH = "/v1/chat/completions"
ANSWER_S = 20.0  # how long one call may take


@dataclass(frozen=True)
class Endpoint:
    """Where a target listens on loopback, and what a caller must send it."""

    port: int
    key: str = "sk-bench"
    model: str = canned.MODEL
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = PATH

    def all_headers(self) -> dict[str, str]:
        common = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        return {**common, **self.headers}


@dataclass(frozen=True)
class Window:
    """What wrk saw in one stretch of load. `refused` are answers other than 2xx, `broken` socket errors."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int
    broken: int

    @property
    def per_s(self) -> float:
        return self.requests / self.seconds

    @property
    def errors(self) -> int:
        return self.refused + self.broken


@dataclass(frozen=True)
class Traffic:
    """The calls that wrk makes: how many at once, for how long, streamed or not."""

    connections: int
    seconds: float
    stream: bool = False
    pace_ms: int = 0


def drive(endpoint: Endpoint, traffic: Traffic, run: Path) -> Window:
    """One run of wrk, on the core of this process."""
    body, headers = run / "wrk-body", run / "wrk-headers"
    body.write_bytes(canned.request(endpoint.model, stream=traffic.stream, pace_ms=traffic.pace_ms))
    headers.write_text("".join(f"{name}: {value}\n" for name, value in endpoint.all_headers().items()))
    seconds = max(1, round(traffic.seconds))
    argv = ["wrk", "-t1", f"-c{traffic.connections}", f"-d{seconds}s", "--timeout", f"{ANSWER_S:.0f}s"]
    argv += ["-s", str(HERE / "load.lua"), f"http://127.0.0.1:{endpoint.port}{endpoint.path}"]
    limit_s = seconds + 2 * ANSWER_S
    env = {**os.environ, "BENCH_BODY": str(body), "BENCH_HEADERS": str(headers)}
    try:
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=limit_s)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"wrk did not end within {limit_s:.0f} s") from error
    line = re.search(r"^WRK (\{.*\})$", done.stdout, re.MULTILINE)
    if line is None:
        raise BenchError(f"wrk gave no result: {(done.stderr or done.stdout)[-300:]}")
    return Window(**json.loads(line.group(1)))


@dataclass(frozen=True)
class Answer:
    """One reply, read to its end. `first_event_s` is None when it carried no event."""

    status: int
    body: bytes
    first_event_s: float | None


def ask(endpoint: Endpoint, *, stream: bool = False, pace_ms: int = 0) -> Answer:
    """One call on a connection of its own; the clock starts when the request is sent."""
    body = canned.request(endpoint.model, stream=stream, pace_ms=pace_ms)
    lines = [f"POST {endpoint.path} HTTP/1.1", f"Host: 127.0.0.1:{endpoint.port}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in endpoint.all_headers().items()]
    message = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=ANSWER_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent_at = time.perf_counter()
        connection.sendall(message)
        return _read(connection, sent_at)


def _read(connection: socket.socket, sent_at: float) -> Answer:
    received, first = b"", None
    while part := connection.recv(65536):
        received += part
        head, complete, body = received.partition(b"\r\n\r\n")
        if not complete:
            continue
        if first is None and b"data: " in body:
            first = time.perf_counter() - sent_at
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if length is not None and len(body) >= int(length.group(1)):
            break
        if length is None and body.endswith(b"0\r\n\r\n"):
            break
    head, _, body = received.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.\d (\d{3})", head)
    if status is None:
        raise BenchError(f"no HTTP answer: {received[:120]!r}")
    return Answer(int(status.group(1)), body, first)


def require_tools() -> None:
    """Refuses to start without nginx, its Lua module and wrk."""
    lacking = [name for name in ("nginx", "wrk") if shutil.which(name) is None]
    if "nginx" not in lacking and not (modules_folder() / "ngx_http_lua_module.so").exists():
        lacking.append("the Lua module of nginx")
    if lacking:
        raise BenchError(
            f"not installed: {', '.join(lacking)}; on Debian or Ubuntu:"
            " sudo apt-get install -y nginx-light libnginx-mod-http-lua wrk"
        )


def modules_folder() -> Path:
    """Where this nginx keeps its loadable modules."""
    found = re.search(r"--modules-path=(\S+)", _nginx_facts())
    return Path(found.group(1)) if found else Path("modules")


def tool_versions() -> dict[str, str]:
    """The versions of nginx and wrk."""
    nginx = re.search(r"nginx/(\S+)", _nginx_facts())
    usage = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False, timeout=10)
    wrk = re.search(r"wrk (\S+)", usage.stdout + usage.stderr)
    return {"nginx": nginx.group(1) if nginx else "unknown", "wrk": wrk.group(1) if wrk else "unknown"}


def _nginx_facts() -> str:
    return subprocess.run(["nginx", "-V"], capture_output=True, text=True, check=False, timeout=10).stderr
