"""The platform under `tidegate up`: processes killed, drained, refused, as an operator would see it."""

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.support.platforms import (
    Running,
    body,
    clean_environ,
    events,
    make_workspace,
    running,
    tidegate,
)
from tests.support.processes import eventually, is_alive, started
from tests.support.scripted_model import ScriptedModel, scripted_model
from tidegate.adapters.sqlite.batches import unpack_batches
from tidegate.app.policies_local import apply_locally
from tidegate.settings import Settings


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    with scripted_model() as served:
        yield served


@pytest.fixture
def workspace(tmp_path: Path, model: ScriptedModel) -> Path:
    return make_workspace(tmp_path / "shop", model.url, model.name)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, model: ScriptedModel) -> Iterator[Running]:
    """One platform with two gateways, for the tests that leave it running."""
    workspace = make_workspace(tmp_path_factory.mktemp("shared") / "shop", model.url, model.name)
    with running(workspace, "--gateways", "2") as shared:
        yield shared


@pytest.fixture(scope="module")
def key(platform: Running) -> str:
    return _served(platform)


def test_kill_9_of_control_leaves_the_gateways_serving_and_control_comes_back(
    platform: Running, key: str, model: ScriptedModel
):
    with platform.client(key) as app:
        model.hold()
        with app.stream("POST", "/chat/completions", content=body(stream=True)) as slow:
            stream = events(slow)
            next(stream)
            control = platform.pid_of("control")
            os.kill(control, signal.SIGKILL)
            eventually(lambda: not is_alive(control))
            answer = app.post("/chat/completions", content=body())
            assert answer.status_code == 200, "new calls are answered while control is away"
            model.go_on()
            text = "".join(_content(event) for event in stream)
        assert text.endswith("repair costs 40 euros.")
        eventually(lambda: _status(platform.control, "/readyz") == 200)
        assert platform.pid_of("control") != control
        platform.deploy("1.1.0")
        eventually(lambda: _version(app) == "support-answer@1.1.0")


def test_kill_9_of_one_gateway_leaves_the_other_serving_and_it_comes_back(platform: Running, key: str):
    first, second = platform.pid_of("gateway-1"), platform.pid_of("gateway-2")
    _requests_survive(platform, key)
    begun = time.monotonic()
    os.kill(first, signal.SIGKILL)
    eventually(lambda: not is_alive(first))
    _requests_survive(platform, key)
    platform.up.saw("gateway-1 was ended by SIGKILL: it is started again now")
    eventually(lambda: sum("gateway-1" in line and "serves on" in line for line in platform.up.lines) == 2)
    back_s = time.monotonic() - begun
    assert platform.pid_of("gateway-1") != first
    assert platform.pid_of("gateway-2") == second
    assert back_s < 5.0, "well under a second on a quiet machine; this one may be busy"


def test_a_second_start_on_the_same_workspace_is_refused(platform: Running):
    workspace = platform.settings.workspace
    with started(tidegate("up", "--port", "0"), cwd=workspace, environ=clean_environ()) as second:
        assert second.ends() == 1
        assert f"error: Tidegate runs in this workspace already: pid {platform.up.pid}" in second.text
        assert f"mend: Use it as it is, or stop it first: kill {platform.up.pid}." in second.text
        assert _status(platform.gateway, "/readyz") == 200


def test_no_secret_and_nothing_that_was_said_is_in_the_logs(platform: Running, key: str):
    with platform.client(key) as app:
        assert app.post("/chat/completions", content=body()).status_code == 200
    token = str(platform.api.headers["authorization"]).removeprefix("Bearer ")
    files = (platform.settings.log_dir).iterdir()
    logs = "".join(file.read_text() for file in files) + platform.up.text
    assert "serves on" in logs
    for private in (key, token, "repair costs"):
        assert private not in logs


