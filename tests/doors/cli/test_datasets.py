"""`tidegate eval dataset redact`, and what `add` refuses before it asks anybody."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tidegate.doors.cli.datasets import app
from tidegate.kernel.errors import Invalid

RUN = CliRunner()


def test_redact_says_what_it_took_out(tmp_path: Path) -> None:
    file, out = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    file.write_text('{"id": "1", "variables": {"q": "call +49 30 1234567"}}\n')
    done = RUN.invoke(app, ["redact", str(file), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "1 case written to" in done.output
    assert "Redacted: 1 phone." in done.output
    assert json.loads(out.read_text())["variables"] == {"q": "call [PHONE]"}
    assert "1234567" in file.read_text()
    again = RUN.invoke(app, ["redact", str(out), "--json"])
    assert json.loads(again.output)["redactions"] == {}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["add", "golden.jsonl"], "no_source"),
        (["add", "golden.jsonl", "--from-calls", "--where", "ending=failed"], "bad_filter"),
        (["add", "golden.jsonl", "--from-calls", "--score", "faithfulness"], "bad_score"),
    ],
)
def test_what_cannot_be_drawn_is_told_before_anybody_is_asked(words: list[str], code: str) -> None:
    done = RUN.invoke(app, words)
    assert isinstance(done.exception, Invalid)
    assert done.exception.code == code
