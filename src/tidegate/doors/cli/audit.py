"""`tidegate audit`: who changed what, and what was different afterwards."""

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec
import typer

from tidegate.control.identity.model import AuditRow
from tidegate.doors.cli.options import Json, Server, Workspace
from tidegate.doors.cli.output import ago, clean, date_text, print_json, say
from tidegate.doors.cli.remote import connect

__all__ = ["audit", "diff_lines"]


def audit(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many, newest first.")] = 20,
    before: Annotated[int | None, typer.Option("--before", metavar="ID", help="Only rows older than this one.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="One thing (key/ci), or a kind of things (key/).")
    ] = None,
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Show who changed what, newest first, with what was different afterwards."""
    rows = connect(workspace, server).get("/audit", list[AuditRow], limit=limit, before=before, subject=subject)
    if as_json:
        print_json(rows)
        return
    if not rows:
        say("Nothing was changed yet.")
    for row in rows:
        when = f"{date_text(row.at_ms)} ({ago(row.at_ms)})"
        say(f"{row.audit_id}  {when}  {clean(row.actor)}  {row.action}  {clean(row.subject)}")
        for line in diff_lines(row.diff):
            say(f"    {line}")


def diff_lines(diff: Mapping[str, object]) -> Iterator[str]:
    """The diff for people: `name: old -> new`, or `name: value`."""
    before, after = diff.get("before"), diff.get("after")
    old = before if isinstance(before, Mapping) else {}
    new = after if isinstance(after, Mapping) else {}
    for name in dict.fromkeys((*old, *new)):
        if name not in old:
            yield f"{name}: {_text(new[name], name)}"
        elif old[name] != new.get(name):
            yield f"{name}: {_text(old[name], name)} -> {_text(new.get(name), name)}"
    if not old and not new and (before is not None or after is not None):
        yield f"{_text(before)} -> {_text(after)}" if before is not None else _text(after)
    for name, value in diff.items():
        if name == "changes" and isinstance(value, list):
            yield from map(clean, value)
        elif name not in ("before", "after") and value not in (None, ""):
            yield f"{name}: {_text(value, name)}"


def _text(value: object, name: str = "") -> str:
    if value is None:
        return "nothing"
    if name.endswith("_at_ms") and isinstance(value, int):
        return date_text(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return clean(", ".join(value)) or "nothing"
    return clean(value if isinstance(value, str) else msgspec.json.encode(value).decode())
