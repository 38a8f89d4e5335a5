"""kill -9 in the middle of a run, again and again, and how many answers were paid for in the end."""

import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from bench.evals.runs import environment
from bench.processes import BenchError

CONFIG = """apiVersion: tidegate/v1
models:
  up: {{provider: openai, base_url: "http://127.0.0.1:{port}/v1", model: up, api_key_env: null,
       price: {{input_usd_per_1m_tokens: 1, output_usd_per_1m_tokens: 2}}}}
routes:
  chat: {{model: up}}
environments:
  production: {{}}
"""
PROMPT = """apiVersion: prompts/v1
name: question
version: 1.0.0
model: {model_id: chat, temperature: 0.0, max_tokens: 16}
messages:
  - {role: user, content: "{{ question }}"}
params:
  type: object
  required: [question]
  properties:
    question: {type: string}
"""
PATIENCE_S = 60.0


class Counted:
    """An upstream that counts the answers that it was asked for, by question."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.changed = threading.Condition()

    def count(self, question: str) -> None:
        with self.changed:
            self.asked[question] += 1
            self.changed.notify_all()

    def wait(self, total: int) -> None:
        with self.changed:
            if not self.changed.wait_for(lambda: self.asked.total() >= total, PATIENCE_S):
                raise BenchError(f"the upstream saw {self.asked.total()} requests, and {total} were waited for")


@contextmanager
def upstream(delay_s: float) -> Iterator[tuple[int, Counted]]:
    """A server on loopback with OpenAI's wire format; yields its port."""
    counted, sleep = Counted(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = msgspec.json.decode(self.rfile.read(int(self.headers["content-length"])))
            question = asked["messages"][-1]["content"]
            counted.count(question)
            sleep.wait(delay_s)
            message = {"role": "assistant", "content": question[:40]}
            body = msgspec.json.encode(
                {
                    "object": "chat.completion",
                    "model": "up",
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
                }
            )
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that was killed is none."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1]), counted
    finally:
        server.shutdown()
        server.server_close()


def workspace(folder: Path, port: int) -> Path:
    """A workspace with one prompt on that upstream."""
    (folder / "prompts" / "question").mkdir(parents=True)
    (folder / "prompts" / "question" / "v1.0.0.yaml").write_text(PROMPT)
    (folder / "tidegate.yaml").write_text(CONFIG.format(port=port))
    return folder


def killed(folder: Path, data: Path, *, cases: int, concurrency: int, kills: int, seed: int) -> dict[str, Any]:
    """Kill a run `kills` times at drawn moments and let it end; returns what was paid for."""
    draw = random.Random(seed)
    moments = sorted(draw.sample(range(1, cases - concurrency), kills))
    words = [
        sys.executable,
        "-m",
        "tidegate",
        "eval",
        "run",
        "question",
        "--dataset",
        str(data),
        "--scorer",
        "contains",
    ]
    words += ["--concurrency", str(concurrency)]
    with upstream(0.002) as (port, counted):
        root = workspace(folder, port)
        for number, moment in enumerate(moments):
            resume = ["--resume"] if number else []
            quiet = subprocess.DEVNULL
            with subprocess.Popen([*words, *resume], cwd=root, env=environment(), stdout=quiet, stderr=quiet) as child:
                try:
                    counted.wait(moment)
                finally:
                    child.send_signal(signal.SIGKILL)
        done = subprocess.run(
            [*words, "--resume", "--json"], cwd=root, env=environment(), capture_output=True, check=False, timeout=300
        )
        if done.returncode:
            raise BenchError(f"the run did not end well: {done.stderr.decode()[-400:]}")
        state = msgspec.json.decode(done.stdout)
        results = Path(state["folder"], "results.jsonl").read_bytes().splitlines()
    outcomes = [msgspec.json.decode(line) for line in results]
    return {
        "seed": seed,
        "cases": cases,
        "concurrency": concurrency,
        "kills": kills,
        "calls_paid": counted.asked.total(),
        "asked_twice": sum(count > 1 for count in counted.asked.values()),
        "most_allowed": cases + kills * concurrency,
        "cases_with_one_outcome": sum(count == 1 for count in Counter(one["case_id"] for one in outcomes).values()),
        "passed": sum(bool(one["passed"]) for one in outcomes),
        "state": state["manifest"]["state"],
    }
