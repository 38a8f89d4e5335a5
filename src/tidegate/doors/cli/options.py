"""The options that commands share, and what they stand for."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tidegate.kernel.errors import NotFound
from tidegate.settings import CONFIG_NAME, Settings, find_workspace, load_settings

__all__ = ["Environment", "Json", "Reason", "Server", "Workspace", "folder_of", "group", "named_folder", "settings_of"]

Workspace = Annotated[
    Path | None,
    typer.Option("--workspace", "-w", metavar="DIR", help="The workspace; else the nearest one upwards from here."),
]
Server = Annotated[
    str | None,
    typer.Option(
        "--server", metavar="URL", help="The control plane; else the workspace's own, else the one of `login`."
    ),
]
Environment = Annotated[
    str, typer.Option("--env", "-e", metavar="NAME", help="The environment: dev, staging, production.")
]
Reason = Annotated[
    str, typer.Option("--reason", "-m", metavar="TEXT", help="Why: kept in the audit and in the Git tag.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def group(help_text: str) -> typer.Typer:
    """A group of commands, its help in plain text."""
    return typer.Typer(help=help_text, rich_markup_mode=None, add_completion=False, no_args_is_help=True)


def settings_of(workspace: Path | None) -> Settings:
    """The settings of the workspace that was named, of TIDEGATE_WORKSPACE, or of the nearest one; raises NotFound."""
    return load_settings(folder_of(workspace), os.environ)


def folder_of(workspace: Path | None) -> Path:
    """The folder of the workspace that was named, of TIDEGATE_WORKSPACE, or of the nearest one; raises NotFound. One
    that was named needs no tidegate.yaml where TIDEGATE_DATABASE_URL says where everything is.
    """
    named = named_folder(workspace)
    if named is None:
        return find_workspace(Path.cwd())
    if named.is_dir() and os.environ.get("TIDEGATE_DATABASE_URL"):
        return named
    if not (named / CONFIG_NAME).is_file():
        raise NotFound("workspace", str(named), mend=f"There is no {CONFIG_NAME} in it: run `tidegate init {named}`.")
    return named


def named_folder(workspace: Path | None) -> Path | None:
    """The folder that was named, by the option or by TIDEGATE_WORKSPACE; None when neither was."""
    variable = os.environ.get("TIDEGATE_WORKSPACE")
    return workspace or (Path(variable) if variable else None)
