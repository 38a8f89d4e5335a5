"""What the engine needs from outside: where answers are kept for other runs, and who is told how far it is."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

import msgspec

from tidegate.control.evals.model import Score

__all__ = ["AnswerCache", "Kept", "Progress", "Score", "Tell"]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it is kept: what was said, what it has cost when it was paid for, and which run paid."""

    text: str
    run_id: str = ""
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano_usd: int | None = None
    latency_ms: float | None = None
    upstream_model: str | None = None


class AnswerCache(Protocol):
    """Answers and scores by their content keys, shared by runs and processes."""

    @property
    def keeps(self) -> bool:
        """Whether what is put can ever be found again."""
        ...

    async def answer(self, key: str) -> Kept | None:
        """The answer of a key; None when there is none, or it cannot be read."""
        ...

    async def keep_answer(self, key: str, kept: Kept) -> None:
        """Keep an answer, durably on return; the first one of a key stays. Raises Unavailable."""
        ...

    async def score(self, key: str) -> Score | None:
        """The score of a key, as `answer`."""
        ...

    async def keep_score(self, key: str, score: Score) -> None:
        """Keep a score, as `keep_answer`."""
        ...

    async def close(self) -> None:
        """Give back connections and threads."""
        ...


class Progress(msgspec.Struct, kw_only=True):
    """How far a run is; the engine changes it in place. `done` cases of `total`; answers were `paid` for now or
    `cached`; `errors` are answers that never came, `failed` cases that did not pass; `retries` counts tries again.
    Costs in nano-dollars, judges' calls among them; `cost_known` is False when some answer's cost is not.
    """

    total: int
    done: int = 0
    resumed: int = 0
    paid: int = 0
    cached: int = 0
    errors: int = 0
    failed: int = 0
    retries: int = 0
    under_way: int = 0
    cost_nano_usd: int = 0
    cost_known: bool = True


Tell: TypeAlias = Callable[[Progress], None]
"""Told after every answer, and must return at once."""
