"""The command line in a workspace of the test's own."""

from pathlib import Path

import pytest

from tests.doors.cli.calculators import Calculator
from tests.doors.cli.workspaces import Cli


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path / "workspace", capsys, monkeypatch)


@pytest.fixture
def stats(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calculator:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("TIDEGATE_SERVER", "TIDEGATE_TOKEN", "TIDEGATE_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    return Calculator(capsys)
