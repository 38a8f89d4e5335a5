"""`tidegate eval run`: ask a dataset, score the answers, and print what was found."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
import typer.core

from tidegate.app.evals_local import EvalOrder, Evaluated, Progress, evaluate
from tidegate.app.evaluating.runs import Found, short
from tidegate.control.evals.model import Manifest, Recorded
from tidegate.doors.cli.evalprogress import Shown
from tidegate.doors.cli.evalviews import ENDS, print_run
from tidegate.doors.cli.options import Json, Server, Workspace, named_folder
from tidegate.doors.cli.output import print_json, say
from tidegate.kernel.errors import Invalid

if TYPE_CHECKING:
    from tidegate.doors.cli.remote import Remote

__all__ = ["Resuming", "run"]

INTERRUPTED = 130
RESUME = "--resume"
LAST = "last"
RUN_ID = "eval_"
MANIFEST = "manifest.json"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}  # fmt: skip


Target = Annotated[
    str | None,
    typer.Argument(metavar="PROMPT[@VERSION]", help="A prompt of the working tree; without a version, the newest."),
]
Application = Annotated[
    str | None, typer.Option("--target", metavar="python:FILE:FUNCTION", help="Evaluate a function instead.")
]
Dataset = Annotated[
    Path | None,
    typer.Option("--dataset", "-d", metavar="FILE", help="JSON Lines or CSV. [default: the prompt's golden one]"),
]
Scorer = Annotated[
    list[str] | None, typer.Option("--scorer", "-s", metavar="NAME", help="How to score. [default: the prompt's]")
]
Model = Annotated[str | None, typer.Option("--model", metavar="ALIAS", help="Ask this model, not the prompt's own.")]
Repeats = Annotated[
    int | None, typer.Option("--repeats", metavar="N", min=1, max=100, help="Ask a case at most so many times.")
]
Repeat = Annotated[
    Literal["unstable-only", "always"] | None, typer.Option("--repeat", help="Which cases are asked again.")
]
Concurrency = Annotated[int, typer.Option("--concurrency", "-c", metavar="N", min=1, max=1000, help="Calls at a time.")]
Requests = Annotated[float | None, typer.Option("--rpm", metavar="N", min=0.1, help="Requests a minute, at most.")]
Tokens = Annotated[float | None, typer.Option("--tpm", metavar="N", min=1, help="Tokens a minute, at most.")]
MaxCost = Annotated[
    float | None, typer.Option("--max-cost", metavar="USD", min=0, help="Stop before it could cost more.")
]
Deadline = Annotated[str | None, typer.Option("--deadline", metavar="TIME", help="Stop after it: 90s, 10m, 1h.")]
Timeout = Annotated[str, typer.Option("--timeout", metavar="TIME", help="For one answer.")]
Resume = Annotated[
    str | None,
    typer.Option("--resume", metavar="[RUN]", help="Go on where a run broke off; without RUN, the newest like it."),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Ask anew what is known.")]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="DIR", help="Where to write. [default: .tidegate/evals/RUN]")
]
Record = Annotated[
    bool, typer.Option("--record", help="Judge the run by the prompt's gates, and hand the verdict to the server.")
]
Baseline = Annotated[
    str | None,
    typer.Option("--baseline", "-b", metavar="RUN", help="With --record: the run, or version, to judge against."),
]
Whose = Annotated[str, typer.Option("--env", "-e", metavar="NAME", help="The environment whose models answer.")]


def run(
    target: Target = None,
    dataset: Dataset = None,
    application: Application = None,
    scorer: Scorer = None,
    model: Model = None,
    repeats: Repeats = None,
    repeat: Repeat = None,
    concurrency: Concurrency = 8,
    rpm: Requests = None,
    tpm: Tokens = None,
    max_cost: MaxCost = None,
    deadline: Deadline = None,
    timeout: Timeout = "60s",
    resume: Resume = None,
    no_cache: NoCache = False,
    out: Out = None,
    record: Record = False,
    baseline: Baseline = None,
    environment: Whose = "production",
    workspace: Workspace = None,
    server: Server = None,
    as_json: Json = False,
) -> int:
    """Ask every case of a dataset and score the answers.

    Exit code 0: complete; 1: partial, or nothing was answered; 130: interrupted. With --record, that of the verdict.
    """
    order = EvalOrder(
        target=_target(target, application),
        dataset=dataset,
        scorers=tuple(scorer or ()),
        model=model,
        repeats=repeats,
        repeats_policy=repeat,
        concurrency=concurrency,
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
        max_cost_usd=max_cost,
        deadline_s=None if deadline is None else _seconds(deadline, "--deadline"),
        timeout_s=_seconds(timeout, "--timeout"),
        resume=resume,
        use_cache=not no_cache,
        out=out,
        environment=environment,
    )
    remote = _remote(order, workspace, server) if record else None
    with Shown(quiet=as_json) as watch:
        done = evaluate(order, named_folder(workspace), watch)
    if not as_json:
        _print(done)
    code, kept = _exit_code(done.manifest, done.progress), None
    if remote is not None and code == 0:
        kept, code = _recorded(done, remote, baseline=baseline, model=model, workspace=workspace, quiet=as_json)
    if as_json:
        told = {"manifest": done.manifest, "progress": done.progress, "folder": str(done.folder)}
        print_json(told | ({"recorded": kept} if record else {}))
    return code


class Resuming(typer.core.TyperCommand):
    """Reads `--resume` without a run behind it as `--resume last`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Whoever writes a run writes its id, its folder or `last`."""
        at = args.index(RESUME) if RESUME in args else -1
        if at >= 0 and not _names_a_run(args[at + 1] if at + 1 < len(args) else ""):
            args = [*args[: at + 1], LAST, *args[at + 1 :]]
        return super().parse_args(ctx, args)


def _names_a_run(word: str) -> bool:
    return word == LAST or word.startswith(RUN_ID) or (Path(word) / MANIFEST).is_file()


def _target(target: str | None, application: str | None) -> str:
    if (target is None) == (application is None):
        raise Invalid(
            "Nothing is named that is to be evaluated." if target is None else "Two things are named to be evaluated.",
            mend="Name a prompt, or --target python:FILE:FUNCTION.",
            code="usage",
        )
    if application is not None and not application.startswith("python:"):
        raise Invalid(f"The target {application!r} is not known.", mend="Write python:FILE:FUNCTION.", code="usage")
    return target or application or ""


def _seconds(text: str, option: str) -> float:
    found = _DURATION.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise Invalid(f"{option} {text} is no time.", mend="Write 90s, 10m or 1h.", code="usage")
    return float(found[1]) * _SECONDS[found[2]]


def _remote(order: EvalOrder, workspace: Path | None, server: str | None) -> "Remote":
    """The server, found before anything is paid for."""
    from tidegate.doors.cli.remote import connect  # noqa: PLC0415  # lazy: most runs speak to no server

    if order.target.startswith("python:"):
        raise Invalid("What is recorded is the verdict on a prompt.", mend="Leave --record out.", code="usage")
    return connect(workspace, server)


def _recorded(done: Evaluated, remote: "Remote", **options: Any) -> tuple[Recorded, int]:
    from tidegate.doors.cli.evalrecord import recorded  # noqa: PLC0415  # lazy: it computes statistics

    return recorded(done, remote, **options)


def _exit_code(manifest: Manifest, progress: Progress) -> int:
    if manifest.why == "interrupted":
        return INTERRUPTED
    return 1 if manifest.state != "complete" or not progress.paid + progress.cached else 0


def _print(done: Evaluated) -> None:
    manifest = done.manifest
    print_run(Found(manifest=manifest, folder=done.folder))
    if manifest.state != "complete":
        say()
        say(f"Not all was asked: {ENDS.get(manifest.why, manifest.why)}.")
        say(f"Go on: the same command with `--resume {short(manifest)}`.")
