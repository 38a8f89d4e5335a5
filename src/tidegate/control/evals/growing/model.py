"""Cases drawn from calls, as plain values."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from tidegate.kernel.errors import Invalid

__all__ = ["MOST_CASES", "Drawn", "DrawnCase", "ScoreFilter", "Wanted", "score_filter"]

MOST_CASES = 1000
_FILTER = re.compile(r"\s*([a-z0-9][a-z0-9._-]*)\s*(<=|>=|==|=|<|>)\s*(-?[0-9]+(?:\.[0-9]+)?)\s*")
_HOLDS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {
        "<": lambda one, other: one < other,
        "<=": lambda one, other: one <= other,
        ">": lambda one, other: one > other,
        ">=": lambda one, other: one >= other,
        "=": lambda one, other: one == other,
        "==": lambda one, other: one == other,
    }
)


class ScoreFilter(msgspec.Struct, frozen=True):
    """Calls whose newest score of this name compares so."""

    name: str
    sign: str
    value: float

    def holds(self, value: float) -> bool:
        """Whether a score of this value is meant."""
        return _HOLDS[self.sign](value, self.value)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls: of users, kept, that ended well; the newest `limit`. None means any. `after` and `before` bound the
    start (Unix ms, exclusive). `answers`: with what was answered, for whoever looks it through.
    """

    prompt: str | None = None
    version: str | None = None
    environment: str | None = None
    route: str | None = None
    key: str | None = None
    after: int | None = None
    before: int | None = None
    scores: tuple[ScoreFilter, ...] = ()
    answers: bool = False
    limit: int = 50

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MOST_CASES:
            raise Invalid(f"1 to {MOST_CASES} cases are drawn at once.", mend="Give a --limit in that.", param="limit")


class DrawnCase(msgspec.Struct, frozen=True, kw_only=True):
    """One call as a case, redacted. `variables` are the caller's where they are known, else `messages` is there, and
    holds what the model was sent. `given` is what the model was given to go by, where there are messages alone.
    """

    call_id: str
    at_ms: int
    environment: str
    prompt: str | None = None
    version: str | None = None
    variables: dict[str, Any] | None = None
    messages: tuple[dict[str, Any], ...] = ()
    given: str | None = None
    answer: str | None = None
    scores: dict[str, float] = {}


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """Cases, newest first; what was taken out of them by kind; how many calls were looked at, and how many were left
    out by why (not_kept, no_score, unreadable).
    """

    cases: tuple[DrawnCase, ...]
    redactions: dict[str, int]
    looked_at: int
    left_out: dict[str, int]


def score_filter(text: str) -> ScoreFilter:
    """Read `faithfulness<0.5`; raises Invalid."""
    found = _FILTER.fullmatch(text)
    if found is None:
        raise Invalid(
            f"{text!r} compares no score.",
            mend="Write NAME<0.5, with <, <=, >, >= or =.",
            code="bad_score",
            param="score",
        )
    return ScoreFilter(found[1], found[2], float(found[3]))
