"""The local model for as long as an evaluation needs it: the one that runs, else one of our own, as a child."""

import contextlib
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import urlsplit

from tidegate.app.local_model import missing_parts
from tidegate.app.sockets import is_listening
from tidegate.app.supervisor.orders import Orders, given
from tidegate.kernel.errors import Invalid
from tidegate.live.snapshot import Deployment
from tidegate.settings import Settings

__all__ = ["local_model"]

HOST = "127.0.0.1"
LOOPBACK = (HOST, "localhost", "::1")
PATIENCE_S = 60.0
LOOK_S = 0.1
STOP_S = 5.0
OK = 200


@contextlib.contextmanager
def local_model(settings: Settings, asked: Iterable[Deployment], note: Callable[[str], None]) -> Iterator[None]:
    """Have the workspace's own model server up while one of the deployments is served by it. Raises Invalid when it
    cannot be started; the child ends with this process, also by kill -9.
    """
    port = settings.model_port
    if not any(_is_own(one.base_url, port) for one in asked) or is_listening(HOST, port):
        yield
        return
    missing = missing_parts()
    if missing is not None:
        raise Invalid(
            f"No local model listens on port {port}, and none can be started here: {missing}",
            mend="Start `tidegate up`, or name another model: --model ALIAS.",
            code="local_model_missing",
        )
    note("Starting the local model ...")
    lifeline, held = os.pipe()
    orders = Orders(process="model", settings=settings, lifeline_fd=lifeline)
    child = subprocess.Popen(
        [sys.executable, "-m", "tidegate", "model", "--port", str(port)],
        env=given(orders, os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(lifeline,),
        process_group=0,
    )
    os.close(lifeline)
    try:
        _wait(child, port)
        yield
    finally:
        os.close(held)
        child.terminate()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait(child: "subprocess.Popen[bytes]", port: int) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s and child.poll() is None:
        if _is_well(port):
            return
        time.sleep(LOOK_S)
    raise Invalid("The local model did not start.", mend="Run `tidegate model` to see why.", code="local_model_missing")


def _is_well(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _is_own(url: str, port: int) -> bool:
    try:
        parts = urlsplit(url)
        return parts.hostname in LOOPBACK and parts.port == port
    except ValueError:
        return False
