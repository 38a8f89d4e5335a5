"""The one move that is due: from where a rollout stands and what is known, to what it becomes. Pure: no clock, no I/O.

`step` proposes, `moved` makes the next Rollout, and nothing else does. A look that finds nothing due returns None, and
the same look twice finds the same: who ticks, how often, and whether a tick was lost, changes nothing.

    a breach        rolls back (or pauses), whatever else is true, but for a rollout that is over
    a broken split  pauses
    no data         pauses, and never advances
    all is there    the next stage, an approval, the end
    too long        a person decides
"""

import hashlib
from collections.abc import Iterator
from typing import Literal

import msgspec

from tidegate.control.gates.model import Gate
from tidegate.control.rollouts.model import (
    FINAL,
    SPLIT,
    Approval,
    Begun,
    Cause,
    Evidence,
    Move,
    Plan,
    Rollout,
    Side,
    Stage,
    State,
)
from tidegate.control.rollouts.words import (
    approval_text,
    breach_because,
    lacks_text,
    left_because,
    silence_because,
    split_because,
)
from tidegate.kernel.plain import count_of, time_text

__all__ = [
    "BROKEN_SPLIT",
    "WHOLE_BP",
    "approvers_of",
    "back",
    "begin",
    "elapsed_ms",
    "gates_of",
    "moved",
    "onward",
    "plan_hash",
    "shares_at",
    "state_in",
    "stays",
    "step",
    "waiting_for",
]

WHOLE_BP = 10_000
BROKEN_SPLIT = 0.001
"""Below this always-valid p-value units did not come in the shares that were meant."""

SHADOW_BP = 100
"""What is copied for a candidate that goes on, on copies, after its rollback, where the plan has no shadow stage."""

_JUDGED = ("canary", "shadow")


def begin(begun: Begun, plan: Plan, at_ms: int) -> Rollout:
    """A rollout in the first stage of its plan, with version 1."""
    weight_bp, shadow_bp = shares_at(plan, 0)
    return Rollout(
        rollout_id=begun.rollout_id,
        prompt=begun.prompt,
        environment=begun.environment,
        stable=begun.stable,
        candidate=begun.candidate,
        plan=plan,
        plan_hash=plan_hash(plan, begun.stable, begun.candidate),
        state=state_in(plan.stages[0]),
        stage=0,
        started_at_ms=at_ms,
        entered_at_ms=at_ms,
        salt=begun.salt,
        authors=begun.authors,
        weight_bp=weight_bp,
        shadow_bp=shadow_bp,
        why="Started.",
    )


def plan_hash(plan: Plan, stable: Side, candidate: Side) -> str:
    """What an approval binds to: SHA-256, in hex, of the plan and of the two that are compared."""
    return hashlib.sha256(msgspec.json.encode((plan, stable, candidate), order="deterministic")).hexdigest()


def step(rollout: Rollout, evidence: Evidence) -> Move | None:
    """The move that is due at this look; None when there is none."""
    if rollout.state in FINAL:
        return None
    breached = _breached(rollout, evidence)
    if breached and rollout.plan.on_breach == "rollback":
        return back(rollout, breach_because(rollout, evidence, breached))
    if rollout.state == "paused":
        return None
    if breached:
        return stays(rollout, ("pause", "paused"), breach_because(rollout, evidence, breached), ("breach", breached))
    if rollout.state == "inconclusive" or _of_before(rollout, evidence):
        return None
    if rollout.weight_bp and evidence.split_p < BROKEN_SPLIT and SPLIT not in rollout.overruled:
        return stays(rollout, ("pause", "paused"), split_because(evidence.split_p), ("split", (SPLIT,)))
    return _due(rollout, evidence)


