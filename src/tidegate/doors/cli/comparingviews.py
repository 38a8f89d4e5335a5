"""How a gate looks on a terminal: the verdict, a table of what was found, and what to know beside it."""

from collections.abc import Sequence
from types import MappingProxyType

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidegate.app.evaluating.comparing import Judged
from tidegate.control.evals.reports.rows import FindingRow, changes_text, rows_of, scorers_text, versus_text
from tidegate.doors.cli.output import clean
from tidegate.kernel.plain import count_of

__all__ = ["print_judged"]

WIDE = 150
"""From so many columns on the reasons stand in the table."""
_STYLES = MappingProxyType(
    {"pass": "bold green", "warn": "bold yellow", "inconclusive": "bold magenta", "block": "bold red"}
)
_WORDS = MappingProxyType({"pass": "PASS", "warn": "WARN", "inconclusive": "NOT KNOWN", "block": "BLOCK"})


def print_judged(judged: Judged, *, shown: Sequence[str] = (), console: Console | None = None) -> None:
    """The verdict first; `shown` are cases that regressed, the worst first."""
    console = console or Console(highlight=False)
    comparison, verdict = judged.comparison, judged.verdict
    cases = count_of(comparison.candidate.cases, "case")
    head = Text(_WORDS[verdict.answer], _STYLES[verdict.answer])
    console.print(head.append(f"  {clean(versus_text(comparison))}, {cases}", "default"))
    console.print(Text(clean(verdict.why)))
    rows = rows_of(comparison)
    if rows:
        console.print()
        wide = console.width >= WIDE
        console.print(_table(rows, wide=wide))
        if not wide:
            _reasons(console, rows)
    console.print()
    for line in (changes_text(comparison), *comparison.notes, *judged.remarks):
        if line:
            console.print(Text(clean(line)))
    if shown:
        console.print(Text(clean(f"Worst: {', '.join(shown)}.")))
    if comparison.unjudged:
        console.print(Text(clean(f"Left out: {'; '.join(comparison.unjudged)}.")))
    scorers = scorers_text(comparison)
    if scorers:
        console.print()
        console.print(Text("Scorers, and how well they agree with people", "bold"))
        for line in scorers:
            _point(console, line)


def _table(rows: Sequence[FindingRow], *, wide: bool) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False, padding=(0, 1, 0, 0))
    heads = ("rule", ">baseline", ">candidate", ">found (90% interval)", "answer", *(("why",) if wide else ()))
    for head in heads:
        table.add_column(head.lstrip(">"), justify="right" if head.startswith(">") else "left", overflow="fold")
    for row in rows:
        style = _STYLES[row.finding.answer].removeprefix("bold ")
        cells = [Text(clean(f"{row.rule} {row.allowed}"))]
        cells += [Text(clean(cell)) for cell in (row.baseline, row.candidate, row.difference)]
        cells.append(Text(row.answer, style))
        table.add_row(*cells, *((Text(clean(row.why)),) if wide else ()))
    return table


def _reasons(console: Console, rows: Sequence[FindingRow]) -> None:
    told = [row for row in rows if row.finding.answer != "pass" or row.finding.why]
    if told:
        console.print()
    for row in told:
        _point(console, f"{row.rule}: {row.why}.", _STYLES[row.finding.answer].removeprefix("bold "))


def _point(console: Console, line: str, style: str = "") -> None:
    hanging = Table.grid(padding=(0, 1))
    hanging.add_row(Text("-", style), Text(clean(line)))
    console.print(hanging)
