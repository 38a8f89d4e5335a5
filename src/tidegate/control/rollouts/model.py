"""A rollout as values: the plan, where a candidate stands in it, what is known, and what may be done next. Times are in
seconds in a plan, in Unix ms (the database's) where something happened; shares in basis points of 10,000.
"""

from typing import Literal, TypeAlias

import msgspec

from tidegate.control.experiments.model import Metric
from tidegate.control.gates.model import Gate, Verdict

__all__ = [
    "FINAL",
    "LIVE",
    "Approval",
    "Event",
    "Evidence",
    "Move",
    "Plan",
    "Rollout",
    "Side",
    "Stage",
    "State",
]

State: TypeAlias = Literal[
    "running", "awaiting_approval", "paused", "inconclusive", "promoted", "rolled_back", "superseded"
]
FINAL: tuple[State, ...] = ("promoted", "rolled_back", "superseded")
LIVE: tuple[State, ...] = ("running", "awaiting_approval", "paused", "inconclusive")


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two that are compared: a version, and the model where it is not the version's own."""

    version: str
    model: str | None = None


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the way.

    offline   waits until an evaluation of the candidate has passed its gate
    staging   the candidate is live in the environment `staging` for `hold_s`, and (with `drill`) its way back was
              walked there
    shadow    `share_bp` of the calls are copied for it; no user sees an answer of it
    approval  waits for `approvals` people who have one of the roles `approvers`
    canary    `share_bp` of the units are served by it

    It is left at the earliest after `hold_s` and with `min_units` of the candidate judged in this stage, and when the
    gates of the metrics `needs` hold (all other gates must only not be breached). After `max_hold_s` without that, a
    person decides.
    """

    name: str
    kind: Literal["offline", "staging", "shadow", "approval", "canary"]
    share_bp: int = 0
    hold_s: int = 0
    min_units: int = 0
    max_hold_s: int | None = None
    needs: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    approvals: int = 1
    drill: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a candidate takes over. `gates` judge its canary against the control at the same time, over all stages
    together; `shadow_gates` its copies against the answers that they copy. `metrics` say how a gate's metric is
    measured. `stale_after_s`: without a judged call of the candidate for so long nothing advances, and the rollout is
    paused. `rollback_window_s` after the end one step leads back. `on_rollback` shadow: the candidate goes on, on
    copies, for `shadow_after_s`.
    """

    stages: tuple[Stage, ...]
    gates: tuple[Gate, ...] = ()
    shadow_gates: tuple[Gate, ...] = ()
    metrics: tuple[Metric, ...] = ()
    alpha: float = 0.05
    unit: str = "user"
    observe_s: int = 0
    window_s: int = 60
    on_breach: Literal["rollback", "pause"] = "rollback"
    on_rollback: Literal["stop", "shadow"] = "stop"
    stale_after_s: int = 600
    rollback_window_s: int = 86_400
    shadow_after_s: int = 3600
    shadow_usd_per_day: float = 5.0
    approve_own: bool = False
    score_percent: float = 0.0
    """Of the calls of each arm, how many the scoring worker judges (0: none; what users say counts anyway)."""


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A person's yes to one stage of one plan (`plan_hash`); to no other."""

    stage: int
    plan_hash: str
    who: str
    roles: tuple[str, ...]
    at_ms: int
    note: str = ""


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """Where a candidate stands. `version` counts the events that made it, which is what a writer must have seen.

    `entered_at_ms`: when the stage began; `paused_ms` of the time since does not count, `extended_ms` lengthens
    `max_hold_s`; `paused_at_ms` is set while it is paused. `weight_bp` and `shadow_bp` are the candidate's of now.
    `salt` decides who falls where, the same for all stages. `authors` are who started it and who wrote the version.
    """

    rollout_id: str
    prompt: str
    environment: str
    stable: Side
    candidate: Side
    plan: Plan
    plan_hash: str
    state: State
    stage: int
    started_at_ms: int
    entered_at_ms: int
    salt: str
    authors: tuple[str, ...]
    version: int = 1
    weight_bp: int = 0
    shadow_bp: int = 0
    paused_at_ms: int | None = None
    paused_ms: int = 0
    extended_ms: int = 0
    ended_at_ms: int | None = None
    why: str = ""

    @property
    def now_in(self) -> Stage:
        """The stage that it is in (the last one when it is over)."""
        return self.plan.stages[min(self.stage, len(self.plan.stages) - 1)]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known at one look, `at_ms` by the database's clock. Of the gates of the stage's kind (canary or shadow):
    which metrics are `breached` and which `hold`. `units` of the candidate judged in this stage. `seen_at_ms`: when the
    newest judged call of the candidate started (None: none yet). `split_p`: always-valid p-value of the split.
    `offline`: the newest evaluation's answer; `staged`: the candidate is live in staging (`drilled`: and its way back
    was walked). `approvals` are those of this stage and plan. `verdict` is for people and the event log.
    """

    at_ms: int
    breached: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    units: int = 0
    seen_at_ms: int | None = None
    split_p: float = 1.0
    offline: Literal["pass", "warn", "block", "inconclusive"] | None = None
    staged: bool = False
    drilled: bool = False
    approvals: tuple[Approval, ...] = ()
    verdict: Verdict | None = None


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One move: what the rollout becomes. `kind` is for the event and for people."""

    kind: Literal[
        "advance", "await_approval", "promote", "roll_back", "pause", "resume", "extend", "inconclusive", "supersede"
    ]
    state: State
    stage: int
    weight_bp: int
    shadow_bp: int
    why: str
    extend_ms: int = 0


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a rollout, append-only; `seq` counts from 1 without a hole and is the rollout's version."""

    rollout_id: str
    seq: int
    at_ms: int
    actor: str
    kind: str
    from_state: str
    to_state: str
    from_stage: int
    to_stage: int
    weight_bp: int
    why: str
    evidence: Evidence | None = None
