"""The page of the docs that is made from the commands' help."""

from pathlib import Path

import pytest

from tidegate.doors.cli.main import COMMANDS
from tidegate.doors.cli.reference import reference_text

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def test_the_page_of_the_docs_is_the_commands_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = reference_text()
    assert PAGE.read_text(encoding="utf-8") == text, (
        "run: python -m tidegate.doors.cli.reference > docs/reference/cli.md"
    )
    assert all(f"\n## tidegate {command.name}\n" in text for command in COMMANDS)
