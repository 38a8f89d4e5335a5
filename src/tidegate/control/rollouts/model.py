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
    "SPLIT",
    "Approval",
    "Begun",
    "Cause",
    "Drill",
    "DrillStep",
    "Event",
    "Evidence",
    "Foreseen",
    "Move",
    "Plan",
    "Rollout",
    "RolloutForecast",
    "Shown",
    "Side",
    "Stage",
    "Started",
    "State",
    "Wanted",
    "Why",
]

State: TypeAlias = Literal[
    "running", "awaiting_approval", "paused", "inconclusive", "promoted", "rolled_back", "superseded"
]
FINAL: tuple[State, ...] = ("promoted", "rolled_back", "superseded")
LIVE: tuple[State, ...] = ("running", "awaiting_approval", "paused", "inconclusive")

Cause: TypeAlias = Literal["", "person", "breach", "no data", "split"]
"""Why a rollout is paused; empty while it is not."""

SPLIT = "the split"
"""What a person overrules who lets a rollout go on although units did not come in the shares that were meant."""


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


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What is fixed when a rollout begins, beside its plan."""

    rollout_id: str
    prompt: str
    environment: str
    stable: Side
    candidate: Side
    salt: str
    authors: tuple[str, ...]


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """Where a candidate stands. `version` counts the events that made it, which is what a writer must have seen.

    `entered_at_ms`: when the stage began; `paused_ms` of the time since does not count, `extended_ms` lengthens
    `max_hold_s`; `paused_at_ms` is set while it is paused. `weight_bp` and `shadow_bp` are the candidate's of now.
    `salt` decides who falls where, the same for all stages. `authors` are who started it and who wrote the version.
    `paused_over`: the metrics (and `SPLIT`) it is paused over; `overruled`: those in spite of which a person let it go
    on. `resumed_at_ms`: when that was last in this stage, from which on missing data counts anew.
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
    paused_for: Cause = ""
    paused_over: tuple[str, ...] = ()
    overruled: tuple[str, ...] = ()
    resumed_at_ms: int | None = None

    @property
    def now_in(self) -> Stage:
        """The stage that it is in (the last one when it is over)."""
        return self.plan.stages[min(self.stage, len(self.plan.stages) - 1)]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known at one look, `at_ms` by the database's clock. Of the gates of the stage's kind (canary or shadow):
    which metrics are `breached` and which `hold`. `units` of the candidate judged in this stage. `seen_at_ms`: when the
    newest judged call of the candidate started (None: none yet). `split_p`: always-valid p-value of the split.
    `offline`: the newest evaluation's answer; `staged`: the candidate is live in staging (`drilled`: and its way back
    was walked). `approvals` are those of this stage and plan. `verdict` is for people and the event log. `stage`: of
    which stage `units` and the rest were told; None: of the one it is in. `warned`: metrics whose estimate is beyond
    half of the margin's way, without proof; shown, never acted on.
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
    stage: int | None = None
    warned: tuple[str, ...] = ()


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One move: what the rollout becomes. `kind` is for the event and for people. `over`: the metrics (and `SPLIT`)
    that it is paused over, or goes on in spite of.
    """

    kind: Literal[
        "advance",
        "await_approval",
        "promote",
        "roll_back",
        "rebalance",
        "pause",
        "resume",
        "extend",
        "inconclusive",
        "supersede",
    ]
    state: State
    stage: int
    weight_bp: int
    shadow_bp: int
    why: str
    extend_ms: int = 0
    cause: Cause = ""
    over: tuple[str, ...] = ()


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


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to start: a version, or with `model` another model under the version that is live (`version`
    None) or under another one. `plan` is a plan's YAML, empty for the default one; `file` is the name that faults show.
    """

    prompt: str
    environment: str
    version: str | None = None
    model: str | None = None
    plan: str = ""
    file: str = "rollout.yaml"
    reason: str = ""


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout that has begun, and what its author should know of its plan."""

    rollout: Rollout
    warnings: tuple[str, ...] = ()


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout, what happened to it (oldest first), what was seen of it last, and the approvals of its stage.
    `waits_for`: what is missing for the next move, a line each. `now_ms` is the database's time.
    """

    rollout: Rollout
    events: tuple[Event, ...]
    evidence: Evidence | None
    approvals: tuple[Approval, ...]
    waits_for: tuple[str, ...]
    now_ms: int


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why a rollout stands where it stands: the evidence of now (of one that is over: of its end)."""

    rollout: Rollout
    event: Event | None
    evidence: Evidence | None
    verdict: Verdict | None


class DrillStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a drill: what was made live (`version` None: nothing), by which release, and how long it took, in ms
    from the order: until it was written (`committed_ms`) and until the gateways of this host served it (`adopted_ms`;
    None: they did not within the time given, or there are none).
    """

    step: str
    version: str | None
    release: int
    generation: int
    committed_ms: float
    adopted_ms: float | None
    gateways: int


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """The way back of a version, walked in an environment. `ok`: each step was served in time, or no gateway was there
    to serve it."""

    drill_id: str
    prompt: str
    environment: str
    version: str
    actor: str
    at_ms: int
    ok: bool
    steps: tuple[DrillStep, ...]


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """What came of simulated rollouts of one candidate: shares of `runs`, with the Monte Carlo `standard_error` of
    `caught`, which is rolled back, or paused over a proven harm. `caught_by`: by which gates (a run may be caught by
    several). `caught_min` is the median time from the first canary to that, `late_min` that of nine in ten of those
    caught, `served` the median of the candidate's units by then; `promoted_min` the median of those promoted. None
    where there was none. `curve`: the share caught by then, in minutes.
    """

    name: str
    kind: Literal["identical", "worse", "clusters"]
    metric: str
    runs: int
    caught: float
    standard_error: float
    caught_by: dict[str, float]
    promoted: float
    inconclusive: float
    paused: float
    caught_min: float | None
    late_min: float | None
    served: float | None
    promoted_min: float | None
    curve: tuple[tuple[float, float], ...] = ()


class RolloutForecast(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan does at a traffic, by simulation. `false_rollback`: how often an identical candidate is caught;
    `promoted_identical` how often it is promoted by itself. `notes` are what the figures rest on.
    """

    plan: Plan
    units_per_minute: float
    runs: int
    seed: int
    tick_s: int
    scenarios: tuple[Foreseen, ...]
    false_rollback: float
    promoted_identical: float
    notes: tuple[str, ...] = ()
