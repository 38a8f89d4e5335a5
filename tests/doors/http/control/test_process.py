"""The control process itself: it serves on a socket it is given, finishes its answers on SIGTERM, and exits 0."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.support.control import ADMIN_TOKEN, admin_headers, make_workspace, settings_for
from tests.support.databases import migrated_bytes
from tidegate.app.sockets import bind
from tidegate.app.supervisor.orders import Orders, given
from tidegate.doors.http.control.routes import BASE

PROGRAM = (sys.executable, "-W", "error", "-m", "tidegate.doors.http.control")


@contextmanager
def process(workspace: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A running control process and its address; it logs into the workspace, and what is left at the end is killed."""
    settings = settings_for(workspace)
    settings.control_db_file.write_bytes(migrated_bytes())
    with bind("127.0.0.1", 0) as sock, (workspace / "log").open("wb") as log:
        orders = Orders(process="control", settings=settings, socket_fd=sock.fileno(), first=True)
        environ = given(orders, os.environ)
        child = subprocess.Popen(PROGRAM, env=environ, pass_fds=(sock.fileno(),), stderr=log)
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    try:
        _until_ready(url, child)
        yield child, url
    finally:
        child.kill()
        child.wait()


def _until_ready(url: str, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert child.poll() is None, "the process ended before it was ready"
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz", timeout=5, trust_env=False).status_code == 200:
                return
        time.sleep(0.02)
    raise AssertionError("the process was not ready in time")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "home")


def test_a_request_under_way_is_finished_before_the_process_ends(workspace: Path) -> None:
    body = b'{"prompt": "greeting", "version": "1.0.0", "environment": "production"}'
    with process(workspace) as (child, url):
        port = httpx.URL(url).port
        with socket.create_connection(("127.0.0.1", port)) as caller:
            head = f"POST {BASE}/releases HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n"
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\nexpect-nothing: 1\r\n\r\n"
            caller.sendall(head.encode() + body[:10])
            while f"{BASE}/releases" not in httpx.get(f"{url}/metrics", trust_env=False).text:
                httpx.get(f"{url}{BASE}/releases", headers=admin_headers(), trust_env=False)
            child.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            caller.sendall(body[10:])
            answer = caller.makefile("rb").readline()
        assert answer.startswith(b"HTTP/1.1 201 ")
        assert child.wait(timeout=20) == 0
    log = (workspace / "log").read_text()
    assert "stopped" in log
    assert "Traceback" not in log
    assert ADMIN_TOKEN not in log


def test_an_interrupt_ends_it_too_and_nothing_that_is_stored_opens_a_door(workspace: Path) -> None:
    order = {"prompt": "greeting", "version": "1.0.0", "environment": "production"}
    with process(workspace) as (child, url), httpx.Client(base_url=url, headers=admin_headers()) as admin:
        assert admin.post(f"{BASE}/releases", json=order).status_code == 201
        secret = admin.post(f"{BASE}/keys", json={"name": "app"}).json()["secret"]
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=20) == 0
    files = [file for file in (workspace / ".tidegate").rglob("*") if file.is_file() and file.name != "keys.env"]
    assert settings_for(workspace).control_db_file in files
    for file in files:
        content = file.read_bytes()
        assert ADMIN_TOKEN.encode() not in content
        assert secret.encode() not in content
