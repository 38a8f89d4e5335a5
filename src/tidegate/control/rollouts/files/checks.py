"""What a rollout file must hold beyond its shape: stages in an order that can be walked, times, gates and metrics."""

from collections.abc import Iterator

from tidegate.control.experiments.files.durations import duration_text, seconds_of
from tidegate.control.experiments.files.measures import metric_complaints, nearest
from tidegate.control.experiments.files.shape import MetricBlock
from tidegate.control.gates.checks import BadGate, checked_family
from tidegate.control.identity.model import ROLES
from tidegate.control.rollouts.files.margins import BadMargin, Said, Wanted, wanted_of
from tidegate.control.rollouts.files.plans import (
    hold_of,
    longest_hold_of,
    percent_of,
    plan_of,
    stage_name,
)
from tidegate.control.rollouts.files.shape import Margin, RolloutBlock, StageBlock
from tidegate.control.rollouts.measuring import lag_s
from tidegate.kernel.documents import Document, Path
from tidegate.kernel.errors import Invalid, InvalidDocument
from tidegate.kernel.names import check_name
from tidegate.live.experiments import REQUEST, TAG, USER

__all__ = ["check_rollout"]

Found = Iterator[InvalidDocument]
Complaint = tuple[str, str, str]
"""The field, what is wrong, and the mend."""

MOST_STAGES = 32
SHORTEST_WINDOW_S = 10
LONGEST_S = 90 * 86_400
_ORDER = ("offline", "staging", "shadow", "canary")
_ONLY = (
    ("approvers", "approval"),
    ("approvals", "approval"),
    ("drill", "staging"),
)


def check_rollout(document: Document, root: Path, block: RolloutBlock) -> Found:
    """Every fault of a block that has the right shape."""
    yield from _metrics(document, root, block)
    faults = tuple(_gates(document, root, block))
    yield from faults
    lengths = tuple(_lengths(document, root, block))
    yield from lengths
    yield from _unit(document, root, block)
    if not 1 <= len(block.stages) <= MOST_STAGES:
        message = f"{len(block.stages)} stages are too many." if block.stages else "There is no stage."
        yield document.fault((*root, "stages"), message, mend=f"Write 1 to {MOST_STAGES}.", code="stages")
        return
    yield from _stages(document, root, block)
    if not lengths:
        yield from _times(document, root, block, sound=not faults)
    if not faults:
        yield from _family(document, root, block)


def _metrics(document: Document, root: Path, block: RolloutBlock) -> Found:
    for name, one in block.metrics.items():
        path = (*root, "metrics", name)
        try:
            check_name("metric", name)
        except Invalid as error:
            yield document.fault(path, error.message, mend=error.mend, code=error.code)
        for field, message, mend in metric_complaints(name, one or MetricBlock()):
            yield document.fault((*path, field), f"`{name}`: {message}", mend=mend, code="metric")


def _gates(document: Document, root: Path, block: RolloutBlock) -> Found:
    """Faults of single gates, wherever they stand; and of the same gate that is said twice, differently."""
    first: dict[tuple[bool, str, type], tuple[Path, Wanted]] = {}
    for path, name, margin in _lines(root, block):
        try:
            wanted = wanted_of(Said(name, margin, document.written((*path, name))), block.metrics)
            check_name("metric", wanted.metric.name)
        except BadMargin as error:
            steps = (*path, name, error.field) if error.field else (*path, name)
            yield document.fault(steps, error.message, mend=error.mend, code=error.code)
            continue
        except Invalid as error:
            yield document.fault((*path, name), error.message, mend=error.mend, code=error.code)
            continue
        key = (path[-1] == "shadow_gates", wanted.metric.name, type(wanted.gate.rule))
        before = first.setdefault(key, (path, wanted))
        if before[0] != path and before[1] != wanted:
            line = document.line_of((*before[0], name))
            message = f"The gate `{name}` has another margin in line {line}, and gates hold in every stage."
            yield document.fault((*path, name), message, mend="Write it once.", code="gate_twice")


def _lines(root: Path, block: RolloutBlock) -> Iterator[tuple[Path, str, Margin]]:
    """Every line of gates: where its map stands, its name and its margin."""
    for name, margin in block.gates.items():
        yield (*root, "gates"), name, margin
    for name, margin in (block.shadow_gates or {}).items():
        yield (*root, "shadow_gates"), name, margin
    for at, stage in enumerate(block.stages):
        for name, margin in stage.auto_rollback.items():
            yield (*root, "stages", at, "auto_rollback"), name, margin


def _family(document: Document, root: Path, block: RolloutBlock) -> Found:
    """Faults of gates together: shares, and what a stage needs."""
    plan = plan_of(block)
    place = "gates" if block.gates or not block.stages else "stages"
    for name, gates in ((place, plan.gates), ("shadow_gates", plan.shadow_gates)):
        if name == "shadow_gates" and block.shadow_gates is None:
            continue
        try:
            checked_family(gates)
        except BadGate as error:
            yield document.fault((*root, name), error.message, mend=error.mend, code=error.code)
    for at, stage in enumerate(block.stages):
        gates = plan.shadow_gates if stage.kind == "shadow" else plan.gates
        known = tuple(dict.fromkeys(one.metric for one in gates))
        for number, name in enumerate(stage.needs or ()):
            if name not in known:
                mend = nearest(name, known) if known else "Write it under `gates` first."
                path = (*root, "stages", at, "needs", number)
                yield document.fault(path, f"No gate is on `{name}`.", mend=mend, code="gate_not_found")


