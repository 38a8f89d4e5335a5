"""`tidegate experiment`: files checked and foreseen without a server, runs started, told of, decided and stopped."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.doors.cli.test_commands import Shell, fits
from tests.doors.cli.test_commands import shell as shell
from tests.support.control import make_workspace
from tests.support.served import Served, served_control
from tests.support.trials import definition_text
from tidegate.control.experiments.model import Analysis
from tidegate.doors.cli.main import run


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Served]]:
    workspace = make_workspace(tmp_path_factory.mktemp("cli") / "home")
    with served_control(workspace) as served:
        yield workspace, served


FORESEEN = """\
  units_per_day: 4000
"""
METRIC = "metrics: {helpful: {baseline: 0.5, sd: 0.5, effect: 0.1}, error_rate: {baseline: 0.02}}"


def written(folder: Path, name: str = "tone", *, more: str = "") -> str:
    text = definition_text(name, more=more).replace("metrics: [helpful, error_rate]", METRIC)
    file = folder / f"{name}.yaml"
    file.write_text(text)
    return str(file)


def test_a_file_is_checked_without_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = written(tmp_path)
    assert run(["experiment", "lint", good]) == 0
    assert "tone compares 2 variants of prompt:greeting" in capsys.readouterr().out
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(definition_text().replace("unit: user", "unit: usr"))
    assert run(["experiment", "lint", str(wrong)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("wrong.yaml:8:")
    assert said[-1] == "1 to mend."
    assert run(["experiment", "lint", str(wrong), "--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["severity"], finding["line"], finding["code"]) == ("error", 8, "unit")
    assert run(["experiment", "lint", str(tmp_path / "none.yaml")]) == 1
    assert "none.yaml" in capsys.readouterr().err


def test_what_the_rule_does_at_a_traffic_is_foreseen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path)
    assert run(["experiment", "simulate", file]) == 1
    assert "--units-per-day" in capsys.readouterr().err
    told = []
    for _ in range(2):
        assert run(["experiment", "simulate", file, "--units-per-day", "4000", "--runs", "100", "--json"]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[0] == told[1], "the same seed, the same result"
    assert told[0]["units_per_day"] == 4000
    assert told[0]["false_ship"] <= 0.2  # 0.05 and less is meant; 100 runs
    assert told[0]["power"] > 0.5


def test_the_schema_is_of_an_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["experiment", "schema"]) == 0
    assert "ExperimentFile" in json.loads(capsys.readouterr().out)["$defs"]


def test_a_run_from_its_start_to_a_forced_end(shell: Shell, tmp_path: Path) -> None:
    assert "experiment" in shell("experiment", "status").lower()
    file = written(tmp_path, more=FORESEEN)
    started = shell("experiment", "start", file, "--yes")
    assert "ships" in started, "what the rule does at this traffic comes first"
    assert "tone is running: 100% of all units, of them control 50%, treatment 50%." in started
    shell("experiment", "start", file, "--yes", code=1)
    assert "running already" in shell.err

    assert "tone" in shell("experiment", "status")
    status = shell("experiment", "status", "tone")
    assert fits(status)
    assert "tone in production: running, on prompt:greeting, by user." in status
    assert "started" in status
    assert "greeting@1.1.0" in status
    peeked = shell("experiment", "peek", "tone", "user-7")
    assert peeked == shell("experiment", "peek", "tone", "user-7")
    assert peeked.startswith("user-7 gets ")

    text = shell("experiment", "analyze", "tone")
    assert fits(text)
    page = tmp_path / "report.html"
    assert shell("experiment", "analyze", "tone", "--format", "html", "--out", str(page)) == f"Wrote {page}.\n"
    assert page.read_text().lower().startswith("<!doctype html>")
    assert shell("experiment", "analyze", "tone", "--format", "markdown").startswith("# ")
    analysis = msgspec.json.decode(shell("experiment", "analyze", "tone", "--format", "json"), type=Analysis)
    assert analysis.decision.answer == "inconclusive"

    shell("experiment", "decide", "tone", code=1)
    assert "no answer yet" in shell.err
    said = shell("experiment", "decide", "tone", "--answer", "ship", "--reason", "launch day", "--deploy")
    assert "tone is decided: ship treatment." in said
    assert "greeting 1.1.0 is live in production (release 1)." in said
    assert "1.1.0" in shell("release", "status")
    status = shell("experiment", "status", "tone")
    assert "forced: ship" in " ".join(status.split())


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_it_is_asked_first(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "asked")
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    shell("experiment", "start", file, code=1)
    assert "nothing more was done" in shell.err
    shell("experiment", "status", "asked", code=1)
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert "asked is running" in shell("experiment", "start", file)
    shell("experiment", "stop", "asked")


def test_a_stop_and_what_is_left_to_do(shell: Shell, tmp_path: Path) -> None:
    shell("experiment", "start", written(tmp_path, "warm"), "--yes")
    assert "warm is stopped." in shell("experiment", "stop", "warm", "--reason", "mistake")
    shell("experiment", "stop", "warm", code=1)
    assert "stopped" in shell.err
    shell("experiment", "start", written(tmp_path, "cold"), "--yes")
    said = shell("experiment", "decide", "cold", "--answer", "ship", "--reason", "it must")
    assert "Deploy it: `tidegate release deploy greeting@1.1.0 --env production`." in said
    assert [one["state"] for one in shell.json("experiment", "status")][:2] == ["decided", "stopped"]
    for version in ("1.0.0", "1.1.0"):
        shell("release", "deploy", f"greeting@{version}", "--env", "production")
    shell("experiment", "start", written(tmp_path, "again"), "--yes")
    said = shell("experiment", "decide", "again", "--answer", "ship", "--reason", "it must", "--deploy", code=1)
    assert "again is decided: ship treatment." in said
    assert "live" in shell.err, "the version is live already"
    shell("experiment", "peek", "nothing", "u", code=1)
    assert "There is no experiment named 'nothing'" in shell.err
