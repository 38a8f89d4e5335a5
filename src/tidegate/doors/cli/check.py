"""`tidegate check`: the gate of a pull request, in one command."""

from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

import typer

from tidegate.app.checking import CheckOrder, CheckReport
from tidegate.app.checking import check as run_check
from tidegate.app.checks.junit import junit
from tidegate.app.checks.markdown import markdown
from tidegate.app.checks.pages import pages
from tidegate.control.evals.model import Recorded
from tidegate.control.releases.model import Release
from tidegate.doors.cli.checkviews import Told, json_text, print_report
from tidegate.doors.cli.options import Json, Server, Workspace, named_folder
from tidegate.doors.cli.output import print_json, say
from tidegate.doors.cli.remote import connect
from tidegate.kernel.errors import Invalid, Unavailable

__all__ = ["check"]

Format = Literal["markdown", "json", "junit"]
EXITS = MappingProxyType({"pass": 0, "warn": 0, "block": 1, "inconclusive": 3})
INTERRUPTED = 130
_SUFFIXES: MappingProxyType[str, Format] = MappingProxyType({".md": "markdown", ".json": "json", ".xml": "junit"})


def check(
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="REF", help="Where the branch left from. [default: origin's main, or main]"),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Check the newest version of every prompt.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="A warning exits with 1, too.")] = False,
    evaluate: Annotated[bool, typer.Option("--eval/--no-eval", help="Ask the models, or only read the files.")] = True,
    live: Annotated[
        str | None, typer.Option("--live", metavar="ENV", help="Compare with what is live there, asked of the server.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", metavar="USD", min=0, help="Stop before it could cost more.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-c", metavar="N", min=1, max=1000, help="Calls at a time.")
    ] = 8,
    form: Annotated[
        Format | None, typer.Option("--format", help="Of the report; else by the ending of its file.")
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write a report: .md, .json or .xml (JUnit); repeatable."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="DIR", help="Write a page for each evaluation, case by case.")
    ] = None,
    record: Annotated[bool, typer.Option("--record", help="Hand the verdicts to the server, for rollouts.")] = False,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> int:
    """Check changed prompts: lint, version, tests, evaluation, gate.

    Exit code 0: pass, or warnings; 1: blocked; 3: not known yet, more cases are needed; 130: interrupted.
    """
    files = [(file, form or _form_of(file)) for file in out or ()]
    order = CheckOrder(
        base=base,
        all=everything,
        evaluate=evaluate,
        live=_live(workspace, server, live),
        max_cost_usd=max_cost,
        concurrency=concurrency,
    )
    with Told(quiet=as_json) as watch:
        report = run_check(order, named_folder(workspace), watch)
    for file, chosen in files:
        _write(file, _text(report, chosen))
    if html is not None:
        _write_pages(report, html, named_folder(workspace))
    _print(report, "json" if as_json else form if not out else None)
    if record:
        _record(report, workspace, server, quiet=as_json)
    if report.interrupted:
        return INTERRUPTED
    return 1 if strict and report.answer == "warn" else EXITS[report.answer]


def _print(report: CheckReport, form: Format | None) -> None:
    """To the terminal: for people, or as the report that was asked for."""
    if form is None:
        print_report(report)
    elif form == "json":
        print_json(report)
    else:
        say(_text(report, form).rstrip("\n"))


def _write_pages(report: CheckReport, folder: Path, workspace: Path | None) -> None:
    for name, page in pages(report, workspace):
        _write(folder / name, page)


def _form_of(file: Path) -> Format:
    found = _SUFFIXES.get(file.suffix.lower())
    if found is None:
        mend = "Let it end in .md, .json or .xml, or say --format."
        raise Invalid(f"{file} does not tell what report it is.", mend=mend, code="usage")
    return found


def _text(report: CheckReport, form: Format) -> str:
    return markdown(report) if form == "markdown" else junit(report) if form == "junit" else json_text(report)


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        mend = "Name a file that can be written."
        raise Unavailable(f"{file} cannot be written: {error.strerror or error}.", mend=mend) from error


def _live(workspace: Path | None, server: str | None, environment: str | None) -> dict[str, str]:
    """By prompt, the version that most units get there."""
    if environment is None:
        return {}
    releases = connect(workspace, server).get("/releases", list[Release], environment=environment)
    return {one.prompt: max(one.arms, key=lambda arm: arm.weight_bp).version for one in releases if one.arms}


def _record(report: CheckReport, workspace: Path | None, server: str | None, *, quiet: bool) -> None:
    verdicts = [one.verdict for one in report.versions if one.verdict is not None]
    remote = connect(workspace, server) if verdicts else None
    for verdict in verdicts:
        assert remote is not None
        kept = remote.post("/evaluations", Recorded, verdict)
        if not quiet:
            say(f"Recorded {verdict.prompt} {verdict.version}: {verdict.answer} ({kept.eval_id}).")
