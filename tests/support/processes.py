"""Processes that tests start: their output read as it comes, their end made sure, by process id only."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["Started", "eventually", "is_alive", "started"]

PATIENCE_S = 30.0
POLL_S = 0.02


class Started:
    """A running process and all that it has printed so far."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []
        self._heard = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def saw(self, part: str, *, times: int = 1, patience_s: float = PATIENCE_S) -> str:
        """Wait for a line with `part` in it (the n-th one), and return it; fails when the process ends without it."""

        def found() -> list[str]:
            return [line for line in self.lines if part in line]

        with self._heard:
            self._heard.wait_for(lambda: len(found()) >= times or not self._reader.is_alive(), patience_s)
            assert len(found()) >= times, f"{part!r} did not come {times} times in:\n{self.text}"
            return found()[times - 1]

    def ends(self, patience_s: float = PATIENCE_S) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(patience_s)
        self._reader.join(5.0)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._heard:
                self.lines.append(line.rstrip("\n"))
                self._heard.notify_all()
        with self._heard:
            self._heard.notify_all()


@contextlib.contextmanager
def started(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    descriptors: Sequence[int] = (),
) -> Iterator[Started]:
    """The process; on leaving it is stopped in order, and killed with its group if that does not help."""
    process = subprocess.Popen(
        argv, cwd=cwd, env=None if environ is None else dict(environ), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", process_group=0,
        pass_fds=tuple(descriptors),
    )  # fmt: skip
    try:
        yield Started(process)
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10.0)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10.0)
        assert process.stdout is not None
        process.stdout.close()


def eventually(check: Callable[[], object], *, patience_s: float = PATIENCE_S, what: str = "") -> None:
    """Wait until `check` is true."""
    limit = time.monotonic() + patience_s
    while not check():
        assert time.monotonic() < limit, what or "it did not come true"
        time.sleep(POLL_S)


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
