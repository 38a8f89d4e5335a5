"""`tidegate experiment`: define, foresee, start, watch and decide experiments."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from tidegate.app import experiments_local as local
from tidegate.control.experiments.model import (
    Analysis,
    Assignment,
    Definition,
    Experiment,
    Operating,
    Preview,
    Shown,
    Started,
)
from tidegate.control.releases.model import Release
from tidegate.doors.cli.experimentruns import next_steps, print_shown, shares_text, winner_of
from tidegate.doors.cli.experimentviews import print_analysis, print_list, print_operating
from tidegate.doors.cli.options import Json, Server, Workspace, group
from tidegate.doors.cli.output import clean, print_json, say, share_text
from tidegate.doors.cli.progress import counted
from tidegate.doors.cli.remote import Remote, connect, part
from tidegate.kernel.errors import Invalid
from tidegate.kernel.plain import count_of

__all__ = ["app"]

app = group("Try variants of prompts and models on real traffic, and decide.")

File = Annotated[Path, typer.Argument(metavar="FILE", help="The experiment's YAML file.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The experiment's name.")]
Reason = Annotated[str, typer.Option("--reason", "-m", metavar="TEXT", help="Why: kept with the run and in the audit.")]
Traffic = Annotated[
    float | None,
    typer.Option("--units-per-day", metavar="N", min=1, help="New units (users) a day. [default: the file's own]"),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the simulation: the same, the same result.")]
QUICK_RUNS = 400


@app.command()
def lint(file: File, as_json: Json = False) -> int:
    """Find what is wrong with a definition, without a server. Exit code 1 if there is something."""
    found = local.checked(file)
    if as_json:
        print_json(found)
        return 1 if found.errors else 0
    for one in found.findings:
        say(clean(one))
    definition = found.definition
    if definition is None:
        say(f"{found.errors} to mend.")
        return 1
    metrics = count_of(len(definition.metrics), "metric")
    say(f"{file.name} is in order: {definition.name} compares {len(definition.variants)} variants of "
        f"{definition.subject} by {metrics} in {definition.environment}.")  # fmt: skip
    return 0


@app.command()
def simulate(
    file: File,
    units_per_day: Traffic = None,
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=50, max=100_000, help="Of each scenario.")] = 2000,
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Foresee how often the rule would be wrong, and how soon right.

    Plays it at a traffic: how often it ships what is no better, and finds what is.
    """
    definition = local.definition_in(file)
    traffic = units_per_day or definition.units_per_day
    if traffic is None:
        raise Invalid(
            "How many units a day there are is not known.",
            mend="Pass --units-per-day N, or write `units_per_day` into the file.",
            param="units_per_day",
        )
    operating = _foreseen(definition, traffic, runs=runs, seed=seed)
    if as_json:
        print_json(operating)
    else:
        print_operating(operating)


