"""A gate as a comment on a pull request: short at first sight, the rest folded, within GitHub's limit."""

from collections.abc import Iterable
from html import escape
from types import MappingProxyType

from tidegate.control.evals.model import CaseDiff, Outcome
from tidegate.control.evals.reports.blocks import Report, flat
from tidegate.control.evals.reports.rows import FindingRow, changes_text, rows_of, scorers_text, title_of
from tidegate.kernel.markup import markdown_safe as safe
from tidegate.kernel.plain import count_of

__all__ = ["MARKER", "MOST_CHARACTERS", "markdown"]

MARKER = "<!-- tidegate eval -->"
"""The first line, by which a later comment finds the one that it replaces."""
MOST_CHARACTERS = 60_000
"""GitHub refuses comments of more than 65,536."""
SHOWN = 25
QUOTE = 240
_SIGNS = MappingProxyType({"pass": "✅", "warn": "⚠️", "inconclusive": "❔", "block": "❌"})
_HEADS = MappingProxyType({"pass": "Pass", "warn": "Warning", "inconclusive": "Not known", "block": "Blocked"})
_MARKS = frozenset("\\`*_[]<>|#~!&@$:")


def markdown(report: Report) -> str:
    """The report as Markdown; at most 60,000 characters."""
    verdict, comparison = report.verdict, report.comparison
    rows = rows_of(comparison)
    parts = [
        MARKER,
        f"### {_SIGNS[verdict.answer]} {_HEADS[verdict.answer]}: {safe(title_of(comparison))}",
        safe(verdict.why),
        *([_findings(rows)] if rows else []),
    ]
    parts += [safe(line) for line in (changes_text(comparison), *comparison.notes, *report.remarks) if line]
    if comparison.unjudged:
        parts.append(f"Left out: {safe('; '.join(comparison.unjudged))}.")
    after = [_folded("How it was judged", _judged(rows))] if rows else []
    scorers = scorers_text(comparison)
    if scorers:
        after.append(
            _folded("Scorers, and how well they agree with people", "\n".join(f"- {safe(one)}" for one in scorers))
        )
    room = MOST_CHARACTERS - sum(len(part) + 2 for part in (*parts, *after))
    worst = [one for one in report.diffs if one.change == "regressed"]
    if worst:
        parts.append(_worst(worst, comparison.regressed, room, report))
    return "\n\n".join((*parts, *after)) + "\n"


def _findings(rows: Iterable[FindingRow]) -> str:
    lines = ["| rule | baseline | candidate | found (90% interval) | answer |", "|---|---:|---:|---:|---|"]
    for row in rows:
        cells = (f"{row.rule} {row.allowed}", row.baseline, row.candidate, row.difference)
        lines.append(f"| {' | '.join(map(safe, cells))} | {_SIGNS[row.finding.answer]} {safe(row.answer)} |")
    return "\n".join(lines)


def _judged(rows: Iterable[FindingRow]) -> str:
    lines = []
    for row in rows:
        scorer = f" Scorer: {row.scorer}." if row.scorer else ""
        cases = count_of(row.finding.pairs, "case")
        lines.append(
            f"- **{safe(row.rule)} {safe(row.allowed)}**: {safe(row.why)}. {safe(row.test)}, {cases}.{safe(scorer)}"
        )
    return "\n".join(lines)


def _worst(diffs: list[CaseDiff], regressed: int, room: int, report: Report) -> str:
    head = ["| case | baseline said | candidate said | why |", "|---|---|---|---|"]
    lines: list[str] = []
    used = 500
    for one in diffs[:SHOWN]:
        cells = (_code(flat(one.case_id, 80)), _said(one.baseline), _said(one.candidate), _why(one.candidate))
        line = f"| {' | '.join(cells)} |"
        used += len(line) + 1
        if used > room:
            break
        lines.append(line)
    if not lines:
        return ""
    run = report.comparison.candidate.manifest.run_id
    all_of_them = f"All of them: {_code(f'tidegate eval report {run} --format html')}"
    shown = count_of(regressed, "case")
    title = f"{shown} regressed" if len(lines) == regressed else f"{shown} regressed, the {len(lines)} worst"
    return _folded(title, "\n".join(head + lines) + f"\n\n{all_of_them}")


def _said(outcome: Outcome | None) -> str:
    if outcome is None:
        return "-"
    return _code(flat(outcome.text or "", QUOTE)) if outcome.error is None else f"error: {_code(outcome.error)}"


def _why(outcome: Outcome | None) -> str:
    if outcome is None or outcome.error is not None:
        return "-" if outcome is None else _code(flat(outcome.error_message, QUOTE))
    told = [
        f"{name}: {score.why}" if score.why else name for name, score in outcome.scores.items() if score.passed is False
    ]
    return _code(flat("; ".join(told), QUOTE)) if told else "-"


def _folded(title: str, inside: str) -> str:
    return f"<details><summary>{escape(title)}</summary>\n\n{inside}\n\n</details>"


def _code(words: str) -> str:
    """Words from outside, as they are: nothing in them is Markdown or HTML, calls a person or links an issue."""
    return f"<code>{''.join(f'&#{ord(one)};' if one in _MARKS else one for one in words)}</code>"
