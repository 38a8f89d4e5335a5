"""The moves of a rollout, one look at a time: when it goes on, when it waits, and when it goes back."""

import msgspec
import pytest

from tests.support.rollouts import (
    CANDIDATE,
    ERRORS,
    MINUTE,
    STABLE,
    begun,
    canary,
    due,
    plan_of,
    seen,
    stage,
    walk,
    yes,
)
from tidegate.control.gates.model import Judgement, Verdict
from tidegate.control.rollouts.commands import By, paused, resumed
from tidegate.control.rollouts.model import Evidence, Side
from tidegate.control.rollouts.step import elapsed_ms, moved, plan_hash, shares_at, step, waiting_for

LATE = 15 * MINUTE


def verdict_with(state, why="error_rate is 3 times the control's."):
    found = Judgement(
        gate=ERRORS,
        state=state,
        control=0.01,
        treatment=0.03,
        n_control=900,
        n_treatment=100,
        estimate=3.0,
        low=2.0,
        high=4.5,
        level=0.975,
        p_harm=0.001,
        p_beyond=1.0,
        why=why,
    )
    return Verdict(answer="block", judgements=(found,), alpha=0.05, why="")


def test_a_rollout_begins_with_the_shares_of_its_first_stage():
    rollout = begun(plan_of(canary(5)), at_ms=7)
    assert (rollout.state, rollout.weight_bp, rollout.shadow_bp) == ("running", 500, 0)
    assert (rollout.version, rollout.started_at_ms, rollout.entered_at_ms) == (1, 7, 7)
    assert begun(plan_of(stage("approval"), canary(5))).state == "awaiting_approval"


def test_a_stage_is_left_after_its_time_with_its_units_and_the_gates_that_it_needs():
    rollout = begun(plan_of(canary(5, needs=("error_rate",)), canary(25)))
    assert step(rollout, seen(LATE - 1, holds=("error_rate",))) is None
    assert step(rollout, seen(LATE, holds=("error_rate",), units=99)) is None
    assert step(rollout, seen(LATE, holds=("faithfulness",))) is None
    move = due(rollout, seen(LATE, holds=("error_rate",)))
    assert (move.kind, move.stage, move.weight_bp) == ("advance", 1, 2500)
    assert move.why == "5%: error_rate surely holds after 15 minutes and 1,000 users."


def test_the_whole_way_to_the_end():
    plan = plan_of(stage("offline"), stage("shadow", share_bp=100), stage("approval"), canary(5), canary(100, hold_s=0))
    rollout = begun(plan)
    looks = [
        seen(1, offline="pass"),
        seen(2),
        seen(3, approvals=(yes(rollout, stage=2),)),
        seen(3 + LATE),
        seen(4 + LATE),
    ]
    rollout, moves = walk(rollout, looks)
    assert [one.kind for one in moves] == ["advance", "await_approval", "advance", "advance", "promote"]
    assert [(one.weight_bp, one.shadow_bp) for one in moves] == [(0, 100), (0, 0), (500, 0), (10_000, 0), (10_000, 0)]
    assert (rollout.state, rollout.ended_at_ms, rollout.version) == ("promoted", 4 + LATE, 6)


def test_a_proven_harm_goes_back_at_once_and_says_what_was_found():
    rollout = begun(plan_of(canary(5)))
    move = due(rollout, seen(1, units=0, breached=("error_rate",), verdict=verdict_with("breached")))
    assert (move.kind, move.state, move.weight_bp, move.shadow_bp) == ("roll_back", "rolled_back", 0, 0)
    assert move.why == "error_rate is 3 times the control's."


def test_a_harm_on_copies_says_that_no_user_saw_it():
    rollout = begun(plan_of(stage("shadow", share_bp=100)))
    move = due(rollout, seen(1, breached=("error_rate",)))
    assert move.why == "Harm is proven: error_rate. That was on copies (shadow): no user saw an answer of it."


def test_what_only_warns_moves_nothing():
    gate = msgspec.structs.replace(ERRORS, block=False)
    rollout = begun(plan_of(canary(5), gates=(gate,)))
    assert step(rollout, seen(1, breached=("error_rate",), warned=("error_rate",))) is None


