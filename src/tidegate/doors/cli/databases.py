"""`tidegate migrate`, `backup`, `restore`: what keeps the databases. None of them needs a server."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tidegate.app.backup import backup as write_backup
from tidegate.app.backup import restore as read_backup
from tidegate.app.databases import migrate as migrate_database
from tidegate.doors.cli.options import Json, Workspace, settings_of
from tidegate.doors.cli.output import date_text, print_json, say

__all__ = ["backup", "migrate", "restore"]


def migrate(workspace: Workspace = None, as_json: Json = False) -> None:
    """Bring the database's schema up to date. Safe to run twice, and while Tidegate runs."""
    status = asyncio.run(migrate_database(settings_of(workspace)))
    if as_json:
        print_json(status)
    elif status.pending:
        say(f"Migrated from {status.current or 'nothing'} to {status.head}: {', '.join(status.pending)}.")
    else:
        say(f"The schema is at {status.head} already; nothing to do.")


def backup(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; it must not be there yet (.tar.gz).")],
    without_calls: Annotated[bool, typer.Option("--without-calls", help="Leave the call log out.")] = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Write everything that Tidegate remembers into one archive. Works while it runs; keys.env is not in it."""
    manifest = asyncio.run(write_backup(settings_of(workspace), out, calls=not without_calls))
    if as_json:
        print_json({"file": str(out), **msgspec.to_builtins(manifest)})
        return
    say(f"Wrote {out} ({out.stat().st_size:,} bytes), schema {manifest.schema}:")
    _tell_rows((name, table.rows) for name, table in manifest.tables.items())
    say("The workspace's keys and files are not in it: keep .tidegate/keys.env and the Git repository safe too.")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `tidegate backup` wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what the database holds.")] = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Bring an archive back, whole or not at all. Control must not run."""
    manifest = asyncio.run(read_backup(settings_of(workspace), file, force=force))
    if as_json:
        print_json(manifest)
        return
    say(f"Restored {file}, made {date_text(manifest.made_at_ms)} by Tidegate {manifest.made_by}:")
    _tell_rows((name, table.rows) for name, table in manifest.tables.items())


def _tell_rows(rows: Iterable[tuple[str, int]]) -> None:
    for name, number in rows:
        say(f"  {number:>9,} {name}")
