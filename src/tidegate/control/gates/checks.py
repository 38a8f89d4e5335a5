"""What is no gate is refused here, with the way to mend it: a bare number above all, of which nobody can say whether it
is a ratio, a difference or a bound.
"""

import math
from collections.abc import Iterable
from typing import Literal

from tidegate.control.gates.model import Absolute, Drop, Gate, Ratio
from tidegate.kernel.errors import Invalid

__all__ = ["BadGate", "checked", "checked_family"]

_ROUNDING = 1e-9
_MEND = "Say which: Ratio(1.2) (times the control), Drop(0.03) (worse by this much) or Absolute(0.05) (a bound)."


class BadGate(Invalid):
    """A guardrail that cannot be judged, or that could never tell anything."""

    code = "bad_gate"


def checked(gate: Gate) -> Gate:
    """The gate itself; BadGate when its margin lies on the wrong side or one of its numbers cannot be."""
    for share in (gate.share, 1.0 if gate.hold_share is None else gate.hold_share):
        if not 0 < share <= 1:
            raise BadGate(f"The guardrail on {gate.metric} has a share of {share:g} of alpha.", mend="0 < share <= 1.")
    if not 0 <= gate.require_effect <= 1:
        raise BadGate(
            f"require_effect of the guardrail on {gate.metric} is {gate.require_effect:g}.",
            mend="Say which share of the way to the margin: 0 for any harm that is proven, 1 for the margin itself.",
        )
    if gate.burn_in < 2 or (gate.sd is not None and not (math.isfinite(gate.sd) and gate.sd > 0)):
        raise BadGate(
            f"The guardrail on {gate.metric} needs a burn_in of 2 or more and an sd above 0.",
            mend="Leave sd out when it is not known.",
        )
    match gate.rule:
        case Ratio(margin, negligible):
            _ratio(gate.metric, margin, gate.better)
            if negligible:
                _negligible(gate, negligible)
        case Drop(margin):
            _drop(gate.metric, margin, gate.shape)
        case Absolute(bound):
            _bound(gate.metric, bound, gate.shape)
        case other:
            raise BadGate(
                f"The rule of the guardrail on {gate.metric} is {other!r}: a ratio, a difference or a bound?",
                mend=_MEND,
            )
    return gate


def checked_family(gates: Iterable[Gate]) -> tuple[Gate, ...]:
    """The gates of one treatment; BadGate when one is bad, two are alike, or together they spend more than alpha."""
    found = tuple(checked(gate) for gate in gates)
    spent = math.fsum(gate.share for gate in found)
    if spent > 1 + _ROUNDING:
        raise BadGate(
            f"The shares of the guardrails sum to {spent:.4g}: together they would block more often than alpha allows.",
            mend=f"Give each 1/{len(found)}, or shares that sum to 1.",
        )
    for at, gate in enumerate(found):
        if any(gate.metric == other.metric and gate.rule == other.rule for other in found[:at]):
            raise BadGate(f"The guardrail on {gate.metric} stands there twice.", mend="Leave one out.")
    return found


def _ratio(metric: str, margin: float, better: Literal["higher", "lower"]) -> None:
    if better == "lower" and not (math.isfinite(margin) and margin > 1):
        raise BadGate(
            f"The ratio of the guardrail on {metric} is {margin:g}, but less is better.",
            mend="Say how many times the control's value is still allowed, above 1: 1.2 for 20% more.",
        )
    if better == "higher" and not 0 < margin < 1:
        raise BadGate(
            f"The ratio of the guardrail on {metric} is {margin:g}, but more is better.",
            mend="Say which share of the control's value must remain, between 0 and 1: 0.95 for 5% less.",
        )


def _negligible(gate: Gate, negligible: float) -> None:
    if not 0 < negligible < 1 or gate.shape != "rate" or gate.better != "lower":
        raise BadGate(
            f"Of the guardrail on {gate.metric} {negligible:g} more is said to be negligible.",
            mend="Say that of a rate which should be low only, between 0 and 1: 0.005 for half a point.",
        )


def _drop(metric: str, margin: float, shape: Literal["rate", "mean"]) -> None:
    if not (math.isfinite(margin) and margin > 0) or (shape == "rate" and margin >= 1):
        raise BadGate(
            f"The drop of the guardrail on {metric} is {margin:g}.",
            mend="Say how much worse is allowed as a number above 0, in the metric's own unit: 0.03 for 3 points of"
            " a score from 0 to 1.",
        )


def _bound(metric: str, bound: float, shape: Literal["rate", "mean"]) -> None:
    if not math.isfinite(bound) or (shape == "rate" and not 0 < bound < 1):
        raise BadGate(
            f"The absolute bound of the guardrail on {metric} is {bound:g}.",
            mend="A rate's bound lies between 0 and 1: 5% is 0.05."
            if shape == "rate"
            else "Give a number in the metric's own unit.",
        )
