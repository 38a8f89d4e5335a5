"""A report as Markdown (GitHub's tables), for pull requests, wikis and mail."""

from collections.abc import Iterator

from tidegate.control.experiments.model import Analysis
from tidegate.control.experiments.reports.blocks import Grid, Report
from tidegate.control.experiments.reports.whole import report_of
from tidegate.kernel.markup import markdown_safe as safe

__all__ = ["markdown"]


def markdown(analysis: Analysis) -> str:
    """The report of an analysis as Markdown."""
    return _written(report_of(analysis))


def _written(report: Report) -> str:
    parts = [
        f"# {safe(report.title)}",
        f"**{safe(report.answer)}**",
        *(safe(line) for line in report.lead),
    ]
    for section in report.sections:
        parts += [f"## {safe(section.title)}", *(safe(line) for line in section.lines)]
        parts += _table(section.grids)
        if section.points:
            parts.append("\n".join(f"- {safe(point)}" for point in section.points))
    return "\n\n".join(parts) + "\n"


def _table(grids: tuple[Grid, ...]) -> Iterator[str]:
    for grid in grids:
        if len(grids) > 1:
            yield f"*{safe(grid.caption)}*"
        lines = [_row([head.lstrip(">") for head in grid.heads])]
        lines.append("|" + "|".join("---:" if head.startswith(">") else "---" for head in grid.heads) + "|")
        lines += [_row(row) for row in grid.rows]
        yield "\n".join(lines)


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(safe(cell) for cell in cells) + " |"
