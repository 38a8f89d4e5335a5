"""`tidegate init`: write a workspace."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tidegate.app.workspace.ci import CiChoice, WrittenCi, write_ci
from tidegate.app.workspace.create import Created, create_workspace
from tidegate.app.workspace.options import InitOptions
from tidegate.doors.cli.options import Json
from tidegate.doors.cli.output import clean, print_json, say
from tidegate.settings import CONFIG_NAME

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
    ci: Annotated[
        CiChoice | None, typer.Option("--ci", help="Write the CI files, into a workspace that is there too.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write every file anew; old ones are kept as NAME.old.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a workspace: configuration, prompts in Git, a dataset, keys. What is there already is kept."""
    if ci is not None and (folder / CONFIG_NAME).is_file():
        _tell_ci(write_ci(folder, ci, force=force), as_json=as_json)
        return
    options = InitOptions(model_url=model, model_name=model_name, api_key_env=api_key_env, bare=bare, force=force)
    created = create_workspace(folder, options, os.environ)
    written = write_ci(folder, ci, force=force) if ci is not None else None
    if as_json:
        print_json(created if written is None else {"workspace": created, "ci": written})
        return
    _tell_created(created, folder, bare=bare)
    if written is not None:
        say()
        _tell_ci(written, as_json=False)


def _tell_ci(written: WrittenCi, *, as_json: bool) -> None:
    if as_json:
        print_json(written)
        return
    say(f"CI files in {written.root}")
    for word, names in (("wrote", written.written), ("kept", written.kept)):
        for name in names:
            say(f"  {word:<9} {name}")
    if written.secrets:
        say(f"Give your CI system as secrets: {', '.join(written.secrets)}.")
    say("Commit them; a pull request that changes prompts is checked from then on. Try it here: tidegate check")


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
