"""One supervisor for a workspace: a lock that the kernel drops with the process, and the state file beside it."""

import contextlib
import fcntl
import os
import time
from pathlib import Path

import msgspec

from tidegate.app.supervisor.model import ProcessState
from tidegate.kernel.errors import Conflict

__all__ = ["Claim", "SupervisorState", "read_state"]

STATE_NAME = "supervisor.json"
PID_NAME = "supervisor.pid"
LOCK_NAME = ".supervisor.lock"
POLL_S = 0.05


class SupervisorState(msgspec.Struct, frozen=True, kw_only=True):
    """`.tidegate/run/supervisor.json`. Times in Unix ms; `ready_at_ms` is None until the platform answers."""

    pid: int
    started_at_ms: int
    ports: dict[str, int]
    ready_at_ms: int | None = None
    processes: tuple[ProcessState, ...] = ()


class Claim:
    """The right to supervise the workspace whose run folder this is, held until `release` or the process's end."""

    def __init__(self, run_dir: Path) -> None:
        """Take it; raises Conflict `already_running` when another supervisor has it."""
        run_dir.mkdir(parents=True, exist_ok=True)
        self._pid_file = run_dir / PID_NAME
        self._state_file = run_dir / STATE_NAME
        self._lock = os.open(run_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)  # never removed: a lock on a name
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise _running(read_state(run_dir)) from error
        self.left = read_state(run_dir)
        """What a supervisor that did not stop in order left behind; None when the last stop was clean."""
        with contextlib.suppress(OSError):
            self._pid_file.write_text(f"{os.getpid()}\n")

    def outlast(self, patience_s: float) -> tuple[int, ...]:
        """Wait until the last supervisor's processes are gone (they notice its end by themselves and finish what is
        under way); return those that still live after `patience_s`.
        """
        limit = time.monotonic() + patience_s
        pids = [process.pid for process in self.left.processes if process.pid] if self.left else []
        while (living := tuple(pid for pid in pids if _is_ours(pid))) and time.monotonic() < limit:
            time.sleep(POLL_S)
        return living

    def write(self, state: SupervisorState) -> None:
        """Replace the state file in one step."""
        draft = self._state_file.with_suffix(".draft")
        with contextlib.suppress(OSError):  # a full disk must not stop the supervision
            draft.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
            draft.replace(self._state_file)

    def release(self) -> None:
        """Give it back after a stop in order: no state is left."""
        self._state_file.unlink(missing_ok=True)
        self._pid_file.unlink(missing_ok=True)
        os.close(self._lock)


def read_state(run_dir: Path) -> SupervisorState | None:
    """The state file, None when there is none that can be read."""
    try:
        return msgspec.json.decode((run_dir / STATE_NAME).read_bytes(), type=SupervisorState)
    except (OSError, msgspec.DecodeError):
        return None


def _running(state: SupervisorState | None) -> Conflict:
    pid = f"pid {state.pid}" if state else "another process"
    where = ", ".join(f"{name} on port {port}" for name, port in state.ports.items()) if state else ""
    return Conflict(
        f"Tidegate runs in this workspace already: {pid}{', ' + where if where else ''}.",
        mend=f"Use it as it is, or stop it first: kill {state.pid if state else 'PID'}.",
        code="already_running",
    )


def _is_ours(pid: int) -> bool:
    """Whether the pid still belongs to one of Tidegate's processes; a number may have gone to somebody else."""
    command = Path(f"/proc/{pid}/cmdline")
    try:
        return b"tidegate" in command.read_bytes()
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return not command.parent.parent.joinpath("self").exists()  # no /proc on this system: believe the number
