"""What a report of a gate is made of."""

from collections.abc import Mapping
from typing import NamedTuple

from tidegate.control.evals.comparing.cases import CaseLine
from tidegate.control.evals.model import Case, CaseDiff, Comparison, Verdict
from tidegate.kernel.plain import plain

__all__ = ["Report", "cut", "flat"]


class Report(NamedTuple):
    """The verdict and the comparison; every case in figures, the worst first; the answers of `diffs`, and their cases
    where the dataset is at hand; what people should know beside it.
    """

    verdict: Verdict
    comparison: Comparison
    lines: tuple[CaseLine, ...] = ()
    diffs: tuple[CaseDiff, ...] = ()
    cases: Mapping[str, Case] = {}
    remarks: tuple[str, ...] = ()


def cut(text: str, most: int) -> str:
    """The beginning of a text, and how much was left out."""
    return text if len(text) <= most else f"{text[:most]} … ({len(text) - most:,} more characters)"


def flat(text: str, most: int) -> str:
    """The beginning of a text on one line."""
    line = plain(text[: 4 * most]) if text.strip() else "(empty)"
    return line if len(line) <= most else f"{line[: most - 1]}…"
