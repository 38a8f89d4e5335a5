"""Two rollouts on a real model, in minutes instead of hours: `python -m bench.live_rollout [--out FILE] [--json]`.

A whole platform (`tidegate up` with the local model) serves a prompt to simulated users who come without pause. A good
version is rolled out: copies, an approval that is waited for, then 10, 30, 50 and 100% by itself. Then a bad one, which
says three times as much (dear and slow) through a model that fails one call in four, and is rolled back by itself. What
is written to the file is what the product's own commands print.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai

from bench.experiment import DATASET
from bench.platform import PROMPT, served
from bench.processes import BenchError, bounded, free_port
from bench.workspace import Workspace

LIMIT_S = 1500.0
STAGE_LIMIT_S = 600.0
AT_A_TIME = 3
FAILS_EVERY = 4
STABLE, GOOD, BAD = "1.0.0", "1.1.0", "1.2.0"
GOOD_FILE = f"prompts/{PROMPT}/v{GOOD}.yaml"
OVER = ("promoted", "rolled_back", "superseded", "inconclusive", "paused")

PLAN = """\
rollout:
  description: The usual way in minutes instead of hours.
  stages:
    - {kind: shadow, percent: 30, hold: 20s, min_units: 8}
    - {kind: approval, approvers: [reviewer]}
    - {percent: 10, hold: 30s, min_units: 5}
    - {percent: 30, hold: 45s, min_units: 20}
    - {percent: 50, hold: 60s, min_units: 60, max_hold: 10m}
    - {percent: 100}
  gates:
    error_rate: {absolute: 0.10}
    cost_per_query: {ratio: 1.4}
    latency_ms: {ratio: 2.0}
  metrics:
    cost_per_query: {burn_in: 30}
    latency_ms: {burn_in: 30}
  unit: user
  window: 10s
  stale_after: 5m
"""


class Failing:
    """Stands between the gateway and the real model: passes calls on, and answers one in so many with a 500."""

    def __init__(self, port: int, upstream_port: int) -> None:
        self._port = port
        self._upstream = upstream_port
        self._calls = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, call after call."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
                body = await reader.readexactly(length)
                self._calls += 1
                if self._calls % FAILS_EVERY == 0:
                    writer.write(b"HTTP/1.1 500 No\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
                else:
                    writer.write(await self._passed_on(head, body))
                await writer.drain()
        writer.close()

    async def _passed_on(self, head: bytes, body: bytes) -> bytes:
        path = head.partition(b" ")[2].partition(b" ")[0].decode()
        async with httpx.AsyncClient(timeout=120) as client:
            answer = await client.post(
                f"http://127.0.0.1:{self._upstream}{path}",
                content=body,
                headers={"content-type": "application/json"},
            )
        status = f"HTTP/1.1 {answer.status_code} Passed on\r\ncontent-type: application/json\r\n"
        return status.encode() + f"content-length: {len(answer.content)}\r\n\r\n".encode() + answer.content

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """On a loop of its own until leaving."""
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", self._port))
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(server.close)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(5)


class Users:
    """People who come without pause, each with a question of the dataset; an answer that fails is an answer."""

    def __init__(self, base_url: str, key: str, questions: list[dict[str, Any]]) -> None:
        self._client = openai.OpenAI(base_url=base_url, api_key=key, timeout=120.0, max_retries=0)
        self._questions = questions
        self._stop = threading.Event()
        self._turn = threading.Lock()
        self.came = self.failed = 0

    @contextlib.contextmanager
    def coming(self) -> Iterator[None]:
        """Let them come until leaving."""
        threads = [threading.Thread(target=self._visits, daemon=True) for _ in range(AT_A_TIME)]
        for one in threads:
            one.start()
        try:
            yield
        finally:
            self._stop.set()
            for one in threads:
                one.join(130)
            self._client.close()

    def _visits(self) -> None:
        while not self._stop.is_set():
            with self._turn:
                number = self.came
                self.came += 1
            question = self._questions[number % len(self._questions)]
            try:
                self._client.chat.completions.create(
                    model=f"prompt:{PROMPT}",
                    messages=[],
                    user=f"user-{number}",
                    extra_body={"variables": question["variables"]},
                )
            except openai.APIError:
                with self._turn:
                    self.failed += 1


class Log:
    """What was typed and printed, as Markdown and on stderr."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._began = time.monotonic()
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        """A sentence of the story."""
        self.lines += ["", text, ""]
        print(text, file=sys.stderr)

    def run(self, *arguments: str, workspace: Workspace | None = None) -> str:
        """Run a command of the product and keep what it prints."""
        printed = (workspace or self._workspace).run(*arguments)
        at = f"{time.monotonic() - self._began:.0f} s"
        self.lines += ["```console", f"$ tidegate {' '.join(arguments)}    # after {at}", printed.rstrip(), "```"]
        print(f"$ tidegate {' '.join(arguments)}\n{printed}", file=sys.stderr)
        return printed


def measure(run: Path) -> tuple[dict[str, Any], list[str]]:
    """Play both rollouts; return what was seen, and the log."""
    workspace, failing = _workspace(run)
    log = Log(workspace)
    with served(workspace), failing.running():
        log.say(f"{PROMPT} {STABLE} is live, and users come without pause.")
        log.run("release", "deploy", f"{PROMPT}@{STABLE}", "--env", "production")
        reviewer = _reviewer(workspace)
        users = _users(workspace)
        with users.coming():
            time.sleep(20)
            log.say(f"A good version: {GOOD} has an example before the question.")
            good = _rolled_out(log, GOOD, reviewer)
            log.say(f"A bad version: {BAD} says much more, through a model that fails one call in {FAILS_EVERY}.")
            bad = _rolled_out(log, BAD, reviewer)
            log.run("release", "status")
    log.say(f"{users.came} users came, {users.failed} got an error.")
    return {"good": good, "bad": bad, "users": users.came, "failed": users.failed}, log.lines


