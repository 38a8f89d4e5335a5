"""What a check answers: a row of steps for each version, and one verdict."""

from typing import Literal, TypeAlias

import msgspec

from tidegate.control.evals.model import ANSWERS, Answer, Comparison, Verdict
from tidegate.control.prompts.bumps.model import BumpCheck
from tidegate.control.prompts.model import Fault

__all__ = ["STEPS", "CheckReport", "CheckedVersion", "State", "Step", "worst"]

State: TypeAlias = Literal["pass", "warn", "inconclusive", "block", "skipped"]
STEPS = ("lint", "semver", "tests", "eval", "gate")
"""In the order in which they are taken."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step: how it ended, in a few words (`said`), and what a reader needs to mend it, a line each. `skipped` steps
    judge nothing.
    """

    state: State
    said: str
    details: tuple[str, ...] = ()


class CheckedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version. `why` it was checked: new, edited, fragment, dataset, all. `comparison` and `verdict` are of the
    evaluation, None where there was none; `folder` and `baseline_folder` hold its runs.
    """

    name: str
    version: str
    kind: str
    why: str
    lint: Step
    semver: Step
    tests: Step
    eval: Step
    gate: Step
    faults: tuple[Fault, ...] = ()
    bump: BumpCheck | None = None
    verdict: Verdict | None = None
    comparison: Comparison | None = None
    folder: str | None = None
    baseline_folder: str | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.lint, self.semver, self.tests, self.eval, self.gate

    @property
    def answer(self) -> Answer:
        """The worst of the steps."""
        return worst(self.steps)


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole check. `base` is the commit that was compared with (None: everything was checked). `interrupted`: a
    person stopped it, and the rest was not judged.
    """

    base: str | None
    base_ref: str
    answer: Answer
    why: str
    versions: tuple[CheckedVersion, ...]
    faults: tuple[Fault, ...] = ()
    """Of files that are no version."""
    remarks: tuple[str, ...] = ()
    interrupted: bool = False


def worst(steps: tuple[Step, ...]) -> Answer:
    """The worst answer; what was skipped counts nothing."""
    found: Answer = "pass"
    for step in steps:
        if step.state != "skipped" and ANSWERS.index(step.state) > ANSWERS.index(found):
            found = step.state
    return found
