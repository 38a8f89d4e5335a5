"""How a check looks on a terminal: how far it is, a table of steps, and below it what a reader needs to act."""

from types import MappingProxyType, TracebackType

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidegate.app.changes import Changes
from tidegate.app.checking import CheckedVersion, CheckReport, CheckWatch
from tidegate.app.checks.model import STEPS
from tidegate.app.evals_local import Progress
from tidegate.control.evals.model import Manifest
from tidegate.control.evals.reports.rows import rows_of
from tidegate.doors.cli.evalprogress import Shown
from tidegate.doors.cli.output import clean
from tidegate.doors.cli.promptchecks import print_bumps
from tidegate.kernel.plain import count_of

__all__ = ["Told", "json_text", "print_report"]

_STYLES = MappingProxyType(
    {"pass": "green", "warn": "yellow", "inconclusive": "magenta", "block": "red", "skipped": "dim"}
)
_WORDS = MappingProxyType({"pass": "PASS", "warn": "WARN", "inconclusive": "NOT KNOWN", "block": "BLOCK"})


class Told(CheckWatch):
    """Says what is checked, and shows each evaluation's progress. `quiet`: only notes."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._shown = Shown(quiet=quiet)

    def __enter__(self) -> "Told":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shown.__exit__(kind, error, trace)

    def note(self, text: str) -> None:
        """See `Watch`."""
        self._shown.note(text)

    def checking(self, changes: Changes) -> None:
        """See `CheckWatch`."""
        if not self._quiet and changes.base is not None and changes.versions:
            said = f"{count_of(len(changes.versions), 'version')} changed since {changes.base_ref}"
            self.note(f"{said} ({changes.base.sha[:10]}).")

    def evaluating(self, target: str, baseline: str | None, cases: int) -> None:
        """See `CheckWatch`."""
        if not self._quiet:
            against = f" against {baseline}" if baseline is not None else ""
            self.note(f"Evaluating {target}{against}, {count_of(cases, 'case')}.")

    def begin(self, manifest: Manifest, progress: Progress) -> None:
        """See `Watch`."""
        self._shown.__exit__(None, None, None)
        self._shown = Shown(quiet=self._quiet)
        self._shown.begin(manifest, progress)

    def tell(self, progress: Progress) -> None:
        """See `Watch`."""
        self._shown.tell(progress)


def json_text(report: CheckReport) -> str:
    """The report as JSON."""
    return msgspec.json.format(msgspec.json.encode(report)).decode() + "\n"


def print_report(report: CheckReport) -> None:
    """The table of steps, what is to be done about each version, and the verdict as the last line."""
    console = Console(highlight=False)
    if report.versions:
        console.print(_table(report))
    for fault in report.faults:
        console.print(Text(clean(f"{fault.file}:{fault.line}: {fault.severity} {fault.code}: {fault.message}")))
        console.print(Text(clean(f"    mend: {fault.mend}"), "dim"))
    for one in report.versions:
        _print_version(console, one)
    for remark in report.remarks:
        console.print(Text(clean(remark), "dim"), soft_wrap=True)
    if report.versions or report.faults:
        console.print()
    head = Text(_WORDS[report.answer], f"bold {_STYLES[report.answer]}")
    console.print(head.append(f"  {clean(report.why)}", "default"), soft_wrap=True)


def _table(report: CheckReport) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for head in ("PROMPT", *(step.upper() for step in STEPS)):
        table.add_column(head, overflow="fold")
    for one in report.versions:
        cells = [Text(clean(step.said or "-"), _STYLES[step.state]) for step in one.steps]
        table.add_row(Text(clean(f"{one.name} {one.version}")), *cells)
    return table


def _print_version(console: Console, one: CheckedVersion) -> None:
    lines = [(name, step, line) for name, step in zip(STEPS, one.steps, strict=True) for line in step.details]
    told = [(name, step, line) for name, step, line in lines if not (name == "tests" and step.state == "pass")]
    wrong = one.bump is not None and one.bump.answer in ("too_small", "too_large")
    if not (told or wrong or one.faults):
        return
    console.print()
    console.print(Text(clean(f"{one.name} {one.version}"), "bold"))
    for fault in one.faults:
        text = Text(
            clean(f"  {fault.file}:{fault.line}:{fault.column}: {fault.severity} {fault.code}: {fault.message}")
        )
        console.print(text, soft_wrap=True)
        console.print(Text(clean(f"      mend: {fault.mend}"), "dim"), soft_wrap=True)
    if wrong and one.bump is not None:
        print_bumps([one.bump], everything=False)
    for name, step, line in told:
        if name == "semver" and wrong:
            continue
        label = Text(f"  {name}: ", _STYLES[step.state])
        console.print(label.append(clean(line), "default"), soft_wrap=True)
    for row in rows_of(one.comparison) if one.comparison is not None else ():
        if row.finding.answer != "pass":
            cells = f"{row.rule} {row.allowed}: {row.baseline} -> {row.candidate}, {row.difference}"
            answer = Text(f"    {row.answer}", _STYLES[row.finding.answer])
            console.print(answer.append(clean(f"  {cells}"), "default"), soft_wrap=True)
