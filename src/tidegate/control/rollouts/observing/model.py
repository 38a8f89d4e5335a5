"""What was judged of a rollout, as plain values."""

from typing import Literal, NamedTuple, TypeAlias

import msgspec

from tidegate.control.gates.model import Verdict
from tidegate.control.rollouts.model import Plan

__all__ = ["Cell", "Figures", "Kind", "Span", "Weighed", "due_windows", "settle_ms"]

Kind: TypeAlias = Literal["canary", "shadow"]
"""Of whom: users under a split, or copies beside the calls that they copy."""

Figures: TypeAlias = tuple[int, float, float]
"""Of the values in a cell: how many, their mean, and the sum of their squared distances from it."""

GRACE_MS = 2000
"""What is over is in the store so much later."""

SETTLE_MS = 120_000
"""So long is waited for calls that are under way when a window ends, but never longer than a window lasts. What takes
longer counts later."""


class Span(NamedTuple):
    """The windows [first, until) of a rollout that began at `started_at_ms` (Unix ms)."""

    started_at_ms: int
    first: int
    until: int


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """The units of one arm (0 stable, 1 candidate) that were judged in one window under one split (the candidate's
    share): how many, how many of them came in as new, and the figures of each metric. `newest_ms`: when the last of
    their calls counted.
    """

    window: int
    share_bp: int
    arm: int
    judged: int
    arrived: int
    newest_ms: int
    figures: dict[str, Figures]


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """What all cells say together: the gates, and the always-valid p-value of the split."""

    verdict: Verdict
    breached: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    split_p: float = 1.0


def settle_ms(plan: Plan) -> int:
    """How long after a window's end calls may still be under way."""
    return min(plan.window_s * 1000, SETTLE_MS)


def due_windows(plan: Plan, started_at_ms: int, now_ms: int) -> int:
    """How many windows can be judged: over, and what was under way is over too and written down."""
    return max(0, (now_ms - GRACE_MS - settle_ms(plan) - started_at_ms) // (plan.window_s * 1000))
