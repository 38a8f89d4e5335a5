"""Runs on disk against each other: found, read as streams, judged by the rules of the candidate's prompt."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec

from tidegate.app.evaluating.runs import LAST, Found, find_run, list_runs
from tidegate.app.evaluating.targets import split
from tidegate.control.evals.comparing.bounds import bounds_of, with_defaults
from tidegate.control.evals.comparing.cases import CaseLine, case_lines, diffs_of
from tidegate.control.evals.comparing.compare import RunResults, compared, verdict_of
from tidegate.control.evals.dataset import read_cases, survey
from tidegate.control.evals.journal import read_outcomes
from tidegate.control.evals.model import Bound, Case, Comparison, Manifest, Verdict
from tidegate.control.evals.reports.blocks import Report
from tidegate.control.evals.reports.html import html
from tidegate.control.evals.reports.junit import junit
from tidegate.control.evals.reports.machine import machine
from tidegate.control.evals.reports.markdown import markdown
from tidegate.control.prompts.files import read_source
from tidegate.control.prompts.ports import TreeFile
from tidegate.control.prompts.shape import PromptFile
from tidegate.kernel.errors import NotFound, TidegateError

__all__ = ["DEFAULT_RULES", "GROUP", "Judged", "Kind", "baseline_of", "judge", "report_of", "report_text", "rules_of"]

DEFAULT_RULES = with_defaults(())
GROUP = "group"
"""The tag of a case that says which cases are alike (questions on one document, turns of one talk)."""
CHANGED = "The dataset is gone or has changed since: groups of cases, and what was asked, are not known."
MOST_WORST, MOST_BETTER = 150, 50

Kind: TypeAlias = Literal["markdown", "html", "json", "junit"]
_WRITERS: Mapping[str, Callable[[Report], str]] = MappingProxyType(
    {"markdown": markdown, "html": html, "json": machine}
)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs, or one, and what was found. `remarks`: what was not as one may think, for people."""

    candidate: Found
    baseline: Found | None
    comparison: Comparison
    verdict: Verdict
    lines: tuple[CaseLine, ...] = ()
    remarks: tuple[str, ...] = ()


def judge(
    candidate: Found, baseline: Found | None, bounds: tuple[Bound, ...], *, at_ms: int = 0, model: str = ""
) -> Judged:
    """Compare and decide. Raises Conflict when no case stands in both runs, and what reading a run raises."""
    dataset = _dataset(candidate)
    groups = {} if dataset is None else _groups(read_cases(dataset))
    ours, theirs = _results(candidate, groups), None if baseline is None else _results(baseline, groups)
    found = compared(bounds, ours, theirs)
    return Judged(
        candidate=candidate,
        baseline=baseline,
        comparison=found.comparison,
        verdict=verdict_of(found.comparison, model=model, at_ms=at_ms),
        lines=tuple(case_lines(found.candidate, found.baseline)),
        remarks=() if dataset is not None else (CHANGED,),
    )


def baseline_of(runs: Path, name: str, candidate: Found) -> Found:
    """The run to compare with: by its id or folder, or the newest complete one of a version, `NAME@VERSION` or
    `VERSION` of the candidate's prompt, on the same dataset if there is one. Raises NotFound.
    """
    if name == LAST:
        others = [one for one in list_runs(runs) if one.manifest.run_id != candidate.manifest.run_id]
        if others:
            return others[0]
    try:
        return find_run(runs, name)
    except NotFound:
        prompt, version = split(name) if "@" in name else (candidate.manifest.prompt, name)
        known = [
            one
            for one in list_runs(runs)
            if (one.manifest.prompt, one.manifest.version) == (prompt, version) and one.manifest.state == "complete"
        ]
        if not known:
            raise
        same = [one for one in known if one.manifest.dataset_sha256 == candidate.manifest.dataset_sha256]
        return (same or known)[0]


def rules_of(manifest: Manifest, workspace: Path | None, start: Path) -> tuple[Bound, ...]:
    """The rules for a run: those of its prompt's file, over the defaults. Raises as `bounds_of`."""
    file = _prompt_file(manifest, workspace, start)
    if file is None:
        return with_defaults(())
    golden = file.tests.golden if file.tests is not None else None
    least = None if golden is None else golden.min_pass_rate
    return with_defaults(bounds_of(file.gates, manifest.scorers), least)


def report_of(judged: Judged) -> Report:
    """The report, with the answers of the cases that changed most, read again."""
    picked = _picked(judged.lines)
    baseline = judged.baseline
    diffs = diffs_of(
        picked,
        lambda: read_outcomes(judged.candidate.folder),
        None if baseline is None else lambda: read_outcomes(baseline.folder),
    )
    return Report(
        verdict=judged.verdict,
        comparison=judged.comparison,
        lines=judged.lines,
        diffs=tuple(diffs),
        cases=_cases_named(judged.candidate, frozenset(one.case_id for one in picked)),
        remarks=judged.remarks,
    )


def report_text(judged: Judged, kind: Kind) -> Iterator[str]:
    """The report for people or other programs, in pieces."""
    if kind == "junit":
        plain = Report(judged.verdict, judged.comparison)
        return junit(plain, lambda: read_outcomes(judged.candidate.folder))
    return iter((_WRITERS[kind](report_of(judged)),))


def _picked(lines: Sequence[CaseLine]) -> list[CaseLine]:
    """The cases whose answers are shown: those that became worst, and some that became better."""
    if len(lines) <= MOST_WORST + MOST_BETTER:
        return list(lines)
    better = [one for one in lines[-MOST_BETTER:] if one.harm < 0]
    return [*lines[: MOST_WORST + MOST_BETTER - len(better)], *better]


def _cases_named(found: Found, wanted: frozenset[str]) -> Mapping[str, Case]:
    """Cases of a run's dataset by id; none when it has changed since."""
    dataset = _dataset(found)
    return {} if dataset is None else {case.id: case for case in read_cases(dataset) if case.id in wanted}


def _results(found: Found, groups: Mapping[str, str]) -> RunResults:
    return RunResults(found.manifest, lambda: read_outcomes(found.folder), groups)


def _groups(cases: Iterable[Case]) -> dict[str, str]:
    return {case.id: case.tags[GROUP] for case in cases if GROUP in case.tags}


def _prompt_file(manifest: Manifest, workspace: Path | None, start: Path) -> PromptFile | None:
    """The prompt's file as it is on disk; None for a run of something else, and when there is no such file now."""
    if manifest.prompt is None or manifest.version is None:
        return None
    from tidegate.app.prompts_local import open_prompts  # noqa: PLC0415  # lazy: functions need no Git

    try:
        shown = open_prompts(workspace, start).show(manifest.prompt, manifest.version)
    except TidegateError:
        return None
    data = shown.text.encode()
    source, _ = read_source(TreeFile(path=shown.path, data=data, size=len(data)))
    return None if source is None else source.file


def _dataset(found: Found) -> Path | None:
    """The dataset of a run, as it was; None when it is gone or has changed. A relative name is looked for from here,
    and from each folder around the run.
    """
    name = Path(found.manifest.dataset)
    for place in dict.fromkeys((Path.cwd(), *found.folder.resolve().parents)):
        try:
            if (place / name).is_file() and survey(place / name).sha256 == found.manifest.dataset_sha256:
                return place / name
        except TidegateError:
            continue
    return None
