"""`tidegate eval compare`, `gate` and `report`: what they print, and their exit codes."""

import json

import pytest

from tests.support.evalruns import manifest, outcomes, write_run
from tidegate.doors.cli.main import run

GOOD = [at % 40 != 0 for at in range(500)]
WORSE = [passed and at % 16 != 1 for at, passed in enumerate(GOOD)]


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEGATE_WORKSPACE", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    folder = tmp_path / ".tidegate" / "evals"
    versions = (
        ("2.0.0", GOOD, 400_000),
        ("2.1.0", WORSE, 400_000),
        ("2.2.0", GOOD, 400_000),
        ("2.3.0", GOOD, 700_000),
        ("2.4.0", GOOD[:45], 400_000),
    )
    for number, (version, passes, cost) in enumerate(versions):
        made = manifest(version, len(passes), started_at_ms=1_790_000_000_000 + number)
        write_run(folder / f"eval_{version}", made, outcomes(passes, seed=number, cost_nano_usd=cost))
    return folder


@pytest.mark.parametrize(
    ("version", "options", "code", "said"),
    [
        ("2.2.0", (), 0, "PASS"),
        ("2.1.0", (), 1, "BLOCK"),
        ("2.3.0", (), 0, "WARN"),
        ("2.3.0", ("--strict",), 1, "WARN"),
        ("2.4.0", (), 3, "NOT KNOWN"),
    ],
)
def test_the_exit_code_is_the_verdict(runs, capsys, version, options, code, said):
    assert run(["eval", "gate", f"eval_{version}", "--baseline", "eval_2.0.0", *options]) == code
    out = capsys.readouterr().out
    assert out.startswith(f"{said}  support.answer@{version} against 2.0.0")


def test_a_baseline_may_be_named_by_its_version(runs, capsys):
    assert run(["eval", "gate", "eval_2.2.0", "-b", "2.0.0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["comparison"]["baseline"]["manifest"]["run_id"] == "eval_2.0.0"
    assert found["verdict"]["answer"] == "pass"


def test_comparing_decides_nothing(runs, capsys):
    assert run(["eval", "compare", "eval_2.0.0", "eval_2.1.0"]) == 0
    assert "regressed" in capsys.readouterr().out


def test_a_run_that_is_not_there_is_named_with_its_neighbours(runs, capsys):
    assert run(["eval", "gate", "eval_2.9.0"]) == 1
    assert "Did you mean eval_2." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("form", "begins"),
    [("terminal", "BLOCK"), ("markdown", "<!--"), ("html", "<!DOCTYPE html>"), ("json", "{"), ("junit", "<?xml")],
)
def test_a_report_is_written_to_a_file(runs, tmp_path, capsys, form, begins):
    file = tmp_path / "out" / "report"
    assert run(["eval", "report", "eval_2.1.0", "-b", "2.0.0", "--format", form, "--out", str(file)]) == 0
    assert file.read_text().startswith(begins)
    assert "Wrote" in capsys.readouterr().err
