"""The rollout file, as its author writes it. The published JSON Schema is made from it.

Two spellings are one: `percent` and `traffic_percent`, `hold: 15m` and `duration_minutes: 15`, `rollout:` and
`deployment:`, and gates under `gates` of the rollout or `auto_rollback` of a stage.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from tidegate.control.experiments.files.durations import DURATION_PATTERN
from tidegate.control.experiments.files.shape import MetricBlock

__all__ = ["KINDS", "GateBlock", "Margin", "RolloutBlock", "RolloutFile", "StageBlock", "rollout_schema"]

KINDS = ("offline", "staging", "shadow", "approval", "canary")

Words: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]


def _duration(what: str) -> Meta:
    return Meta(description=f"{what} As 90s, 15m, 2h, 1d.", extra_json_schema={"pattern": DURATION_PATTERN})


class _Block(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every block refuses fields that it does not know."""


class GateBlock(_Block, frozen=True, kw_only=True):
    """How much worse the candidate may be. Give one of `ratio`, `drop` and `absolute`."""

    ratio: (
        Annotated[float, Meta(gt=0, description="Times the control: at most 1.5; of what should be high at least 0.9.")]
        | None
    ) = None
    drop: Annotated[float, Meta(gt=0, description="So much worse than the control, in its unit.")] | None = None
    absolute: Annotated[float | None, Meta(description="The candidate's own value, whatever the control's.")] = None
    negligible: (
        Annotated[
            float,
            Meta(
                ge=0,
                lt=1,
                description="With `ratio`, of a rate: so much more is no harm, whatever the ratio. Of errors and slow "
                "calls 0.005, unless said.",
            ),
        ]
        | None
    ) = None
    block: Annotated[bool, Meta(description="Whether a breach rolls back, or is only shown.")] = True
    require_effect: Annotated[
        float, Meta(ge=0, le=1, description="A proven harm counts only beyond this part of the margin's way.")
    ] = 0.5
    share: Annotated[float, Meta(gt=0, le=1, description="Of the significance level. Absent: equal shares.")] | None = (
        None
    )


Margin: TypeAlias = GateBlock | str | float
"""As it is written: a block, `1.5x`, or a bare number (which says its kind only under a name that ends in `_drop`)."""


class StageBlock(_Block, frozen=True, kw_only=True):
    """One step of the way."""

    kind: Annotated[
        Literal["offline", "staging", "shadow", "approval", "canary"],
        Meta(
            description="offline: an evaluation must pass. staging: it is live there first. shadow: calls are copied. "
            "approval: people say yes. canary: users have it."
        ),
    ] = "canary"
    name: Annotated[str, Meta(min_length=1, max_length=64, description="Absent: its percent or kind.")] | None = None
    percent: Annotated[float, Meta(gt=0, le=100, description="Of the units, or of the calls copied.")] | None = None
    traffic_percent: Annotated[float, Meta(gt=0, le=100, description="The same as `percent`.")] | None = None
    hold: Annotated[str, _duration("How long it lasts at least.")] | None = None
    duration_minutes: Annotated[float, Meta(ge=0, le=1e6, description="The same as `hold`, in minutes.")] | None = None
    max_hold: Annotated[str, _duration("After this, a person decides. Absent: a day; for people three.")] | None = None
    min_units: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=10**9,
                description="Units of the candidate judged in it at least. Absent: 100, of copies 30, at 100% none.",
            ),
        ]
        | None
    ) = None
    needs: Annotated[
        tuple[str, ...] | None,
        Meta(description="Gates that must be shown to hold. Absent: all, before users get 100%; none elsewhere."),
    ] = None
    approvers: Annotated[
        tuple[str, ...] | None, Meta(description="Roles of which one is needed to approve. Absent: reviewer.")
    ] = None
    approvals: Annotated[int, Meta(ge=1, le=20, description="How many different people must approve.")] | None = None
    drill: Annotated[bool, Meta(description="staging: the way back must have been walked there too.")] = False
    auto_rollback: Annotated[
        dict[str, Margin], Meta(description="Gates, as `gates` of the rollout: they hold in every stage.")
    ] = {}


class RolloutBlock(_Block, frozen=True, kw_only=True):
    """How a candidate takes over."""

    description: Annotated[str, Meta(max_length=2000)] = ""
    strategy: Literal["incremental"] = "incremental"
    stages: Annotated[tuple[StageBlock, ...], Meta(description="In their order; users' shares only grow.")]
    gates: Annotated[
        dict[str, Margin],
        Meta(description="By metric: how much worse the candidate may be, judged over all canary stages together."),
    ] = {}
    shadow_gates: Annotated[
        dict[str, Margin] | None, Meta(description="The same for copies. Absent: `gates`, of what copies show.")
    ] = None
    metrics: Annotated[
        dict[str, MetricBlock | None], Meta(description="Of gates on what is no known metric: how it is measured.")
    ] = {}
    on_breach: Annotated[
        Literal["rollback", "pause"], Meta(description="What a proven harm does; pause asks a person.")
    ] = "rollback"
    on_rollback: Annotated[
        Literal["stop", "shadow"], Meta(description="shadow: what was rolled back goes on, on copies.")
    ] = "stop"
    unit: Annotated[
        str,
        Meta(
            description="Who is assigned and counted: user, request, or tag:NAME.",
            extra_json_schema={"pattern": "^(user|request|tag:.+)$"},
        ),
    ] = "user"
    observe: (
        Annotated[str, _duration("How long a unit is watched before it is judged, once. Absent: 0s, with scores 2m.")]
        | None
    ) = None
    window: Annotated[str, _duration("Arms are compared inside such windows.")] = "1m"
    significance_level: Annotated[
        float, Meta(ge=0.0001, le=0.3, description="How often an identical candidate may be rolled back, at most.")
    ] = 0.05
    stale_after: Annotated[str, _duration("Without a judged call of the candidate for so long it is paused.")] = "10m"
    rollback_window: Annotated[str, _duration("So long after the end one step leads back.")] = "1d"
    shadow_after: Annotated[str, _duration("How long what was rolled back goes on, on copies.")] = "1h"
    shadow_usd_per_day: Annotated[float, Meta(ge=0, le=1e6, description="What copies may cost a day.")] = 5.0
    approve_own: Annotated[bool, Meta(description="Whether authors may approve what they wrote or started.")] = False
    score_percent: Annotated[
        float, Meta(ge=0, le=100, description="Percent of the calls of each arm that the scoring worker judges.")
    ] = 0.0


class RolloutFile(_Block, frozen=True, kw_only=True, rename={"api_version": "apiVersion"}):
    """The whole file: `rollout`, or the same under the name `deployment`."""

    api_version: Literal["rollouts/v1"] = "rollouts/v1"
    rollout: RolloutBlock | None = None
    deployment: RolloutBlock | None = None


def rollout_schema() -> dict[str, object]:
    """The JSON Schema of the rollout file, as published in docs/reference/rollout.schema.json."""
    schema = msgspec.json.schema(RolloutFile)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A Tidegate rollout", **schema}
