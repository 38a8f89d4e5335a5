"""The whole platform as a user starts it: a workspace, `tidegate up` on ports of the kernel's choice, a key."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from tests.support.processes import Started, eventually, started
from tidegate.app.supervisor.claim import SupervisorState, read_state
from tidegate.app.workspace.create import create_workspace
from tidegate.app.workspace.options import InitOptions
from tidegate.settings import Settings, read_keys

__all__ = ["PROMPT", "Running", "clean_environ", "make_workspace", "running", "tidegate"]

PROMPT = "support-answer"
VARIABLES = {"facts": "A repair costs 40 euros.", "question": "What does a repair cost?"}
BODY = {"model": f"prompt:{PROMPT}", "messages": [], "variables": VARIABLES}


def clean_environ(**more: str) -> dict[str, str]:
    """This process's environment without what would steer Tidegate."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")} | more


def tidegate(*words: str) -> list[str]:
    """The command line of `tidegate ...`."""
    return [sys.executable, "-m", "tidegate", *words]


def make_workspace(folder: Path, model_url: str, model_name: str) -> Path:
    """A new workspace whose model is the one at `model_url`."""
    create_workspace(folder, InitOptions(model_url=model_url, model_name=model_name), {})
    return folder


class Running:
    """A platform that is ready."""

    def __init__(self, up: Started, settings: Settings) -> None:
        self.up = up
        self.settings = settings
        self.ready_line = up.saw("ready in")
        state = self.state()
        self.gateway = f"http://127.0.0.1:{state.ports['gateway']}"
        self.control = f"http://127.0.0.1:{state.ports['control']}"
        self.api = self._client(f"{self.control}/api/v1", read_keys(settings, {}).admin_token)

    def state(self) -> SupervisorState:
        """The supervisor's state file."""
        state = read_state(self.settings.run_dir)
        assert state is not None
        return state

    def pid_of(self, name: str) -> int:
        """The process's id; waits until it has one."""
        eventually(lambda: self._pid(name), what=f"{name} does not run")
        pid = self._pid(name)
        assert pid is not None
        return pid

    def state_of(self, name: str) -> str:
        """What the state file says of a process."""
        return next(one.state for one in self.state().processes if one.name == name)

    def new_key(self, name: str = "app") -> str:
        """A key's secret."""
        answer = self.api.post("/keys", json={"name": name, "environment": "production"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["secret"])

    def deploy(self, version: str) -> None:
        """Make a version live in production, at once although it is protected."""
        order: dict[str, object] = {"prompt": PROMPT, "version": version, "environment": "production"}
        order |= {"emergency": True, "reason": "a test"}
        answer = self.api.post("/releases", json=order)
        assert answer.status_code == 201, answer.text

    def client(self, key: str) -> httpx.Client:
        """An application's client."""
        return self._client(f"{self.gateway}/v1", key)

    def calls(self) -> list[dict[str, object]]:
        """The call log, oldest first."""
        page = self.api.get("/calls", params={"limit": 100}).json()
        return sorted(page["calls"], key=lambda call: call["started_at_ms"])

    @staticmethod
    def _client(base_url: str, secret: str) -> httpx.Client:
        headers = {"authorization": f"Bearer {secret}"}
        return httpx.Client(base_url=base_url, headers=headers, trust_env=False, timeout=20.0)

    def _pid(self, name: str) -> int | None:
        return next((one.pid for one in self.state().processes if one.name == name), None)


@contextmanager
def running(workspace: Path, *options: str, environ: Mapping[str, str] | None = None) -> Iterator[Running]:
    """`tidegate up`, ready; stopped on leaving."""
    ports = {"TIDEGATE_CONTROL_PORT": "0", "TIDEGATE_GATEWAY_PORT": "0"}
    with started(tidegate("up", *options), cwd=workspace, environ=clean_environ(**ports, **(environ or {}))) as up:
        platform = Running(up, Settings(workspace=workspace.resolve()))
        try:
            yield platform
        finally:
            platform.api.close()


def events(response: httpx.Response) -> Iterator[dict[str, object]]:
    """The JSON events of a stream; the last one is `[DONE]` and is left out."""
    for line in response.iter_lines():
        if line.startswith("data: ") and line != "data: [DONE]":
            yield json.loads(line.removeprefix("data: "))


def body(*, stream: bool = False) -> bytes:
    """A request for the prompt."""
    return msgspec.json.encode({**BODY, "stream": stream})
