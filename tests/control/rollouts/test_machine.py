"""A rollout under any looks and any commands, in any order: what must never happen does not."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.rollout_plans import METRICS, looks, rollouts
from tests.support.rollouts import begun, canary, plan_of, yes
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
from tidegate.control.rollouts.model import FINAL, Evidence, Move, Rollout
from tidegate.control.rollouts.step import approvers_of, elapsed_ms, moved, step
from tidegate.kernel.errors import Conflict, Forbidden

PEOPLE = ("ann", "bob", "zoe")


class Walk(RuleBasedStateMachine):
    """The clock of this test counts a stage's time by itself, beside the rollout's own account of it."""

    def __init__(self) -> None:
        super().__init__()
        self.rollout = begun(plan_of(canary()))
        self.now = 0
        self.counted = 0
        self.weights = [0]
        self.unmended = 0

    @initialize(rollout=rollouts())
    def begin(self, rollout):
        self.rollout = rollout
        self.weights = [rollout.weight_bp]

    def tick(self, by):
        self.now += by
        if self.rollout.state != "paused":
            self.counted += by

    def become(self, after, move):
        before = self.rollout
        assert after == moved(before, move, self.now)
        assert after.version == before.version + 1
        if after.stage != before.stage:
            self.counted = 0
        self.weights.append(after.weight_bp)
        self.rollout = after

    @rule(data=st.data(), by=st.integers(0, 200_000))
    def look(self, data, by):
        self.tick(by)
        seen = data.draw(looks(self.rollout, self.now))
        before, move = self.rollout, step(self.rollout, seen)
        assert move == step(before, seen)
        self.judge(before, seen, move)
        if move is not None:
            self.become(moved(before, move, self.now), move)

    def judge(self, before: Rollout, seen: Evidence, move: Move | None) -> None:
        """The safety of one move."""
        plan, stage = before.plan, before.now_in
        harmed = [one for one in seen.breached if one in METRICS and one not in before.overruled]
        if before.state in FINAL:
            assert move is None
        elif harmed and plan.on_breach == "rollback":
            assert move is not None
            assert move.kind == "roll_back"
        elif harmed:
            assert before.state == "paused" or (move is not None and move.kind == "pause")
        elif before.state in ("paused", "inconclusive"):
            assert move is None
        if move is None or move.kind not in ("advance", "await_approval", "promote"):
            return
        assert move.kind == "promote" or move.stage == before.stage + 1
        assert self.counted >= stage.hold_s * 1000
        assert seen.stage in (None, before.stage)
        if stage.kind in ("canary", "shadow"):
            assert seen.seen_at_ms is not None
            assert seen.at_ms - seen.seen_at_ms <= plan.stale_after_s * 1000
            assert seen.units >= stage.min_units
            assert set(stage.needs) <= set(seen.holds)
        if stage.kind == "approval":
            who = approvers_of(before, seen.approvals)
            assert len(who) >= stage.approvals
            assert not set(who) & set(before.authors)
        if stage.kind == "offline":
            assert seen.offline in ("pass", "warn")
        assert before.weight_bp == 0 or seen.split_p >= 0.001 or before.overruled

    @rule(verb=st.sampled_from((paused, rolled_back, superseded)), by=st.integers(0, 60_000), rare=st.integers(0, 5))
    def command(self, verb, by, rare):
        self.tick(by)
        if verb is not paused and rare:
            return
        self.order(lambda: verb(self.rollout, By("bob", self.now, "so")))

    @rule(despite=st.booleans(), by=st.integers(0, 60_000))
    def resume(self, despite, by):
        self.tick(by)
        before = self.rollout
        self.order(lambda: resumed(before, By("bob", self.now, "so"), despite=despite))
        if before.paused_over and not despite:
            assert self.rollout == before

    @rule(seconds=st.integers(1, 100), by=st.integers(0, 60_000))
    def extend(self, seconds, by):
        self.tick(by)
        self.order(lambda: extended(self.rollout, By("bob", self.now), seconds))
        if self.rollout.state == "inconclusive":
            assert self.rollout.now_in.max_hold_s is None or elapsed_ms(self.rollout, self.now) > 0

    @precondition(lambda self: self.rollout.state == "awaiting_approval")
    @rule(who=st.sampled_from(PEOPLE))
    def approve(self, who):
        before = self.rollout
        self.order(lambda: approved(before, yes(before, who, at_ms=self.now)))
        if who in before.authors:
            assert self.rollout == before

    @rule(rare=st.integers(0, 5))
    def promote(self, rare):
        before = self.rollout
        if rare == 0:
            self.order(lambda: promoted(before, By("bob", self.now, "so"), despite=True))
        if self.rollout.state == "promoted" and before.state not in FINAL:
            assert before.weight_bp
            assert not any(one.kind == "approval" for one in before.plan.stages[before.stage :])

    def order(self, command):
        """Carry out what a person orders, unless it is refused; a refusal changes nothing and says what to do."""
        before = self.rollout
        try:
            after, move = command()
        except (Conflict, Forbidden) as error:
            self.unmended += not error.mend
            return
        if move is not None:
            assert before.state not in FINAL or (before.state, after.state) == ("promoted", "rolled_back")
            self.become(after, move)

    @invariant()
    def the_stages_time_is_what_was_not_paused(self):
        if self.rollout.state not in FINAL:
            assert elapsed_ms(self.rollout, self.now) == self.counted

    @invariant()
    def a_refusal_says_what_to_do(self):
        assert self.unmended == 0

    @invariant()
    def what_it_serves_never_shrinks_on_the_way(self):
        way = self.weights[:-1] if self.rollout.state in FINAL else self.weights
        assert way == sorted(way)

    @invariant()
    def what_is_over_serves_nobody_or_everybody(self):
        if self.rollout.state == "promoted":
            assert self.rollout.weight_bp == 10_000
        elif self.rollout.state in FINAL:
            assert self.rollout.weight_bp == 0
        assert (self.rollout.ended_at_ms is not None) == (self.rollout.state in FINAL)


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
