"""The supervisor over small programs: starts, restarts, refuses, stops in order."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.support.processes import Started, eventually, is_alive, started

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
POLITE = """
import signal, sys, time
def end(*_):
    print("ending", flush=True)
    time.sleep({takes})
    print("ended", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
while True:
    time.sleep(1)
"""
HOLDING = """
import json, os, sys, time
sys.path.insert(0, {src!r})
from tidegate.app.supervisor.lifeline import hold_lifeline
from tidegate.app.supervisor.orders import taken
hold_lifeline(taken(os.environ).lifeline_fd)
print("up", flush=True)
time.sleep(60)
"""
SRC = str(Path(__file__).resolve().parents[3] / "src")


@contextmanager
def supervised(folder: Path, *programs: dict[str, object], drain_s: float = 5.0) -> Iterator[Started]:
    (folder / "programs.json").write_text(json.dumps(programs))
    root = Path(__file__).resolve().parents[3]
    environ = {**os.environ, "DRAIN_S": str(drain_s)}
    argv = [sys.executable, "-m", "tests.support.supervised", str(folder)]
    with started(argv, cwd=root, environ=environ) as process:
        yield process


def pid_of(folder: Path, name: str) -> int | None:
    state = json.loads((folder / "run" / "supervisor.json").read_text())
    pids: dict[str, int | None] = {one["name"]: one["pid"] for one in state["processes"]}
    return pids[name]


def state_of(folder: Path, name: str) -> str:
    state = json.loads((folder / "run" / "supervisor.json").read_text())
    return str(next(one["state"] for one in state["processes"] if one["name"] == name))


def test_a_killed_process_is_back_at_once_and_the_others_go_on(tmp_path: Path):
    with supervised(tmp_path, {"name": "a", "code": SLEEPER}, {"name": "b", "code": SLEEPER}) as up:
        up.saw("ready|")
        up.saw("a| up")
        up.saw("b| up")
        first, other = pid_of(tmp_path, "a"), pid_of(tmp_path, "b")
        assert first is not None
        killed = time.monotonic()
        os.kill(first, signal.SIGKILL)
        up.saw("a was ended by SIGKILL: it is started again now")
        up.saw("a| up", times=2)
        assert time.monotonic() - killed < 5.0
        assert pid_of(tmp_path, "a") != first
        assert pid_of(tmp_path, "b") == other
        up.process.terminate()
        assert up.ends() == 0


def test_a_crash_loop_is_reported_with_the_last_words_and_the_mend_and_the_others_go_on(tmp_path: Path):
    crash = "print('cannot find the thing'); raise SystemExit(3)"
    broken = {"name": "bad", "code": crash, "essential": False, "mend": "Bring the thing back."}
    with supervised(tmp_path, {"name": "good", "code": SLEEPER}, broken) as up:
        up.saw("5 times in 30 s")
        up.saw("note|   | cannot find the thing")
        mend = up.saw("mend: Bring the thing back.")
        assert "bad.log" in mend
        waits = [line for line in up.lines if "it is started again" in line]
        assert [line.rpartition("again ")[2] for line in waits] == ["now", "in 0.25 s", "in 0.5 s", "in 1 s"]
        eventually(lambda: state_of(tmp_path, "bad") == "crash loop")
        assert state_of(tmp_path, "good") == "running"
        assert (tmp_path / "logs" / "bad.log").read_text() == "cannot find the thing\n" * 5
        up.process.terminate()
        assert up.ends() == 0


def test_a_configuration_error_is_printed_and_never_restarted(tmp_path: Path):
    refusing = (
        "import time; time.sleep(0.2); print('error: no such colour'); print('mend: use blue'); raise SystemExit(78)"
    )
    with supervised(tmp_path, {"name": "good", "code": SLEEPER}, {"name": "odd", "code": refusing}) as up:
        up.saw("odd cannot run as it is set up")
        up.saw("note|   | error: no such colour")
        eventually(lambda: state_of(tmp_path, "odd") == "refused its settings")
        assert not any("it is started again" in line for line in up.lines)
        assert state_of(tmp_path, "good") == "running"


def test_an_essential_process_that_refuses_at_the_start_stops_everything_with_its_own_error(tmp_path: Path):
    refusing = "print('error: tidegate.yaml:3: no such colour'); print('mend: use blue'); raise SystemExit(78)"
    waiting = {"name": "slow", "code": SLEEPER, "port": 9}
    with supervised(tmp_path, waiting, {"name": "odd", "code": refusing}) as up:
        assert up.ends() == 9
        assert "raised| tidegate.yaml:3: no such colour use blue" in up.lines
        assert not (tmp_path / "run" / "supervisor.json").exists()


def test_the_stop_goes_stage_by_stage(tmp_path: Path):
    programs = [
        {"name": "model", "code": POLITE.format(takes=0), "stage": 2},
        {"name": "control", "code": POLITE.format(takes=0), "stage": 1},
        {"name": "gateway", "code": POLITE.format(takes=0.3), "stage": 0},
    ]
    with supervised(tmp_path, *programs) as up:
        for name in ("model", "control", "gateway"):
            up.saw(f"{name}| up")
        up.process.send_signal(signal.SIGINT)
        assert up.ends() == 0
        said = [line for line in up.lines if line.endswith(("ending", "ended"))]
        order = [f"{name}| {word}" for name in ("gateway", "control", "model") for word in ("ending", "ended")]
        assert said == order


def test_who_does_not_stop_in_time_is_killed_and_the_exit_code_says_so(tmp_path: Path):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    with supervised(tmp_path, {"name": "deaf", "code": deaf, "patience_s": 0.2}, drain_s=0.1) as up:
        up.saw("deaf| up")
        up.process.terminate()
        assert up.ends() == 1
        assert any("deaf did not stop in time: killed" in line for line in up.lines)


def test_a_second_signal_kills(tmp_path: Path):
    with supervised(tmp_path, {"name": "slow", "code": POLITE.format(takes=30)}, drain_s=30) as up:
        up.saw("slow| up")
        up.process.terminate()
        up.saw("slow| ending")
        begun = time.monotonic()
        up.process.terminate()
        assert up.ends() == 1
        assert time.monotonic() - begun < 15.0


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path):
    code = HOLDING.format(src=SRC)
    with supervised(tmp_path, {"name": "a", "code": code}, {"name": "b", "code": code}) as up:
        up.saw("a| up")
        up.saw("b| up")
        pids = [pid_of(tmp_path, name) for name in ("a", "b")]
        up.process.kill()
        up.ends()
        for pid in pids:
            assert pid is not None
            eventually(partial(_is_gone, pid))


def test_the_first_order_is_given_until_the_process_was_ready_once(tmp_path: Path):
    code = (
        "import json, os, time; first = json.loads(os.environ['TIDEGATE_ORDERS'])['first']\n"
        "print('first' if first else 'later', flush=True); time.sleep(60)"
    )
    with supervised(tmp_path, {"name": "control", "code": code, "first": True}) as up:
        up.saw("control| first")
        up.saw("ready|")
        pid = pid_of(tmp_path, "control")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        up.saw("control| later")


def test_an_idle_supervisor_uses_no_cpu(tmp_path: Path):
    with supervised(tmp_path, {"name": "a", "code": SLEEPER}) as up:
        up.saw("ready|")
        up.saw("a| up")
        before = _cpu_ticks(up.pid)
        time.sleep(1.0)
        assert _cpu_ticks(up.pid) - before <= 1


def _is_gone(pid: int) -> bool:
    return not is_alive(pid)


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
