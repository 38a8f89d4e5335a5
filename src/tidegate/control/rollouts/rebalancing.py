"""Traffic rebalance: a canary goes back to an earlier share, and on from there. Pure."""

import msgspec

from tidegate.control.rollouts.commands import By
from tidegate.control.rollouts.model import FINAL, Move, Rollout
from tidegate.control.rollouts.step import moved, shares_at
from tidegate.kernel.errors import Conflict, Invalid
from tidegate.kernel.plain import joined

__all__ = ["rebalanced"]


def rebalanced(rollout: Rollout, by: By, percent: float) -> tuple[Rollout, Move]:
    """Back in the earlier canary stage that has this share; its time and its units count anew, what was judged before
    stays known. Raises Conflict where no user has the candidate, Invalid for a share that no earlier stage has: it may
    go down, never up. What is paused stays so.
    """
    named = f"{rollout.prompt}@{rollout.candidate.version} in {rollout.environment}"
    if rollout.state in FINAL or not rollout.weight_bp:
        raise Conflict(
            f"No user is served by {named} for a trial now: it is {rollout.state.replace('_', ' ')}.",
            mend=f"See `tidegate release status {rollout.prompt} --env {rollout.environment}`.",
            code="not_in_canary",
        )
    earlier = {
        one.share_bp: at
        for at, one in enumerate(rollout.plan.stages[: rollout.stage])
        if one.kind == "canary" and one.share_bp < rollout.weight_bp
    }
    share_bp = round(percent * 100) if 0 < percent < 100 else 0  # refuses NaN too
    if share_bp not in earlier:
        shares = joined(tuple(f"{one / 100:g}%" for one in sorted(earlier)), "or")
        there = f"{rollout.prompt} --env {rollout.environment}"
        raise Invalid(
            f"{named} has {rollout.weight_bp / 100:g}%, and {percent:g}% is the share of no earlier stage.",
            mend=f"Give --percent {shares}."
            if earlier
            else f"It has the smallest share: `tidegate release pause "
            f"{there}` keeps it, `tidegate release rollback {there}` ends it.",
            code="share",
            param="percent",
        )
    stage = earlier[share_bp]
    weight_bp, shadow_bp = shares_at(rollout.plan, stage)
    why = by.why.strip()
    said = f"Back to {weight_bp / 100:g}% by {by.who}" + (f": {why}" if why else "")
    paused = rollout.state == "paused"
    move = Move(
        kind="rebalance",
        state="paused" if paused else "running",
        stage=stage,
        weight_bp=weight_bp,
        shadow_bp=shadow_bp,
        why=said if said.endswith((".", "!", "?")) else f"{said}.",
    )
    after = moved(rollout, move, by.at_ms)
    if paused:
        after = msgspec.structs.replace(
            after, paused_at_ms=by.at_ms, paused_for=rollout.paused_for, paused_over=rollout.paused_over
        )
    return after, move
