"""`tidegate eval list`, `show` and `clean`: the runs of a workspace."""

from itertools import islice
from typing import Annotated

import msgspec
import typer

from tidegate.app.evaluating import runs
from tidegate.doors.cli.evalviews import print_cases, print_list, print_run
from tidegate.doors.cli.options import Json, Workspace, named_folder
from tidegate.doors.cli.output import now_ms, print_json, say
from tidegate.kernel.plain import count_of

__all__ = ["clean_up", "list_runs", "show"]

DAY_MS = 86_400_000
MIB = 1 << 20

Run = Annotated[
    str, typer.Argument(metavar="[RUN]", help="A run's id or its beginning, its folder, PROMPT@VERSION, or `last`.")
]


def list_runs(
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="So many at most.")] = 20,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """List the runs of this workspace, newest first."""
    found = list(islice(runs.list_runs(runs.runs_near(named_folder(workspace))), limit))
    if as_json:
        print_json([msgspec.structs.asdict(one) | {"folder": str(one.folder)} for one in found])
    else:
        print_list(found)


def show(
    run: Run = runs.LAST,
    failed: Annotated[bool, typer.Option("--failed", help="The answers that did not pass, or never came.")] = False,
    case: Annotated[str | None, typer.Option("--case", metavar="ID", help="All answers to one case.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="So many answers at most.")] = 20,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Show a run: what passed, what it cost, and with --failed or --case what was answered."""
    found = runs.named_run(runs.runs_near(named_folder(workspace)), run)
    wanted = None
    if failed or case is not None:
        wanted = list(islice(runs.outcomes(found, case=case, failed=failed), limit))
    if as_json:
        print_json({"manifest": found.manifest, "folder": str(found.folder), "outcomes": wanted})
        return
    if wanted is None:
        print_run(found)
    else:
        print_cases(wanted)


def clean_up(
    days: Annotated[int, typer.Option("--older-than", metavar="DAYS", min=0, help="Runs and answers before.")] = 30,
    cache: Annotated[bool, typer.Option("--cache", help="Cached answers, too: they would be asked for anew.")] = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Delete old runs, and with --cache old answers."""
    done = runs.cleaned(runs.runs_near(named_folder(workspace)), now_ms() - days * DAY_MS, cache=cache)
    if as_json:
        print_json(done)
        return
    say(f"Deleted {count_of(done.runs, 'run')} ({done.bytes / MIB:.1f} MiB).")
    if cache:
        size = f"{done.cache_bytes / MIB:.1f} MiB"
        say(f"Deleted {count_of(done.answers, 'answer')} and {count_of(done.scores, 'score')}; the cache has {size}.")