def test_a_breach_may_pause_and_a_person_may_let_it_go_on_despite_it():
    rollout = begun(plan_of(canary(5), on_breach="pause"))
    look = seen(1, breached=("error_rate",))
    rollout, moves = walk(rollout, [look, look])
    assert [one.kind for one in moves] == ["pause"]
    assert (rollout.paused_for, rollout.paused_over, rollout.weight_bp) == ("breach", ("error_rate",), 500)
    rollout, _ = resumed(rollout, By("bob", 5, "known"), despite=True)
    assert step(rollout, seen(6, breached=("error_rate",))) is None
    move = due(rollout, seen(7, breached=("error_rate", "faithfulness")))
    assert move.over == ("faithfulness",)


def test_a_breach_goes_back_from_a_pause_and_from_an_open_decision_too():
    rollout = begun(plan_of(canary(5)))
    resting, _ = paused(rollout, By("bob", 1))
    open_, _ = walk(rollout, [seen(3600 * 1000, units=1)])
    assert open_.state == "inconclusive"
    for one in (resting, open_):
        move = due(one, seen(3700 * 1000, breached=("faithfulness",)))
        assert move.kind == "roll_back"


def test_what_was_rolled_back_may_go_on_on_copies():
    plan = plan_of(stage("shadow", share_bp=200), canary(5), on_rollback="shadow")
    copies, canary_ = begun(plan), begun(plan_of(canary(5), on_rollback="shadow"))
    assert due(copies, seen(1, breached=("error_rate",))).shadow_bp == 0
    assert due(canary_, seen(1, breached=("error_rate",))).shadow_bp == 100
    copies, _ = walk(copies, [seen(1)])
    assert due(copies, seen(2, breached=("error_rate",))).shadow_bp == 200


def test_units_that_do_not_come_as_meant_pause_it():
    rollout = begun(plan_of(canary(5)))
    assert step(rollout, seen(1, split_p=0.001)) is None
    move = due(rollout, seen(LATE, split_p=0.0009))
    assert (move.kind, move.cause) == ("pause", "split")
    rollout = moved(rollout, move, LATE)
    rollout, _ = resumed(rollout, By("bob", LATE + 1, "looked into"), despite=True)
    assert due(rollout, seen(2 * LATE, split_p=0.0009)).kind == "promote"


@pytest.mark.parametrize("kind", ["canary", "shadow"])
def test_without_data_it_pauses_and_never_goes_on(kind):
    one = canary(5, min_units=0) if kind == "canary" else stage("shadow", share_bp=100, hold_s=900)
    rollout = begun(plan_of(one, stale_after_s=600))
    assert step(rollout, Evidence(at_ms=600_000)) is None
    never = due(rollout, Evidence(at_ms=LATE, units=5000))
    move = due(rollout, Evidence(at_ms=LATE, units=5000, seen_at_ms=LATE - 600_001))
    assert (move.kind, move.cause) == (never.kind, never.cause) == ("pause", "no data")
    assert "no data is no pass" in move.why
    rollout = moved(rollout, move, LATE)
    assert step(rollout, seen(LATE + 1)) is None  # only a person lets it go on
    rollout, _ = resumed(rollout, By("bob", LATE + 2))
    assert step(rollout, Evidence(at_ms=LATE + 3, units=5000, seen_at_ms=1)) is None  # not stale anew, and no pass
    assert due(rollout, seen(LATE + 3)).kind == "promote"


def test_an_evaluation_that_blocks_ends_it_before_anybody_has_it():
    rollout = begun(plan_of(stage("offline"), canary(5)))
    assert step(rollout, Evidence(at_ms=1)) is None
    assert step(rollout, Evidence(at_ms=1, offline="inconclusive")) is None
    assert due(rollout, Evidence(at_ms=1, offline="warn")).kind == "advance"
    move = due(rollout, Evidence(at_ms=1, offline="block"))
    assert (move.kind, move.why) == ("roll_back", "offline: the evaluation blocks it. It never went live.")


