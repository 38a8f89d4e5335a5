"""The pages of a check: for each version that was evaluated, the gate's HTML with its cases side by side."""

from collections.abc import Iterator
from pathlib import Path

from tidegate.app.checks.model import CheckedVersion, CheckReport
from tidegate.app.evaluating.comparing import judge, report_of, rules_of
from tidegate.app.evaluating.runs import find_run
from tidegate.control.evals.reports.html import html

__all__ = ["pages"]


def pages(report: CheckReport, workspace: Path | None) -> Iterator[tuple[str, str]]:
    """A file's name and its text, made of the runs on disk."""
    for one in report.versions:
        text = _page(one, workspace)
        if text is not None:
            yield f"{one.name}@{one.version}.html", text


def _page(one: CheckedVersion, workspace: Path | None) -> str | None:
    if one.folder is None:
        return None
    candidate = find_run(Path(one.folder).parent, one.folder)
    baseline = None if one.baseline_folder is None else find_run(candidate.folder.parent, one.baseline_folder)
    return html(report_of(judge(candidate, baseline, rules_of(candidate.manifest, workspace, Path.cwd()))))
