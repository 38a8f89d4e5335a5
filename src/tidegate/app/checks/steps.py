"""The steps that ask no model: lint, semver, and whether every golden case fits the prompt."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tidegate.app.bumping import bump_of
from tidegate.app.changes import Changed
from tidegate.app.checks.model import Step
from tidegate.app.prompts_local import LocalPrompts
from tidegate.control.evals.dataset import check_sha256, read_cases, survey
from tidegate.control.prompts.bumps.model import BumpCheck
from tidegate.control.prompts.library import Library
from tidegate.control.prompts.model import Fault, faults_of
from tidegate.control.prompts.shape import TestsBlock, path_of
from tidegate.kernel.errors import TidegateError
from tidegate.kernel.plain import count_of
from tidegate.live.snapshot import PromptVersion
from tidegate.templates.compile import compile_prompt

__all__ = ["Fits", "fits", "linted", "semver_step", "skipped", "tests_step"]

SHOWN = 5


class Fits(NamedTuple):
    """How many cases of a dataset fill a version's templates, of how many, and what is wrong with the first others."""

    fitting: int
    cases: int
    faults: tuple[str, ...] = ()


def skipped(why: str) -> Step:
    """A step that is not taken."""
    return Step(state="skipped", said=why)


def linted(library: Library, one: Changed) -> tuple[Step, tuple[Fault, ...]]:
    """What lint says of one version's file."""
    path = path_of(*one.place)
    faults = faults_of(fault for fault in library.faults if fault.file == path)
    errors = sum(1 for fault in faults if fault.severity == "error")
    if errors:
        return Step(state="block", said=count_of(errors, "error")), faults
    if faults:
        return Step(state="warn", said=count_of(len(faults), "warning")), faults
    return Step(state="pass", said="good"), ()


def semver_step(prompts: LocalPrompts, library: Library, one: Changed) -> tuple[Step, BumpCheck | None]:
    """Whether the version's number tells how large its change is."""
    try:
        bump = bump_of(prompts, library, one.place)
    except TidegateError as error:
        return Step(state="block", said="cannot compare", details=_said(error)), None
    hints = tuple(f"hint: {hint}" for hint in bump.hints)
    if bump.answer == "first":
        return Step(state="pass", said="first version"), bump
    if bump.answer == "too_small":
        return Step(state="block", said=f"must be {bump.right_version}", details=hints), bump
    if bump.answer == "too_large":
        return Step(state="warn", said=f"{bump.right_version} is enough", details=hints), bump
    if one.why == "edited":
        message = f"{one.version} is on the base branch already: an edit that nobody can tell by its number."
        return Step(state="warn", said="edited in place", details=(message, *hints)), bump
    return Step(state="pass", said=f"{bump.bump}, right", details=hints), bump


def tests_step(version: PromptVersion, tests: TestsBlock | None, root: Path) -> tuple[Step, int]:
    """Whether there is a golden dataset, it is the one that is meant, and each of its cases fills the templates.

    Also how many cases it has.
    """
    golden = tests.golden if tests is not None else None
    if tests is None or golden is None:
        message = "Nothing tells whether answers got better or worse: add `tests: {golden: {dataset: FILE}}`."
        return Step(state="warn", said="no golden dataset", details=(message,)), 0
    dataset = root / golden.dataset
    try:
        found = survey(dataset)
        check_sha256(dataset, found.sha256, golden.sha256)
        fit = fits(version, dataset)
    except TidegateError as error:
        return Step(state="block", said="dataset unusable", details=_said(error)), 0
    if fit.faults:
        more = fit.cases - fit.fitting - len(fit.faults)
        lines = (*fit.faults, *((f"and {count_of(more, 'more case')}",) if more else ()))
        said = f"{fit.cases - fit.fitting} of {count_of(fit.cases, 'case')} do not fit"
        return Step(state="block", said=said, details=lines), fit.cases
    if not tests.scorers and not any(case.checks for case in read_cases(dataset)):
        message = (
            "Nothing tells a right answer from a wrong one: add `tests: {scorers: [...]}`, or `checks` to the cases."
        )
        return Step(state="warn", said="no scorer", details=(message,)), fit.cases
    return Step(state="pass", said=f"{count_of(fit.cases, 'case')} fit"), fit.cases


def fits(version: PromptVersion, dataset: Path) -> Fits:
    """Fill the templates with every case. Raises as `read_cases`."""
    compiled = compile_prompt(version)
    fitting = cases = 0
    faults: list[str] = []
    for case in read_cases(dataset):
        cases += 1
        try:
            compiled.render(case.variables)
        except TidegateError as error:
            if len(faults) < SHOWN:
                faults.append(f"{dataset.name}:{case.line}: {case.id}: {error.message}")
            continue
        fitting += 1
    return Fits(fitting, cases, tuple(faults))


def _said(error: TidegateError) -> tuple[str, ...]:
    return tuple(_lines(error))


def _lines(error: TidegateError) -> Iterator[str]:
    yield str(error)
    if error.mend:
        yield f"mend: {error.mend}"
