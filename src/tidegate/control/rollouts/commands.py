"""What people may do to a rollout. Pure: each returns the rollout as it becomes, and the move; or raises a Conflict
that says what is in the way, and what to do instead.
"""

from typing import NamedTuple

import msgspec

from tidegate.control.rollouts.model import FINAL, Approval, Move, Rollout
from tidegate.control.rollouts.step import (
    WHOLE_BP,
    approvers_of,
    back,
    elapsed_ms,
    moved,
    onward,
    state_in,
    stays,
)
from tidegate.kernel.errors import Conflict, Forbidden, Invalid
from tidegate.kernel.plain import joined, time_text

__all__ = ["By", "approved", "extended", "paused", "promoted", "resumed", "rolled_back", "superseded"]


class By(NamedTuple):
    """Who did it, when (Unix ms, the database's), and why in their words."""

    who: str
    at_ms: int
    why: str = ""


def approved(rollout: Rollout, approval: Approval, earlier: tuple[Approval, ...] = ()) -> tuple[Rollout, Move | None]:
    """One more approval. The move is None, and the rollout unchanged, while more are needed: it counts all the same.

    Raises Conflict where nothing waits for an approval, or for another stage or plan, or that person has given it;
    Forbidden for an author, and for one without the role.
    """
    _live(rollout)
    stage = rollout.now_in
    if stage.kind != "approval" or rollout.state not in ("awaiting_approval", "inconclusive"):
        raise Conflict(
            f"{_named(rollout)} waits for no approval: it is {_standing(rollout)}.",
            mend=f"See `{_command(rollout, 'status')}`.",
            code="no_approval_awaited",
        )
    if (approval.stage, approval.plan_hash) != (rollout.stage, rollout.plan_hash):
        raise Conflict(
            f"This approval is of another stage or plan than {_named(rollout)} now has.",
            mend=f"Read `{_command(rollout, 'status')}` again, then approve what stands there.",
            code="approval_outdated",
        )
    if not rollout.plan.approve_own and approval.who in rollout.authors:
        raise Forbidden(
            f"{approval.who} wrote or started {_named(rollout)}, and nobody approves their own.",
            mend="Ask somebody else; or write `approve_own: true` into the plan of the next rollout.",
            code="own_approval",
        )
    if not approvers_of(rollout, (approval,)):
        raise Forbidden(
            f"{approval.who} has none of the roles that approve {stage.name}: {joined(stage.approvers, 'or')}.",
            mend="Ask somebody who has.",
            code="approver_role",
        )
    if approval.who in approvers_of(rollout, earlier):
        raise Conflict(
            f"{approval.who} has approved {stage.name} already.",
            mend=f"{stage.approvals} different people are needed.",
            code="approved_already",
        )
    given = approvers_of(rollout, (*earlier, approval))
    if len(given) < stage.approvals:
        return rollout, None
    return _after(rollout, onward(rollout, f"{stage.name}: approved by {joined(given)}."), approval.at_ms)


def paused(rollout: Rollout, by: By) -> tuple[Rollout, Move]:
    """Stay where it is, with the shares of now, until somebody resumes it. Raises Conflict where it does not go on."""
    _live(rollout)
    if rollout.state == "paused":
        raise Conflict(
            f"{_named(rollout)} is paused already: {rollout.why}",
            mend=f"Resume it with `{_command(rollout, 'resume')}`.",
            code="rollout_paused",
        )
    if rollout.state == "inconclusive":
        raise Conflict(
            f"{_named(rollout)} waits for your decision already, and does not go on by itself.",
            mend=_decide(rollout),
            code="rollout_inconclusive",
        )
    return _after(rollout, stays(rollout, ("pause", "paused"), _said("Paused", by), ("person", ())), by.at_ms)


def resumed(rollout: Rollout, by: By, *, despite: bool = False) -> tuple[Rollout, Move]:
    """Go on in the same stage; paused time does not count. What was paused over a proven harm or a broken split goes on
    only `despite` it, and is not paused over the same again. Raises Conflict where it is not paused, or that is not
    said; Invalid without a reason for it.
    """
    _live(rollout)
    if rollout.state != "paused":
        raise Conflict(
            f"{_named(rollout)} is not paused: it is {_standing(rollout)}.",
            mend=_decide(rollout) if rollout.state == "inconclusive" else f"See `{_command(rollout, 'status')}`.",
            code="rollout_not_paused",
        )
    _despite(rollout, by, "resume", despite=despite)
    said = f"Resumed despite {joined(rollout.paused_over)}" if rollout.paused_over else "Resumed"
    move = stays(rollout, ("resume", state_in(rollout.now_in)), _said(said, by), ("", rollout.paused_over))
    return _after(rollout, move, by.at_ms)


def extended(rollout: Rollout, by: By, for_s: int) -> tuple[Rollout, Move]:
    """Let the stage last longer: by `for_s` beyond its end, or from now on when that has passed; what waited for a
    decision goes on. Raises Conflict where it is paused or the stage has no end, Invalid for no time.
    """
    _live(rollout)
    stage = rollout.now_in
    if for_s < 1:
        raise Invalid(f"A stage cannot be extended by {for_s} seconds.", mend="Write 30m, 2h or 1d.", code="extension")
    if rollout.state == "paused":
        raise Conflict(
            f"{_named(rollout)} is paused, and paused time does not count.",
            mend=f"Resume it with `{_command(rollout, 'resume')}`.",
            code="rollout_paused",
        )
    if stage.max_hold_s is None:
        raise Conflict(
            f"{stage.name} has no longest time: it waits as long as it takes.",
            mend="Nothing needs to be extended.",
            code="stage_unlimited",
        )
    over = max(0, elapsed_ms(rollout, by.at_ms) - stage.max_hold_s * 1000 - rollout.extended_ms)
    move = stays(rollout, ("extend", state_in(stage)), _said(f"Extended by {time_text(for_s)}", by))
    return _after(rollout, msgspec.structs.replace(move, extend_ms=over + for_s * 1000), by.at_ms)


