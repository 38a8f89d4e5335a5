"""Answers of evaluations in memory, or nowhere."""

from tidegate.control.evals.ports import Kept, Score

__all__ = ["MemoryAnswers", "NoAnswers"]


class MemoryAnswers:
    """Fills `control.evals.ports.AnswerCache` for one process: for tests."""

    keeps = True

    def __init__(self) -> None:
        self.answers: dict[str, Kept] = {}
        self.scores: dict[str, Score] = {}

    async def answer(self, key: str) -> Kept | None:
        """See `AnswerCache`."""
        return self.answers.get(key)

    async def keep_answer(self, key: str, kept: Kept) -> None:
        """See `AnswerCache`."""
        self.answers.setdefault(key, kept)

    async def score(self, key: str) -> Score | None:
        """See `AnswerCache`."""
        return self.scores.get(key)

    async def keep_score(self, key: str, score: Score) -> None:
        """See `AnswerCache`."""
        self.scores.setdefault(key, score)

    async def close(self) -> None:
        """Nothing to give back."""


class NoAnswers:
    """Fills `control.evals.ports.AnswerCache` and keeps nothing."""

    keeps = False

    async def answer(self, key: str) -> Kept | None:
        """None."""
        return None

    async def keep_answer(self, key: str, kept: Kept) -> None:
        """Let it go."""

    async def score(self, key: str) -> Score | None:
        """None."""
        return None

    async def keep_score(self, key: str, score: Score) -> None:
        """Let it go."""

    async def close(self) -> None:
        """Nothing to give back."""