def test_sigterm_lets_a_slow_stream_finish_keeps_its_record_and_exits_0(workspace: Path, model: ScriptedModel):
    with running(workspace) as platform, platform.client(_served(platform)) as app:
        model.hold()
        with app.stream("POST", "/chat/completions", content=body(stream=True)) as slow:
            stream = events(slow)
            next(stream)
            control = platform.pid_of("control")
            platform.up.process.terminate()
            platform.up.saw("stopping")
            assert is_alive(control), "control goes after the gateways"
            threading.Timer(0.3, model.go_on).start()
            text = "".join(_content(event) for event in stream)
        assert text.endswith("repair costs 40 euros.")
        assert platform.up.ends() == 0
        with closing(sqlite3.connect(platform.settings.calls_db_file, isolation_level=None)) as calls:
            while unpack_batches(calls):
                pass
            assert calls.execute("SELECT ending FROM calls WHERE stream").fetchall() == [("complete",)]


def test_kill_9_of_the_supervisor_ends_its_children_and_the_next_start_goes_on_from_there(workspace: Path):
    with running(workspace) as platform:
        platform.deploy("1.0.0")
        pids = [platform.pid_of(name) for name in ("control", "gateway")]
        platform.up.process.kill()
        platform.up.ends()
        for pid in pids:
            eventually(partial(_is_gone, pid))
    with running(workspace) as again:
        again.up.saw("did not stop in order")
        live = again.api.get("/releases").json()
        assert [release["arms"][0]["version"] for release in live] == ["1.0.0"]


async def test_a_bad_file_stops_the_first_start_and_later_leaves_the_last_good_one(workspace: Path):
    settings = Settings(workspace=workspace)
    good = settings.config_file.read_text()
    bad = good.replace("environments:", "enviroments:", 1)
    settings.config_file.write_text(bad)
    ports = {"TIDEGATE_CONTROL_PORT": "0", "TIDEGATE_GATEWAY_PORT": "0"}
    with started(tidegate("up"), cwd=workspace, environ=clean_environ(**ports)) as up:
        assert up.ends() == 1
        up.saw("error: tidegate.yaml has")
        assert "enviroments" in up.text
    await apply_locally(settings, good)
    with running(workspace) as platform:
        platform.up.saw("is not applied, the last good one stays (revision 1)")
        platform.deploy("1.0.0")


def test_a_port_that_is_taken_is_named_and_nothing_is_started(workspace: Path, model: ScriptedModel):
    port = httpx.URL(model.url).port
    environ = clean_environ(TIDEGATE_GATEWAY_PORT=str(port), TIDEGATE_CONTROL_PORT="0")
    with started(tidegate("up"), cwd=workspace, environ=environ) as up:
        assert up.ends() == 1
        assert f"error: The address 127.0.0.1:{port} cannot be used" in up.text
        assert "server.gateway_port" in up.text
        assert not (workspace / ".tidegate" / "run" / "supervisor.json").exists()


def _served(platform: Running) -> str:
    """A key, once version 1.0.0 is live and the gateway knows both."""
    key = platform.new_key()
    platform.deploy("1.0.0")
    with platform.client(key) as app:
        eventually(lambda: app.post("/chat/completions", content=body()).status_code == 200)
    return key


def _version(app: httpx.Client) -> str:
    return app.post("/chat/completions", content=body()).headers["x-tidegate-version"]


def _is_gone(pid: int) -> bool:
    return not is_alive(pid)


def _requests_survive(platform: Running, key: str) -> None:
    for _ in range(10):
        with platform.client(key) as app:  # a new connection each time: any process may get it
            assert app.post("/chat/completions", content=body()).status_code == 200


def _status(base: str, path: str) -> int:
    try:
        return httpx.get(f"{base}{path}", timeout=5.0, trust_env=False).status_code
    except httpx.HTTPError:
        return 0


def _content(event: dict[str, object]) -> str:
    choices = event["choices"]
    assert isinstance(choices, list)
    return str(choices[0]["delta"].get("content") or "") if choices else ""
