"""From the rollout file's blocks, once they are sound, to the Plan."""

from collections.abc import Iterator

import msgspec

from tidegate.control.experiments.files.durations import seconds_of
from tidegate.control.gates.model import Gate
from tidegate.control.rollouts.defaults import OBSERVE_SCORES_S, longest_of, units_of
from tidegate.control.rollouts.files.margins import Said, Wanted, wanted_of
from tidegate.control.rollouts.files.shape import Margin, RolloutBlock, StageBlock
from tidegate.control.rollouts.model import Plan, Stage

__all__ = ["WHOLE_BP", "gates_said", "hold_of", "longest_hold_of", "percent_of", "plan_of", "stage_name"]

WHOLE_BP = 10_000
APPROVERS = ("reviewer",)


def plan_of(block: RolloutBlock) -> Plan:
    """The Plan that a sound block stands for."""
    wanted = tuple(wanted_of(one, block.metrics) for one in gates_said(block))
    scored = [one for one in wanted if one.metric.source == "feedback"]
    gates = _family(wanted)
    copied = _family(_copied(block, wanted))
    metrics = {one.metric.name: one.metric for one in (*wanted, *_copied(block, wanted))}
    return Plan(
        stages=tuple(_stages(block, _needed(wanted, block.score_percent))),
        gates=gates,
        shadow_gates=copied,
        metrics=tuple(metrics.values()),
        alpha=block.significance_level,
        unit=block.unit,
        observe_s=_seconds(block.observe) if block.observe is not None else OBSERVE_SCORES_S if scored else 0,
        window_s=_seconds(block.window),
        on_breach=block.on_breach,
        on_rollback=block.on_rollback,
        stale_after_s=_seconds(block.stale_after),
        rollback_window_s=_seconds(block.rollback_window),
        shadow_after_s=_seconds(block.shadow_after),
        shadow_usd_per_day=block.shadow_usd_per_day,
        approve_own=block.approve_own,
        score_percent=block.score_percent,
    )


def gates_said(block: RolloutBlock) -> tuple[Said, ...]:
    """The lines of all gates: those of the rollout, then those of its stages, each name once."""
    said: dict[str, Margin] = dict(block.gates)
    for stage in block.stages:
        said = {**stage.auto_rollback, **said}
    return tuple(Said(name, margin) for name, margin in said.items())


def percent_of(stage: StageBlock) -> float | None:
    """Of how many units or calls, whichever word says it."""
    return stage.traffic_percent if stage.percent is None else stage.percent


def hold_of(stage: StageBlock) -> int:
    """How many seconds it lasts at least."""
    if stage.hold is not None:
        return _seconds(stage.hold)
    return round((stage.duration_minutes or 0) * 60)


def longest_hold_of(stage: StageBlock) -> int | None:
    """After how many seconds a person decides; None: never, as nothing is waited for at 100%."""
    if stage.max_hold is not None:
        return _seconds(stage.max_hold)
    if stage.kind == "canary" and percent_of(stage) == 100:
        return None
    return max(longest_of(stage.kind), 2 * hold_of(stage))


def stage_name(block: RolloutBlock, at: int) -> str:
    """A stage's name: its own, else its percent or kind, with a number when another before it has the same."""
    stage = block.stages[at]
    if stage.name is not None:
        return stage.name
    names = [_plain_name(one) for one in block.stages[: at + 1]]
    before = names[:-1].count(names[-1])
    return f"{names[-1]} ({before + 1})" if before else names[-1]


def _stages(block: RolloutBlock, needed: tuple[str, ...]) -> Iterator[Stage]:
    served = [at for at, one in enumerate(block.stages) if one.kind == "canary" and (percent_of(one) or 0) < 100]
    for at, one in enumerate(block.stages):
        share_bp = round((percent_of(one) or 0) * 100)
        needs = one.needs
        if needs is None:
            needs = needed if served and at == served[-1] else ()
        approvers = one.approvers if one.approvers is not None else APPROVERS
        yield Stage(
            name=stage_name(block, at),
            kind=one.kind,
            share_bp=share_bp,
            hold_s=hold_of(one),
            min_units=units_of(one.kind, share_bp) if one.min_units is None else one.min_units,
            max_hold_s=longest_hold_of(one),
            needs=needs,
            approvers=approvers if one.kind == "approval" else (),
            approvals=one.approvals or 1,
            drill=one.drill,
        )


def _needed(wanted: tuple[Wanted, ...], score_percent: float) -> tuple[str, ...]:
    """What must be shown before users get 100%: every gate that can roll back, of what is surely measured."""
    return tuple(
        dict.fromkeys(
            one.metric.name for one in wanted if one.gate.block and (one.metric.source == "call" or score_percent > 0)
        )
    )


def _copied(block: RolloutBlock, wanted: tuple[Wanted, ...]) -> tuple[Wanted, ...]:
    """The gates of copies: as said, else those of what a copy shows, which no user sees and rates."""
    if block.shadow_gates is not None:
        return tuple(wanted_of(Said(*one), block.metrics) for one in block.shadow_gates.items())
    return tuple(one for one in wanted if one.metric.source == "call" or block.score_percent > 0)


def _family(wanted: tuple[Wanted, ...]) -> tuple[Gate, ...]:
    """The gates with their shares: what is not said is shared equally."""
    said = sum(one.share or 0.0 for one in wanted)
    unsaid = sum(one.share is None for one in wanted)
    each = max(1 - said, 0.0) / unsaid if unsaid else 0.0
    return tuple(msgspec.structs.replace(one.gate, share=each if one.share is None else one.share) for one in wanted)


def _plain_name(stage: StageBlock) -> str:
    percent = percent_of(stage)
    if stage.kind == "canary" and percent is not None:
        return f"{percent:g}%"
    return f"{stage.kind} {percent:g}%" if stage.kind == "shadow" and percent is not None else stage.kind


def _seconds(text: str) -> int:
    return seconds_of(text) or 0
