"""`tidegate release`: deploy prompt versions, roll back, and see what is live."""

from typing import Annotated

import typer

from tidegate.control.releases.model import Release, parse_target
from tidegate.doors.cli.options import Environment, Json, Reason, Server, Workspace, group
from tidegate.doors.cli.output import ago, print_json, print_table, say, share_text
from tidegate.doors.cli.remote import connect, part

__all__ = ["app"]

app = group("Deploy prompt versions, roll back, see what is live.")

Prompt = Annotated[str, typer.Argument(metavar="NAME", help="The prompt's name.")]


@app.command()
def deploy(
    target: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="What to deploy.")],
    environment: Environment,
    reason: Reason = "",
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Make a version live for all traffic of an environment."""
    name, version = parse_target(target)
    order = {"prompt": name, "version": version, "environment": environment, "reason": reason}
    _print_release(connect(workspace, server).post("/releases", Release, order), as_json)


@app.command()
def rollback(
    name: Prompt,
    environment: Environment,
    reason: Reason = "",
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Go back, at once, to the version that was live before; the first version is withdrawn."""
    remote = connect(workspace, server)
    _print_release(remote.post(_of(environment, name, "rollback"), Release, {"reason": reason}), as_json)


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
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Show what is live where, since when, by whom, and the way back."""
    releases = connect(workspace, server).get("/releases", list[Release], environment=environment, prompt=name)
    if as_json:
        print_json(releases)
        return
    print_table(
        ("PROMPT", "ENV", "LIVE", ">WEIGHT", "SINCE", "BY", "WAY BACK"),
        (row for release in releases for row in _status_rows(release)),
        empty="Nothing was released yet. Deploy: `tidegate release deploy NAME@VERSION --env production`.",
    )


@app.command()
def history(
    name: Prompt,
    environment: Environment,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many, newest first.")] = 20,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Show every release of a prompt in an environment."""
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
                one.version or "nothing",
                ago(one.at_ms),
                one.actor,
                one.commit_sha[:8] or "-",
                one.reason or "-",
            )
            for one in releases
        ),
        empty=f"{name} was never released to {environment}.",
    )


def _status_rows(release: Release) -> list[tuple[object, ...]]:
    """One row for each arm; the way back stands in the first."""
    if not release.arms:
        return [(release.prompt, release.environment, "withdrawn", "-", ago(release.at_ms), release.actor, "-")]
    back = release.previous_version or "withdrawal"
    first = (release.prompt, release.environment, ago(release.at_ms), release.actor, back)
    return [
        (first[0], first[1], arm.version, share_text(arm.weight_bp), *(first[2:] if at == 0 else ("", "", "")))
        for at, arm in enumerate(release.arms)
    ]


def _of(environment: str, name: str, verb: str) -> str:
    return f"/releases/{part(environment)}/{part(name)}/{verb}"


def _print_release(release: Release, as_json: bool) -> None:
    if as_json:
        print_json(release)
        return
    what = f"{release.prompt} in {release.environment}"
    if release.version is None:
        say(f"{what}: nothing is live any more (release {release.number}, {release.kind}).")
        return
    say(f"{what}: {release.version} is live for all traffic (release {release.number}, {release.kind}).")
    say(f"Way back: {release.previous_version or 'withdrawal'}. Git tag: {release.tag}.")
