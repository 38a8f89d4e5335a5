"""Evaluations from the command line's side, without a server: what is asked is made of tidegate.yaml and the working
tree, asked by the gateway's own pipeline in this process, and written under `.tidegate/evals`.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from tidegate.adapters.memory.answers import NoAnswers
from tidegate.adapters.sqlite.answers import SqliteAnswers
from tidegate.app.evaluating.desk import Desk
from tidegate.app.evaluating.runs import CACHE, keep_out_of_git, left_off, runs_folder, short
from tidegate.app.evaluating.scoring import scorers_of, tools_of
from tidegate.app.evaluating.targets import FUNCTION, Target, function_target, prompt_target
from tidegate.control.evals.dataset import Survey, check_sha256, read_cases, survey
from tidegate.control.evals.engine import run
from tidegate.control.evals.journal import MANIFEST, Journal
from tidegate.control.evals.keys import fingerprint
from tidegate.control.evals.model import Manifest, ScorerUse
from tidegate.control.evals.pacing import Halt, Pacer, Patient
from tidegate.control.evals.plan import RunPlan
from tidegate.control.evals.ports import AnswerCache, Progress
from tidegate.control.evals.scorers.base import Scorer
from tidegate.control.evals.scorers.registry import scorer_named
from tidegate.kernel.complete import Complete
from tidegate.kernel.errors import Conflict, Invalid, NotFound
from tidegate.kernel.ids import new_id
from tidegate.settings import STATE_NAME, Settings, find_workspace, load_settings

__all__ = ["EvalOrder", "Evaluated", "Progress", "Watch", "evaluate", "evaluated"]

NANO = 1_000_000_000
PRIVATE_CACHE = "answers.db"


class EvalOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be evaluated, and how. What is None is the prompt file's own, or has no bound. `resume` is a run's id,
    or `last`; `out` a folder of the caller's for the run.
    """

    target: str
    dataset: Path | None = None
    scorers: tuple[str, ...] = ()
    model: str | None = None
    repeats: int | None = None
    repeats_policy: Literal["unstable-only", "always"] | None = None
    concurrency: int = 8
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    max_cost_usd: float | None = None
    deadline_s: float | None = None
    timeout_s: float = 60.0
    retries: int = 4
    resume: str | None = None
    use_cache: bool = True
    out: Path | None = None
    environment: str = "production"


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is over, where it is, and what was counted."""

    manifest: Manifest
    folder: Path
    progress: Progress


class Watch:
    """Who is told how a run goes; to be filled in where it is of interest."""

    def note(self, text: str) -> None:
        """A sentence for a person."""

    def begin(self, manifest: Manifest, progress: Progress) -> None:
        """The first case is about to be asked."""

    def tell(self, progress: Progress) -> None:
        """An answer came."""


class _Wired(NamedTuple):
    """What a run is made of."""

    target: Target
    complete: Complete
    desk: Desk
    runs: Path


class _Dataset(NamedTuple):
    file: Path
    name: str
    survey: Survey


def evaluate(order: EvalOrder, workspace: Path | None, watch: Watch | None = None) -> Evaluated:
    """Run an evaluation to its end. Ctrl-C (SIGINT) and SIGTERM let the calls under way end; a second one cuts them
    off. Raises a TidegateError for what cannot be run at all.
    """
    return asyncio.run(evaluated(order, workspace, watch))


async def evaluated(order: EvalOrder, workspace: Path | None, watch: Watch | None = None) -> Evaluated:
    """The same, in a loop that runs already."""
    watch = watch or Watch()
    start = Path.cwd()
    settings = _settings(workspace, start)
    desk = Desk(settings, os.environ, environment=order.environment, note=watch.note)
    try:
        wired = await _wired(order, workspace, start, settings, desk)
        return await _run(order, wired, watch)
    finally:
        await desk.close()


async def _wired(
    order: EvalOrder, workspace: Path | None, start: Path, settings: Settings | None, desk: Desk
) -> _Wired:
    state = settings.state_dir if settings is not None else start / STATE_NAME
    if order.target.startswith(FUNCTION):
        threads, timeout_s = order.concurrency, order.timeout_s
        target, complete = function_target(order.target, start, threads=threads, timeout_s=timeout_s)
        return _Wired(target, complete, desk, runs_folder(state))
    if settings is None:
        find_workspace(start)  # raises, and says what to do
    target = await prompt_target(order.target, workspace, start, desk, model=order.model, timeout_s=order.timeout_s)
    return _Wired(target, desk, desk, runs_folder(state))


async def _run(order: EvalOrder, wired: _Wired, watch: Watch) -> Evaluated:
    target = wired.target
    if order.max_cost_usd is not None and target.unpriced:
        raise Invalid(
            f"The price of {', '.join(target.unpriced)} is unknown, so that --max-cost cannot be kept.",
            mend="Give the model a `price` in tidegate.yaml; `price: auto` knows many.",
            code="price_unknown",
        )
    halt = Halt()
    pacer = Pacer(order.requests_per_minute, order.tokens_per_minute, sleep=halt.sleep)
    judges = Patient(wired.desk, pacer, halt, retries=order.retries)
    tools = tools_of(judges, Path.cwd(), target.file.output.schema if target.file is not None else None)
    scorers = scorers_of(order.scorers or (target.tests.scorers if target.tests is not None else ()), tools)
    checks: dict[str, ScorerUse] = {}

    def fits(check: Mapping[str, Any]) -> None:
        use = scorer_named(check, tools).use
        checks.setdefault(use.name, msgspec.structs.replace(use, settings={}))

    dataset = _dataset(order, target, fits)
    if not scorers and not dataset.survey.checks:
        watch.note("Nothing is scored: name scorers with --scorer, in `tests.scorers`, or as `checks` of cases.")
    manifest, folder = _manifest(order, wired, dataset, scorers, tuple(checks.values()))
    if order.resume is not None:
        watch.note(
            f"Going on with {short(manifest)}: what is known is not asked again, but for at most "
            f"{manifest.concurrency} calls that were under way if it was killed."
        )
    progress = Progress(total=dataset.survey.cases)
    plan = RunPlan(
        manifest=manifest,
        cases=lambda: read_cases(dataset.file),
        asker=target.asker,
        scorers=scorers,
        scorer_of=lambda check: scorer_named(check, tools),
        bound=wired.desk.bound if target.file is not None else lambda _: None,
        concurrency=order.concurrency,
        pacer=pacer,
        cap_nano_usd=None if order.max_cost_usd is None else round(order.max_cost_usd * NANO),
        deadline_s=order.deadline_s,
        retries=order.retries,
        use_cache=order.use_cache and target.file is not None,
        progress=progress,
    )
    keep_out_of_git(wired.runs)
    journal = Journal(folder)
    cache = _cache(plan, wired.runs, folder)
    try:
        watch.begin(manifest, progress)
        with _signals(halt, watch):
            manifest = await run(plan, wired.complete, cache, journal, tell=watch.tell, halt=halt)
    finally:
        await cache.close()
        journal.close()
        await wired.complete.close()
    return Evaluated(manifest=manifest, folder=folder, progress=progress)


def _settings(workspace: Path | None, start: Path) -> Settings | None:
    try:
        return load_settings(workspace or find_workspace(start), os.environ)
    except NotFound:
        if workspace is not None:
            raise
        return None


def _dataset(order: EvalOrder, target: Target, fits: Callable[[Mapping[str, Any]], None]) -> _Dataset:
    """The dataset, read once: the one that was named, else the prompt file's golden one, whose SHA-256 must hold."""
    if order.dataset is not None:
        return _Dataset(order.dataset, str(order.dataset), survey(order.dataset, fits))
    golden = target.tests.golden if target.tests is not None else None
    if golden is None or target.root is None:
        mend = "Pass --dataset FILE"
        mend += ", or write `tests: {golden: {dataset: FILE}}` into the prompt file." if target.prompt else "."
        raise Invalid(f"{target.name} names no dataset.", mend=mend, code="dataset_missing")
    file = target.root / golden.dataset
    found = survey(file, fits)
    check_sha256(file, found.sha256, golden.sha256)
    return _Dataset(file, golden.dataset, found)


