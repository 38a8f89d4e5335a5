"""A control plane on a real port, in a thread with a loop of its own, for tests that are not async."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from tests.support.control import running_control, settings_for
from tidegate.app.control import Control
from tidegate.app.sockets import bind
from tidegate.doors.http.control.application import make_app

__all__ = ["Served", "served_control"]

T = TypeVar("T")


class Served:
    """What is served, and a way to its loop."""

    def __init__(self, control: Control, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.control = control
        self.url = url
        self._loop = loop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the control plane's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)


@contextlib.contextmanager
def served_control(workspace: Path) -> Iterator[Served]:
    """Serve the workspace on a port of the kernel's choice, which is written into its tidegate.yaml."""
    ready: list[Served] = []
    started, stopping = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(workspace, ready, started, stopping)))
    thread.start()
    try:
        assert started.wait(30), "control did not start in time"
        assert ready, "control failed at its start"
        yield ready[0]
    finally:
        stopping.set()
        thread.join(30)


async def _serve(workspace: Path, ready: "list[Served]", started: threading.Event, stopping: threading.Event) -> None:
    try:
        async with running_control(settings_for(workspace)) as control:
            with bind("127.0.0.1", 0) as sock:
                port = sock.getsockname()[1]
                file = workspace / "tidegate.yaml"
                file.write_text(f"{file.read_text()}server: {{control_port: {port}}}\n")
                config = uvicorn.Config(make_app(control), log_config=None, lifespan="off", ws="none", access_log=False)
                server = uvicorn.Server(config)
                server.config.load()
                serving = asyncio.create_task(server._serve([sock]))
                ready.append(Served(control, f"http://127.0.0.1:{port}", asyncio.get_running_loop()))
                started.set()
                await asyncio.to_thread(stopping.wait)
                server.should_exit = True
                await serving
    finally:
        started.set()
