"""`tidegate release lint`, `simulate` and `schema`, as they are typed."""

import json
from pathlib import Path

from tidegate.doors.cli.main import run

EXAMPLE = str(Path(__file__).parents[3] / "examples" / "rollout.yaml")


def test_lint_says_that_a_file_is_in_order_or_what_is_not(tmp_path, capsys):
    assert run(["release", "lint", EXAMPLE]) == 0
    assert "is in order: offline, shadow 1%, approval, 5%, 25%, 50% and 100%, with 4 gates." in capsys.readouterr().out
    bad = tmp_path / "bad.yaml"
    bad.write_text("rollout:\n  gates: {error_rate: 1.5}\n  stages: [{percent: 5}]\n", encoding="utf-8")
    assert run(["release", "lint", str(bad)]) == 1
    shown = capsys.readouterr().out
    assert "bad.yaml:2:11: The gate `error_rate` is 1.5" in shown
    assert "{ratio: 1.5}" in shown
    assert run(["release", "lint", str(bad), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["code"] == "gate_kind"


def test_simulate_tells_what_the_plan_does_and_writes_a_page(tmp_path, capsys):
    page = tmp_path / "page.html"
    assert run(["release", "simulate", EXAMPLE, "--rpm", "200", "--runs", "50", "--html", str(page)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "An identical candidate is rolled back in" in shown
    assert "Wrote" in shown
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert run(["release", "simulate", "model", "--rpm", "200", "--runs", "50", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == 50


def test_what_is_no_file_offers_the_plans_without_one(capsys):
    assert run(["release", "simulate", "nothing.yaml", "--rpm", "5"]) == 1
    assert "prompt, model" in capsys.readouterr().err


def test_the_schema_is_printed(capsys):
    assert run(["release", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "A Tidegate rollout"
