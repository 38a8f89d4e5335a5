"""`tidegate doctor`: what is wrong, and how it is mended. Needs no server."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tidegate.app.doctor.faults import reference_text
from tidegate.app.doctor.table import examine_folder
from tidegate.doors.cli.options import Json, Workspace, named_folder
from tidegate.doors.cli.output import clean, print_json, say

__all__ = ["doctor"]


def doctor(
    reference: Annotated[bool, typer.Option("--list", help="Print every fault that it knows, as Markdown.")] = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> int:
    """Find what is wrong with the workspace and this machine, without a server. Exit code 1 if something is."""
    if reference:
        say(reference_text().rstrip("\n"))
        return 0
    named = named_folder(workspace)
    findings = examine_folder(named or Path.cwd(), os.environ, exact=named is not None)
    count = {level: sum(finding.level == level for finding in findings) for level in ("ok", "warn", "fail")}
    if as_json:
        print_json({**count, "findings": findings})
    else:
        for finding in findings:
            say(f"{finding.level:<4}  {clean(f'{finding.code}: {finding.what}' if finding.mend else finding.what)}")
            if finding.mend:
                say(f"      mend: {clean(finding.mend)}")
        say(f"\n{count['ok']} in order, {count['warn']} to look at, {count['fail']} to mend.")
    return 1 if count["fail"] else 0