def _manifest(
    order: EvalOrder, wired: _Wired, dataset: _Dataset, scorers: tuple[Scorer, ...], checks: tuple[ScorerUse, ...]
) -> tuple[Manifest, Path]:
    """What the run is, and its folder: a new one, or one that goes on. `checks`: the scorers of single cases."""
    target = wired.target
    own = target.tests.repeats if target.tests is not None else None
    most = order.repeats if order.repeats is not None else own.max if own is not None else 1
    policy = order.repeats_policy or (own.policy if own is not None else "unstable-only")
    uses = tuple(one.use for one in scorers)
    print_of_run = fingerprint(
        target=target.name,
        content_hash=target.content_hash,
        model=(target.model, target.identity),
        dataset=dataset.survey.sha256,
        scorers=[(one.name, one.version, one.settings) for one in uses],
        repeats=(most, policy),
    )
    run_id = new_id("eval")
    folder = order.out or wired.runs / run_id
    started_at_ms = time.time_ns() // 1_000_000
    if order.resume is not None:
        found = left_off(wired.runs, print_of_run, order.resume)
        run_id, folder, started_at_ms = found.manifest.run_id, found.folder, found.manifest.started_at_ms
    elif (folder / MANIFEST).exists():
        raise Conflict(
            f"There is a run in {folder} already.", mend=f"Name another folder, or go on: --resume {folder}."
        )
    manifest = Manifest(
        run_id=run_id,
        target=target.name,
        prompt=target.prompt,
        version=target.version,
        content_hash=target.content_hash,
        model=target.model,
        dataset=dataset.name,
        dataset_sha256=dataset.survey.sha256,
        cases=dataset.survey.cases,
        scorers=(*uses, *(one for one in checks if one.name not in {use.name for use in uses})),
        repeats_max=most,
        repeats_policy=policy,
        fingerprint=print_of_run,
        started_at_ms=started_at_ms,
        upstream=target.upstream,
        concurrency=order.concurrency,
    )
    return manifest, folder


def _cache(plan: RunPlan, runs: Path, folder: Path) -> AnswerCache:
    """The workspace's cache; one of the run's own where answers of others must not count; none where the journal has
    the answer at once, since no scorer takes time.
    """
    if plan.use_cache:
        return SqliteAnswers(runs / CACHE)
    if all(one.use.exact for one in plan.scorers):
        return NoAnswers()
    return SqliteAnswers(folder / PRIVATE_CACHE)


@contextlib.contextmanager
def _signals(halt: Halt, watch: Watch) -> Iterator[None]:
    """The first signal lets the calls under way end, the second one cuts them off."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if halt.why:
            halt.cut_off()
            return
        halt.ask("interrupted")
        watch.note("Stopping: the calls under way may end. Once more to cut them off.")

    handled = (signal.SIGINT, signal.SIGTERM)
    try:
        for one in handled:
            loop.add_signal_handler(one, stop)
    except (ValueError, RuntimeError):  # not the main thread: whoever runs us hears signals
        yield
        return
    try:
        yield
    finally:
        for one in handled:
            loop.remove_signal_handler(one)
