"""A comparison as lines of a table, the same in every report."""

from typing import NamedTuple

from tidegate.control.evals.comparing.metrics import scorer_of
from tidegate.control.evals.model import Comparison, Finding
from tidegate.control.evals.reports.sentences import (
    ANSWER_WORDS,
    allowed_text,
    difference_text,
    level_cell,
    name_of,
    quality_text,
    reason_text,
)
from tidegate.kernel.plain import count_of, joined, plain

__all__ = ["FindingRow", "changes_text", "rows_of", "scorers_text", "title_of", "versus_text"]


class FindingRow(NamedTuple):
    """A rule and what was found of it, in words. `scorer`: what the scorer behind it is worth."""

    rule: str
    allowed: str
    baseline: str
    candidate: str
    difference: str
    answer: str
    why: str
    test: str
    scorer: str
    finding: Finding


def rows_of(comparison: Comparison) -> tuple[FindingRow, ...]:
    """The findings, the worst first."""
    return tuple(_row(one, comparison) for one in comparison.findings)


def title_of(comparison: Comparison) -> str:
    """What was judged against what: `support.answer@2.1.0 against 2.0.0, 500 cases`."""
    return f"{versus_text(comparison)}, {count_of(comparison.candidate.cases, 'case')}"


def versus_text(comparison: Comparison) -> str:
    """`support.answer@2.1.0 against 2.0.0`; with the model where that is what differs."""
    ours = comparison.candidate.manifest
    if comparison.baseline is None:
        return f"{plain(ours.target)}, without a baseline"
    theirs = comparison.baseline.manifest
    if ours.prompt == theirs.prompt and ours.version != theirs.version and theirs.version:
        other = theirs.version
    else:
        other = theirs.target
    model = ours.model != theirs.model and ours.prompt is not None
    left = f"{plain(ours.target)} by {plain(ours.model)}" if model else plain(ours.target)
    return f"{left} against {plain(other)} by {plain(theirs.model)}" if model else f"{left} against {plain(other)}"


def changes_text(comparison: Comparison) -> str:
    """What became of the cases; empty without a baseline, or when nothing passes or fails."""
    if comparison.baseline is None or not comparison.regressed + comparison.improved + comparison.same:
        return ""
    parts = [
        f"{comparison.regressed:,} regressed",
        f"{comparison.improved:,} improved",
        f"{comparison.same:,} stayed the same",
    ]
    if comparison.unknown:
        parts.append(f"{comparison.unknown:,} cannot be compared")
    return f"Of {count_of(comparison.candidate.cases, 'case')}, {joined(parts)}."


def scorers_text(comparison: Comparison) -> tuple[str, ...]:
    """What each scorer of the run is worth."""
    return tuple(
        f"{plain(one.name)} {plain(one.version)}: {quality_text(one)}" for one in comparison.candidate.manifest.scorers
    )


def _row(finding: Finding, comparison: Comparison) -> FindingRow:
    bound = finding.bound
    return FindingRow(
        rule=name_of(bound),
        allowed=allowed_text(bound),
        baseline=level_cell(finding, finding.baseline),
        candidate=level_cell(finding, finding.candidate),
        difference=difference_text(finding),
        answer=ANSWER_WORDS[finding.answer],
        why=reason_text(finding),
        test=finding.test,
        scorer=quality_text(scorer_of(bound.metric, comparison.candidate.manifest.scorers)),
        finding=finding,
    )
