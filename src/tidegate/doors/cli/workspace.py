"""`tidegate init`: write a workspace."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tidegate.app.workspace.create import Created, create_workspace
from tidegate.app.workspace.options import InitOptions
from tidegate.doors.cli.options import Json
from tidegate.doors.cli.output import clean, print_json, say

__all__ = ["init"]

NEXT = (
    ("tidegate doctor", "is everything in order?"),
    ("tidegate up", "serve it"),
    ("tidegate keys create my-app", "a key for an application"),
    ("tidegate release deploy support-answer@1.0.0 --env production", "make a prompt live"),
    ("tidegate calls tail", "watch the calls"),
)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder; it may be there already.")] = Path("."),
    model: Annotated[str | None, typer.Option("--model", metavar="URL", help="Any OpenAI-compatible server.")] = None,
    model_name: Annotated[str | None, typer.Option("--model-name", help="The model's id at that server.")] = None,
    api_key_env: Annotated[
        str | None, typer.Option("--api-key-env", metavar="VARIABLE", help="The variable that holds its key.")
    ] = None,
    bare: Annotated[bool, typer.Option("--bare", help="No prompts, dataset or Git repository.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write every file anew; old ones are kept as NAME.old.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a workspace: configuration, prompts in Git, a dataset, keys. What is there already is kept."""
    options = InitOptions(model_url=model, model_name=model_name, api_key_env=api_key_env, bare=bare, force=force)
    created = create_workspace(folder, options, os.environ)
    if as_json:
        print_json(created)
    else:
        _tell_created(created, folder, bare=bare)


def _tell_created(created: Created, folder: Path, *, bare: bool) -> None:
    say(f"Workspace {created.folder}")
    for word, names in (("wrote", created.written), ("kept", created.kept)):
        for name in names:
            say(f"  {word:<9} {name}")
    for name, aside in created.replaced.items():
        say(f"  replaced  {name} (its old text is in {aside})")
    for sha in created.commits:
        say(f"  committed {sha[:12]}")
    for note in created.notes:
        say(f"  note: {clean(note)}")
    say("\nNext:")
    steps = [step for step in NEXT if not (bare and "support-answer" in step[0])]
    if folder.resolve() != Path.cwd():
        say(f"  cd {folder}")
    for command, meaning in steps:
        say(f"  {command:<62}  # {meaning}")