def moved(rollout: Rollout, move: Move, at_ms: int) -> Rollout:
    """The rollout after a move, at a time by the database's clock."""
    changes: dict[str, object] = {
        "state": move.state,
        "stage": move.stage,
        "weight_bp": move.weight_bp,
        "shadow_bp": move.shadow_bp,
        "why": move.why,
        "version": rollout.version + 1,
        "paused_for": move.cause,
        "paused_over": move.over if move.kind == "pause" else (),
    }
    if move.kind == "pause":
        changes["paused_at_ms"] = at_ms
    elif rollout.paused_at_ms is not None:
        changes["paused_ms"] = rollout.paused_ms + max(0, at_ms - rollout.paused_at_ms)
        changes["paused_at_ms"] = None
    if move.kind == "resume":
        changes["resumed_at_ms"] = at_ms
        changes["overruled"] = tuple(dict.fromkeys((*rollout.overruled, *move.over)))
    if move.kind == "extend":
        changes["extended_ms"] = rollout.extended_ms + move.extend_ms
    if move.stage != rollout.stage:
        changes |= {"entered_at_ms": at_ms, "paused_ms": 0, "extended_ms": 0, "resumed_at_ms": None}
    if move.state in FINAL:
        changes["ended_at_ms"] = at_ms
    return msgspec.structs.replace(rollout, **changes)


