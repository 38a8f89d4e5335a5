"""A whole platform under measurement: `tidegate up` on a temporary workspace before the canned upstream."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.gateway.targets import upstream
from bench.processes import BenchError, free_port, running, two_cores, until
from bench.workspace import Workspace

PROMPT = "support-answer"
VARIABLES = {"question": "When do you open?", "facts": "Open from 9 to 5."}
READY_S = 60.0


@dataclass(frozen=True)
class Platform:
    """What runs, and the verbs that a measurement needs of it."""

    workspace: Workspace
    gateway_port: int
    control_url: str
    key: str
    token: str
    prompt: str = PROMPT
    variables: dict[str, str] = field(default_factory=lambda: dict(VARIABLES))

    def client(self) -> httpx.AsyncClient:
        """A client of the control API, with the admin's token."""
        return httpx.AsyncClient(
            base_url=f"{self.control_url}/api/v1/", headers={"Authorization": f"Bearer {self.token}"}, timeout=30
        )

    async def deploy(self, control: httpx.AsyncClient, version: str) -> None:
        """Make a version live in production."""
        body: dict[str, object] = {"prompt": self.prompt, "version": version, "environment": "production"}
        body |= {"emergency": True, "reason": "a bench"}  # production is protected
        _checked(await control.post("releases", json=body))

    async def rollback(self, control: httpx.AsyncClient) -> None:
        """Go back, as one HTTP call."""
        _checked(await control.post(f"releases/production/{self.prompt}/rollback", json={}))

    def rollback_by_command(self) -> None:
        """Go back, as a user types it: a whole process."""
        self.workspace.run("release", "rollback", self.prompt, "--env", "production")

    def gateways_that_served(self) -> int:
        """How many gateway processes have left call records."""
        file = self.workspace.folder / ".tidegate" / "calls.db"
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            (count,) = connection.execute(
                "SELECT count(*) FROM (SELECT gateway_id FROM calls UNION SELECT gateway_id FROM call_batches)"
            ).fetchone()
        return int(count)


@contextlib.contextmanager
def platform(run: Path, gateways: int) -> Iterator[Platform]:
    """Start everything, deploy the prompt's first version, and end everything on leaving."""
    cores, upstream_port = two_cores(), free_port()
    with upstream(cores, upstream_port, run):
        workspace = _workspace(run, f"http://127.0.0.1:{upstream_port}/v1")
        with served(workspace, "--gateways", str(gateways)) as control_url:
            key = workspace.create_key("bench")
            workspace.run("release", "deploy", f"{PROMPT}@1.0.0", "--env", "production")
            yield Platform(workspace, int(workspace.env["TIDEGATE_GATEWAY_PORT"]), control_url, key, _token(workspace))


@contextlib.contextmanager
def served(workspace: Workspace, *options: str) -> Iterator[str]:
    """`tidegate up` on both cores, as on a small machine, until leaving; yields control's URL once it is ready."""
    cores = two_cores()
    command = workspace.process("up", *options)
    with running(command, cores.measured) as supervisor:
        os.sched_setaffinity(supervisor.pid, {cores.measured, cores.load})
        control_url = f"http://127.0.0.1:{workspace.env['TIDEGATE_CONTROL_PORT']}"
        if not until(lambda: _ready(control_url), READY_S) or supervisor.poll() is not None:
            raise BenchError(f"`tidegate up` is not ready: {command.log.read_text()[-400:]}")
        yield control_url


def _workspace(run: Path, upstream_url: str) -> Workspace:
    folder = run / "workspace"
    folder.mkdir()
    env = {"TIDEGATE_CONTROL_PORT": str(free_port()), "TIDEGATE_GATEWAY_PORT": str(free_port())}
    workspace = Workspace(folder, env)
    workspace.run("init", ".", "--model", upstream_url, "--model-name", "gpt-4o-mini")
    return workspace


def _ready(control_url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{control_url}/readyz").status_code == httpx.codes.OK
    return False


def _token(workspace: Workspace) -> str:
    lines = (workspace.folder / ".tidegate" / "keys.env").read_text().splitlines()
    return next(line.partition("=")[2].strip() for line in lines if line.startswith("admin_token="))


def _checked(answer: httpx.Response) -> None:
    if not answer.is_success:
        raise BenchError(f"{answer.request.url} answered {answer.status_code}: {answer.text[:300]}")
