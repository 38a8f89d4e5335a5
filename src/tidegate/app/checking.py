"""`tidegate check`: the gate of a pull request in one verb, without a server."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from tidegate.app.bumping import predecessor
from tidegate.app.changes import Changed, Changes, changes_since, everything
from tidegate.app.checks.evaluations import Evaluation, Purse, Subject, evaluated_steps
from tidegate.app.checks.model import CheckedVersion, CheckReport, Step
from tidegate.app.checks.steps import linted, semver_step, skipped, tests_step
from tidegate.app.evals_local import Watch
from tidegate.app.prompts_local import open_prompts
from tidegate.control.evals.model import ANSWERS, Answer
from tidegate.control.prompts.library import Library
from tidegate.control.prompts.model import faults_of
from tidegate.kernel.errors import Conflict
from tidegate.kernel.names import semver_key
from tidegate.kernel.plain import count_of, joined
from tidegate.live.snapshot import PromptVersion

__all__ = ["CheckOrder", "CheckReport", "CheckWatch", "CheckedVersion", "Step", "check"]


class CheckOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What to check. `base` None: the first of `changes.BASES`. `live`: by prompt, the version that is live, which is
    then the baseline instead of the version before. `evaluate` False asks no model.
    """

    base: str | None = None
    all: bool = False
    evaluate: bool = True
    live: Mapping[str, str] = {}
    max_cost_usd: float | None = None
    concurrency: int = 8


class CheckWatch(Watch):
    """Who is told how a check goes; to be filled in where it is of interest."""

    def checking(self, changes: Changes) -> None:
        """What will be checked."""

    def evaluating(self, target: str, baseline: str | None, cases: int) -> None:
        """A version is about to be asked."""


def check(order: CheckOrder, workspace: Path | None, watch: CheckWatch | None = None) -> CheckReport:
    """Check what changed, or all. What is wrong with a prompt is an answer; raises a TidegateError where nothing can be
    checked: no workspace, no repository, no base.
    """
    checking = _Checking(order, workspace, watch or CheckWatch())
    return checking.report()


class _Checking:
    """One check."""

    def __init__(self, order: CheckOrder, workspace: Path | None, watch: CheckWatch) -> None:
        self._order = order
        self._workspace = workspace
        self._watch = watch
        self._prompts = open_prompts(workspace, Path.cwd())
        self._library = self._prompts.library()
        self._purse = Purse(order.max_cost_usd)
        self._interrupted = False

    def report(self) -> CheckReport:
        changes = self._changes()
        self._watch.checking(changes)
        checked: list[CheckedVersion] = []
        for one in changes.versions:
            if not self._interrupted:
                checked.append(self._checked(one, changes))
        return _report(changes, self._library, tuple(checked), interrupted=self._interrupted)

    def _changes(self) -> Changes:
        if self._order.all:
            return everything(self._library)
        if not self._prompts.in_git():
            mend = "Run `git init` there and commit, or check everything: `tidegate check --all`."
            raise Conflict(f"{self._prompts.root} is in no Git repository.", mend=mend, code="check_no_repository")
        return changes_since(self._prompts, self._library, self._order.base)

    def _checked(self, one: Changed, changes: Changes) -> CheckedVersion:
        lint, faults = linted(self._library, one)
        version = self._library.versions.get(one.name, {}).get(one.version)
        semver, bump = semver_step(self._prompts, self._library, one)
        rest = skipped("")
        done = CheckedVersion(
            name=one.name,
            version=one.version,
            kind=one.kind,
            why=one.why,
            lint=lint,
            semver=semver if lint.state != "block" else skipped("not compared"),
            tests=rest,
            eval=rest,
            gate=rest,
            faults=faults,
            bump=bump if lint.state != "block" else None,
        )
        if version is None:
            return done
        return self._tested(done, version, newest=_newest(changes, one))

    def _tested(self, done: CheckedVersion, version: PromptVersion, *, newest: bool) -> CheckedVersion:
        """The steps that need a dataset."""
        tests = self._library.files[version.name, version.version].tests
        step, cases = tests_step(version, tests, self._prompts.root)
        done = msgspec.structs.replace(done, tests=step)
        if tests is None or tests.golden is None or step.state == "block":
            return done
        if not newest or not self._order.evaluate:
            said = "--no-eval" if newest else "a newer version is evaluated"
            return msgspec.structs.replace(done, eval=skipped(said), gate=skipped(said))
        baseline = self._baseline(version)
        self._watch.evaluating(_target(version), None if baseline is None else _target(baseline), cases)
        subject = Subject(version, tests, self._prompts.root / tests.golden.dataset, baseline)
        found = evaluated_steps(subject, self._workspace, self._purse, self._watch, concurrency=self._order.concurrency)
        self._interrupted = found.interrupted
        return _with_evaluation(done, found)

    def _baseline(self, version: PromptVersion) -> PromptVersion | None:
        """What is live, when that is known and here; else the good version before."""
        good = self._library.versions[version.name]
        live = self._order.live.get(version.name)
        if live in good and live != version.version:
            return good[live]
        before = predecessor(good, version.version)
        return good[before] if before is not None else None


def _with_evaluation(done: CheckedVersion, found: Evaluation) -> CheckedVersion:
    judged = found.judged
    return msgspec.structs.replace(
        done,
        eval=found.eval,
        gate=found.gate,
        verdict=judged.verdict if judged is not None else None,
        comparison=judged.comparison if judged is not None else None,
        folder=str(judged.candidate.folder) if judged is not None else None,
        baseline_folder=str(judged.baseline.folder) if judged is not None and judged.baseline is not None else None,
    )


def _newest(changes: Changes, one: Changed) -> bool:
    """Whether no newer version of the prompt is checked."""
    return all(
        semver_key(other.version) <= semver_key(one.version) for other in changes.versions if other.name == one.name
    )


def _target(version: PromptVersion) -> str:
    return f"{version.name}@{version.version}"


def _report(
    changes: Changes, library: Library, checked: tuple[CheckedVersion, ...], *, interrupted: bool
) -> CheckReport:
    faults = faults_of(fault for fault in library.faults if fault.file in changes.broken)
    remarks = [*changes.remarks]
    if changes.removed:
        remarks.append(f"Gone since: {joined(changes.removed)}. A version that was released stays kept by control.")
    answer: Answer = "block" if changes.broken else "pass"
    for one in checked:
        answer = max(answer, one.answer, key=ANSWERS.index)
    if interrupted:
        answer = max(answer, "inconclusive", key=ANSWERS.index)
    return CheckReport(
        base=changes.base.sha if changes.base is not None else None,
        base_ref=changes.base_ref,
        answer=answer,
        why=_why(answer, changes, checked),
        versions=checked,
        faults=faults,
        remarks=tuple(remarks),
        interrupted=interrupted,
    )


def _why(answer: Answer, changes: Changes, checked: tuple[CheckedVersion, ...]) -> str:
    """The answer in a sentence that names the steps it comes from."""
    since = f" since {changes.base_ref}" if changes.base_ref else ""
    if not checked and not changes.broken:
        return f"No prompt changed{since}."
    if answer == "pass":
        return (
            f"{count_of(len(checked), 'version')} changed{since}: every step holds." if since else "Every step holds."
        )
    parts = [f"{path} is no prompt's version" for path in changes.broken]
    for one in checked:
        named = zip(("lint", "semver", "tests", "eval", "gate"), one.steps, strict=True)
        parts += [f"{one.name} {one.version}: {name} ({step.said})" for name, step in named if step.state == answer]
    return f"{joined(parts)}."
