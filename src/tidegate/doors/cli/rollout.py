"""`tidegate release`: let a candidate take over step by step, steer it, see why it stands where it stands."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from tidegate.control.rollouts.model import FINAL, Drill, Rollout, Shown, Started, Why
from tidegate.doors.cli.keys import parse_ttl
from tidegate.doors.cli.options import Environment, Json, Reason, Server, Workspace, group
from tidegate.doors.cli.output import clean, print_json, print_line, say
from tidegate.doors.cli.remote import Remote, connect, part
from tidegate.doors.cli.rolloutviews import event_line, headline, print_drill, print_why, shown_view
from tidegate.kernel.errors import Invalid, NotFound

__all__ = ["app", "follow", "live_rollouts", "path_of", "show"]

app = group("Let a version take over step by step.")

Prompt = Annotated[str, typer.Argument(metavar="NAME", help="The prompt's name.")]
Despite = Annotated[bool, typer.Option("--despite", help="Although harm is proven or the split is broken.")]
LOOK_S = 1.0


@app.command()
def start(
    target: Annotated[
        str,
        typer.Argument(metavar="NAME[@VERSION]", help="What takes over; with --model no version is needed."),
    ],
    environment: Environment,
    model: Annotated[
        str | None, typer.Option("--model", metavar="ALIAS", help="Another model under the same prompt.")
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="Stages, gates and approvers. [default: the usual ones]"),
    ] = None,
    reason: Reason = "",
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Let a version take over step by step, judged at every look.

    Without --plan: an evaluation, staging, 1% copied, an approval, then 5, 25, 50 and 100% of the users.
    """
    name, _, version = target.partition("@")
    if not version and model is None:
        raise Invalid(
            f"{target!r} names no version.", mend="Write NAME@VERSION, or name another --model.", code="invalid_target"
        )
    order = {"prompt": name, "environment": environment, "version": version or None, "model": model, "reason": reason}
    if plan is not None:
        order |= {"plan": _text_of(plan), "file": plan.name}
    remote = connect(workspace, server)
    started = remote.post("/rollouts", Started, order)
    if as_json:
        print_json(started)
        return
    for line in started.warnings:
        say(f"warning: {clean(line)}")
    show(remote.get(path_of(environment, name), Shown))
    say()
    say(f"Watch it: `tidegate release status {name} --env {environment} --follow`.")