def _rolled_out(log: Log, version: str, reviewer: Workspace) -> dict[str, Any]:
    """Start a rollout, approve when it waits, and follow it to its end."""
    began = time.monotonic()
    log.run("release", "start", f"{PROMPT}@{version}", "--env", "production", "--plan", "rollout.yaml")
    seen: list[tuple[float, str, str]] = []
    end = time.monotonic() + STAGE_LIMIT_S
    while time.monotonic() < end:
        found = json.loads(reviewer.run("release", "history", PROMPT, "--env", "production", "--json"))
        state, stage = _standing(found)
        if not seen or seen[-1][1:] != (state, stage):
            seen.append((round(time.monotonic() - began, 1), state, stage))
            print(f"  {seen[-1]}", file=sys.stderr)
            if state == "awaiting_approval":
                log.say("It waits for a person, who looks and says yes.")
                log.run("release", "status")
                log.run("release", "approve", PROMPT, "--env", "production", "--note", "read, fine", "--yes",
                        workspace=reviewer)  # fmt: skip
        if state in OVER:
            break
        time.sleep(1.0)
    log.run("release", "why", PROMPT, "--env", "production")
    log.run("release", "history", PROMPT, "--env", "production")
    return {"state": seen[-1][1], "after_s": seen[-1][0], "way": seen}


def _standing(history: Any) -> tuple[str, str]:
    """The state and the stage of the newest rollout."""
    newest = history["rollouts"][0] if isinstance(history, dict) else history[0]
    rollout = newest.get("rollout", newest)
    stages = rollout["plan"]["stages"]
    return rollout["state"], stages[min(rollout["stage"], len(stages) - 1)]["name"]


def _workspace(run: Path) -> tuple[Workspace, Failing]:
    folder = run / "shop"
    folder.mkdir()
    ports = {f"TIDEGATE_{name}_PORT": str(free_port()) for name in ("CONTROL", "GATEWAY", "MODEL")}
    workspace = Workspace(folder, ports)
    workspace.run("init", ".")
    config, model_port, failing_port = folder / "tidegate.yaml", ports["TIDEGATE_MODEL_PORT"], free_port()
    text = config.read_text(encoding="utf-8").replace("127.0.0.1:8082/v1", f"127.0.0.1:{model_port}/v1")
    model = text.partition("    model: ")[2].partition(" ")[0].strip()
    price = text.partition("    price:")[2].partition("    timeouts:")[0]
    price = f"    price:{price}"
    failing = (
        f"  failing:\n    provider: openai\n    base_url: http://127.0.0.1:{failing_port}/v1\n"
        f"    model: {model}\n{price}"
    )
    text = text.replace("\nmodels:\n", f"\nmodels:\n{failing}")
    config.write_text(text, encoding="utf-8")
    good = (folder / GOOD_FILE).read_text(encoding="utf-8")
    bad = good.replace(f"version: {GOOD}", f"version: {BAD}").replace("model_id: chat", "model_id: failing")
    bad = bad.replace("in one short sentence. Begin with: Thank you for asking!", "at length, in six long sentences.")
    bad = bad.replace("max_tokens: 48", "max_tokens: 144")
    (folder / GOOD_FILE.replace(GOOD, BAD)).write_text(bad, encoding="utf-8")
    (folder / "rollout.yaml").write_text(PLAN, encoding="utf-8")
    _committed(folder)
    return workspace, Failing(failing_port, int(model_port))


def _committed(folder: Path) -> None:
    eva = ["-c", "user.name=eva", "-c", "user.email=eva@example.org"]
    for arguments in (["add", "-A"], [*eva, "commit", "-qm", "A longer answer"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def _reviewer(workspace: Workspace) -> Workspace:
    """The workspace as a reviewer sees it."""
    token = json.loads(workspace.run("users", "create", "rita", "--role", "reviewer", "--json"))["token"]
    return Workspace(workspace.folder, {**workspace.env, "TIDEGATE_TOKEN": token})


def _users(workspace: Workspace) -> Users:
    lines = (workspace.folder / DATASET).read_text(encoding="utf-8").splitlines()
    base_url = f"http://127.0.0.1:{workspace.env['TIDEGATE_GATEWAY_PORT']}/v1"
    return Users(base_url, workspace.create_key("users"), [json.loads(line) for line in lines])


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, help="write the log into this file, as Markdown")
    parser.add_argument("--json", action="store_true", help="print what was seen as JSON")
    options = parser.parse_args()
    try:
        with bounded(LIMIT_S), tempfile.TemporaryDirectory(prefix="tidegate-rollout-") as run:
            found, lines = measure(Path(run))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.out is not None:
        options.out.write_text("\n".join(lines).strip() + "\n", encoding="utf-8")
    ends = found["good"]["state"], found["bad"]["state"]
    print(json.dumps(found, indent=2) if options.json else f"good: {ends[0]}, bad: {ends[1]}")
    return 0 if ends == ("promoted", "rolled_back") else 1


if __name__ == "__main__":
    sys.exit(main())
