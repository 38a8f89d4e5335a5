"""Rollouts as tests need them: a short plan, looks at it, and a walk from look to look."""

from collections.abc import Iterable

from tidegate.control.gates.model import Drop, Gate, Ratio
from tidegate.control.rollouts.model import Approval, Begun, Evidence, Move, Plan, Rollout, Side, Stage
from tidegate.control.rollouts.step import begin, moved, step

STABLE, CANDIDATE = Side(version="1.0.0"), Side(version="1.1.0")
ERRORS = Gate(metric="error_rate", rule=Ratio(1.5), shape="rate", better="lower", share=0.5)
FAITH = Gate(metric="faithfulness", rule=Drop(0.03), shape="mean", better="higher", share=0.5)
MINUTE = 60_000


def canary(percent=5, **changes):
    fields = {"name": f"{percent}%", "kind": "canary", "share_bp": percent * 100, "hold_s": 900, "min_units": 100}
    return Stage(**{**fields, "max_hold_s": 3600, **changes})


def stage(kind, **changes):
    return Stage(**{"name": kind, "kind": kind, "max_hold_s": 3600, **changes})


def plan_of(*stages, **changes):
    fields = {"gates": (ERRORS, FAITH), "shadow_gates": (ERRORS,)}
    return Plan(stages=stages, **{**fields, **changes})


def begun(plan, at_ms=0, authors=("ann",)):
    what = Begun(
        rollout_id="roll_1",
        prompt="qa",
        environment="production",
        stable=STABLE,
        candidate=CANDIDATE,
        salt="salt",
        authors=authors,
    )
    return begin(what, plan, at_ms)


def seen(at_ms, **changes):
    """A look at which units of the candidate have just been judged."""
    return Evidence(at_ms=at_ms, **{"units": 1000, "seen_at_ms": at_ms, **changes})


def yes(rollout, who="bob", roles=("reviewer",), **changes):
    fields = {"stage": rollout.stage, "plan_hash": rollout.plan_hash, "who": who, "roles": roles, "at_ms": 0}
    return Approval(**{**fields, **changes})


def walk(rollout: Rollout, looks: Iterable[Evidence]) -> tuple[Rollout, list[Move]]:
    """Where a rollout is after some looks, and the moves that it made."""
    moves = []
    for look in looks:
        move = step(rollout, look)
        if move is not None:
            rollout = moved(rollout, move, look.at_ms)
            moves.append(move)
    return rollout, moves


def due(rollout: Rollout, look: Evidence) -> Move:
    """The move at a look, which there must be."""
    move = step(rollout, look)
    assert move is not None
    return move
