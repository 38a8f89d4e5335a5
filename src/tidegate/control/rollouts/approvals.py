"""An approval: a person's yes to one stage of one plan, in the caller's transaction."""

from tidegate.control.identity.model import Actor
from tidegate.control.identity.store import add_audit
from tidegate.control.rollouts import store
from tidegate.control.rollouts.chronicle import Happened, moved_on, subject_of
from tidegate.control.rollouts.commands import approved
from tidegate.control.rollouts.model import Approval, Evidence, Rollout
from tidegate.jobs.database import Tx

__all__ = ["approve"]


async def approve(
    tx: Tx, actor: Actor, seen: Rollout, *, at_ms: int, note: str = "", bound: tuple[int, str] | None = None
) -> Rollout:
    """Write the approval down and, if it was the last that is needed, the move. The Snapshot is the caller's.

    `bound` is the stage and the plan's hash that the person read; None: those of now. Raises as `commands.approved`.
    """
    stage, plan_hash = bound or (seen.stage, seen.plan_hash)
    approval = Approval(stage=stage, plan_hash=plan_hash, who=actor.name, roles=actor.roles, at_ms=at_ms, note=note)
    earlier = await store.approvals(tx, seen)
    after, move = approved(seen, approval, earlier)
    await store.add_approval(tx, seen.rollout_id, approval)
    diff: dict[str, object] = {"rollout_id": seen.rollout_id, "stage": seen.now_in.name, "plan_hash": seen.plan_hash}
    diff |= {"note": note} if note else {}
    await add_audit(tx, at_ms=at_ms, actor=actor, action="rollout.approve", subject=subject_of(seen), diff=diff)
    if move is not None:
        evidence = Evidence(at_ms=at_ms, stage=seen.stage, approvals=(*earlier, approval))
        await moved_on(tx, actor, seen, after, Happened(move.kind, at_ms, evidence))
    return after
