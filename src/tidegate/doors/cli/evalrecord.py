"""What `tidegate eval run --record` does once a run is over: it is judged by its prompt's gates, and control keeps the
verdict, where a rollout's offline stage finds it. Loaded for that alone: judging takes statistics.
"""

from pathlib import Path

from tidegate.app.evals_local import Evaluated
from tidegate.app.evaluating import comparing, runs
from tidegate.app.evaluating.runs import Found
from tidegate.control.evals.model import Recorded
from tidegate.doors.cli.comparing import EXITS
from tidegate.doors.cli.comparingviews import print_judged
from tidegate.doors.cli.options import named_folder
from tidegate.doors.cli.output import clean, now_ms, say
from tidegate.doors.cli.remote import Remote

__all__ = ["recorded"]


def recorded(
    done: Evaluated, remote: Remote, *, baseline: str | None, model: str | None, workspace: Path | None, quiet: bool
) -> tuple[Recorded, int]:
    """Judge a complete run, hand the verdict in, and return it with the exit code that it stands for."""
    folder = named_folder(workspace)
    candidate = Found(manifest=done.manifest, folder=done.folder)
    other = None if baseline is None else comparing.baseline_of(runs.runs_near(folder), baseline, candidate)
    rules = comparing.rules_of(done.manifest, folder, Path.cwd())
    judged = comparing.judge(candidate, other, rules, at_ms=now_ms(), model=model or "")
    kept = remote.post("/evaluations", Recorded, judged.verdict)
    if not quiet:
        say()
        print_judged(judged)
        say(f"Recorded as {clean(kept.eval_id)}: a rollout of {clean(done.manifest.target)} finds it.")
    return kept, EXITS[judged.verdict.answer]
