"""What a gate found, as sentences for people who are no statisticians."""

from collections.abc import Sequence

from tidegate.control.gates.model import Absolute, Gate, Judgement, Ratio

__all__ = ["allowed", "found_as", "judged_because", "verdict_because"]


def judged_because(one: Judgement) -> str:
    """Why the gate stands as it does: what was found, what is allowed, how sure it is."""
    name, limit = one.gate.metric, allowed(one.gate)
    if one.treatment is None:
        return f"{name}: nothing known yet; {limit}."
    what = f"{name} is {found_as(one)}; {limit}"
    chance = 1 - one.level
    if one.state == "breached":
        return f"{what}. Harm is proven: p = {_p(one.p_harm)}, needed {_p(chance)}."
    if one.state == "holds":
        return f"{what}. It surely is not beyond that: p = {_p(one.p_beyond)}, needed {_p(chance)}."
    units = f"{one.n_treatment:,} units against {one.n_control:,}"
    if one.p_harm <= chance:
        return f"{what}. It is worse (p = {_p(one.p_harm)}), but by less than the gate asks for; {units}."
    return f"{what}. Neither harm nor its absence is proven yet; {units}."


def verdict_because(answer: str, found: Sequence[Judgement]) -> str:
    """The answer in one sentence, with the gates that made it."""
    if answer == "block":
        return f"Harm is proven: {_names(found, 'breached')}."
    if answer == "pass":
        held = _names(found, "holds")
        return f"Every blocking guardrail surely holds: {held}." if held else "No guardrail can block."
    return f"Not known yet: {_names(found, 'open')}."


def found_as(one: Judgement) -> str:
    """The estimate in words: "1.9 times the control's (2.1% against 1.1%)"."""
    here = _value(one.gate, one.treatment)
    if isinstance(one.gate.rule, Absolute):
        return here
    both = f"{here} against {_value(one.gate, one.control)}"
    if one.estimate is None:
        return both
    if isinstance(one.gate.rule, Ratio):
        return f"{one.estimate:.3g} times the control's ({both})"
    if one.estimate == 0:
        return f"as the control's ({both})"
    return (
        f"{_value(one.gate, abs(one.estimate))} {'higher' if one.estimate > 0 else 'lower'} than the control ({both})"
    )


def allowed(gate: Gate) -> str:
    """What the gate allows, in words."""
    most = "most" if gate.better == "lower" else "least"
    match gate.rule:
        case Ratio(margin):
            return f"at {most} {margin:g} times is allowed"
        case Absolute(bound):
            return f"at {most} {_value(gate, bound)} is allowed"
        case _:
            worse = "higher" if gate.better == "lower" else "lower"
            return f"{_value(gate, gate.rule.margin)} {worse} is allowed"


def _names(found: Sequence[Judgement], state: str) -> str:
    return ", ".join(dict.fromkeys(one.gate.metric for one in found if one.gate.block and one.state == state))


def _value(gate: Gate, value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{100 * value:.3g}%" if gate.shape == "rate" else f"{value:.4g}"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 0.0001 else "below 0.0001"
