"""Samples for scorers, in one line."""

from typing import Any

from tidegate.control.evals.model import Case, Outcome, Sample

__all__ = ["sample"]


def sample(answer: str, expected: Any = None, *, context: str | None = None, **known: Any) -> Sample:
    """An answer to the question `q`."""
    outcome = Outcome(case_id="one", repeat=0, key="k", text=answer, **known)
    return Sample(case=Case(id="one", expected=expected), question="q", context=context, answer=answer, outcome=outcome)
