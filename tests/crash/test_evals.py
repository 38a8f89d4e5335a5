"""kill -9 of an evaluation at any time: what was paid for is never paid for again, but for calls under way."""

import json
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.evaluations import asked_name, cases_in, command, environ, said, workspace
from tests.support.upstream import Received, ScriptedUpstream
from tests.support.wire import Pause, Step

CASES = 60
CONCURRENCY = 4


def slow(received: Received) -> Sequence[Step]:
    return (Pause(0.01), *said(asked_name(received.json)))


def run_folder(root: Path) -> Path:
    return next((root / ".tidegate" / "evals").glob("eval_*"))


@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no-cache"])
@pytest.mark.parametrize("seed", range(2))
def test_a_killed_run_goes_on_without_paying_twice(tmp_path: Path, seed: int, cached: bool) -> None:
    draw = random.Random(seed)
    with ScriptedUpstream() as upstream:
        upstream.respond = slow
        root = workspace(tmp_path / "w", upstream.url, cases=CASES)
        words = ["greeting", "--concurrency", str(CONCURRENCY), *([] if cached else ["--no-cache"])]
        kills = sorted(draw.sample(range(1, CASES - CONCURRENCY), 2))
        for number, kill_at in enumerate(kills):
            resume = ["--resume"] if number else []
            with subprocess.Popen(
                command(*words, *resume), cwd=root, env=environ(), stderr=subprocess.DEVNULL
            ) as child:
                try:
                    upstream.wait(kill_at, 30)
                finally:
                    child.send_signal(signal.SIGKILL)
        done = subprocess.run(
            command(*words, "--resume", "--json"), cwd=root, env=environ(), capture_output=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr.decode()
    asked = Counter(asked_name(one.json) for one in upstream.received)
    assert set(asked) == {f"c{at}" for at in range(CASES)}
    assert sum(asked.values()) <= CASES + CONCURRENCY * len(kills)
    results = cases_in(run_folder(root))
    assert Counter(one["case_id"] for one in results) == Counter(asked.keys())
    assert all(one["text"] == one["case_id"] and one["passed"] for one in results)
    paid = [one for one in results if not one["cached"]]
    assert len(paid) == CASES  # each was paid for once by this run, whatever the process
    assert json.loads(done.stdout)["manifest"]["state"] == "complete"


def test_a_torn_last_line_is_cut_off_and_asked_again(tmp_path: Path) -> None:
    with ScriptedUpstream() as upstream:
        upstream.respond = lambda received: said(asked_name(received.json))
        root = workspace(tmp_path / "w", upstream.url, cases=10)
        first = command("greeting", "--no-cache", "--deadline", "60s")
        subprocess.run(first, cwd=root, env=environ(), check=True, capture_output=True, timeout=60)
        folder = run_folder(root)
        results = folder / "results.jsonl"
        whole = results.read_bytes()
        results.write_bytes(whole[: len(whole) - 30])
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(manifest | {"state": "running", "ended_at_ms": None}))
        again = command("greeting", "--no-cache", "--resume")
        subprocess.run(again, cwd=root, env=environ(), check=True, capture_output=True, timeout=60)
    assert len(upstream.received) == 11
    assert sorted(one["case_id"] for one in cases_in(folder)) == sorted(f"c{at}" for at in range(10))
