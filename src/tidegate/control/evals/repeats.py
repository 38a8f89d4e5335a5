"""Repeats: which cases are asked again, and how much a case flickers. Pure."""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from tidegate.control.evals.model import Outcome, ScorerUse

__all__ = ["NEAR", "Trial", "again", "flake", "is_near", "trial_of"]

NEAR = 0.05
"""A score that lies so close to its scorer's threshold could as well lie on its other side."""


class Trial(msgspec.Struct, frozen=True):
    """What the rule looks at of one answer: whether it passed (None: an error, or nothing decides), and whether a score
    lay near its threshold.
    """

    passed: bool | None
    near: bool = False


def again(trials: Sequence[Trial], most: int, policy: Literal["unstable-only", "always"]) -> bool:
    """Whether a case that was answered so is asked once more.

    `always`: until `most`. `unstable-only`: a first answer that passed clear of every threshold is believed. One that
    failed, or lies near a threshold, is asked again: if the second says the same, and neither is near, that is
    believed; otherwise the case is unstable and is asked `most` times. An error decides nothing: it was tried again
    already.
    """
    if not trials:
        return True
    if len(trials) >= most:
        return False
    if policy == "always":
        return True
    told = [one for one in trials if one.passed is not None]
    if len(told) < len(trials):
        return False
    if len(told) == 1:
        return told[0].near or not told[0].passed
    return any(one.near for one in told) or len({one.passed for one in told}) > 1


def trial_of(outcome: Outcome, uses: Iterable[ScorerUse]) -> Trial:
    """What the rule looks at of an outcome."""
    return Trial(outcome.passed, any(is_near(use, outcome) for use in uses))


def is_near(use: ScorerUse, outcome: Outcome) -> bool:
    """Whether the scorer's score of the answer lies near its threshold. Facts (exact scorers) have no nearness."""
    threshold = use.settings.get("threshold")
    score = outcome.scores.get(use.name)
    if use.exact or score is None or score.value is None or not isinstance(threshold, int | float):
        return False
    return abs(score.value - threshold) <= NEAR


def flake(passes: int, fails: int) -> float | None:
    """How much a case flickers: 0 when all its answers say the same, 1 when half of them pass; None when none says
    anything. It is 1 - |2p - 1|, with p the share that passed.
    """
    told = passes + fails
    return 1 - abs(2 * passes / told - 1) if told else None