@app.command()
def approve(
    name: Prompt,
    environment: Environment,
    note: Annotated[str, typer.Option("--note", "-m", metavar="TEXT", help="Kept with the approval.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Say yes to the stage that waits for it, as it stands now.

    It is bound to that stage and plan; nobody approves what they wrote or started, unless the plan lets them.
    """
    remote = connect(workspace, server)
    path = path_of(environment, name)
    shown = remote.get(path, Shown)
    if not as_json and not yes and sys.stdin.isatty():
        show(shown)
        typer.confirm(f"Approve {shown.rollout.now_in.name}?", abort=True)
    body = {"note": note, "stage": shown.rollout.stage, "plan_hash": shown.rollout.plan_hash}
    _steered(remote.post(f"{path}/approve", Rollout, body), as_json)


@app.command()
def pause(
    name: Prompt,
    environment: Environment,
    reason: Reason = "",
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Stay in the stage with the shares of now.

    Paused time does not count. A proven harm still rolls it back.
    """
    _steer(connect(workspace, server), environment, name, "pause", {"reason": reason}, as_json)


@app.command()
def resume(
    name: Prompt,
    environment: Environment,
    reason: Reason = "",
    despite: Despite = False,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Go on where it was paused."""
    _steer(connect(workspace, server), environment, name, "resume", {"reason": reason, "despite": despite}, as_json)


@app.command()
def extend(
    name: Prompt,
    environment: Environment,
    length: Annotated[str, typer.Option("--for", metavar="TIME", help="How much longer: 30m, 2h, 1d.")],
    reason: Reason = "",
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Let the stage last longer before a person must decide."""
    body = {"for_s": round(parse_ttl(length)), "reason": reason}
    _steer(connect(workspace, server), environment, name, "extend", body, as_json)


@app.command()
def rebalance(
    name: Prompt,
    environment: Environment,
    percent: Annotated[float, typer.Option("--percent", metavar="N", help="The share of an earlier stage.")],
    reason: Reason = "",
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Give the candidate a smaller share: an earlier stage's, and go on from there."""
    _steer(connect(workspace, server), environment, name, "rebalance", {"percent": percent, "reason": reason}, as_json)


@app.command()
def promote(
    name: Prompt,
    environment: Environment,
    reason: Reason = "",
    despite: Despite = False,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Give it to everybody at once, by your decision; needs --reason.

    Only once users have it, and after the approvals of its plan.
    """
    _steer(connect(workspace, server), environment, name, "promote", {"reason": reason, "despite": despite}, as_json)


@app.command()
def why(
    name: Prompt,
    environment: Environment,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Say why a rollout stands where it stands: the evidence in plain words."""
    found = connect(workspace, server).get(f"{path_of(environment, name)}/why", Why)
    if as_json:
        print_json(found)
    else:
        print_why(found)


@app.command()
def drill(
    name: Prompt,
    environment: Annotated[str, typer.Option("--env", "-e", metavar="NAME", help="Where to walk it.")] = "staging",
    version: Annotated[
        str | None,
        typer.Option("--version", metavar="VERSION", help="What to make live. [default: the rollout's candidate]"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="In a protected environment too.")] = False,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> int:
    """Walk the way back before it is needed: deploy, roll back, measure each step.

    The environment is afterwards as it was. Exit code 1 when the gateways did not serve a step in time.
    """
    body = {"version": version, "force": force}
    found = connect(workspace, server).post(f"{path_of(environment, name)}/drill", Drill, body)
    if as_json:
        print_json(found)
    else:
        print_drill(found)
    return 0 if found.ok else 1


def path_of(environment: str, name: str) -> str:
    """Where a rollout is found in the API."""
    return f"/rollouts/{part(environment)}/{part(name)}"


def show(shown: Shown) -> None:
    """Print everything of one rollout."""
    Console(highlight=False).print(shown_view(shown))


def live_rollouts(remote: Remote, environment: str | None, name: str | None) -> list[Rollout]:
    """The rollouts that go on."""
    found = remote.get("/rollouts", list[Rollout], environment=environment, prompt=name)
    return [one for one in found if one.state not in FINAL]


def follow(remote: Remote, environment: str | None, name: str | None, *, as_json: bool) -> int:
    """Show a rollout as it goes on, until it is over: on a terminal in one place, else a line for each event (with JSON
    all of it, at each). Returns 0 when it was promoted, 1 when it was not.
    """
    path = path_of(*_meant(remote, environment, name))
    last: Shown | None = None
    console = Console(highlight=False)
    if as_json or not console.is_terminal:
        for last in _changes(remote, path):
            if as_json:
                print_line(last)
            else:
                say(event_line(last.events[-1], last.rollout))
                sys.stdout.flush()
    else:
        with Live(console=console, auto_refresh=False) as screen:
            for last in _looks(remote, path):
                screen.update(shown_view(last), refresh=True)
    return 0 if last is not None and last.rollout.state == "promoted" else 1


def _changes(remote: Remote, path: str) -> Iterator[Shown]:
    """Each event once; at the beginning all that happened."""
    seen = 0
    for shown in _looks(remote, path):
        for at, event in enumerate(shown.events):
            if event.seq > seen:
                seen = event.seq
                until = shown.events[: at + 1]
                yield Shown(
                    rollout=shown.rollout,
                    events=until,
                    evidence=shown.evidence,
                    approvals=shown.approvals,
                    waits_for=shown.waits_for,
                    now_ms=shown.now_ms,
                )


def _looks(remote: Remote, path: str) -> Iterator[Shown]:
    while True:
        shown = remote.get(path, Shown)
        yield shown
        if shown.rollout.state in FINAL:
            return
        time.sleep(LOOK_S)


def _meant(remote: Remote, environment: str | None, name: str | None) -> tuple[str, str]:
    """Which rollout is meant: the one that goes on, of this name and in this environment where they are given."""
    if environment is not None and name is not None:
        return environment, name
    found = live_rollouts(remote, environment, name)
    if len(found) == 1:
        return found[0].environment, found[0].prompt
    if not found:
        raise NotFound(
            "rollout under way",
            name or "any",
            mend="Start one with `tidegate release start NAME@VERSION --env ENV`.",
            code="rollout_not_found",
        )
    names = ", ".join(f"{one.prompt} --env {one.environment}" for one in found)
    raise Invalid(f"{len(found)} rollouts go on.", mend=f"Name one: {names}.", code="usage")


def _steer(remote: Remote, environment: str, name: str, verb: str, body: dict[str, object], as_json: bool) -> None:
    _steered(remote.post(f"{path_of(environment, name)}/{verb}", Rollout, body), as_json)


def _steered(rollout: Rollout, as_json: bool) -> None:
    if as_json:
        print_json(rollout)
        return
    say(headline(rollout))
    say(clean(rollout.why))


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound("file", str(file), mend="Name a plan's YAML file.") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is no UTF-8 text.", mend="Save it as UTF-8.") from error
