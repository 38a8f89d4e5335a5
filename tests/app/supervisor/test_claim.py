"""One supervisor for a workspace."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import started
from tidegate.app.supervisor.claim import Claim, SupervisorState, read_state
from tidegate.app.supervisor.model import ProcessState
from tidegate.kernel.errors import Conflict

HOLDER = """
import os, sys, time
from pathlib import Path
from tidegate.app.supervisor.claim import Claim, SupervisorState
from tidegate.app.supervisor.model import ProcessState
claim = Claim(Path(sys.argv[1]))
child = ProcessState(name="gateway", pid=int(sys.argv[2]), state="running")
state = SupervisorState(pid=os.getpid(), started_at_ms=1, ports={"gateway": 8080}, processes=(child,))
claim.write(state)
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_supervisor_is_refused_and_told_where_the_first_one_is(tmp_path: Path):
    with started([sys.executable, "-c", HOLDER, str(tmp_path), "1"]) as holder:
        holder.saw("held")
        with pytest.raises(Conflict) as caught:
            Claim(tmp_path)
        assert caught.value.code == "already_running"
        assert f"pid {holder.pid}" in caught.value.message
        assert "gateway on port 8080" in caught.value.message
        assert f"kill {holder.pid}" in caught.value.mend


def test_what_a_killed_one_left_is_recognised_as_stale(tmp_path: Path):
    with started([sys.executable, "-c", HOLDER, str(tmp_path), "999999999"]) as holder:
        holder.saw("held")
        holder.process.kill()
        holder.ends()
    claim = Claim(tmp_path)
    assert claim.left is not None
    assert claim.left.pid == holder.pid
    assert claim.outlast(1.0) == (), "a process that is gone is not waited for"
    assert int((tmp_path / "supervisor.pid").read_text()) == os.getpid()
    claim.release()
    assert read_state(tmp_path) is None
    assert not (tmp_path / "supervisor.pid").exists()


def test_the_next_one_waits_for_processes_that_still_finish_their_work(tmp_path: Path):
    slow = [sys.executable, "-c", "import time; print('tidegate', flush=True); time.sleep(0.4)"]
    with started(slow) as process:
        process.saw("tidegate")
        claim = Claim(tmp_path)
        claim.write(_state(process.pid))
        os.close(claim._lock)  # as if the holder were gone
        again = Claim(tmp_path)
        assert again.outlast(0.05) == (process.pid,)
        process.ends()
        assert again.outlast(5.0) == ()
        again.release()


def test_a_number_that_belongs_to_somebody_else_now_is_not_waited_for(tmp_path: Path):
    with subprocess.Popen(["sleep", "5"]) as other:
        claim = Claim(tmp_path)
        claim.write(_state(other.pid))
        os.close(claim._lock)
        again = Claim(tmp_path)
        assert again.outlast(0.05) == ()
        again.release()
        other.terminate()


def test_the_state_file_is_plain_json(tmp_path: Path):
    claim = Claim(tmp_path)
    claim.write(_state(77))
    shown = json.loads((tmp_path / "supervisor.json").read_text())
    assert shown["ports"] == {"gateway": 8080}
    assert shown["processes"] == [{"name": "gateway", "pid": 77, "state": "running", "restarts": 0}]
    claim.release()


def _state(pid: int) -> SupervisorState:
    child = ProcessState(name="gateway", pid=pid, state="running")
    return SupervisorState(pid=1, started_at_ms=1, ports={"gateway": 8080}, processes=(child,))