def promoted(rollout: Rollout, by: By, *, despite: bool = False) -> tuple[Rollout, Move]:
    """To all units at once, by a person's decision. Raises Conflict before users have it, where an approval is still to
    come, and over a proven harm that is not named by `despite`; Invalid without a reason.
    """
    _live(rollout)
    if rollout.now_in.kind == "approval" or any(
        one.kind == "approval" for one in rollout.plan.stages[rollout.stage + 1 :]
    ):
        raise Conflict(
            f"An approval of {_named(rollout)} is still to come.",
            mend=f"Approve it when it is due (`{_command(rollout, 'approve')}`), then promote it.",
            code="approval_missing",
        )
    if not rollout.weight_bp:
        raise Conflict(
            f"No user has {_named(rollout)} yet: nothing is known that could be decided on.",
            mend=f"Wait for its canary, or deploy it without one: `tidegate release deploy {rollout.prompt}@"
            f"{rollout.candidate.version} --env {rollout.environment} --emergency --reason TEXT`.",
            code="not_in_canary",
        )
    if not by.why.strip():
        raise Invalid(
            "A promotion by hand needs a reason.", mend="Pass --reason TEXT.", code="reason_missing", param="reason"
        )
    _despite(rollout, by, "promote", despite=despite)
    said = f"Promoted despite {joined(rollout.paused_over)}" if rollout.paused_over else "Promoted"
    move = Move(
        kind="promote",
        state="promoted",
        stage=rollout.stage,
        weight_bp=WHOLE_BP,
        shadow_bp=0,
        why=_said(said, by),
        over=rollout.paused_over,
    )
    return _after(rollout, move, by.at_ms)


def rolled_back(rollout: Rollout, by: By) -> tuple[Rollout, Move]:
    """Back at once, from any state that is live, and in the rollback window after a promotion. Raises Conflict when it
    is over otherwise.
    """
    if rollout.state == "promoted":
        window_s = rollout.plan.rollback_window_s
        if by.at_ms - (rollout.ended_at_ms or 0) > window_s * 1000:
            raise Conflict(
                f"{_named(rollout)} was promoted more than {time_text(window_s)} ago.",
                mend=f"`{_command(rollout, 'rollback')}` goes back to the version before, without the rollout.",
                code="rollback_window_over",
            )
    else:
        _live(rollout)
    return _after(rollout, back(rollout, _said("Rolled back", by)), by.at_ms)


def superseded(rollout: Rollout, by: By) -> tuple[Rollout, Move]:
    """Ended because something else took its place: another rollout, or a release. Raises Conflict when it is over."""
    _live(rollout)
    move = Move(
        kind="supersede",
        state="superseded",
        stage=rollout.stage,
        weight_bp=0,
        shadow_bp=0,
        why=_said("Superseded", by),
    )
    return _after(rollout, move, by.at_ms)


def _after(rollout: Rollout, move: Move, at_ms: int) -> tuple[Rollout, Move]:
    return moved(rollout, move, at_ms), move


def _live(rollout: Rollout) -> None:
    """Raises Conflict for a rollout that is over."""
    if rollout.state in FINAL:
        raise Conflict(
            f"{_named(rollout)} is over: {_standing(rollout)}.",
            mend=f"Start another: `tidegate release start {rollout.prompt}@{rollout.candidate.version} "
            f"--env {rollout.environment}`.",
            code="rollout_over",
        )


def _despite(rollout: Rollout, by: By, verb: str, *, despite: bool) -> None:
    """What was paused over something goes on only when a person says so, and why."""
    if not rollout.paused_over:
        return
    if not despite:
        raise Conflict(
            f"{_named(rollout)} is paused over {joined(rollout.paused_over)}: {rollout.why}",
            mend=f"Roll it back with `{_command(rollout, 'rollback')}`; or accept that: "
            f"`{_command(rollout, verb)} --despite --reason TEXT`.",
            code="paused_over_harm",
        )
    if not by.why.strip():
        raise Invalid(
            f"To {verb} it despite {joined(rollout.paused_over)} needs a reason.",
            mend="Pass --reason TEXT.",
            code="reason_missing",
            param="reason",
        )


def _decide(rollout: Rollout) -> str:
    return (
        f"`{_command(rollout, 'extend')} --for 2h`, `{_command(rollout, 'promote')} --reason TEXT`, or "
        f"`{_command(rollout, 'rollback')}`."
    )


def _named(rollout: Rollout) -> str:
    model = f" on {rollout.candidate.model}" if rollout.candidate.model else ""
    return f"{rollout.prompt}@{rollout.candidate.version}{model} in {rollout.environment}"


def _standing(rollout: Rollout) -> str:
    if rollout.state in FINAL:
        return rollout.state.replace("_", " ")
    return f"{rollout.state.replace('_', ' ')} in {rollout.now_in.name}"


def _command(rollout: Rollout, verb: str) -> str:
    return f"tidegate release {verb} {rollout.prompt} --env {rollout.environment}"


def _said(what: str, by: By) -> str:
    why = by.why.strip()
    end = "" if why.endswith((".", "!", "?")) else "."
    return f"{what} by {by.who}: {why}{end}" if why else f"{what} by {by.who}."
