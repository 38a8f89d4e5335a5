"""The demo's hands: it types `tidegate ...` in the workspace, and keeps `tidegate up` running beside."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidegate.app.demo.model import Ran
from tidegate.app.supervisor.orders import Orders, given
from tidegate.kernel.errors import Conflict, TidegateError, Unavailable
from tidegate.settings import PREFIX, Settings

__all__ = ["Platform"]

TIDEGATE = (sys.executable, "-m", "tidegate")
READY_PATIENCE_S = 60.0
STOP_PATIENCE_S = 60.0
COMMAND_PATIENCE_S = 60.0
SETTLE_PATIENCE_S = 10.0
EXCERPT_LINES = 12
BOX_TOP, BOX_END = "╭", "╰"

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Platform:
    """One workspace's commands and processes. The environment's own TIDEGATE_* variables are not handed on."""

    def __init__(self, environ: Mapping[str, str], *, width: int, coloured: bool) -> None:
        self._environ = {name: value for name, value in environ.items() if not name.startswith(PREFIX)}
        self._environ |= {"COLUMNS": str(width), "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
        self._environ.pop("NO_COLOR", None)
        self._environ.pop("FORCE_COLOR", None)
        self._environ["FORCE_COLOR" if coloured else "NO_COLOR"] = "1"
        self._up: subprocess.Popen[str] | None = None
        self._lines: deque[str] = deque(maxlen=400)
        self._box: list[str] = []
        self._ready = threading.Event()
        self._reader: threading.Thread | None = None
        self._lifeline: tuple[int, int] | None = None

    def run(self, folder: Path, *words: str) -> Ran:
        """Run one command to its end; raises Unavailable when it fails, with what it and the platform printed."""
        begun = time.perf_counter()
        try:
            done = subprocess.run(
                (*TIDEGATE, *words), cwd=folder, env=self._environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, encoding="utf-8", timeout=COMMAND_PATIENCE_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise self._failed(f"`tidegate {' '.join(words)}` did not end in {COMMAND_PATIENCE_S:g} s.", "") from error
        took_s = time.perf_counter() - begun
        if done.returncode:
            raise self._failed(f"`tidegate {' '.join(words)}` failed with code {done.returncode}.", done.stdout)
        return Ran(words=words, output=done.stdout, code=done.returncode, took_s=took_s)

    def up(self, settings: Settings) -> tuple[str, float]:
        """Start `tidegate up`; return the box that it prints when all answers, and how long that took in seconds.
        Raises Conflict when somebody took a port in the meantime, Unavailable when something else is wrong.
        """
        begun = time.perf_counter()
        self._ready.clear()
        self._lifeline = os.pipe()
        orders = Orders(process="up", settings=settings, lifeline_fd=self._lifeline[0])
        self._up = subprocess.Popen(
            (*TIDEGATE, "up"), cwd=settings.workspace, env=given(orders, self._environ), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
            pass_fds=(self._lifeline[0],), process_group=0,
        )  # fmt: skip
        os.close(self._lifeline[0])
        self._reader = threading.Thread(target=self._read, args=(self._up,), name="platform", daemon=True)
        self._reader.start()
        self._ready.wait(READY_PATIENCE_S)
        if not self._box or self._up.poll() is not None:
            raise self._not_ready()
        return "\n".join(self._box), time.perf_counter() - begun

    def settle(self, settings: Settings) -> None:
        """Wait until the gateway serves what control decided last, which takes it some milliseconds: the demo's own
        requests must not be faster than that. Both tell their generation at /readyz.
        """
        wanted = _readiness(settings.control_url)["parts"]["snapshot"]["detail"]["generation"]
        limit = time.monotonic() + SETTLE_PATIENCE_S
        while _readiness(settings.gateway_url)["generation"] < wanted:
            if time.monotonic() > limit:
                raise self._failed(f"The gateway did not reach generation {wanted}.", "")
            time.sleep(0.01)

    @property
    def running(self) -> bool:
        return self._up is not None and self._up.poll() is None

    def wait(self) -> int:
        """Wait until `tidegate up` ends; return its exit code."""
        return self._up.wait() if self._up is not None else 0

    def stop(self) -> int:
        """Stop the platform in order; return its exit code."""
        if self._up is None:
            return 0
        self._up.terminate()
        try:
            code = self._up.wait(STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._up.terminate()  # the second signal kills what is left
            code = self._up.wait()
        if self._reader is not None:
            self._reader.join()
        if self._up.stdout is not None:
            self._up.stdout.close()
        if self._lifeline is not None:
            with contextlib.suppress(OSError):
                os.close(self._lifeline[1])
        self._up = None
        return code

    def excerpt(self) -> list[str]:
        """The last lines that the platform printed, without colours."""
        return [_COLOURS.sub("", line) for line in list(self._lines)[-EXCERPT_LINES:]]

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._take(line.rstrip("\n"))
        self._ready.set()

    def _take(self, line: str) -> None:
        plain = _COLOURS.sub("", line)
        if not self._ready.is_set() and (self._box or plain.startswith(BOX_TOP)):
            self._box.append(line)
            if plain.startswith(BOX_END):
                self._ready.set()
            return
        self._lines.append(line)

    def _not_ready(self) -> TidegateError:
        """Why `tidegate up` did not get ready; it is stopped then. A taken port is told apart: another can be had."""
        self.stop()
        failed = self._failed("`tidegate up` did not get ready.", "")
        taken = next((line for line in self.excerpt() if line.startswith("error: The address ")), None)
        self._lines.clear()
        return Conflict(taken.removeprefix("error: "), mend=failed.mend, code="port_taken") if taken else failed

    def _failed(self, what: str, printed: str) -> Unavailable:
        parts = [what, *(f"  {line}" for line in _COLOURS.sub("", printed).strip().splitlines())]
        if words := self.excerpt():
            parts += ["The platform's last words:", *(f"  {line}" for line in words)]
        return Unavailable(
            "\n".join(parts), mend="See the lines above; `tidegate doctor` tells more.", code="demo_failed"
        )


def _readiness(base: str) -> Any:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"{base}/readyz", timeout=COMMAND_PATIENCE_S) as answer:
        return json.load(answer)
