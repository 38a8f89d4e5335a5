"""`tidegate stats` as a user runs it, and files of calls for it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tidegate.doors.cli.main import run

__all__ = ["Calculator", "calls"]


class Calculator:
    """Runs `tidegate stats` and keeps what it prints, in a folder that is no workspace."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def said(self, *words: str) -> str:
        assert run(["stats", *words]) == 0, self._capsys.readouterr()
        return self._capsys.readouterr().out

    def json(self, *words: str) -> Any:
        return json.loads(self.said(*words, "--json"))

    def refused(self, *words: str, code: int = 1) -> str:
        assert run(["stats", *words]) == code
        shown = self._capsys.readouterr()
        assert shown.out == ""
        assert shown.err.startswith("error: ")
        assert "\nmend: " in shown.err
        return shown.err


def calls(folder: Path, rows: Sequence[tuple[str, str, object]], kind: str = "csv") -> str:
    file = folder / f"calls.{kind}"
    if kind == "csv":
        file.write_text("variant,user,value\n" + "".join(f"{a},{u},{'' if v is None else v}\n" for a, u, v in rows))
    else:
        file.write_text("".join(json.dumps({"variant": a, "user": u, "value": v}) + "\n" for a, u, v in rows))
    return str(file)