@app.command()
def start(
    file: File,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    units_per_day: Traffic = None,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Show what the rule does, then let the experiment run."""
    remote = connect(workspace, server)
    order = {"text": local.text_of(file), "file": file.name}
    if not as_json:
        preview = remote.post("/experiments/preview", Preview, order)
        definition = preview.definition
        for line in preview.warnings:
            say(f"warning: {clean(line)}")
        _foresee(definition, units_per_day or definition.units_per_day or preview.units_per_day)
        if not yes and sys.stdin.isatty():
            typer.confirm(f"Start {definition.name} in {definition.environment}?", abort=True)
    started = remote.post("/experiments", Started, order)
    if as_json:
        print_json(started)
        return
    run = started.experiment
    definition = run.definition
    whole = share_text(run.to_bp - run.from_bp)
    say(f"{definition.name} is running: {whole} of all units, of them {shares_text(run)}.")
    say(f"Watch it: `tidegate experiment analyze {definition.name}`.")


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One experiment, with its events.")] = None,
    environment: Annotated[
        str | None, typer.Option("--env", "-e", metavar="NAME", help="One environment only.")
    ] = None,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """List experiments, newest first; of one, what happened to it."""
    remote = connect(workspace, server)
    if name is not None:
        shown = remote.get(f"/experiments/{part(name)}", Shown)
        print_json(shown) if as_json else print_shown(shown)
        return
    found = remote.get("/experiments", list[Experiment], environment=environment)
    if as_json:
        print_json(found)
    else:
        print_list(found)


@app.command()
def analyze(
    name: Name,
    form: Annotated[
        Literal["text", "markdown", "html", "json"], typer.Option("--format", help="How to write it.")
    ] = "text",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it there, not here.")] = None,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Say what is known: the rule's answer first, then the evidence."""
    analysis = connect(workspace, server).get(f"/experiments/{part(name)}/analysis", Analysis)
    kind = "json" if as_json else form
    if kind == "text" and out is None:
        print_analysis(analysis)
        return
    if kind == "json":
        text = msgspec.json.format(msgspec.json.encode(analysis)).decode() + "\n"
    else:
        text = local.report(analysis, "markdown" if kind == "text" else kind)
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{out} cannot be written: {error.strerror}.", mend="Name another file.") from error
    say(f"Wrote {out}.")


@app.command()
def decide(
    name: Name,
    reason: Reason = "",
    answer: Annotated[
        Literal["ship", "keep", "inconclusive"] | None,
        typer.Option("--answer", help="Not the rule's answer but this one; needs --reason."),
    ] = None,
    variant: Annotated[str | None, typer.Option("--variant", metavar="NAME", help="Which one --answer ships.")] = None,
    deploy: Annotated[bool, typer.Option("--deploy", help="Deploy the version that won.")] = False,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """End an experiment by its rule's answer.

    Refused while the rule has none, unless --answer gives one.
    """
    remote = connect(workspace, server)
    order = {"reason": reason, "answer": answer, "variant": variant}
    over = remote.post(f"/experiments/{part(name)}/decide", Experiment, order)
    decision = over.decision
    if decision is not None and not as_json:  # said before anything can go wrong with the release
        say(f"{name} is decided: {clean(decision.answer)}{f' {decision.variant}' if decision.variant else ''}.")
        say(clean(decision.why))
    release = _deployed(remote, over) if deploy else None
    if as_json:
        print_json({"experiment": over, "release": release})
        return
    for line in next_steps(over, release):
        say(line)


@app.command()
def stop(
    name: Name, reason: Reason = "", workspace: Workspace = None, server: Server = None, as_json: Json = False
) -> None:
    """End an experiment without an answer.

    Everybody gets again what is live.
    """
    path = f"/experiments/{part(name)}/stop"
    over = connect(workspace, server).post(path, Experiment, {"reason": reason})
    if as_json:
        print_json(over)
    else:
        say(f"{name} is stopped. What is live is served to everybody again.")


@app.command()
def peek(
    name: Name,
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="What is assigned: a user, a session, a call's id.")],
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Say what a unit gets, or would get, without enrolling it."""
    path = f"/experiments/{part(name)}/assignment"
    found = connect(workspace, server).get(path, Assignment, unit=unit)
    if as_json:
        print_json(found)
    elif found.variant is None:
        say(f"{clean(unit)} is not in {name}. {found.why}")
    else:
        prompt = f"{found.prompt}@{found.version}" if found.prompt else ""
        what = " on ".join(part for part in (prompt, found.model) if part)
        say(f"{clean(unit)} gets {found.variant}{f': {what}' if what else ''}.")


@app.command()
def schema() -> None:
    """Print the JSON Schema of an experiment file."""
    say(local.schema_text().rstrip("\n"))


def _foresee(definition: Definition, units_per_day: float | None) -> None:
    """Print what the rule does at this traffic, quickly simulated; or why that is not known."""
    if units_per_day is None:
        say("What the rule does at this traffic is not known: there were no calls. Pass --units-per-day N to see it.")
        return
    try:
        print_operating(_foreseen(definition, units_per_day, runs=QUICK_RUNS, seed=1))
    except Invalid as error:
        say(f"What the rule does at this traffic is not known: {error}")


def _foreseen(definition: Definition, units_per_day: float, *, runs: int, seed: int) -> Operating:
    with counted("Simulating") as progress:
        return local.foreseen(definition, units_per_day, runs=runs, seed=seed, progress=progress)


def _deployed(remote: Remote, over: Experiment) -> Release | None:
    """Deploy what won, if it is a version of a prompt."""
    winner = winner_of(over)
    if winner is None or winner.prompt is None:
        return None
    why = f"experiment {over.definition.name}: {over.decision.why if over.decision is not None else ''}"
    order = {"prompt": winner.prompt, "version": winner.version, "environment": over.definition.environment}
    return remote.post("/releases", Release, order | {"reason": why})
