"""`tidegate eval compare`, `gate` and `report`: runs against each other, the rules that they keep, and the reports."""

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, TextIO

import typer
from rich.console import Console

from tidegate.app.evaluating import comparing, runs
from tidegate.app.evaluating.comparing import Judged, Kind
from tidegate.doors.cli.comparingviews import print_judged
from tidegate.doors.cli.options import Json, Workspace, named_folder
from tidegate.doors.cli.output import now_ms, print_json

__all__ = ["EXITS", "Format", "compare", "gate", "report"]

EXITS = MappingProxyType({"pass": 0, "warn": 0, "block": 1, "inconclusive": 3})
"""The exit code of a verdict; a warning is 1 with --strict."""

RUN_HELP = "A run's id or its beginning, its folder, or `last`."
WIDTH = 120
"""Of a terminal's report in a file."""


class Format(StrEnum):
    """What a report is written as."""

    TERMINAL = "terminal"
    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"
    JUNIT = "junit"


_KINDS: Mapping[Format, Kind] = MappingProxyType(
    {Format.MARKDOWN: "markdown", Format.HTML: "html", Format.JSON: "json", Format.JUNIT: "junit"}
)

Run = Annotated[str, typer.Argument(metavar="[RUN]", help=RUN_HELP)]
Baseline = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        "-b",
        metavar="RUN",
        help="The run to compare with, the one of what is live; or a version, whose newest run is taken.",
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="A warning exits with 1, too.")]
Defaults = Annotated[bool, typer.Option("--default-rules", help="Not the gates of the prompt's file.")]


def compare(
    baseline: Annotated[str, typer.Argument(metavar="BASELINE", help=f"What there was. {RUN_HELP}")],
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="What is new.")] = runs.LAST,
    default_rules: Defaults = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Compare two runs of the same cases. Whatever is found, the exit code is 0: `tidegate eval gate` decides."""
    _show(judged(candidate, baseline, workspace, default_rules=default_rules), as_json=as_json)


def gate(
    run: Run = runs.LAST,
    baseline: Baseline = None,
    strict: Strict = False,
    default_rules: Defaults = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Decide by the gates of the prompt: exits with 0 (pass or warn), 1 (block) or 3 (not known yet)."""
    found = judged(run, baseline, workspace, default_rules=default_rules)
    _show(found, as_json=as_json)
    answer = found.verdict.answer
    raise typer.Exit(1 if strict and answer == "warn" else EXITS[answer])


def report(
    run: Run = runs.LAST,
    baseline: Baseline = None,
    form: Annotated[
        Format, typer.Option("--format", "-f", help="Markdown is for a pull request, JUnit for the test view of CI.")
    ] = Format.TERMINAL,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to; else it is printed.")
    ] = None,
    default_rules: Defaults = False,
    workspace: Workspace = None,
) -> None:
    """Write a report: the verdict, what was found of each rule, and the cases, side by side with a baseline."""
    found = judged(run, baseline, workspace, default_rules=default_rules)
    if out is None:
        _write(found, form, sys.stdout)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8") as stream:
        _write(found, form, stream)
    sys.stderr.write(f"Wrote {out} ({out.stat().st_size / 1024:,.0f} KiB).\n")


def judged(run: str, baseline: str | None, workspace: Path | None, *, default_rules: bool) -> Judged:
    """The runs that were named, compared by their rules."""
    folder = named_folder(workspace)
    near = runs.runs_near(folder)
    candidate = runs.named_run(near, run)
    other = None if baseline is None else comparing.baseline_of(near, baseline, candidate)
    rules = comparing.DEFAULT_RULES if default_rules else comparing.rules_of(candidate.manifest, folder, Path.cwd())
    return comparing.judge(candidate, other, rules, at_ms=now_ms())


def _write(found: Judged, form: Format, stream: TextIO) -> None:
    if form is Format.TERMINAL:
        console = None if stream is sys.stdout else Console(file=stream, width=WIDTH, highlight=False)
        print_judged(found, console=console)
        return
    for piece in comparing.report_text(found, _KINDS[form]):
        stream.write(piece)


def _show(found: Judged, *, as_json: bool) -> None:
    if as_json:
        print_json({"verdict": found.verdict, "comparison": found.comparison, "remarks": found.remarks})
        return
    print_judged(found)