def test_staging_waits_for_the_candidate_and_its_drill():
    rollout = begun(plan_of(stage("staging", drill=True), canary(5)))
    assert step(rollout, Evidence(at_ms=1, staged=True)) is None
    assert step(rollout, Evidence(at_ms=1, drilled=True)) is None
    assert due(rollout, Evidence(at_ms=1, staged=True, drilled=True)).stage == 1


def test_a_stage_that_lasts_too_long_is_a_persons_to_decide():
    rollout = begun(plan_of(canary(5, needs=("error_rate",), max_hold_s=3600)))
    assert step(rollout, seen(3600 * 1000 - 1)) is None
    move = due(rollout, seen(3600 * 1000, units=40))
    assert (move.kind, move.weight_bp) == ("inconclusive", 500)
    assert move.why == "5%: after 1 hour still missing: 60 users more and proof that error_rate holds."
    rollout = moved(rollout, move, 3600 * 1000)
    assert step(rollout, seen(3601 * 1000, holds=("error_rate",))) is None


def test_approvals_count_once_a_person_with_a_role_and_never_an_authors():
    plan = plan_of(stage("approval", approvers=("reviewer", "admin"), approvals=2), canary(5))
    rollout = begun(plan, authors=("ann",))
    bob, zoe = yes(rollout, "bob"), yes(rollout, "zoe", roles=("admin", "editor"))
    for given in (
        (bob, bob),
        (bob, yes(rollout, "ann")),
        (bob, yes(rollout, "kim", roles=("editor",))),
        (bob, yes(rollout, "kim", stage=1)),
        (bob, yes(rollout, "kim", plan_hash="another")),
    ):
        assert step(rollout, Evidence(at_ms=1, approvals=given)) is None
    assert list(waiting_for(rollout, Evidence(at_ms=1, approvals=(bob,)))) == ["the approval of a reviewer or admin"]
    assert due(rollout, Evidence(at_ms=1, approvals=(bob, zoe))).kind == "advance"
    own = begun(msgspec.structs.replace(plan, approve_own=True), authors=("ann",))
    both = (yes(own, "ann"), yes(own, "bob"))
    assert due(own, Evidence(at_ms=1, approvals=both)).why == "approval: approved by ann and bob."


def test_what_was_seen_of_another_stage_moves_nothing():
    rollout, _ = walk(begun(plan_of(canary(5), canary(25, hold_s=0))), [seen(LATE)])
    assert rollout.stage == 1
    assert step(rollout, seen(LATE - 1)) is None
    assert step(rollout, seen(LATE, stage=0)) is None
    assert step(rollout, seen(LATE, stage=1)) is not None


def test_paused_time_does_not_count():
    rollout = begun(plan_of(canary(5)))
    rollout, _ = paused(rollout, By("bob", 5 * MINUTE))
    assert elapsed_ms(rollout, 500 * MINUTE) == 5 * MINUTE
    rollout, _ = resumed(rollout, By("bob", 500 * MINUTE))
    assert step(rollout, seen(509 * MINUTE)) is None
    assert step(rollout, seen(510 * MINUTE)) is not None


def test_a_stage_that_is_no_canary_keeps_what_users_had():
    plan = plan_of(canary(5), stage("approval"), canary(25))
    assert [shares_at(plan, at) for at in range(3)] == [(500, 0), (500, 0), (2500, 0)]


def test_an_approval_binds_to_the_plan_and_to_the_two_that_are_compared():
    plan = plan_of(canary(5))
    same = plan_hash(plan_of(canary(5)), STABLE, CANDIDATE)
    assert plan_hash(plan, STABLE, CANDIDATE) == same
    others = [
        plan_hash(plan_of(canary(6)), STABLE, CANDIDATE),
        plan_hash(plan, CANDIDATE, STABLE),
        plan_hash(plan, STABLE, Side(version="1.1.0", model="big")),
        plan_hash(plan_of(canary(5), alpha=0.04), STABLE, CANDIDATE),
    ]
    assert len({same, *others}) == 5
