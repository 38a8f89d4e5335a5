"""`tidegate apply` and `tidegate config`: check tidegate.yaml, make it hold, and see what holds."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tidegate.app.config import check_file, schema_text
from tidegate.app.policies_local import apply_locally, checked_file, difference, foreseen, held_text
from tidegate.doors.cli.options import Json, Server, Workspace, folder_of, group, settings_of
from tidegate.doors.cli.output import clean, print_json, say
from tidegate.doors.cli.remote import connect
from tidegate.kernel.documents import decode_text
from tidegate.kernel.errors import NotFound, TidegateError, Unavailable
from tidegate.settings import CONFIG_NAME, Settings

__all__ = ["Outcome", "Shown", "apply", "config"]

HERE = "the workspace's database (control is not running)"
UNREACHABLE = "control_unreachable"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What control answers to an apply; `way` is added here: over which way the file went."""

    revision: int | None = None
    generation: int | None = None
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    way: str = ""
    dry_run: bool = False


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What control answers when it is asked for the file that holds."""

    text: str


def apply(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    server: Server = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Check tidegate.yaml and make it hold, whole or not at all."""
    text = checked_file(folder_of(workspace))
    settings = settings_of(workspace)
    if dry_run:
        held, way = _held(settings, server)
        outcome = Outcome(changes=difference(held, text), warnings=foreseen(text), way=way, dry_run=True)
    else:
        outcome = _applied(settings, server, text)
    if as_json:
        print_json(outcome)
    else:
        _tell(outcome)


def _applied(settings: Settings, server: str | None, text: str) -> Outcome:
    """Apply over control, or, when it does not run, straight on the database."""
    remote = connect(settings.workspace, server)
    way = f"control at {remote.server}"
    try:
        outcome = remote.put("/config", Outcome, {"text": text, "file": CONFIG_NAME})
    except Unavailable as error:
        _only_without_control(error, settings, server)
        done = asyncio.run(apply_locally(settings, text))
        return Outcome(
            revision=done.revision, generation=done.generation, changes=done.changes, warnings=done.warnings, way=HERE
        )
    return msgspec.structs.replace(outcome, way=way)


def _held(settings: Settings, server: str | None) -> tuple[str | None, str]:
    """The text that holds (None before the first apply), and the way it was read."""
    remote = connect(settings.workspace, server)
    way = f"control at {remote.server}"
    try:
        return remote.get("/config", Shown).text, way
    except TidegateError as error:
        if error.code == "config_not_found":
            return None, way
        if not isinstance(error, Unavailable):
            raise
        _only_without_control(error, settings, server)
        return asyncio.run(held_text(settings)), HERE


def _only_without_control(error: Unavailable, settings: Settings, server: str | None) -> None:
    """Raise the error again unless no server was named, none answers, and the database is the workspace's own file."""
    named = server or os.environ.get("TIDEGATE_SERVER")
    if error.code != UNREACHABLE or named or settings.is_postgres:
        raise error


def _tell(outcome: Outcome) -> None:
    for line in outcome.changes:
        say(clean(line))
    for line in outcome.warnings:
        say(f"warning: {clean(line)}")
    if outcome.dry_run:
        count = "1 change" if len(outcome.changes) == 1 else f"{len(outcome.changes)} changes"
        say(f"{count}, compared with {outcome.way}; nothing was applied.")
    elif outcome.changes:
        say(f"Applied as revision {outcome.revision} (generation {outcome.generation}), over {outcome.way}.")
    else:
        say(f"Nothing changed: revision {outcome.revision} holds already. Asked over {outcome.way}.")


config = group("Check tidegate.yaml, show what holds, print the schema for editors.")


@config.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="The file; else the workspace's.", show_default=False)] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Find every fault of the file, without a server. Exit code 1 if there is one."""
    path = file or folder_of(workspace) / CONFIG_NAME
    if not path.is_file():
        raise NotFound("file", str(path), mend="Name a file, or run `tidegate init`.")
    text = decode_text(path.read_bytes(), path.name)
    _, faults = check_file(text, path.name)
    if as_json:
        fields = ("code", "message", "mend", "file", "line", "column")
        print_json([{name: getattr(fault, name) for name in fields} for fault in faults])
    elif not faults:
        say(f"{path} is in order.")
    else:
        for fault in faults:
            say(clean(fault))
        say(f"{len(faults)} to mend.")
    return 1 if faults else 0


@config.command()
def show(server: Server = None, workspace: Workspace = None, as_json: Json = False) -> None:
    """Print the file that holds, as it was applied."""
    text, way = _held(settings_of(workspace), server)
    if text is None:
        raise NotFound("configuration", CONFIG_NAME, mend="Apply one: `tidegate apply`.", code="config_not_found")
    if as_json:
        print_json({"text": text, "way": way})
    else:
        say(text.rstrip("\n"))


@config.command()
def schema() -> None:
    """Print the JSON Schema of tidegate.yaml."""
    say(schema_text().rstrip("\n"))
