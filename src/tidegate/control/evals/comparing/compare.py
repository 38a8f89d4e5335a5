"""A candidate against a baseline, or on its own: every rule's finding, what became of each case, and the verdict."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from tidegate.control.evals.comparing.answering import LEVEL, Found, own_answer, paired_answer
from tidegate.control.evals.comparing.bounds import DEFAULTS
from tidegate.control.evals.comparing.cases import change_of
from tidegate.control.evals.comparing.metrics import FIRM_PASSES, PASSES, is_firm, scorer_of
from tidegate.control.evals.comparing.pairing import own_of, paired_of
from tidegate.control.evals.comparing.results import Figures, figures
from tidegate.control.evals.model import ANSWERS, Answer, Bound, Comparison, Finding, Manifest, Outcome, Verdict
from tidegate.control.evals.reports.sentences import finding_sentence, metric_text
from tidegate.control.evals.summary import summed_up
from tidegate.kernel.errors import Conflict
from tidegate.kernel.plain import count_of, joined, plain

__all__ = ["Compared", "RunResults", "compare", "compared", "verdict_of"]


@dataclass(frozen=True, slots=True)
class RunResults:
    """A run to be compared. `outcomes` begins anew at each call; `groups` names the group of each case that has one."""

    manifest: Manifest
    outcomes: Callable[[], Iterable[Outcome]]
    groups: Mapping[str, str] = field(default_factory=dict)

    def figures(self) -> Figures:
        """Read it once."""
        return figures(self.manifest, self.outcomes(), self.groups)


class Compared(NamedTuple):
    """What was found, and the figures of both runs, for who shows single cases."""

    comparison: Comparison
    candidate: Figures
    baseline: Figures | None


def compare(bounds: Sequence[Bound], candidate: RunResults, baseline: RunResults | None) -> Comparison:
    """Judge every rule; see `compared`."""
    return compared(bounds, candidate, baseline).comparison


def compared(bounds: Sequence[Bound], candidate: RunResults, baseline: RunResults | None) -> Compared:
    """Judge every rule, each run read once. Rules on a metric that was not measured, when they are defaults, and rules
    against a baseline when there is none, are left out and named in `unjudged`. Raises Conflict when no case stands in
    both runs.
    """
    ours = candidate.figures()
    theirs = None if baseline is None else baseline.figures()
    if theirs is not None and not ours.ids.keys() & theirs.ids.keys():
        raise Conflict(
            f"{plain(ours.manifest.run_id)} and {plain(theirs.manifest.run_id)} have no case in common.",
            mend="Compare runs of the same dataset.",
            code="eval_no_pairs",
        )
    findings: list[Finding] = []
    left: dict[str, list[str]] = {}
    for bound in _spread(bounds, ours):
        why = _left_out(bound, ours, theirs)
        if why:
            left.setdefault(why, []).append(metric_text(bound.metric, bound.statistic))
        else:
            findings.append(_finding(bound, ours, theirs))
    changes = [change_of(one, ours, theirs) for one in ours.ids]
    comparison = Comparison(
        candidate=summed_up(ours),
        baseline=None if theirs is None else summed_up(theirs),
        findings=tuple(sorted(findings, key=lambda one: -ANSWERS.index(one.answer))),
        regressed=changes.count("regressed"),
        improved=changes.count("improved"),
        same=changes.count("same"),
        unknown=changes.count("unknown"),
        unjudged=tuple(f"{joined(list(dict.fromkeys(names)))} ({why})" for why, names in left.items()),
        notes=tuple(_notes(ours, theirs)),
    )
    return Compared(comparison, ours, theirs)


def verdict_of(comparison: Comparison, *, model: str = "", at_ms: int = 0) -> Verdict:
    """The worst of the findings. A rule that may only warn counts at most as a warning, also when nothing is known of
    it. A candidate's run that did not end is no pass; nor is one of which no rule could be judged.
    """
    manifest = comparison.candidate.manifest
    worst = max((_weight(one) for one in comparison.findings), default=ANSWERS.index("pass"))
    answer: Answer = ANSWERS[worst]
    reasons = [finding_sentence(one) for one in comparison.findings if _weight(one) == worst]
    if answer in ("pass", "warn"):
        if not comparison.findings:
            answer, reasons = "inconclusive", ["No rule could be judged."]
        elif manifest.state != "complete":
            answer, reasons = "inconclusive", [_unfinished(comparison)]
        elif answer == "pass":
            reasons = [_all_hold(len(comparison.findings))]
    return Verdict(
        answer=answer,
        why=" ".join(reasons),
        prompt=manifest.prompt,
        version=manifest.version,
        content_hash=manifest.content_hash,
        baseline_version=None if comparison.baseline is None else comparison.baseline.manifest.version,
        dataset_sha256=manifest.dataset_sha256,
        findings=comparison.findings,
        at_ms=at_ms,
        model=model,
    )


def _weight(finding: Finding) -> int:
    """How bad a finding is for the verdict."""
    most = len(ANSWERS) if finding.bound.block and not finding.weakened else ANSWERS.index("warn")
    return min(ANSWERS.index(finding.answer), most)


def _all_hold(rules: int) -> str:
    return "The rule holds." if rules == 1 else "Both rules hold." if rules == 2 else f"All {rules} rules hold."


def _unfinished(comparison: Comparison) -> str:
    manifest = comparison.candidate.manifest
    why = f" ({plain(manifest.why)})" if manifest.why else ""
    return (
        f"The run has not ended{why}: {comparison.candidate.cases:,} of {count_of(manifest.cases, 'case')} are known. "
        "Those that are missing may be unlike the others."
    )


def _spread(bounds: Sequence[Bound], ours: Figures) -> Iterator[Bound]:
    """The rules; one on passing is judged twice where scorers take part that may only warn: over all of them, and over
    those that may block.
    """
    for bound in bounds:
        yield bound
        if bound.metric == PASSES and ours.weak and ours.firm:
            yield msgspec.structs.replace(bound, metric=FIRM_PASSES)


def _left_out(bound: Bound, ours: Figures, theirs: Figures | None) -> str:
    """Why a rule is not judged at all; empty when it is."""
    if bound.kind in ("drop", "ratio") and theirs is None:
        return "there is no baseline"
    measured = bound.metric in ours.values or (theirs is not None and bound.metric in theirs.values)
    return "" if measured or bound not in DEFAULTS or bound.metric == PASSES else "not measured"


def _finding(bound: Bound, ours: Figures, theirs: Figures | None) -> Finding:
    found, pairs = _judged(bound, ours, theirs)
    answer, weakened, why = found.answer, False, found.why
    weak = _weak(bound, ours)
    if weak:
        weakened = bound.block and answer == "block"
        why = "; ".join(filter(None, (why, f"{weak} has not shown that it agrees with people, so it may only warn")))
    if answer == "block" and (weak or not bound.block):
        answer = "warn"
    return Finding(
        bound=msgspec.structs.replace(bound, block=False) if weak else bound,
        answer=answer,
        baseline=found.baseline,
        candidate=found.candidate,
        estimate=found.estimate,
        low=found.low,
        high=found.high,
        level=LEVEL,
        p_worse=found.p_worse,
        pairs=pairs,
        test=found.test,
        more_cases=found.more,
        weakened=weakened,
        why=why,
    )


def _judged(bound: Bound, ours: Figures, theirs: Figures | None) -> tuple[Found, int]:
    what = metric_text(bound.metric, bound.statistic)
    if bound.kind in ("most", "least") or theirs is None:
        own = own_of(ours, bound.metric)
        if own is None:
            return _nothing(f"no case has a {what}"), 0
        return own_answer(bound, own, None if theirs is None else own_of(theirs, bound.metric)), len(own.values)
    differs = _differs(bound.metric, ours, theirs)
    if differs:
        return _nothing(differs), 0
    pairs = paired_of(ours, theirs, bound.metric)
    if pairs is None:
        return _nothing(f"no case has a {what} in both runs"), 0
    return paired_answer(bound, pairs), len(pairs.candidate.values)


def _nothing(why: str) -> Found:
    return Found("inconclusive", None, None, None, None, None, "none", why=why)


def _differs(metric: str, ours: Figures, theirs: Figures) -> str:
    """Why a scorer's scores of two runs cannot be compared; empty when they can."""
    names = {metric} if metric not in (PASSES, FIRM_PASSES) else {one.name for one in ours.manifest.scorers}
    for name in sorted(names):
        now, before = scorer_of(name, ours.manifest.scorers), scorer_of(name, theirs.manifest.scorers)
        if now is None and before is None:
            continue
        if now is None or before is None:
            return f"only one of the runs has the scorer {plain(name)}"
        if now.version != before.version:
            return f"{plain(now.name)} is {now.version} in one run and {before.version} in the other: run both with one"
        if now.settings != before.settings:
            return f"{plain(now.name)} has other settings in one run than in the other: run both with the same"
    return ""


def _weak(bound: Bound, ours: Figures) -> str:
    """Which scorers keep a rule from blocking, in words; empty when none does."""
    if bound.metric == PASSES:
        return joined([plain(one) for one in sorted(ours.weak)])
    use = scorer_of(bound.metric, ours.manifest.scorers)
    if use is not None and not is_firm(bound.metric, ours.manifest.scorers):
        return plain(use.name)
    return ""


def _notes(ours: Figures, theirs: Figures | None) -> Iterator[str]:
    """What to know before believing the figures."""
    if theirs is None:
        return
    if ours.manifest.dataset_sha256 != theirs.manifest.dataset_sha256:
        both = len(ours.ids.keys() & theirs.ids.keys())
        yield (
            f"The datasets differ: {both:,} of {count_of(len(ours.ids), 'case')} stand in both by their id, and are "
            "compared as if their contents were the same."
        )
    if theirs.manifest.state != "complete":
        yield f"The baseline's run has not ended: {len(theirs.ids):,} of {theirs.manifest.cases:,} cases are known."
    if ours.manifest.content_hash == theirs.manifest.content_hash and ours.manifest.model == theirs.manifest.model:
        yield "Both runs asked the same prompt and model: what differs is chance."
