"""`tidegate eval` as a user meets it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.control import CONFIG, make_workspace
from tests.support.evaluations import asked_name, command, environ, said, workspace, write_dataset
from tests.support.served import served_control
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import Pause
from tidegate.doors.cli.evaluation import VERBS
from tidegate.doors.cli.main import run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("TIDEGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "app.py").write_text("def echo(name): return name\ndef bad(name): raise KeyError(name)\n")
    write_dataset(tmp_path / "d.jsonl", 4)
    monkeypatch.chdir(tmp_path)
    return tmp_path


RUN = ("eval", "run", "--target", "python:app.py:echo", "--dataset", "d.jsonl", "--scorer", "contains")


def test_every_verb_of_the_table_loads_and_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        assert run(["eval", verb.name, "--help"]) == 0
        assert f"tidegate eval {verb.name}" in capsys.readouterr().out


def test_a_run_is_told_listed_and_shown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(RUN) == 0
    said = capsys.readouterr().out
    assert "4 cases: 4 passed (100.0%, 95% interval 51.0% to 100.0%), 0 failed." in said
    assert "contains" in said
    assert run(["eval", "list"]) == 0
    listed = capsys.readouterr().out
    assert "python:app.py:echo" in listed
    assert "complete" in listed
    assert run(["eval", "show"]) == 0
    assert capsys.readouterr().out == said
    assert run(["eval", "show", "last", "--case", "c2"]) == 0
    assert capsys.readouterr().out.splitlines() == ["c2: passed", "  c2", "  contains: 1, passed"]
    assert run(["eval", "clean", "--older-than", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == 1
    assert run(["eval", "show"]) == 1


def test_a_run_without_any_answer_is_a_failure(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*RUN[:3], "python:app.py:bad", *RUN[4:]]) == 1
    assert "target_failed: 4 answers never came. KeyError: 'c0'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "Nothing is named"),
        (("greeting", "--target", "python:app.py:echo"), "Two things are named"),
        (("--target", "app.py:echo"), "is not known"),
        (("--target", "python:app.py:echo"), "names no dataset"),
        (("--target", "python:app.py:echo", "-d", "d.jsonl", "--deadline", "soon"), "--deadline soon is no time"),
        (("--target", "python:app.py:echo", "-d", "d.jsonl", "--resume"), "broke off"),
    ],
)
def test_what_is_wrong_is_said_with_a_mend(
    here: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    assert run(["eval", "run", *words]) == 1
    told = capsys.readouterr().err
    assert says in told
    assert "\nmend: " in told


def test_ctrl_c_leaves_a_partial_run_that_can_go_on(tmp_path: Path) -> None:
    with ScriptedUpstream() as upstream:
        upstream.respond = lambda received: (Pause(0.05), *said(asked_name(received.json)))
        root = workspace(tmp_path / "w", upstream.url, cases=60)
        words = command("greeting", "--concurrency", "4")
        with subprocess.Popen(words, cwd=root, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            upstream.wait(8, 30)
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=30)
        assert child.returncode == 130
        assert b"Stopping: the calls under way may end." in err
        assert b"Not all was asked: it was interrupted." in out
        asked = len(upstream.received)
        assert asked < 60
        again = subprocess.run(
            [*words, "--resume"], cwd=root, env=environ(), capture_output=True, timeout=60, check=True
        )
        assert b"60 cases: 60 passed" in again.stdout
        assert len(upstream.received) == 60  # those under way came to their end, and none was asked twice


def test_a_run_that_hangs_ends_at_its_deadline(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import time\ndef hang(name): time.sleep(3600)\n")
    write_dataset(tmp_path / "d.jsonl", 3)
    words = command("--target", "python:app.py:hang", "--dataset", "d.jsonl", "--deadline", "300ms")
    done = subprocess.run(words, cwd=tmp_path, env=environ(), capture_output=True, timeout=30, check=False)
    assert done.returncode == 1
    assert b"Not all was asked: the deadline came first." in done.stdout


def test_a_recorded_run_is_judged_and_control_keeps_the_verdict(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedUpstream() as upstream:
        upstream.respond = lambda received: said(asked_name(received.json))
        config = CONFIG.replace("http://127.0.0.1:8082/v1", upstream.url).replace(
            "model: tiny", "model: tiny, api_key_env: null"
        )
        root = make_workspace(here / "home", config=config)
        lines = ({"id": f"c{at}", "variables": {"who": f"c{at}"}, "expected": f"c{at}"} for at in range(30))
        (root / "d.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        monkeypatch.chdir(root)
        words = ["eval", "run", "greeting@1.1.0", "-d", "d.jsonl", "-s", "contains", "--record"]
        with served_control(root) as served:
            capsys.readouterr()
            code = run([*words, "--json"])
            told = json.loads(capsys.readouterr().out)
            answer = told["recorded"]["verdict"]["answer"]
            assert code == {"pass": 0, "warn": 0, "block": 1, "inconclusive": 3}[answer]
            kept = served.run(served.control.evaluations.list("greeting", "1.1.0", None, 10))
        assert [one.eval_id for one in kept] == [told["recorded"]["eval_id"]]
        assert kept[0].verdict.content_hash == told["manifest"]["content_hash"]
        asked = len(upstream.received)
        assert run(words) == 1  # no server any more: that is said before anything is asked
        assert len(upstream.received) == asked


HEAVY = ("numpy", "scipy", "litestar", "sqlalchemy", "uvicorn", "onnxruntime")
PROBE = """
import sys
from tidegate.doors.cli.main import run
code = run(sys.argv[1:])
print("loaded:", *(name for name in %r if name in sys.modules))
sys.exit(code)
"""


def test_a_run_loads_nothing_heavy(tmp_path: Path) -> None:
    with ScriptedUpstream() as upstream:
        upstream.respond = lambda received: said(asked_name(received.json))
        root = workspace(tmp_path / "w", upstream.url, cases=3)
        words = [sys.executable, "-c", PROBE % (HEAVY,), "eval", "run", "greeting"]
        done = subprocess.run(words, cwd=root, env=environ(), capture_output=True, timeout=60, check=True)
    assert done.stdout.decode().splitlines()[-1].split() == ["loaded:"]
