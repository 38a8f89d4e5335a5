"""The runs of a workspace on disk: found, listed, and taken away."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tidegate.adapters.sqlite.answers import Emptied, SqliteAnswers
from tidegate.control.evals.journal import MANIFEST, is_open, read_manifest, read_outcomes
from tidegate.control.evals.model import Manifest, Outcome
from tidegate.control.evals.tally import Tally, tally, wilson_95
from tidegate.kernel.errors import Conflict, Invalid, NotFound, TidegateError
from tidegate.settings import STATE_NAME, find_workspace, load_settings

__all__ = [
    "CACHE",
    "LAST",
    "RUNS",
    "Cleaned",
    "Found",
    "Tally",
    "cleaned",
    "counted",
    "find_run",
    "keep_out_of_git",
    "left_off",
    "list_runs",
    "named_run",
    "outcomes",
    "runs_folder",
    "runs_near",
    "short",
    "wilson_95",
]

RUNS = "evals"
CACHE = "cache.db"
LAST = "last"
VERSION = "@"
ID_LETTERS = 17


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A run and its folder; `live`: a process is at it now."""

    manifest: Manifest
    folder: Path
    live: bool = False

    @property
    def resumable(self) -> bool:
        """Whether the run can go on: it did not come to its end, and nobody is at it."""
        return self.manifest.state != "complete" and not self.live


class Cleaned(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted, and the bytes that it had; `cache_bytes`: what the cache has left."""

    runs: int
    bytes: int
    answers: int = 0
    scores: int = 0
    cache_bytes: int = 0


def runs_near(workspace: Path | None) -> Path:
    """Where the runs of a workspace are, or of the nearest one; without one, of this folder. Raises NotFound for one
    that was named.
    """
    start = Path.cwd()
    try:
        settings = load_settings(workspace or find_workspace(start), os.environ)
    except NotFound:
        if workspace is not None:
            raise
        return runs_folder(start / STATE_NAME)
    return runs_folder(settings.state_dir)


def runs_folder(state_dir: Path) -> Path:
    """Where the runs are, and the cache."""
    return state_dir / RUNS


def keep_out_of_git(runs: Path) -> None:
    """Runs and answers are nobody's to commit, also where no workspace says so."""
    runs.mkdir(parents=True, exist_ok=True)
    ignored = runs / ".gitignore"
    if not ignored.exists():
        ignored.write_text("*\n")


def list_runs(runs: Path) -> Iterator[Found]:
    """Every run, newest first; a folder whose manifest cannot be read is left out."""
    folders = [entry for entry in runs.iterdir() if (entry / MANIFEST).is_file()] if runs.is_dir() else []
    found = []
    for folder in folders:
        try:
            found.append(Found(manifest=read_manifest(folder), folder=folder, live=is_open(folder)))
        except TidegateError:
            continue
    yield from sorted(found, key=lambda one: one.manifest.started_at_ms, reverse=True)


def find_run(runs: Path, name: str) -> Found:
    """A run by its id or the beginning of it, by its folder, or `last`. Raises NotFound."""
    folder = Path(name)
    if (folder / MANIFEST).is_file():
        return Found(manifest=read_manifest(folder), folder=folder, live=is_open(folder))
    known = list(list_runs(runs))
    if name == LAST and known:
        return known[0]
    matching = [one for one in known if one.manifest.run_id.startswith(name)]
    if len(matching) == 1:
        return matching[0]
    if len(matching) > 1:
        raise NotFound("single run", name, mend="Write more of its id: see `tidegate eval list`.")
    raise NotFound("run", name, known=[one.manifest.run_id for one in known], mend="See `tidegate eval list`.")


def named_run(runs: Path, name: str) -> Found:
    """A run as `find_run` finds it, or the newest complete one of NAME@VERSION. Raises NotFound."""
    if VERSION not in name:
        return find_run(runs, name)
    for one in list_runs(runs):
        if one.manifest.target == name and one.manifest.state == "complete":
            return one
    raise NotFound("complete run", name, mend=f"Make one: `tidegate eval run {name}`.", code="run_not_found")


def left_off(runs: Path, fingerprint: str, name: str) -> Found:
    """The run that is to go on: the one named, else (`last`) the newest of this fingerprint that did not come to its
    end. Raises NotFound; Invalid when there is none; Conflict when it is complete, under way, or of something else.
    """
    if name == LAST:
        for one in list_runs(runs):
            if one.manifest.fingerprint == fingerprint and one.resumable:
                return one
        raise Invalid(
            "No run of the same target, dataset, scorers and repeats broke off.",
            mend="Leave --resume out; `tidegate eval list` shows all runs.",
            code="run_not_found",
        )
    found = find_run(runs, name)
    run_id = found.manifest.run_id
    if found.live:
        raise Conflict(f"The run {run_id} is under way.", mend="Wait for it.", code="run_under_way")
    if found.manifest.state == "complete":
        raise Conflict(f"The run {run_id} is complete.", mend="Run it anew: what is cached costs nothing.")
    if found.manifest.fingerprint != fingerprint:
        raise Conflict(
            f"The run {run_id} was of something else: {found.manifest.target} on {found.manifest.dataset}, or the "
            "prompt, dataset, model, scorers or repeats have changed since.",
            mend="Run it anew: answers that depend on nothing that changed are found in the cache.",
            code="run_changed",
        )
    return found


def short(manifest: Manifest) -> str:
    """The beginning of a run's id, which is the time to the millisecond."""
    return manifest.run_id[:ID_LETTERS]


def outcomes(found: Found, *, case: str | None = None, failed: bool = False) -> Iterator[Outcome]:
    """The answers of a run, or of one `case`; with `failed` those that did not pass or never came."""
    for one in read_outcomes(found.folder):
        if case is not None and one.case_id != case:
            continue
        if failed and one.error is None and one.passed is not False:
            continue
        yield one


def counted(found: Found) -> Tally:
    """A run, counted."""
    return tally(found.manifest, read_outcomes(found.folder))


def cleaned(runs: Path, before_ms: int, *, cache: bool) -> Cleaned:
    """Delete runs that began before, and with `cache` answers and scores that were kept before. A run that is under way
    stays. Raises Unavailable.
    """
    count = size = 0
    for found in list(list_runs(runs)):
        if found.manifest.started_at_ms >= before_ms or is_open(found.folder):
            continue
        size += sum(entry.stat().st_size for entry in found.folder.rglob("*") if entry.is_file())
        shutil.rmtree(found.folder)
        count += 1
    if not cache:
        return Cleaned(runs=count, bytes=size)
    emptied = asyncio.run(_emptied(runs / CACHE, before_ms))
    return Cleaned(runs=count, bytes=size, answers=emptied.answers, scores=emptied.scores, cache_bytes=emptied.bytes)


async def _emptied(file: Path, before_ms: int) -> Emptied:
    answers = SqliteAnswers(file)
    try:
        return await answers.empty(before_ms)
    finally:
        await answers.close()
