"""One process under supervision: started, listened to, ended."""

import contextlib
import os
import signal
import subprocess
from collections import deque
from pathlib import Path

import msgspec

from tidegate.app.supervisor.logfile import LogFile
from tidegate.app.supervisor.model import ProcessState, Program, State
from tidegate.app.supervisor.orders import given

__all__ = ["Child"]

CHUNK = 65_536
TAIL_LINES = 15
LONGEST_LINE = 8_192


class Child:
    """A program and its present process, if any. Its words come through one pipe."""

    def __init__(self, program: Program, log_dir: Path) -> None:
        self.program = program
        self.state = State.STOPPED
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.deaths_s: list[float] = []
        self.restarts = 0
        self.due_s: float | None = None
        self.was_ready = False
        self.exit_code: int | None = None
        self.log = LogFile(log_dir / f"{program.name}.log")
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def output(self) -> int | None:
        """The descriptor of the pipe to read from."""
        pipe = self._process.stdout if self._process is not None else None
        return pipe.fileno() if pipe is not None and not pipe.closed else None

    def start(self, lifeline_fd: int) -> None:
        """Start the process in a group of its own, so that Ctrl-C at the terminal reaches only the supervisor."""
        orders = msgspec.structs.replace(
            self.program.orders, lifeline_fd=lifeline_fd, first=self.program.orders.first and not self.was_ready
        )
        passed = [lifeline_fd, *([orders.socket_fd] if orders.socket_fd is not None else [])]
        self._process = subprocess.Popen(
            self.program.argv,
            env=given(orders, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=passed,
            process_group=0,
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self.due_s = None
        self.exit_code = None
        self.state = State.STARTING

    def read(self) -> list[str]:
        """The whole lines that came since, kept in the file and the tail; an end without a line end waits."""
        lines = []
        while (descriptor := self.output) is not None:
            try:
                chunk = os.read(descriptor, CHUNK)
            except BlockingIOError:
                break
            if not chunk:
                self._close_pipe()
                break
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            lines += whole
            if len(self._rest) > LONGEST_LINE:
                lines.append(self._rest)
                self._rest = b""
        return self._keep(lines)

    def ended(self) -> bool:
        """Whether the process is gone since the last look; then `exit_code` tells how (negative: by that signal)."""
        if self._process is None or self._process.poll() is None:
            return False
        self.exit_code = self._process.returncode
        return True

    def last_words(self) -> list[str]:
        """After the end: what is left in the pipe. Then the process is forgotten."""
        lines = self.read()
        if self._rest:
            lines += self._keep([self._rest])
            self._rest = b""
        self._close_pipe()
        self._process = None
        return lines

    def terminate(self) -> None:
        """Ask the process to stop."""
        if self._process is not None:
            self._process.terminate()
            self.state = State.STOPPING

    def kill(self) -> None:
        """End the process and all that it started, now."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def snapshot(self) -> ProcessState:
        """Its line in the state file."""
        return ProcessState(name=self.program.name, pid=self.pid, state=self.state.value, restarts=self.restarts)

    def _keep(self, lines: list[bytes]) -> list[str]:
        if lines:
            self.log.write(b"\n".join(lines) + b"\n")
        texts = [line.decode("utf-8", "replace").rstrip("\r") for line in lines]
        self.tail.extend(texts)
        return texts

    def _close_pipe(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
