"""What people do to a rollout, and what they are told when it cannot be done."""

import pytest

from tests.support.rollouts import MINUTE, begun, canary, due, plan_of, seen, stage, walk, yes
from tidegate.control.rollouts.commands import (
    By,
    approved,
    extended,
    paused,
    promoted,
    resumed,
    rolled_back,
    superseded,
)
from tidegate.control.rollouts.step import step
from tidegate.kernel.errors import Conflict, Forbidden, Invalid

HOUR = 60 * MINUTE
BOB = By("bob", 1)


def told(error):
    """The code, and all that is printed."""
    return error.value.code, str(error.value)


def test_the_last_approval_that_is_needed_moves_it():
    rollout = begun(plan_of(stage("approval", approvers=("reviewer",), approvals=2), canary(5)))
    bob, zoe = yes(rollout, "bob"), yes(rollout, "zoe", at_ms=9)
    assert approved(rollout, bob) == (rollout, None)
    after, move = approved(rollout, zoe, (bob,))
    assert move is not None
    assert (after.stage, after.weight_bp, after.entered_at_ms) == (1, 500, 9)
    assert move.why == "approval: approved by bob and zoe."


def test_an_approval_that_cannot_count_is_refused_and_says_why():
    rollout = begun(plan_of(stage("approval", approvers=("reviewer",)), canary(5)))
    with pytest.raises(Forbidden) as own:
        approved(rollout, yes(rollout, "ann"))
    assert "nobody approves their own" in told(own)[1]
    with pytest.raises(Forbidden) as role:
        approved(rollout, yes(rollout, "kim", roles=("editor",)))
    assert told(role)[0] == "approver_role"
    with pytest.raises(Conflict) as old:
        approved(rollout, yes(rollout, plan_hash="old"))
    assert told(old)[0] == "approval_outdated"
    with pytest.raises(Conflict) as again:
        approved(rollout, yes(rollout), (yes(rollout),))
    assert told(again)[0] == "approved_already"
    with pytest.raises(Conflict) as other:
        approved(begun(plan_of(canary(5))), yes(rollout))
    assert "waits for no approval: it is running in 5%" in told(other)[1]


def test_paused_and_resumed_by_people():
    rollout = begun(plan_of(canary(5)))
    resting, move = paused(rollout, By("bob", 5, "lunch"))
    assert (resting.state, resting.weight_bp, move.why) == ("paused", 500, "Paused by bob: lunch.")
    with pytest.raises(Conflict) as twice:
        paused(resting, BOB)
    assert "`tidegate release resume qa --env production`" in told(twice)[1]
    with pytest.raises(Conflict) as awake:
        resumed(rollout, BOB)
    assert told(awake)[0] == "rollout_not_paused"
    going, _ = resumed(resting, By("bob", 25))
    assert (going.state, going.paused_ms, going.paused_at_ms) == ("running", 20, None)
    waiting, _ = paused(begun(plan_of(stage("approval"), canary(5))), BOB)
    assert resumed(waiting, By("bob", 2))[0].state == "awaiting_approval"


def test_a_harm_is_passed_over_only_by_name_and_with_a_reason():
    resting, _ = walk(begun(plan_of(canary(5), on_breach="pause")), [seen(1, breached=("error_rate",))])
    for verb in (resumed, promoted):
        with pytest.raises(Conflict) as harm:
            verb(resting, By("bob", 2, "it is fine"))
        assert "paused over error_rate" in told(harm)[1]
        assert "--despite" in told(harm)[1]
        with pytest.raises(Invalid):
            verb(resting, By("bob", 2), despite=True)
    after, move = promoted(resting, By("bob", 2, "it is fine"), despite=True)
    assert (after.state, move.why) == ("promoted", "Promoted despite error_rate by bob: it is fine.")


def test_an_extension_counts_from_the_end_or_from_now():
    rollout = begun(plan_of(canary(5, needs=("error_rate",), max_hold_s=3600)))
    early, _ = extended(rollout, By("bob", MINUTE), 1800)
    assert step(early, seen(90 * MINUTE - 1)) is None
    assert due(early, seen(90 * MINUTE)).kind == "inconclusive"
    late, _ = walk(rollout, [seen(HOUR)])
    late, move = extended(late, By("bob", 5 * HOUR), 1800)
    assert (late.state, move.why) == ("running", "Extended by 30 minutes by bob.")
    assert step(late, seen(5 * HOUR + 30 * MINUTE - 1)) is None
    assert due(late, seen(5 * HOUR + 30 * MINUTE)).kind == "inconclusive"


def test_what_cannot_be_extended_says_so():
    with pytest.raises(Invalid):
        extended(begun(plan_of(canary(5))), BOB, 0)
    with pytest.raises(Conflict) as endless:
        extended(begun(plan_of(canary(5, max_hold_s=None))), BOB, 60)
    assert told(endless)[0] == "stage_unlimited"
    with pytest.raises(Conflict):
        extended(paused(begun(plan_of(canary(5))), BOB)[0], BOB, 60)


def test_a_promotion_by_hand_has_a_reason_a_canary_and_its_approvals():
    rollout = begun(plan_of(canary(5), canary(25)))
    after, move = promoted(rollout, By("bob", 9, "known good"))
    assert (after.state, after.weight_bp, after.ended_at_ms, move.kind) == ("promoted", 10_000, 9, "promote")
    with pytest.raises(Invalid) as bare:
        promoted(rollout, By("bob", 9, " "))
    assert told(bare)[0] == "reason_missing"
    with pytest.raises(Conflict) as unseen:
        promoted(begun(plan_of(stage("offline"), canary(5))), By("bob", 9, "now"))
    assert "--emergency" in told(unseen)[1]
    for stages in ((stage("approval"), canary(5)), (canary(5), stage("approval"), canary(25))):
        with pytest.raises(Conflict) as skipped:
            promoted(begun(plan_of(*stages)), By("bob", 9, "now"))
        assert told(skipped)[0] == "approval_missing"


def test_a_rollback_is_always_possible_until_the_window_after_the_end_is_over():
    rollout = begun(plan_of(canary(5), rollback_window_s=60))
    resting, _ = paused(rollout, BOB)
    open_, _ = walk(rollout, [seen(HOUR, units=1)])
    done, _ = promoted(rollout, By("bob", HOUR, "good"))
    for one in (rollout, resting, open_, done):
        after, move = rolled_back(one, By("bob", HOUR + MINUTE, "no"))
        assert (after.state, after.weight_bp, move.why) == ("rolled_back", 0, "Rolled back by bob: no.")
    with pytest.raises(Conflict) as late:
        rolled_back(done, By("bob", HOUR + MINUTE + 1))
    assert "promoted more than 1 minute ago" in told(late)[1]


def test_what_is_over_stays_over():
    rollout = begun(plan_of(canary(5)))
    for over in (rolled_back(rollout, BOB)[0], superseded(rollout, BOB)[0]):
        for verb in (paused, resumed, rolled_back, superseded, promoted):
            with pytest.raises(Conflict) as error:
                verb(over, By("bob", 5, "try"))
            assert told(error)[0] == "rollout_over"
        with pytest.raises(Conflict):
            extended(over, BOB, 60)
        with pytest.raises(Conflict):
            approved(over, yes(over))