def waiting_for(rollout: Rollout, evidence: Evidence) -> Iterator[str]:
    """What is missing for the stage to be left, in words: nothing when it is due."""
    stage, elapsed = rollout.now_in, elapsed_ms(rollout, evidence.at_ms)
    if elapsed < stage.hold_s * 1000:
        yield time_text(-(-(stage.hold_s * 1000 - elapsed) // 1000))
    if stage.kind == "offline" and evidence.offline not in ("pass", "warn"):
        yield "a passed evaluation" if evidence.offline is None else "more cases in the evaluation"
    if stage.kind == "staging" and not evidence.staged:
        yield f"{rollout.candidate.version} in staging"
    if stage.kind == "staging" and stage.drill and not evidence.drilled:
        yield "the drill of the way back in staging"
    if stage.kind == "approval" and len(approvers_of(rollout, evidence.approvals)) < stage.approvals:
        yield approval_text(stage, len(approvers_of(rollout, evidence.approvals)))
    if stage.kind in _JUDGED:
        if evidence.units < stage.min_units:
            yield f"{count_of(stage.min_units - evidence.units, rollout.plan.unit)} more"
        elif evidence.seen_at_ms is None or evidence.at_ms - evidence.seen_at_ms > rollout.plan.stale_after_s * 1000:
            yield "data of the candidate"
        for name in stage.needs:
            if name not in evidence.holds:
                yield f"proof that {name} holds"


def elapsed_ms(rollout: Rollout, at_ms: int) -> int:
    """How long it has been in its stage, without the time in which it was paused."""
    until = at_ms if rollout.paused_at_ms is None else rollout.paused_at_ms
    return max(0, until - rollout.entered_at_ms - rollout.paused_ms)


def shares_at(plan: Plan, stage: int) -> tuple[int, int]:
    """Of 10,000 units how many the candidate serves in a stage, and of 10,000 calls how many are copied for it. What it
    serves never shrinks on the way: a stage that is no canary keeps what the one before it had.
    """
    now = plan.stages[stage]
    served = max((one.share_bp for one in plan.stages[: stage + 1] if one.kind == "canary"), default=0)
    return served, now.share_bp if now.kind == "shadow" else 0


def gates_of(rollout: Rollout) -> tuple[Gate, ...]:
    """The gates that judge it now: those of the canary once a user has it, before that those of the copies."""
    return rollout.plan.gates if rollout.weight_bp else rollout.plan.shadow_gates


def approvers_of(rollout: Rollout, approvals: tuple[Approval, ...]) -> tuple[str, ...]:
    """Who has approved this stage of this plan, each once, and could: with one of its roles, and no author (unless the
    plan lets authors approve their own).
    """
    stage = rollout.now_in
    return tuple(
        dict.fromkeys(
            one.who
            for one in approvals
            if one.stage == rollout.stage
            and one.plan_hash == rollout.plan_hash
            and (not stage.approvers or any(role in stage.approvers for role in one.roles))
            and (rollout.plan.approve_own or one.who not in rollout.authors)
        )
    )


def state_in(stage: Stage) -> Literal["running", "awaiting_approval"]:
    """The state of a rollout that is in a stage and neither paused nor a person's to decide."""
    return "awaiting_approval" if stage.kind == "approval" else "running"


def onward(rollout: Rollout, why: str) -> Move:
    """Into the next stage; after the last one, to the end."""
    at = rollout.stage + 1
    if at >= len(rollout.plan.stages):
        return Move(kind="promote", state="promoted", stage=rollout.stage, weight_bp=WHOLE_BP, shadow_bp=0, why=why)
    state = state_in(rollout.plan.stages[at])
    weight_bp, shadow_bp = shares_at(rollout.plan, at)
    return Move(
        kind="advance" if state == "running" else "await_approval",
        state=state,
        stage=at,
        weight_bp=weight_bp,
        shadow_bp=shadow_bp,
        why=why,
    )


def back(rollout: Rollout, why: str) -> Move:
    """Back to what was there: the candidate serves nobody. What has served users goes on, on copies, where the plan
    says so.
    """
    shadow_bp = 0
    if rollout.plan.on_rollback == "shadow" and rollout.weight_bp:
        shadow_bp = max((one.share_bp for one in rollout.plan.stages if one.kind == "shadow"), default=SHADOW_BP)
    return Move(kind="roll_back", state="rolled_back", stage=rollout.stage, weight_bp=0, shadow_bp=shadow_bp, why=why)


def stays(
    rollout: Rollout,
    what: tuple[Literal["pause", "resume", "extend", "inconclusive"], State],
    why: str,
    over: tuple[Cause, tuple[str, ...]] = ("", ()),
) -> Move:
    """Another state in the same stage, with the same shares; `over`: the cause, and what it is about."""
    return Move(
        kind=what[0],
        state=what[1],
        stage=rollout.stage,
        weight_bp=rollout.weight_bp,
        shadow_bp=rollout.shadow_bp,
        why=why,
        cause=over[0],
        over=over[1],
    )


def _breached(rollout: Rollout, evidence: Evidence) -> tuple[str, ...]:
    """The metrics whose breach counts: of gates that block, and not overruled by a person."""
    if not evidence.breached:
        return ()
    blocking = {one.metric for one in gates_of(rollout) if one.block}
    return tuple(one for one in evidence.breached if one in blocking and one not in rollout.overruled)


def _of_before(rollout: Rollout, evidence: Evidence) -> bool:
    """Whether the evidence was gathered before the rollout came to where it stands."""
    return evidence.at_ms < rollout.entered_at_ms or evidence.stage not in (None, rollout.stage)


def _due(rollout: Rollout, evidence: Evidence) -> Move | None:
    """What a rollout that goes on does next."""
    stage, plan = rollout.now_in, rollout.plan
    if stage.kind == "offline" and evidence.offline == "block":
        return back(rollout, f"{stage.name}: the evaluation blocks it. It never went live.")
    if stage.kind in _JUDGED and _silent_ms(rollout, evidence) > plan.stale_after_s * 1000:
        return stays(rollout, ("pause", "paused"), silence_because(stage, plan.stale_after_s), ("no data", ()))
    elapsed = elapsed_ms(rollout, evidence.at_ms)
    if elapsed < stage.hold_s * 1000:
        return None
    if next(waiting_for(rollout, evidence), None) is None:
        return onward(rollout, left_because(rollout, evidence, elapsed / 1000))
    if stage.max_hold_s is not None and elapsed >= stage.max_hold_s * 1000 + rollout.extended_ms:
        why = lacks_text(stage, tuple(waiting_for(rollout, evidence)), elapsed / 1000)
        return stays(rollout, ("inconclusive", "inconclusive"), why)
    return None


def _silent_ms(rollout: Rollout, evidence: Evidence) -> int:
    """For how long nothing of the candidate has been judged, in this stage and since a person let it go on."""
    since = max(rollout.entered_at_ms, rollout.resumed_at_ms or 0, evidence.seen_at_ms or 0)
    return evidence.at_ms - since
