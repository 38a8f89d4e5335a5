"""How a rollout looks on a terminal: where it stands, what it waits for, what the gates say, what happened to it."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tidegate.control.gates.model import Judgement
from tidegate.control.rollouts.model import FINAL, Drill, Event, Evidence, Rollout, Shown, Stage, Why
from tidegate.doors.cli.output import ago, clean, date_text, duration_text, print_table, say, share_text
from tidegate.kernel.figures import number_text
from tidegate.kernel.plain import count_of, joined, time_text

__all__ = ["event_line", "headline", "one_line", "print_drill", "print_events", "print_why", "shown_view"]

_STYLES = {"breached": "bold red", "holds": "green", "warning": "yellow"}
_STATES = {
    "running": "under way",
    "awaiting_approval": "waiting for an approval",
    "paused": "paused",
    "inconclusive": "waiting for your decision",
    "promoted": "promoted",
    "rolled_back": "rolled back",
    "superseded": "superseded",
}
_KINDS = {
    "start": "started",
    "advance": "advanced",
    "await_approval": "waits",
    "promote": "promoted",
    "roll_back": "rolled back",
    "rebalance": "rebalanced",
    "pause": "paused",
    "resume": "resumed",
    "extend": "extended",
    "supersede": "superseded",
    "settle": "settled",
}


def headline(rollout: Rollout) -> str:
    """`greeting in production: 1.1.0 takes over from 1.0.0, 5%: under way in 5%.`"""
    verb = {"promoted": "has taken over", "rolled_back": "was to take over", "superseded": "was to take over"}
    what = verb.get(rollout.state, "takes over")
    place = "" if rollout.state in FINAL else f" in {rollout.now_in.name} (stage {rollout.stage + 1} of "
    place += "" if rollout.state in FINAL else f"{len(rollout.plan.stages)})"
    return (
        f"{rollout.prompt} in {rollout.environment}: {_candidate(rollout)} {what} from {_stable(rollout)}: "
        f"{_STATES[rollout.state]}{place}."
    )


def one_line(rollout: Rollout) -> str:
    """A rollout under way in a list of releases."""
    there = f"{rollout.prompt} --env {rollout.environment}"
    return f"{headline(rollout)} See `tidegate release status {there}`."


def shown_view(shown: Shown) -> RenderableType:
    """Everything of one rollout: its head, its stages, what it waits for, what was seen last."""
    rollout, evidence = shown.rollout, shown.evidence
    lines: list[RenderableType] = [Text(headline(rollout), "bold"), Text(clean(rollout.why)), Text("")]
    lines.append(_stages(shown))
    lines.append(Text(""))
    if rollout.state in FINAL:
        return Group(*lines[:-1])
    for line in _standing(shown):
        lines.append(Text(line))
    if evidence is not None and evidence.verdict is not None:
        lines += [Text(""), _gates(evidence.verdict.judgements, evidence)]
    return Group(*lines)


def print_why(why: Why) -> None:
    """The last move and its reason, then the evidence."""
    console = Console(highlight=False)
    rollout = why.rollout
    console.print(Text(headline(rollout), "bold"))
    if why.event is not None:
        kind = _KINDS.get(why.event.kind, why.event.kind)
        console.print(Text(f"{kind.capitalize()} {ago(why.event.at_ms)} by {why.event.actor}."))
    console.print(Text(clean(rollout.why)))
    if why.verdict is None or not why.verdict.judgements:
        console.print(Text("No call of it has been judged: there is no evidence of how it does.", "dim"))
        return
    console.print()
    console.print(_gates(why.verdict.judgements, why.evidence))
    console.print()
    for one in why.verdict.judgements:
        console.print(Text(f"- {clean(one.why)}"))


def print_events(events: Sequence[Event], rollout: Rollout) -> None:
    """What happened, oldest first."""
    print_table(
        (">#", "WHAT", "WHEN", "BY", ">SHARE", "STAGE", "WHY"),
        (
            (
                one.seq,
                _KINDS.get(one.kind, one.kind),
                ago(one.at_ms),
                one.actor,
                share_text(one.weight_bp),
                _name(rollout.plan.stages, one.to_stage),
                one.why,
            )
            for one in events
        ),
        empty="Nothing happened yet.",
    )


def event_line(event: Event, rollout: Rollout) -> str:
    """One event on one line, for a log."""
    kind = _KINDS.get(event.kind, event.kind)
    stage = _name(rollout.plan.stages, event.to_stage)
    head = f"{date_text(event.at_ms)}  {share_text(event.weight_bp):>5}  {kind}"
    return f"{head} ({stage}) by {event.actor}: {clean(event.why)}"


def print_drill(drill: Drill) -> None:
    """The steps of a drill, with their times."""
    print_table(
        ("STEP", "LIVE", ">RELEASE", ">WRITTEN", ">SERVED", "BY"),
        (
            (
                one.step,
                one.version or "nothing",
                one.release,
                duration_text(one.committed_ms),
                duration_text(one.adopted_ms),
                count_of(one.gateways, "gateway") if one.gateways else "no gateway here",
            )
            for one in drill.steps
        ),
        empty="",
    )
    if drill.ok:
        back = next((one for one in drill.steps if one.step == "back"), None)
        took = back.adopted_ms if back is not None and back.adopted_ms is not None else None
        served = f" It took {duration_text(took)}." if took is not None else ""
        say(f"The way back of {drill.prompt} {drill.version} in {drill.environment} can be walked.{served}")
    else:
        say("The gateways did not serve every step in time: look at `tidegate doctor`, then drill again.")


def _stages(shown: Shown) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for head, right in (("", False), ("STAGE", False), ("SHARE", True), ("AT LEAST", False), ("", False)):
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    rollout = shown.rollout
    for at, stage in enumerate(rollout.plan.stages):
        here = at == rollout.stage
        done = at < rollout.stage or (here and rollout.state == "promoted")
        mark = ">" if here and rollout.state not in FINAL else "x" if here and not done else "+" if done else ""
        style = "bold" if mark == ">" else "dim" if not mark else ""
        least = [time_text(stage.hold_s)] if stage.hold_s else []
        least += [count_of(stage.min_units, rollout.plan.unit)] if stage.min_units else []
        cells = (mark, stage.name, _share(stage), ", ".join(least), _left(shown, at))
        table.add_row(*(Text(clean(cell), style) for cell in cells))
    return table


def _left(shown: Shown, at: int) -> str:
    """Why a stage was left, or how it stands."""
    rollout = shown.rollout
    left = next((one for one in reversed(shown.events) if one.from_stage == at and one.to_stage > at), None)
    if at < rollout.stage and left is not None:
        return left.why.removeprefix(f"{rollout.plan.stages[at].name}: ")
    if at == rollout.stage and rollout.state not in FINAL:
        seen = shown.evidence
        units = ""
        if seen is not None and seen.stage in (None, at) and rollout.now_in.kind in ("canary", "shadow"):
            units = f", {count_of(seen.units, rollout.plan.unit)}"
        until = rollout.paused_at_ms or shown.now_ms
        elapsed = max(0, until - rollout.entered_at_ms - rollout.paused_ms) // 1000
        return f"here for {time_text(elapsed - elapsed % 60 if elapsed >= 60 else elapsed)}{units}"
    return ""


def _standing(shown: Shown) -> list[str]:
    """What comes next, and what a person can do."""
    rollout, evidence = shown.rollout, shown.evidence
    there = f"{rollout.prompt} --env {rollout.environment}"
    if rollout.state == "paused":
        despite = " --despite --reason TEXT" if rollout.paused_over else ""
        return [f"Go on: `tidegate release resume {there}{despite}`. End it: `tidegate release rollback {there}`."]
    if rollout.state == "inconclusive":
        return [
            "It is yours to decide:",
            f"  tidegate release extend {there} --for 2h",
            f"  tidegate release promote {there} --reason TEXT",
            f"  tidegate release rollback {there}",
        ]
    lines = []
    if shown.waits_for:
        lines.append(f"Waits for: {joined(shown.waits_for)}.")
    elif evidence is not None:
        lines.append("Nothing is missing: it moves at the next look.")
    if rollout.state == "awaiting_approval":
        lines.append(f"Approve it: `tidegate release approve {there}`.")
    if evidence is not None and evidence.warned:
        lines.append(f"Early warning, not proven: {joined(evidence.warned)}.")
    return lines


def _gates(judgements: Sequence[Judgement], evidence: Evidence | None) -> Table:
    warned = evidence.warned if evidence is not None else ()
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for head, right in (
        ("GATE", False),
        ("STABLE", True),
        ("CANDIDATE", True),
        ("UNITS", True),
        ("SAYS", False),
    ):
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    for one in judgements:
        state = "warning" if one.state == "open" and one.gate.metric in warned else one.state
        said = {"open": "not known yet", "warning": "early warning, not proven"}.get(state, state)
        style = _STYLES.get(state, "")
        cells = (
            one.gate.metric,
            _figure(one.control),
            _figure(one.treatment),
            f"{one.n_control:,} / {one.n_treatment:,}",
        )
        table.add_row(*(Text(clean(cell)) for cell in cells), Text(said, style))
    return table


def _figure(value: float | None) -> str:
    return "-" if value is None else number_text(value)


def _share(stage: Stage) -> str:
    if stage.kind == "canary":
        return share_text(stage.share_bp)
    return f"{share_text(stage.share_bp)} copied" if stage.kind == "shadow" else "-"


def _name(stages: Sequence[Stage], at: int) -> str:
    return stages[min(at, len(stages) - 1)].name


def _candidate(rollout: Rollout) -> str:
    side = rollout.candidate
    return f"{side.version} on {side.model}" if side.model is not None else side.version


def _stable(rollout: Rollout) -> str:
    side = rollout.stable
    return f"{side.version} on {side.model}" if side.model is not None else side.version
