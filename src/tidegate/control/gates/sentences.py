"""What a gate found, as sentences for people who are no statisticians."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from tidegate.control.gates.model import Absolute, Drop, Gate, Judgement, Ratio, Verdict
from tidegate.kernel.figures import number_text, p_text
from tidegate.kernel.scales import NUMBER, PERCENT, TIMES, Scale, known, mean_error

__all__ = [
    "allowed_text",
    "found_cell",
    "found_text",
    "gate_scale",
    "judged_because",
    "verdict_because",
    "worded",
]

CONTROL = "the control"
_UNSAID: Mapping[str, Scale] = MappingProxyType({})


def worded(found: Verdict, scales: Mapping[str, Scale], control: str = CONTROL) -> Verdict:
    """The same verdict with every judgement's reason in what its metric is said in; `control` is the control's name."""
    told = tuple(msgspec.structs.replace(one, why=judged_because(one, scales, control)) for one in found.judgements)
    return msgspec.structs.replace(found, judgements=told)


def judged_because(one: Judgement, scales: Mapping[str, Scale] = _UNSAID, control: str = CONTROL) -> str:
    """Why the gate stands as it does: what was found, what is allowed, how sure it is."""
    scale, name = gate_scale(one.gate, scales), one.gate.metric
    limit = f"allowed is {allowed_text(one.gate, scale, control)}"
    if one.treatment is None:
        return f"{name}: nothing known yet; {limit}."
    what = f"{name} is {_found(one, scales, control)}; {limit}"
    chance = 1 - one.level
    if one.state == "breached":
        return f"{what}. Harm is proven: {p_text(one.p_harm)}, needed {number_text(chance)}."
    if one.state == "holds":
        needed = 1 - (one.level if one.hold_level is None else one.hold_level)
        return f"{what}. It surely is not beyond that: {p_text(one.p_beyond)}, needed {number_text(needed)}."
    units = f"{one.n_treatment:,} units against {one.n_control:,}"
    if one.p_harm <= chance:
        return f"{what}. It is worse ({p_text(one.p_harm)}), but by less than the gate asks for; {units}."
    return f"{what}. Neither harm nor its absence is proven yet; {units}."


def verdict_because(answer: str, found: Sequence[Judgement]) -> str:
    """The answer in one sentence, with the gates that made it."""
    if answer == "block":
        return f"Harm is proven: {_names(found, 'breached')}."
    if answer == "pass":
        held = _names(found, "holds")
        return f"Every blocking guardrail surely holds: {held}." if held else "No guardrail can block."
    return f"Not known yet: {_names(found, 'open')}."


def gate_scale(gate: Gate, scales: Mapping[str, Scale]) -> Scale:
    """In what a gate is said: a ratio in times, others as their metric in `scales`, a rate without one in percent."""
    return TIMES if isinstance(gate.rule, Ratio) else _level_scale(gate, scales)


def allowed_text(gate: Gate, scale: Scale, control: str) -> str:
    """What a gate allows: `at most 1.5 times control's`, `at most 3 points lower`, `at most 2,000 ms`."""
    if isinstance(gate.rule, Drop):
        way = "lower" if gate.better == "higher" else "higher"
        return f"at most {scale.exact(gate.rule.margin, apart=True)} {way}"
    most = "at most" if gate.better == "lower" else "at least"
    if isinstance(gate.rule, Ratio):
        more = f", or {PERCENT.exact(gate.rule.negligible, apart=True)} more" if gate.rule.negligible else ""
        return f"{most} {scale.exact(gate.rule.margin)} {control}'s{more}"
    return f"{most} {scale.exact(gate.rule.bound)}"


def found_text(one: Judgement, scale: Scale, control: str) -> str:
    """What a gate found, in a sentence: `1.8 times control's (1.3 to 2.5)`, `3.1 points lower (1.2 to 5.0)`."""
    if isinstance(one.gate.rule, Absolute):
        return scale.level_cell(one.estimate, one.low, one.high)
    return scale.apart_text(one.estimate, one.low, one.high, control)


def found_cell(one: Judgement, scale: Scale) -> str:
    """What a gate found, for a table: `1.8 times (1.3 to 2.5)`, `2,310 ms (2,180 to 2,440)`."""
    of_level = isinstance(one.gate.rule, Absolute)
    return (scale.level_cell if of_level else scale.cell)(one.estimate, one.low, one.high)


def _found(one: Judgement, scales: Mapping[str, Scale], control: str) -> str:
    """What was found, with both arms' values where they are compared."""
    said = found_text(one, gate_scale(one.gate, scales), control)
    if isinstance(one.gate.rule, Absolute):
        return said
    here, there = _level(one, scales, treatment=True), _level(one, scales, treatment=False)
    return f"{here} against {there}" if known(one.estimate) is None else f"{said}, {here} against {there}"


def _level(one: Judgement, scales: Mapping[str, Scale], *, treatment: bool) -> str:
    value, n = (one.treatment, one.n_treatment) if treatment else (one.control, one.n_control)
    error = None if value is None else mean_error(value, n, one.gate.sd, rate=one.gate.shape == "rate")
    return _level_scale(one.gate, scales).level(value, error)


def _level_scale(gate: Gate, scales: Mapping[str, Scale]) -> Scale:
    return scales.get(gate.metric, PERCENT if gate.shape == "rate" else NUMBER)


def _names(found: Sequence[Judgement], state: str) -> str:
    return ", ".join(dict.fromkeys(one.gate.metric for one in found if one.gate.block and one.state == state))
