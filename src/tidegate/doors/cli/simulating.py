"""`tidegate release lint`, `simulate` and `schema`: a rollout's plan, checked and foreseen without a server."""

from pathlib import Path
from typing import Annotated

import typer

from tidegate.app import rollouts_local as local
from tidegate.control.rollouts.reports.forecasts import forecast_of
from tidegate.doors.cli.experimentviews import print_report
from tidegate.doors.cli.keys import parse_ttl
from tidegate.doors.cli.options import Json, group
from tidegate.doors.cli.output import clean, print_json, say
from tidegate.doors.cli.progress import counted
from tidegate.kernel.errors import Invalid
from tidegate.kernel.plain import count_of, joined

__all__ = ["app"]

app = group("Check and foresee how a version takes over.")


@app.command()
def lint(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The rollout's YAML file.")], as_json: Json = False
) -> int:
    """Find what is wrong with a rollout's plan, without a server. Exit code 1 if there is something."""
    found = local.checked(file)
    if as_json:
        print_json(found)
        return 1 if found.errors else 0
    for one in found.findings:
        say(clean(one))
    if found.plan is None:
        say(f"{found.errors} to mend.")
        return 1
    stages = joined([one.name for one in found.plan.stages])
    say(f"{file.name} is in order: {stages}, with {count_of(len(found.plan.gates), 'gate')}.")
    return 0


@app.command()
def simulate(
    spec: Annotated[
        str, typer.Argument(metavar="SPEC", help="The rollout's YAML file; or prompt, model: the plans without a file.")
    ],
    rpm: Annotated[float, typer.Option("--rpm", metavar="N", min=0.01, help="Units (new users) a minute.")],
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=50, max=100_000, help="Of an identical one.")] = 2000,
    tick: Annotated[str, typer.Option("--tick", metavar="TIME", help="How often it is looked at: 10s, 5m.")] = "5m",
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="The same, the same result.")] = 1,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with pictures.")] = None,
    as_json: Json = False,
) -> None:
    """Foresee what a plan does at your traffic.

    How often an identical candidate is rolled back, how soon a bad one, and how often a good one is promoted.
    """
    plan = local.plan_in(spec)
    with counted("Simulating") as progress:
        found = local.foreseen(plan, rpm, runs=runs, seed=seed, tick_s=int(parse_ttl(tick)), progress=progress)
    if as_json:
        print_json(found)
    else:
        print_report(forecast_of(found))
    if html is None:
        return
    try:
        html.write_text(local.page(found), encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{html} cannot be written: {error.strerror}.", mend="Name another file.") from error
    if not as_json:
        say(f"\nWrote {html}.")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a rollout file."""
    say(local.schema_text().rstrip("\n"))
