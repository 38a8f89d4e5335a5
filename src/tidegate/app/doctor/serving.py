"""Checks of what runs, or ran: the supervisor and its processes, the gateways' last Snapshot."""

from collections.abc import Iterator
from pathlib import Path

import psutil

from tidegate.app.doctor.faults import Finding, found
from tidegate.app.doctor.patient import Patient
from tidegate.app.supervisor.claim import SupervisorState, read_state
from tidegate.app.supervisor.model import State
from tidegate.kernel.errors import TidegateError
from tidegate.live.snapshot import Snapshot, decode_snapshot

__all__ = ["check_processes", "check_snapshot", "supervised"]

SKEW_MS = 5_000
DOWN = frozenset({State.WAITING.value, State.LOOPING.value, State.REFUSED.value})


def check_processes(patient: Patient) -> Iterator[Finding]:
    """A state file without its supervisor; a supervisor without one of its processes."""
    state = read_state(patient.settings.run_dir)
    if state is None:
        return
    if not _lives(state.pid):
        file = patient.shown(patient.settings.run_dir / "supervisor.json")
        yield found("supervisor_stale", file=file, pid=state.pid)
        return
    yield from _dead(patient, state)


def check_snapshot(patient: Patient) -> Iterator[Finding]:
    """The Snapshot that a gateway starts from while the database is away: whole, and not from the future."""
    file = patient.settings.snapshot_file
    try:
        digest, _, blob = file.read_bytes().partition(b"\n")
        snapshot: Snapshot = decode_snapshot(blob, digest.decode())
    except FileNotFoundError:
        return
    except (OSError, TidegateError, UnicodeDecodeError):
        yield found("snapshot_damaged", file=patient.shown(file))
        return
    ahead_ms = snapshot.written_at_ms - patient.machine.now_ms
    if ahead_ms > SKEW_MS:
        yield found("clock_skewed", other="the one that dated the last Snapshot", seconds=round(ahead_ms / 1000))


def supervised(run_dir: Path) -> bool:
    """Whether `tidegate up` runs in the workspace now."""
    state = read_state(run_dir)
    return state is not None and _lives(state.pid)


def _dead(patient: Patient, state: SupervisorState) -> Iterator[Finding]:
    for process in state.processes:
        gone = process.pid is not None and not _lives(process.pid)
        if gone or process.state in DOWN:
            log = patient.shown(patient.settings.log_dir / f"{process.name}.log")
            told = "its process is gone" if gone else process.state
            yield found("process_dead", name=process.name, state=told, log=log)


def _lives(pid: int) -> bool:
    """Whether the process runs; one that ended and was not waited for does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
