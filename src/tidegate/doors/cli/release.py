"""`tidegate release`: deploy prompt versions, roll back, and see what is live. What goes step by step: `rollout`."""

from typing import Annotated

import typer

from tidegate.control.releases.model import CANARY, Release, parse_target
from tidegate.control.rollouts.model import Shown
from tidegate.doors.cli import rollout, simulating
from tidegate.doors.cli.options import Environment, Json, Reason, Server, Workspace, group
from tidegate.doors.cli.output import ago, print_json, print_table, say, share_text
from tidegate.doors.cli.remote import Remote, connect, part
from tidegate.doors.cli.rolloutviews import one_line, print_events

__all__ = ["app"]

app = group("Let prompt versions take over step by step, deploy, roll back, see what is live.")
app.add_typer(rollout.app)
app.add_typer(simulating.app)

Prompt = Annotated[str, typer.Argument(metavar="NAME", help="The prompt's name.")]


@app.command()
def deploy(
    target: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="What to deploy.")],
    environment: Environment,
    reason: Reason = "",
    emergency: Annotated[
        bool, typer.Option("--emergency", help="Replace what is live in a protected environment; with --reason.")
    ] = False,
    supersede: Annotated[bool, typer.Option("--supersede", help="End the rollout that is under way.")] = False,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Make a version live for all traffic of an environment, at once.

    In a protected environment only the first version of a prompt, and what an experiment has shipped; anything else
    there takes over step by step (`release start`), or is an --emergency.
    """
    name, version = parse_target(target)
    order = {
        "prompt": name,
        "version": version,
        "environment": environment,
        "reason": reason,
        "emergency": emergency,
        "supersede": supersede,
    }
    _print_release(connect(workspace, server).post("/releases", Release, order), as_json)


@app.command()
def rollback(
    name: Prompt,
    environment: Environment,
    reason: Reason = "",
    keep_shadow: Annotated[
        bool, typer.Option("--keep-shadow", help="Of a rollout: go on with the candidate on copied calls for a while.")
    ] = False,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Go back at once: end a rollout, or undo a deploy.

    A rollout under way is rolled back; else the version that was live before is live again, and the first version of
    all is withdrawn.
    """
    remote = connect(workspace, server)
    order = {"reason": reason, "keep_shadow": keep_shadow}
    _print_release(remote.post(_of(environment, name, "rollback"), Release, order), as_json)


@app.command()
def revert(
    name: Prompt,
    environment: Environment,
    reason: Reason = "",
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Undo the live version in Git with a revert commit, and deploy the version before it."""
    remote = connect(workspace, server)
    _print_release(remote.post(_of(environment, name, "revert"), Release, {"reason": reason}), as_json)


@app.command()
def withdraw(
    name: Prompt,
    environment: Environment,
    reason: Reason = "",
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Take a prompt out of an environment: nothing of it is served there."""
    remote = connect(workspace, server)
    _print_release(remote.post(_of(environment, name, "withdraw"), Release, {"reason": reason}), as_json)


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One prompt only.")] = None,
    environment: Annotated[
        str | None, typer.Option("--env", "-e", metavar="NAME", help="One environment only.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Of a rollout: until it is over. Exit code 1 if it was not promoted.")
    ] = False,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> int:
    """Show what is live where, and the rollouts under way."""
    remote = connect(workspace, server)
    if follow:
        return rollout.follow(remote, environment, name, as_json=as_json)
    releases = remote.get("/releases", list[Release], environment=environment, prompt=name)
    if as_json:
        print_json(releases)
        return 0
    print_table(
        ("PROMPT", "ENV", "LIVE", ">WEIGHT", "SINCE", "BY", "WAY BACK"),
        (row for release in releases for row in _status_rows(release)),
        empty="Nothing was released yet. Deploy: `tidegate release deploy NAME@VERSION --env production`.",
    )
    _print_rollouts(remote, [one for one in releases if one.kind == CANARY], whole=name is not None)
    return 0


@app.command()
def history(
    name: Prompt,
    environment: Environment,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many, newest first.")] = 20,
    of_rollout: Annotated[
        bool, typer.Option("--rollout", help="What happened to the newest rollout, oldest first.")
    ] = False,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Show every release of a prompt in an environment; with --rollout, what happened to its newest rollout."""
    if of_rollout:
        shown = connect(workspace, server).get(rollout.path_of(environment, name), Shown)
        print_json(shown.events) if as_json else print_events(shown.events, shown.rollout)
        return
    path = f"/releases/{part(environment)}/{part(name)}"
    releases = connect(workspace, server).get(path, list[Release], limit=limit)
    if as_json:
        print_json(releases)
        return
    print_table(
        (">#", "KIND", "LIVE", "WHEN", "BY", "COMMIT", "REASON"),
        (
            (
                one.number,
                one.kind,
                _live(one),
                ago(one.at_ms),
                one.actor,
                one.commit_sha[:8] or "-",
                one.reason or "-",
            )
            for one in releases
        ),
        empty=f"{name} was never released to {environment}.",
    )


def _print_rollouts(remote: Remote, canaries: list[Release], *, whole: bool) -> None:
    """The rollouts under way: of one prompt everything, else a line each."""
    for release in canaries:
        say()
        shown = remote.get(rollout.path_of(release.environment, release.prompt), Shown)
        rollout.show(shown) if whole else say(one_line(shown.rollout))


def _status_rows(release: Release) -> list[tuple[object, ...]]:
    """One row for each arm; the way back stands in the first."""
    if not release.arms:
        return [(release.prompt, release.environment, "withdrawn", "-", ago(release.at_ms), release.actor, "-")]
    back = (release.version if release.kind == CANARY else release.previous_version) or "withdrawal"
    first = (release.prompt, release.environment, ago(release.at_ms), release.actor, back)
    return [
        (first[0], first[1], arm.version, share_text(arm.weight_bp), *(first[2:] if at == 0 else ("", "", "")))
        for at, arm in enumerate(release.arms)
    ]


def _live(release: Release) -> str:
    """What a release made live: of a canary, the candidate with its share."""
    if release.kind == CANARY:
        return f"{release.arms[-1].version} {share_text(release.arms[-1].weight_bp)}"
    return release.version or "nothing"


def _of(environment: str, name: str, verb: str) -> str:
    return f"/releases/{part(environment)}/{part(name)}/{verb}"


def _print_release(release: Release, as_json: bool) -> None:
    if as_json:
        print_json(release)
        return
    what = f"{release.prompt} in {release.environment}"
    on = f" on {release.model}" if release.model is not None else ""
    if release.version is None:
        say(f"{what}: nothing is live any more (release {release.number}, {release.kind}).")
        return
    say(f"{what}: {release.version}{on} is live for all traffic (release {release.number}, {release.kind}).")
    say(f"Way back: {release.previous_version or 'withdrawal'}. Git tag: {release.tag}.")
