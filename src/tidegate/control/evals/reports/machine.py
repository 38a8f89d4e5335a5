"""A gate as JSON."""

import msgspec

from tidegate.control.evals.reports.blocks import Report

__all__ = ["machine"]


def machine(report: Report) -> str:
    """The verdict, the comparison and every case in figures; what is unknown is null."""
    found = {
        "verdict": report.verdict,
        "comparison": report.comparison,
        "cases": report.lines,
        "remarks": report.remarks,
    }
    return msgspec.json.format(msgspec.json.encode(found)).decode() + "\n"
