"""SQL that is put together from parts: only in the places listed here, and only from names and marks of our own. Values
are bound, always. The linter (S608) finds such SQL; this holds how often it is told to look away.
"""

from collections import Counter
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "tidegate"
LOOKS_AWAY = "noqa: S608"
JOINED = {
    "adapters/postgres/batches.py": 2,  # columns, from the table's own list
    "adapters/sqlite/batches.py": 1,  # columns, from the table's own list
    "adapters/sqlite/contents.py": 4,  # `?` marks, as many as there are values
}


def test_no_sql_is_put_together_anywhere_else() -> None:
    found = Counter(
        file.relative_to(SOURCE).as_posix()
        for file in SOURCE.rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if LOOKS_AWAY in line
    )
    assert found == JOINED


def test_the_linter_looks_for_it() -> None:
    linted = (SOURCE.parents[1] / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.ruff.lint]")[2]
    assert '"S608"' in linted.partition("ignore =")[0]
