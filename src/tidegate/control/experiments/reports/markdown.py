"""A report as Markdown (GitHub's tables), for pull requests, wikis and mail."""

import re
from collections.abc import Iterator

from tidegate.control.experiments.model import Analysis
from tidegate.control.experiments.reports.blocks import Grid, Report
from tidegate.control.experiments.reports.whole import report_of

__all__ = ["markdown"]

_SPECIAL = re.compile(r"[\\`*\[\]<>|#~!&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def markdown(analysis: Analysis) -> str:
    """The report of an analysis as Markdown."""
    return _written(report_of(analysis))


def _written(report: Report) -> str:
    parts = [f"# {_safe(report.title)}", f"**{_safe(report.answer)}**", *(_safe(line) for line in report.lead)]
    for section in report.sections:
        parts += [f"## {_safe(section.title)}", *(_safe(line) for line in section.lines)]
        parts += _table(section.grids)
        if section.points:
            parts.append("\n".join(f"- {_safe(point)}" for point in section.points))
    return "\n\n".join(parts) + "\n"


def _table(grids: tuple[Grid, ...]) -> Iterator[str]:
    for grid in grids:
        if len(grids) > 1:
            yield f"*{_safe(grid.caption)}*"
        lines = [_row([head.lstrip(">") for head in grid.heads])]
        lines.append("|" + "|".join("---:" if head.startswith(">") else "---" for head in grid.heads) + "|")
        lines += [_row(row) for row in grid.rows]
        yield "\n".join(lines)


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(_safe(cell) for cell in cells) + " |"


def _safe(text: str) -> str:
    """Text in which nothing is markup: marks escaped, `_` only where it could begin or end emphasis."""
    return _SPECIAL.sub(lambda found: "\\" + found.group(), text)
