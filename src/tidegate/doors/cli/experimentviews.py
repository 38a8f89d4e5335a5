"""How an experiment looks on a terminal: the answer, then the evidence with a bar for each interval, then the rest."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidegate.control.experiments.model import Analysis, Contrast, Experiment, Operating
from tidegate.control.experiments.reports.blocks import Grid, Report, Section
from tidegate.control.experiments.reports.forecasts import forecast_of
from tidegate.control.experiments.reports.whole import report_of
from tidegate.control.experiments.reports.words import METRIC_STATES, change_cell, metric_of, p_cell
from tidegate.doors.cli.output import ago, clean, print_table, share_text
from tidegate.kernel.plain import plain

__all__ = ["print_analysis", "print_list", "print_operating", "print_report"]

BAR = 13
"""The letters of an interval's bar; an odd number, so that no difference has the one in the middle."""

_STYLES = {"ship": "bold green", "keep": "bold red", "open": "bold yellow", "doubt": "bold red"}
_STATE_STYLES = {"better": "green", "holds": "green", "worse": "red", "broken": "red"}


class Signs(NamedTuple):
    """What a bar is drawn with."""

    line: str
    null: str
    wins: str
    loses: str
    open: str


UNICODE = Signs("─", "│", "▲", "▼", "○")
ASCII = Signs("-", "|", "^", "v", "o")


def print_analysis(analysis: Analysis) -> None:
    """The report of an analysis: the answer, the evidence, how it was judged, and what the words mean."""
    report = report_of(analysis)
    console = _head(report)
    for section in report.sections:
        if section.key == "metrics":
            _print_section(console, section._replace(grids=section.grids[1:]), first=_metrics(console, analysis))
        elif section.key != "defined":
            _print_section(console, section)
    console.print()
    name = plain(analysis.definition.name)
    console.print(
        Text(f"The whole report, with the definition: tidegate experiment analyze {name} --format html", "dim")
    )


def print_operating(operating: Operating) -> None:
    """What a definition's rule does at a traffic, before the start."""
    print_report(forecast_of(operating))


def print_report(report: Report) -> None:
    """Any report: the answer, then its sections."""
    console = _head(report)
    for section in report.sections:
        _print_section(console, section)


def print_list(experiments: Sequence[Experiment]) -> None:
    """A line for each experiment."""
    rows = []
    for one in experiments:
        rows.append(
            (
                plain(one.definition.name),
                plain(one.definition.environment),
                plain(one.definition.subject),
                plain(one.state),
                "/".join(share_text(weight).removesuffix("%") for weight in one.weights_bp),
                ago(one.started_at_ms),
                _answer(one),
            )
        )
    heads = ("EXPERIMENT", "ENV", "OF", "STATE", "SHARES", "STARTED", "ANSWER")
    print_table(heads, rows, empty="There are no experiments. Start one with `tidegate experiment start FILE`.")


def _answer(experiment: Experiment) -> str:
    decision = experiment.decision
    if decision is None:
        return "-"
    shipped = decision.variant if decision.answer == "ship" else None
    return f"{decision.answer} {plain(shipped)}" if shipped else decision.answer


def _head(report: Report) -> Console:
    console = Console(highlight=False)
    console.print(Text(report.answer, _STYLES[report.mood]))
    for line in report.lead:
        console.print(Text(line))
    return console


def _print_section(console: Console, section: Section, first: Table | None = None) -> None:
    console.print()
    console.print(Text(section.title, "bold"))
    for line in section.lines:
        console.print(Text(line))
    if first is not None:
        console.print(first)
    for grid in section.grids:
        console.print()
        console.print(_table(grid, captioned=len(section.grids) > 1 or first is not None))
    for point in section.points:
        hanging = Table.grid(padding=(0, 1))
        hanging.add_row("-", Text(point))
        console.print(hanging)


def _table(grid: Grid, *, captioned: bool) -> Table:
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        header_style="bold",
        show_edge=False,
        padding=(0, 1, 0, 0),
        title=Text(grid.caption, "dim") if captioned else None,
        title_justify="left",
    )
    for head in grid.heads:
        table.add_column(Text(head.lstrip(">")), justify="right" if head.startswith(">") else "left", overflow="fold")
    for row in grid.rows:
        table.add_row(*(Text(clean(cell), _STATE_STYLES.get(cell, "")) for cell in row))
    return table


def _metrics(console: Console, analysis: Analysis) -> Table | None:
    """The metrics with bars: right of the middle is better."""
    if not analysis.contrasts:
        return None
    signs = ASCII if console.options.ascii_only else UNICODE
    several = len({one.variant for one in analysis.contrasts}) > 1
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False, padding=(0, 1, 0, 0))
    for head, right in (
        ("metric", False),
        ("change", True),
        ("worse | better", False),
        ("verdict", False),
        ("p", True),
    ):
        table.add_column(head, justify="right" if right else "left", overflow="fold", no_wrap=head == "p")
    for one in sorted(analysis.contrasts, key=lambda each: each.metric != analysis.definition.primary):
        verdict = METRIC_STATES[one.state]
        style = _STATE_STYLES.get(verdict, "")
        name = plain(one.metric) + (f", {plain(one.variant)}" if several else "")
        found = change_cell(analysis, one)
        bar = Text(_bar(analysis, one, signs), style, no_wrap=True)
        table.add_row(Text(name), Text(found), bar, Text(verdict, style), Text(p_cell(one.p_adjusted)))
    return table


def _bar(analysis: Analysis, contrast: Contrast, signs: Signs) -> str:
    """An interval around no difference, on a scale of its own; blank while nothing is known."""
    metric = metric_of(analysis.definition, contrast.metric)
    sign = -1.0 if metric is not None and metric.better == "lower" else 1.0
    found = [_place(contrast, one) for one in (contrast.estimate, contrast.low, contrast.high)]
    widest = max((abs(one) for one in found if one is not None), default=0.0)
    if found[0] is None:
        return " " * BAR
    middle = BAR // 2
    at = [None if one is None else middle + round(sign * one / widest * middle) if widest else middle for one in found]
    ends = [end for end in at if end is not None]
    letters = [signs.line if min(ends) <= place <= max(ends) else " " for place in range(BAR)]
    letters[middle] = signs.null
    letters[at[0] if at[0] is not None else middle] = {"wins": signs.wins, "loses": signs.loses}.get(
        contrast.state, signs.open
    )
    return "".join(letters)


def _place(contrast: Contrast, value: float | None) -> float | None:
    """A figure's distance from no difference; of a ratio, its logarithm."""
    if value is None or not math.isfinite(value):
        return None
    if contrast.scale == "difference":
        return value
    return math.log(value) if value > 0 else None
