"""What other libraries say of the classical tests: the tables of oracles/classical.json, and how near is near."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.testing import assert_allclose

FILE = Path(__file__).parent / "oracles" / "classical.json"
NEAR = 1e-6


def rows(table: str) -> list[dict[str, Any]]:
    """The rows of one table."""
    found: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))[table]
    return found


def column(table: list[dict[str, Any]], key: str) -> np.ndarray:
    """One value of every row, an array; infinite ones are texts in the file."""
    return np.array([np.asarray(row[key], dtype=float) for row in table])


def agree(ours: Any, theirs: Any, *, near: float = NEAR, least: float = 0.0) -> None:
    """Fails unless both are equal to one millionth, or nearer to each other than `least`."""
    assert_allclose(np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float), rtol=near, atol=least)


def numbers(*values: Any) -> tuple[float, ...]:
    """The values as plain numbers, to compare several at once."""
    return tuple(float(value) for value in values)
