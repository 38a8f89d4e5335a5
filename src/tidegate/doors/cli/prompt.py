"""`tidegate prompt`: begin, check, list, show, compare and render prompts; see what became of them."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tidegate.app.prompts_local import LocalPrompts, open_prompts, prompt_schema
from tidegate.control.releases.model import Release
from tidegate.doors.cli.options import Json, Server, Workspace, group
from tidegate.doors.cli.output import ago, date_text, print_json, print_table, say
from tidegate.doors.cli.promptchecks import check
from tidegate.doors.cli.promptviews import print_diff, print_lint, print_prompt, print_rendered
from tidegate.doors.cli.remote import connect
from tidegate.kernel.errors import Invalid

__all__ = ["app"]

app = group("Write, check, compare and render prompts.")
app.command()(check)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The prompt's name.")]
Target = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A prompt; without a version, the newest.")]


@app.command()
def new(
    name: Name,
    bump: Annotated[
        Literal["major", "minor", "patch"] | None, typer.Option("--bump", help="Write the next version.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="VERSION", help="The version to copy. [default: the newest]")
    ] = None,
    kind: Annotated[Literal["chat", "text", "fragment"], typer.Option("--kind", help="What to begin.")] = "chat",
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Write the first version of a prompt, or the next one copied from an older."""
    path = _prompts(workspace).new(name, kind=kind, source=source, bump=bump)
    if as_json:
        print_json({"path": str(path)})
        return
    say(f"Wrote {_short(path)}.")
    if bump is None:
        say("Edit it, check it with `tidegate prompt lint`, and commit it.")
    else:
        say(f"Edit it, see with `tidegate prompt check {name}` whether {bump} is right, and commit it.")


@app.command()
def lint(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]...", help="Files or folders. [default: all]")
    ] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Find what is wrong with prompt files; exits with 1 when there are errors."""
    report = _prompts(workspace).lint(paths or [])
    if as_json:
        print_json(report)
    else:
        print_lint(report)
    if report.errors:
        raise typer.Exit(1)


@app.command("list")
def list_prompts(
    environment: Annotated[
        str | None, typer.Option("--env", "-e", metavar="NAME", help="Ask the server what is live there.")
    ] = None,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """List the versions on disk, or with --env those that are live."""
    if environment is not None:
        _print_live(connect(workspace, server).get("/releases", list[Release], environment=environment), as_json)
        return
    versions = _prompts(workspace).versions()
    if as_json:
        print_json(versions)
        return
    print_table(
        ("NAME", "VERSION", "MODEL", "STATE", "DESCRIPTION"),
        (
            (
                one.name,
                one.version,
                one.kind if one.kind == "fragment" else one.model or "-",
                one.state,
                one.description,
            )
            for one in versions
        ),
        empty="There are no prompts here. Begin one: `tidegate prompt new NAME`.",
    )


@app.command()
def show(target: Target, workspace: Workspace = None, as_json: Json = False) -> None:
    """Show a version with its fragments woven in."""
    shown = _prompts(workspace).show(*_parted(target))
    if as_json:
        print_json(shown.prompt)
    else:
        print_prompt(shown)


@app.command()
def diff(
    name: Name,
    a: Annotated[str, typer.Argument(metavar="A", help="The older version.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The newer version.")],
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Show what changed from one version to another: texts, parameters, model."""
    found = _prompts(workspace).diff(name, a, b)
    if as_json:
        print_json(found)
    else:
        print_diff(found)


@app.command()
def render(
    target: Target,
    var: Annotated[
        list[str] | None,
        typer.Option("--var", "-v", metavar="NAME=TEXT", help="A variable; NAME:=JSON for one that is not text."),
    ] = None,
    variables: Annotated[
        str | None, typer.Option("--vars", metavar="FILE", help="A JSON object of variables; - for standard input.")
    ] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Fill a version with variables and print what the model would get."""
    values = _read_variables(variables) | _parse_variables(var or [])
    rendered = _prompts(workspace).render(*_parted(target), values)
    if as_json:
        print_json(rendered)
    else:
        print_rendered(rendered)


@app.command()
def history(name: Name, workspace: Workspace = None, as_json: Json = False) -> None:
    """Show the commits that changed a prompt, and the releases made of them."""
    past = _prompts(workspace).history(name)
    if as_json:
        print_json(past)
        return
    print_table(
        ("COMMIT", "WHEN", "BY", "MESSAGE", "RELEASES"),
        (
            (
                one.commit.sha[:10],
                date_text(one.commit.at_ms),
                one.commit.author,
                one.commit.message.partition("\n")[0],
                " ".join(tag.removeprefix("release/") for tag in one.tags),
            )
            for one in past
        ),
        empty="No commit changed it.",
    )


@app.command()
def schema() -> None:
    """Print the JSON Schema of prompt files, for editors."""
    print_json(prompt_schema())


def _prompts(workspace: Path | None) -> LocalPrompts:
    named = workspace or (Path(os.environ["TIDEGATE_WORKSPACE"]) if os.environ.get("TIDEGATE_WORKSPACE") else None)
    return open_prompts(named, Path.cwd())


def _print_live(releases: list[Release], as_json: bool) -> None:
    live = [release for release in releases if release.arms]
    if as_json:
        print_json(live)
        return
    print_table(
        ("NAME", "LIVE", "SINCE", "BY"),
        ((one.prompt, ", ".join(arm.version for arm in one.arms), ago(one.at_ms), one.actor) for one in live),
        empty="Nothing is live there. Deploy: `tidegate release deploy NAME@VERSION --env production`.",
    )


def _parted(target: str) -> tuple[str, str | None]:
    name, _, version = target.partition("@")
    return name, version or None


def _short(path: Path) -> str:
    """The path from here on, when it is below here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _read_variables(source: str | None) -> dict[str, Any]:
    if source is None:
        return {}
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        values = json.loads(text)
    except (OSError, ValueError) as error:
        raise Invalid(f"The variables in {source} cannot be read: {error}.", mend="Give a JSON object.") from error
    if not isinstance(values, dict):
        raise Invalid(f"{source} holds no JSON object.", mend='Write {"name": "value"}.')
    return values


def _parse_variables(pairs: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign:
            raise Invalid(f"--var {pair} has no `=`.", mend="Write --var name=text, or --var name:=JSON.")
        if not name.endswith(":"):
            values[name] = text
            continue
        try:
            values[name[:-1]] = json.loads(text)
        except ValueError as error:
            mend = "After `:=` stands JSON: a number, true, null, a list, an object, or text in quotes."
            raise Invalid(f"--var {pair} is not JSON: {error}.", mend=mend) from error
    return values
