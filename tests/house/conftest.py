"""Notes of the house at the end of a run: files that are near the limit."""

import pytest

from tests.house import laws
from tests.house.shapes import noted_files
from tests.house.tree import ROOT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the files that are long enough to ask which noun is hiding in them."""
    noted = noted_files(ROOT)
    if noted:
        terminalreporter.section(f"over {laws.FILE_LINES_NOTED} lines: which noun is hiding?", sep="-")
        for line in noted:
            terminalreporter.line(line)
