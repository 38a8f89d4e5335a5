"""A workspace for tests of commands, and a run of the command line inside it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.app.doctor.ward import free_ports
from tidegate.app.workspace.create import create_workspace
from tidegate.app.workspace.options import InitOptions
from tidegate.doors.cli.main import run

__all__ = ["Cli", "Outcome"]


class Outcome(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Cli:
    """The command line in one workspace, which no server serves: its ports are free ones."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._capsys = capsys
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.parent / "config"))
        for name in ("TIDEGATE_SERVER", "TIDEGATE_TOKEN", "TIDEGATE_WORKSPACE"):
            monkeypatch.delenv(name, raising=False)
        gateway, control = free_ports(2)
        monkeypatch.setenv("TIDEGATE_GATEWAY_PORT", str(gateway))
        monkeypatch.setenv("TIDEGATE_CONTROL_PORT", str(control))

    def make(self, *, bare: bool = True) -> "Cli":
        """Write the workspace."""
        create_workspace(self.folder, InitOptions(bare=bare), {})
        return self

    @property
    def config(self) -> Path:
        return self.folder / "tidegate.yaml"

    def rewrite(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new, 1))

    def __call__(self, *words: str) -> Outcome:
        self._capsys.readouterr()
        code = run(words)
        captured = self._capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    def here(self, *words: str) -> Outcome:
        """Run a command on the workspace."""
        return self(*words, "--workspace", str(self.folder))
