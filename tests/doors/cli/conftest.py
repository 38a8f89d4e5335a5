"""The command line in a workspace of the test's own."""

from pathlib import Path

import pytest

from tests.doors.cli.workspaces import Cli


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path / "workspace", capsys, monkeypatch)
