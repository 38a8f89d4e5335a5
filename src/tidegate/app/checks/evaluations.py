"""The steps that ask a model: the golden dataset on the candidate and on the baseline, and the gate between them."""

import time
from pathlib import Path
from typing import NamedTuple

from tidegate.app.checks.model import Step
from tidegate.app.checks.steps import fits
from tidegate.app.evals_local import EvalOrder, Evaluated, Watch, evaluate
from tidegate.app.evaluating.comparing import Judged, judge, rules_of
from tidegate.app.evaluating.runs import Found
from tidegate.control.prompts.shape import TestsBlock
from tidegate.kernel.errors import TidegateError
from tidegate.kernel.money import usd_text
from tidegate.kernel.plain import count_of
from tidegate.live.snapshot import PromptVersion

__all__ = ["Evaluation", "Purse", "Subject", "evaluated_steps"]

NANO = 1_000_000_000


class Purse:
    """What may still be spent, in dollars; None: as much as it takes."""

    def __init__(self, max_cost_usd: float | None) -> None:
        self.left_usd = max_cost_usd

    def spend(self, done: Evaluated) -> None:
        """Take off what a run has cost."""
        if self.left_usd is not None:
            self.left_usd = max(0.0, self.left_usd - done.progress.cost_nano_usd / NANO)


class Subject(NamedTuple):
    """What is evaluated: the candidate, the version to hold it against (None: there is none), and the dataset."""

    candidate: PromptVersion
    tests: TestsBlock
    dataset: Path
    baseline: PromptVersion | None


class Evaluation(NamedTuple):
    """The two last steps, and the runs behind them."""

    eval: Step
    gate: Step
    judged: Judged | None = None
    interrupted: bool = False


def evaluated_steps(
    subject: Subject, workspace: Path | None, purse: Purse, watch: Watch, *, concurrency: int
) -> Evaluation:
    """Ask both versions what is not in the cache, compare, and decide by the candidate's own gates."""
    try:
        baseline, remark = _comparable(subject)
        candidate = _run(subject, subject.candidate, workspace, purse, watch, concurrency)
        if candidate.manifest.why == "interrupted":
            return _stopped(candidate)
        other = None
        if baseline is not None:
            other = _run(subject, baseline, workspace, purse, watch, concurrency)
            if other.manifest.why == "interrupted":
                return _stopped(other)
        judged = judge(
            _found(candidate),
            None if other is None else _found(other),
            rules_of(candidate.manifest, workspace, Path.cwd()),
            at_ms=time.time_ns() // 1_000_000,
        )
    except TidegateError as error:
        lines = (str(error), *((f"mend: {error.mend}",) if error.mend else ()))
        return Evaluation(Step(state="block", said="could not run", details=lines), _skipped("not evaluated"))
    return Evaluation(_eval_step(candidate, other, remark), _gate_step(judged), judged)


def _comparable(subject: Subject) -> tuple[PromptVersion | None, str]:
    """The baseline, if any case fits it: where a parameter is new and required, none may."""
    baseline = subject.baseline
    if baseline is None:
        return None, "No version before it: judged by itself."
    fit = fits(baseline, subject.dataset)
    if fit.fitting:
        rest = fit.cases - fit.fitting
        return baseline, f"{count_of(rest, 'case')} cannot be put to {baseline.version}." if rest else ""
    return None, f"No case can be put to {baseline.version}, which takes other parameters: judged by itself."


def _run(
    subject: Subject,
    version: PromptVersion,
    workspace: Path | None,
    purse: Purse,
    watch: Watch,
    concurrency: int,
) -> Evaluated:
    repeats = subject.tests.repeats
    order = EvalOrder(
        target=f"{version.name}@{version.version}",
        dataset=subject.dataset,
        scorers=subject.tests.scorers,
        repeats=repeats.max if repeats is not None else None,
        repeats_policy=repeats.policy if repeats is not None else None,
        concurrency=concurrency,
        max_cost_usd=purse.left_usd,
    )
    done = evaluate(order, workspace, watch)
    purse.spend(done)
    return done


def _found(done: Evaluated) -> Found:
    return Found(manifest=done.manifest, folder=done.folder)


def _eval_step(candidate: Evaluated, baseline: Evaluated | None, remark: str) -> Step:
    runs = [candidate] if baseline is None else [candidate, baseline]
    paid = sum(one.progress.paid for one in runs)
    cached = sum(one.progress.cached for one in runs)
    known = all(one.progress.cost_known for one in runs)
    cost = sum(one.progress.cost_nano_usd for one in runs)
    spent = usd_text(cost) if known else "cost unknown"
    said = f"{count_of(paid, 'answer')}, {spent}" if paid else "all from the cache"
    details = [remark] if remark else []
    if paid and cached:
        details.append(f"{count_of(cached, 'answer')} came from the cache.")
    for one in runs:
        if one.progress.errors:
            details.append(f"{one.manifest.target}: {count_of(one.progress.errors, 'answer')} never came.")
    if any(one.manifest.state != "complete" for one in runs):
        details.append("Not all was asked: what may be spent was spent. Allow more: --max-cost.")
        return Step(state="inconclusive", said=f"partial; {said}", details=tuple(details))
    return Step(state="pass", said=said, details=tuple(details))


def _gate_step(judged: Judged) -> Step:
    verdict = judged.verdict
    words = {"pass": "pass", "warn": "warn", "block": "block", "inconclusive": "not known"}
    more = [one.more_cases for one in verdict.findings if one.answer == "inconclusive" and one.more_cases]
    said = words[verdict.answer]
    if verdict.answer == "inconclusive" and more:
        said = f"not known: {count_of(max(more), 'more case')}"
    return Step(state=verdict.answer, said=said, details=(verdict.why, *judged.remarks))


def _stopped(done: Evaluated) -> Evaluation:
    step = Step(state="inconclusive", said="stopped", details=(f"{done.manifest.target} was interrupted.",))
    return Evaluation(step, _skipped("not evaluated"), None, interrupted=True)


def _skipped(why: str) -> Step:
    return Step(state="skipped", said=why)
