"""A check as Markdown, for the comment of a pull request. Its first line is a mark, by which the comment is found."""

from collections.abc import Iterator

from tidegate.app.checks.model import STEPS, CheckedVersion, CheckReport, Step
from tidegate.control.evals.reports.rows import changes_text, rows_of, versus_text
from tidegate.control.prompts.bumps.model import BumpCheck
from tidegate.kernel.markup import markdown_safe as safe

__all__ = ["MARK", "markdown"]

MARK = "<!-- tidegate-check -->"
_SIGNS = {"pass": "✅", "warn": "⚠️", "inconclusive": "❔", "block": "❌", "skipped": "–"}
_HEADS = {
    "pass": "every step holds",
    "warn": "may be merged, with warnings",
    "inconclusive": "not known yet: more cases are needed",
    "block": "must not be merged",
}
MAX_REASONS = 12
MOST = 60_000
"""Characters; GitHub refuses comments of more than 65,536."""


def markdown(report: CheckReport) -> str:
    """The report: the verdict, a row for each version, and below it what a reader needs to act."""
    parts = [MARK, f"## {_SIGNS[report.answer]} Tidegate: {_HEADS[report.answer]}", safe(report.why)]
    if report.versions:
        parts.append(_table(report))
    parts += [_faults(report)] if report.faults else []
    for one in report.versions:
        parts += _version(one)
    parts += [f"> {safe(remark)}" for remark in report.remarks]
    if report.base is not None:
        parts.append(f"<sub>Compared with {report.base[:10]} ({safe(report.base_ref)}) by `tidegate check`.</sub>")
    text = "\n\n".join(part for part in parts if part) + "\n"
    return text if len(text) <= MOST else f"{text[:MOST]}\n\n(cut: the whole report is an artifact of the run)\n"


def _table(report: CheckReport) -> str:
    lines = ["| prompt | " + " | ".join(STEPS) + " |", "|---" * (len(STEPS) + 1) + "|"]
    for one in report.versions:
        cells = [f"**{safe(one.name)}** {safe(one.version)}", *(_cell(step) for step in one.steps)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(step: Step) -> str:
    return f"{_SIGNS[step.state]} {safe(step.said)}" if step.said else _SIGNS[step.state]


def _faults(report: CheckReport) -> str:
    return "\n".join(f"- {safe(f'{one.file}:{one.line}: {one.message} {one.mend}')}" for one in report.faults)


def _version(one: CheckedVersion) -> Iterator[str]:
    """Headings only where there is something to say."""
    blocks = [*_lint(one), *_semver(one.bump), *_details(one), *_gate(one)]
    if blocks:
        yield f"### {safe(one.name)} {safe(one.version)}"
        yield from blocks


def _lint(one: CheckedVersion) -> Iterator[str]:
    if one.faults:
        yield "\n".join(
            f"- {fault.severity} `{fault.code}` {safe(f'{fault.file}:{fault.line}: {fault.message} {fault.mend}')}"
            for fault in one.faults
        )


def _semver(bump: BumpCheck | None) -> Iterator[str]:
    if bump is None or bump.against is None:
        return
    ratio = f", {bump.edit_ratio:.2f} of the words edited" if bump.edit_ratio else ""
    head = f"**Version**: the change since {safe(bump.against)} is **{bump.needed}**{ratio}"
    if bump.answer in ("too_small", "too_large"):
        head += f"; {safe(bump.version)} is {bump.answer.replace('_', ' ')}, **{safe(bump.right_version)}** is right"
    yield f"{head}."
    lines = [f"- **{one.level}** {safe(one.path)}: {safe(one.message)}{_shown(one.evidence)}" for one in bump.reasons]
    if len(lines) > MAX_REASONS:
        lines = [*lines[:MAX_REASONS], f"- and {len(lines) - MAX_REASONS} more: `tidegate prompt check {bump.name}`"]
    if lines:
        yield "\n".join(lines)


def _shown(evidence: str) -> str:
    return "".join(f"<br>{safe(line)}" for line in evidence.split("\n") if line)


def _details(one: CheckedVersion) -> Iterator[str]:
    steps = zip(STEPS, one.steps, strict=True)
    lines = [f"- {name}: {safe(line)}" for name, step in steps if name != "gate" for line in step.details]
    if one.comparison is None:
        lines += [f"- gate: {safe(line)}" for line in one.gate.details]
    told = [line for line in lines if not (line.startswith("- tests: ") and one.tests.state == "pass")]
    if told:
        yield "\n".join(told)


def _gate(one: CheckedVersion) -> Iterator[str]:
    comparison, verdict = one.comparison, one.verdict
    if comparison is None or verdict is None:
        return
    yield f"**Gate**: {safe(versus_text(comparison))}. {safe(verdict.why)}"
    rows = rows_of(comparison)
    if rows:
        lines = [
            "| rule | baseline | candidate | difference (90% interval) | answer | why |",
            "|---|--:|--:|--:|---|---|",
        ]
        for row in rows:
            cells = (f"{row.rule} {row.allowed}", row.baseline, row.candidate, row.difference)
            sign = _SIGNS[row.finding.answer]
            lines.append("| " + " | ".join([*map(safe, cells), f"{sign} {row.answer}", safe(row.why)]) + " |")
        yield "\n".join(lines)
    for line in (changes_text(comparison), *comparison.notes, *one.gate.details[1:]):
        if line:
            yield safe(line)
