"""docs/explanation/security.md: every threat has a test, and every test that it names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "explanation" / "security.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ROWS = [
    line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "| threat |" not in line
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_a_threat_has_tests_that_are_there(row: str) -> None:
    named = NAMED.findall(row)
    assert named
    for file, name in named:
        assert re.search(rf"^\s*(async )?def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), name


def test_the_page_stays_short() -> None:
    assert len(ROWS) > 25
    assert len(PAGE.read_text(encoding="utf-8").splitlines()) <= 80
