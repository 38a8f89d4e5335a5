"""Faults of what runs, each produced and found."""

import os
import subprocess
import sys

import msgspec
import pytest

from tests.app.doctor.ward import Ward
from tidegate.app.supervisor.claim import SupervisorState
from tidegate.app.supervisor.model import ProcessState
from tidegate.live.snapshot import Snapshot, encode_snapshot


def dead_pid() -> int:
    """A number that belonged to a process a moment ago."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def tell_state(ward: Ward, pid: int, *processes: ProcessState) -> None:
    state = SupervisorState(pid=pid, started_at_ms=ward.machine.now_ms, ports={}, processes=processes)
    ward.settings.run_dir.mkdir(exist_ok=True)
    (ward.settings.run_dir / "supervisor.json").write_bytes(msgspec.json.encode(state))


def keep_snapshot(ward: Ward, snapshot: Snapshot) -> None:
    blob, digest = encode_snapshot(snapshot)
    ward.settings.snapshot_file.write_bytes(digest.encode() + b"\n" + blob)


def test_supervisor_stale(ward: Ward) -> None:
    tell_state(ward, dead_pid())
    assert "tidegate up" in ward.found("supervisor_stale").mend


def test_process_dead_by_its_number(ward: Ward) -> None:
    tell_state(ward, os.getpid(), ProcessState(name="gateway", pid=dead_pid(), state="running"))
    finding = ward.found("process_dead")
    assert "gateway" in finding.what
    assert ".tidegate/logs/gateway.log" in finding.mend


@pytest.mark.parametrize("state", ["crash loop", "waiting to restart", "refused its settings"])
def test_process_dead_by_its_state(ward: Ward, state: str) -> None:
    tell_state(ward, os.getpid(), ProcessState(name="control", pid=None, state=state))
    assert state in ward.found("process_dead").what


def test_processes_that_run_are_well(ward: Ward) -> None:
    tell_state(ward, os.getpid(), ProcessState(name="gateway", pid=os.getpid(), state="running"))
    assert ward.codes() == set()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"0" * 64 + b"\n{}", b"\xff\n{}"])
def test_snapshot_damaged(ward: Ward, content: bytes) -> None:
    ward.settings.snapshot_file.write_bytes(content)
    assert "Remove it" in ward.found("snapshot_damaged").mend


def test_a_whole_snapshot_is_well(ward: Ward) -> None:
    keep_snapshot(ward, Snapshot(generation=3, written_at_ms=ward.machine.now_ms))
    assert ward.codes() == set()


def test_clock_skewed_against_the_last_snapshot(ward: Ward) -> None:
    keep_snapshot(ward, Snapshot(generation=3, written_at_ms=ward.machine.now_ms + 120_000))
    assert "120 s" in ward.found("clock_skewed").what
