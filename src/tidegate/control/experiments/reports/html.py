"""A report as one page that needs nothing else: no scripts, no fonts, no requests; pictures are drawn inside it."""

from collections.abc import Callable, Iterable, Iterator

from tidegate.control.experiments.model import Analysis
from tidegate.control.experiments.reports import plots, rows
from tidegate.control.experiments.reports.blocks import Grid, Report, Section
from tidegate.control.experiments.reports.drawing import Picture
from tidegate.control.experiments.reports.style import STYLE
from tidegate.control.experiments.reports.whole import report_of
from tidegate.kernel.markup import Markup, tag, text
from tidegate.kernel.plain import date_text

__all__ = ["html", "page"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What the page may load: nothing."""


def html(analysis: Analysis) -> str:
    """The report of an analysis as a page, to be opened from a disk, mailed, or served."""
    foot = f"Analysed {date_text(analysis.at_ms)} by Tidegate."
    return page(report_of(analysis), lambda key: _pictures(analysis, key), foot)


def page(report: Report, pictures: Callable[[str], Iterable[Picture]], foot: str) -> str:
    """A report as a page; `pictures` are those of a section, by its key."""
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><meta name="robots" content="noindex">'
        f"{tag('title', text(report.title))}<style>{STYLE}</style>"
    )
    body = tag(
        "main",
        tag("h1", text(report.title)),
        tag("p", text(report.answer), class_=f"answer {report.mood}"),
        *(tag("p", text(line)) for line in report.lead),
        *(_section(one, pictures(one.key)) for one in report.sections),
        tag("footer", text(foot)),
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _section(section: Section, pictures: Iterable[Picture]) -> Markup:
    parts = [tag("h2", text(section.title), id=section.key)]
    parts += [tag("p", text(line)) for line in section.lines]
    parts += [_figure(one) for one in pictures]
    parts += [_table(grid) for grid in section.grids]
    if section.points:
        parts.append(tag("ul", *(tag("li", text(point)) for point in section.points)))
    return tag("section", *parts, aria_labelledby=section.key)


def _pictures(analysis: Analysis, key: str) -> Iterator[Picture]:
    """The pictures of a section."""
    found: list[Picture | None] = []
    if key == "metrics":
        found = [*plots.paths(analysis), rows.forest(analysis)]
    elif key == "guardrails":
        found = [rows.margins(analysis)]
    elif key == "who":
        found = [rows.split(analysis)]
    elif key == "bandit" and analysis.bandit is not None:
        bandit = analysis.bandit
        found = [plots.weights(analysis, bandit), rows.posteriors(analysis, bandit), plots.regret(analysis, bandit)]
    return (one for one in found if one is not None)


def _figure(shown: Picture) -> Markup:
    behind = []
    if shown.grid is not None:
        behind.append(tag("details", tag("summary", text("The figures behind this picture")), _table(shown.grid)))
    return tag("figure", tag("figcaption", text(shown.caption)), shown.drawing, *behind)


def _table(grid: Grid) -> Markup:
    right = [head.startswith(">") for head in grid.heads]
    heads = (
        tag("th", text(head.lstrip(">")), scope="col", class_="figure" if figure else "words")
        for head, figure in zip(grid.heads, right, strict=True)
    )
    lines = (
        tag(
            "tr",
            tag("th", text(row[0]), scope="row"),
            *(
                tag("td", text(cell), class_="figure" if figure else "words")
                for cell, figure in zip(row[1:], right[1:], strict=True)
            ),
        )
        for row in grid.rows
    )
    table = tag("table", tag("caption", text(grid.caption)), tag("thead", tag("tr", *heads)), tag("tbody", *lines))
    return tag("div", table, class_="scroll", role="region", aria_label=grid.caption, tabindex="0")
