"""Why a rollout moved, and what it waits for, in sentences for people. Pure."""

from collections.abc import Sequence

from tidegate.control.rollouts.model import Evidence, Rollout, Stage
from tidegate.kernel.figures import number_text
from tidegate.kernel.plain import count_of, joined, plural, time_text

__all__ = ["approval_text", "breach_because", "lacks_text", "left_because", "silence_because", "split_because"]

_LEFT = {
    "offline": "the evaluation passed",
    "staging": "it ran in staging",
    "shadow": "its copies are in order",
    "approval": "approved",
    "canary": "nothing is breached",
}


def breach_because(rollout: Rollout, evidence: Evidence, breached: Sequence[str]) -> str:
    """What was proven worse, and whether a user saw it."""
    told = [
        one.why
        for one in (evidence.verdict.judgements if evidence.verdict is not None else ())
        if one.gate.metric in breached and one.state == "breached" and one.gate.block
    ]
    what = " ".join(told) or f"Harm is proven: {joined(tuple(breached))}."
    return what if rollout.weight_bp else f"{what} That was on copies (shadow): no user saw an answer of it."


def left_because(rollout: Rollout, evidence: Evidence, elapsed_s: float) -> str:
    """Why a stage is left by itself."""
    stage = rollout.now_in
    what = _LEFT[stage.kind]
    if stage.kind == "approval":
        return f"{stage.name}: approved by {joined(tuple(dict.fromkeys(one.who for one in evidence.approvals)))}."
    if stage.kind == "offline" and evidence.offline == "warn":
        what = "the evaluation passed with a warning"
    if stage.kind == "staging" and stage.drill:
        what += ", and its way back was walked"
    if stage.needs:
        what = f"{joined(stage.needs)} surely {'hold' if len(stage.needs) > 1 else 'holds'}"
    after = f" after {time_text(elapsed_s)}" if elapsed_s >= 1 else ""
    seen = f" and {count_of(evidence.units, rollout.plan.unit)}" if stage.kind in ("canary", "shadow") and after else ""
    return f"{stage.name}: {what}{after}{seen}."


def lacks_text(stage: Stage, lacks: Sequence[str], longest_s: float) -> str:
    """Why a person must decide: what was still missing when the time was over."""
    return f"{stage.name}: after {time_text(longest_s)} still missing: {joined(tuple(lacks))}."


def silence_because(stage: Stage, stale_after_s: int) -> str:
    """Why nothing is known."""
    what = "copy for the candidate" if stage.kind == "shadow" else "call of the candidate"
    return f"{stage.name}: no {what} was judged for {time_text(stale_after_s)}, and no data is no pass."


def split_because(p: float) -> str:
    """Why the figures cannot be trusted."""
    return f"The units did not come in the shares that were meant (p = {number_text(p)}): who is compared is not alike."


def approval_text(stage: Stage, given: int) -> str:
    """Whose approval is missing."""
    left = stage.approvals - given
    who = joined(stage.approvers, "or") if stage.approvers else "person"
    return f"the approval of {'a' if left == 1 else left} {who if left == 1 else plural(who)}"
