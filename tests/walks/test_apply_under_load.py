"""`tidegate apply` while calls are under way: models, limits and pages change, and no call fails."""

import subprocess
import threading
from collections import Counter
from pathlib import Path

import httpx

from tests.support.platforms import Running, clean_environ, events, make_workspace, running, tidegate
from tests.support.processes import eventually
from tests.support.scripted_model import ScriptedModel, scripted_model

ASKED = {"model": "chat", "messages": [{"role": "user", "content": "What does a repair cost?"}]}
ASKING = 4
TURNS = 4


def config(model: ScriptedModel, turn: int) -> str:
    """The same alias, each time at another model, by another way, under other limits."""
    return f"""\
apiVersion: tidegate/v1
models:
  m{turn}: {{provider: openai, base_url: "{model.url}", model: {model.name}}}
routes:
  chat: {{model: m{turn}}}
limits:
  - {{name: calls-{turn}, each: [key], requests: 1000000, per: minute}}
policies:
  max_body_bytes: {100_000 + turn}
  cors_origins: ["https://page{turn}.example"]
server:
  gateways: 2
"""


class Askers:
    """Applications that ask without a pause, streamed and whole in turn, each on a connection that it keeps."""

    def __init__(self, platform: Running, key: str) -> None:
        self.faults: list[str] = []
        self.served: Counter[str] = Counter()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(platform, key)) for _ in range(ASKING)]

    def __enter__(self) -> "Askers":
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._threads:
            one.join()

    def _ask(self, platform: Running, key: str) -> None:
        with platform.client(key) as app:
            streamed = False
            while not self._over.is_set():
                streamed = not streamed
                try:
                    fault = self._one(app, streamed=streamed)
                except httpx.HTTPError as error:
                    fault = repr(error)
                if fault:
                    self.faults.append(fault)
                self.served["streamed" if streamed else "whole"] += 1

    @staticmethod
    def _one(app: httpx.Client, *, streamed: bool) -> str:
        """What was wrong with one call."""
        if not streamed:
            answer = app.post("/chat/completions", json=ASKED)
            return "" if answer.status_code == httpx.codes.OK else answer.text
        with app.stream("POST", "/chat/completions", json={**ASKED, "stream": True}) as answer:
            if answer.status_code != httpx.codes.OK:
                return answer.read().decode()
            lines = [one for one in events(answer) if "error" in one or not one["choices"]]
        return str(lines) if any("error" in one for one in lines) else ""


def test_no_call_fails_while_one_configuration_after_another_is_applied(tmp_path: Path) -> None:
    with scripted_model() as one, scripted_model() as other:
        models = (one, other)
        workspace = make_workspace(tmp_path / "shop", one.url, one.name)
        file = workspace / "tidegate.yaml"
        file.write_text(config(one, 0))
        with running(workspace) as platform:
            key = platform.new_key()
            with platform.client(key) as app:
                eventually(lambda: {_status(app) for _ in range(8)} == {httpx.codes.OK}, what="the key is not known")
            with Askers(platform, key) as askers:
                for turn in range(1, TURNS + 1):
                    file.write_text(config(models[turn % 2], turn))
                    seen = len(models[turn % 2].asked)
                    _apply(platform, workspace)
                    _asked_more(models[turn % 2], seen)
            assert askers.faults == []
            assert min(askers.served["whole"], askers.served["streamed"]) > TURNS
            eventually(lambda: _called(platform) >= {f"m{turn}" for turn in range(TURNS + 1)})


def _status(app: httpx.Client) -> int:
    return app.post("/chat/completions", json=ASKED).status_code


def _asked_more(model: ScriptedModel, seen: int) -> None:
    """Wait until calls go to the model again."""
    eventually(lambda: len(model.asked) > seen + ASKING, what="nobody asks the model that was applied")


def _called(platform: Running) -> set[object]:
    page = platform.api.get("/calls", params={"limit": 1000}).json()
    assert {call["status"] for call in page["calls"]} <= {200}
    return {call["deployment"] for call in page["calls"]}


def _apply(platform: Running, workspace: Path) -> None:
    """As an operator does it."""
    port = str(httpx.URL(platform.control).port)
    done = subprocess.run(
        tidegate("apply"), cwd=workspace, env=clean_environ(TIDEGATE_CONTROL_PORT=port), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "over control at http" in done.stdout
