"""What the scoring worker needs from outside."""

from collections.abc import Sequence
from typing import Protocol

from tidegate.control.evals.model import Sample, Score, ScorerUse
from tidegate.control.evals.online.model import Job
from tidegate.live.feedback import Feedback

__all__ = ["Bench", "FeedbackSink", "OnlineScorer"]


class OnlineScorer(Protocol):
    """A scorer: see `evals.scorers`."""

    @property
    def use(self) -> ScorerUse: ...

    async def score(self, sample: Sample) -> Score:
        """The score of one answer; what went wrong with a judge is told in it, or raised as a TidegateError."""
        ...


class Bench(Protocol):
    """What there is to do, and who does it."""

    async def jobs(self) -> Sequence[Job]:
        """Everything that is to be scored now."""
        ...

    def scorer(self, name: str, environment: str) -> OnlineScorer:
        """The scorer of that name, whose judges are asked in this environment. Raises NotFound, or Invalid."""
        ...


class FeedbackSink(Protocol):
    """Where scores go: `live.ports.Feedbacks`."""

    async def put(self, batch: Sequence[Feedback]) -> None:
        """Store the batch; one that is there already is not doubled. Raises Unavailable."""
        ...