def _lengths(document: Document, root: Path, block: RolloutBlock) -> Found:
    given: list[tuple[Path, str | None]] = [
        ((field,), getattr(block, field))
        for field in ("observe", "window", "stale_after", "rollback_window", "shadow_after")
    ]
    for at, stage in enumerate(block.stages):
        given += [(("stages", at, field), getattr(stage, field)) for field in ("hold", "max_hold")]
    for path, text in given:
        if text is None:
            continue
        seconds = seconds_of(text)
        if seconds is None or seconds > LONGEST_S:
            message = f"`{text}` is no length of time." if seconds is None else f"{text} is longer than 90 days."
            yield document.fault((*root, *path), message, mend="Write 90s, 15m, 2h or 1d.", code="duration")


def _unit(document: Document, root: Path, block: RolloutBlock) -> Found:
    if block.unit not in (USER, REQUEST) and not (block.unit.startswith(TAG) and len(block.unit) > len(TAG)):
        message, mend = f"A unit cannot be `{block.unit}`.", "Write user, request, or tag:NAME, as tag:session."
        yield document.fault((*root, "unit"), message, mend=mend, code="unit")


def _stages(document: Document, root: Path, block: RolloutBlock) -> Found:
    names: dict[str, int] = {}
    served, reached = 0.0, 0
    for at, stage in enumerate(block.stages):
        path: Path = (*root, "stages", at)
        for field, message, mend in _complaints(stage):
            yield document.fault((*path, field), message, mend=mend, code="stage")
        name = stage_name(block, at)
        if name in names:
            message = f"Two stages have the name `{name}`."
            yield document.fault((*path, "name"), message, mend="Give one another.", code="stage_name")
        names[name] = at
        if stage.kind in _ORDER and _ORDER.index(stage.kind) < reached:
            message = f"`{stage.kind}` comes after `{_ORDER[reached]}`."
            mend = "The order is offline, staging, shadow, canary; approvals may stand between."
            yield document.fault(path, message, mend=mend, code="stage_order")
        reached = max(reached, _ORDER.index(stage.kind) if stage.kind in _ORDER else reached)
        percent = percent_of(stage) or 0.0
        if stage.kind == "canary" and 0 < percent <= served:
            message = f"`{name}` is no more than the {served:g}% before it."
            mend = "Shares grow from stage to stage: who has the candidate keeps it."
            yield document.fault(path, message, mend=mend, code="stage_order")
        served = max(served, percent if stage.kind == "canary" else 0.0)


def _complaints(stage: StageBlock) -> Iterator[Complaint]:
    """What a single stage must not say."""
    judged = stage.kind in ("canary", "shadow")
    both = stage.percent is not None and stage.traffic_percent is not None
    percent = percent_of(stage)
    if both:
        yield "traffic_percent", "`percent` says the same.", "Keep one of them."
    if stage.hold is not None and stage.duration_minutes is not None:
        yield "duration_minutes", "`hold` says the same.", "Keep one of them."
    if judged and percent is None:
        of = "units the candidate serves" if stage.kind == "canary" else "calls are copied"
        yield "percent", f"Nothing says of how many {of}.", "Write `percent: 5`."
    if not judged and percent is not None:
        field = "percent" if stage.percent is not None else "traffic_percent"
        yield field, f"A stage `{stage.kind}` has no share.", "Leave it out."
    if percent is not None and abs(percent * 100 - round(percent * 100)) > 1e-6:
        yield "percent", f"{percent:g}% is finer than a hundredth of a percent.", "Round it."
    for field, kind in _ONLY:
        if getattr(stage, field) not in (None, False) and stage.kind != kind:
            yield field, f"`{field}` is of stages `{kind}`.", "Leave it out."
    for field in ("min_units", "needs"):
        if getattr(stage, field) is not None and not judged:
            yield field, f"Nothing is judged in a stage `{stage.kind}`.", "Leave it out."
    for role in stage.approvers or ():
        if role not in ROLES:
            yield "approvers", f"`{role}` is no role.", nearest(role, ROLES)
    if stage.approvers is not None and not stage.approvers:
        yield "approvers", "Nobody could approve.", f"Name roles: {', '.join(ROLES)}."


def _times(document: Document, root: Path, block: RolloutBlock, *, sound: bool) -> Found:
    """Times against each other."""
    for at, stage in enumerate(block.stages):
        longest = longest_hold_of(stage)
        if longest is not None and longest < hold_of(stage):
            message = f"`max_hold` is shorter than the {duration_text(hold_of(stage))} that it lasts at least."
            yield document.fault((*root, "stages", at, "max_hold"), message, mend="Make it longer.", code="duration")
    window_s = seconds_of(block.window) or 0
    if window_s < SHORTEST_WINDOW_S:
        message = f"A window cannot be {window_s} s long."
        yield document.fault((*root, "window"), message, mend=f"Write {SHORTEST_WINDOW_S}s or more.", code="duration")
        return
    if not sound:
        return
    plan = plan_of(block)
    late_s = lag_s(plan) + plan.window_s
    if plan.stale_after_s < 2 * late_s:
        message = f"A call is judged up to {late_s} s after it began, so that `stale_after` would often pause it."
        mend = f"Write `stale_after: {2 * late_s}s` or more, or make `window` and `observe` shorter."
        yield document.fault((*root, "stale_after"), message, mend=mend, code="stale_after")
