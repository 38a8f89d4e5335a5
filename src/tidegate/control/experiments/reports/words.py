"""The answer in a sentence, and the phrases that every report says it in."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from tidegate.control.experiments.answers import missing_text
from tidegate.control.experiments.model import Analysis, Contrast, Definition, Metric, Variant
from tidegate.control.experiments.scales import scales_of
from tidegate.control.gates.model import Absolute, Judgement
from tidegate.control.gates.sentences import allowed_text, found_text, gate_scale
from tidegate.kernel.figures import about_text, p_text, percent_text
from tidegate.kernel.plain import count_of, days_text, joined, plain, plural, singular
from tidegate.kernel.scales import NUMBER, TIMES, Scale, known

__all__ = [
    "GATE_STATES",
    "METRIC_STATES",
    "Mood",
    "answer",
    "chance_text",
    "change_cell",
    "contrast_scale",
    "control_of",
    "gates_of",
    "metric_of",
    "mood",
    "p_cell",
    "share_text",
    "split_sentence",
    "standing",
    "variant_text",
]

Mood: TypeAlias = Literal["ship", "keep", "open", "doubt"]
METRIC_STATES: Mapping[str, str] = {"wins": "better", "loses": "worse", "open": "not known"}
GATE_STATES: Mapping[str, str] = {"holds": "holds", "breached": "broken", "open": "not known"}
SPLIT_P = 0.001


def mood(analysis: Analysis) -> Mood:
    """What kind of answer it is; `doubt` when the split is broken, so that no figure can be trusted."""
    if not analysis.split.ok:
        return "doubt"
    return "open" if analysis.decision.answer == "inconclusive" else analysis.decision.answer


def answer(analysis: Analysis) -> str:
    """The answer in one sentence."""
    rule = _ANSWERS[analysis.decision.answer](analysis)
    if analysis.split.ok:
        return rule
    doubt = (
        f"Not to be trusted yet: {plural(analysis.definition.unit)} did not come in the shares that were meant. "
        "Find out why first."
    )
    return doubt if analysis.decision.answer == "inconclusive" else f"{doubt} (The rule would say: {rule})"


def _ship(analysis: Analysis) -> str:
    variant = analysis.decision.variant
    found = [one for one in analysis.contrasts if one.variant == variant]
    head = f"Ship {plain(variant or 'the treatment')}"
    primary = next((one for one in found if one.metric == analysis.definition.primary and one.state == "wins"), None)
    wins = [plain(one.metric) for one in found if one.state == "wins"]
    if primary is not None:
        reason = _contrast_phrase(analysis, primary)
    elif wins:
        reason = f"better in {len(wins)} of {len(found)} metrics ({joined(wins)})"
    else:
        return _with_why(head, analysis.decision.why)
    return f"{head}: {reason}{_harm(analysis, variant or '')}."


def _harm(analysis: Analysis, variant: str) -> str:
    """What is known to be worse with the variant, or that nothing is, as the end of a sentence."""
    lost = [plain(one.metric) for one in analysis.contrasts if one.variant == variant and one.state == "loses"]
    gates = gates_of(analysis, variant)
    broken = [plain(one.gate.metric) for one in gates if one.state == "breached"]
    unsure = [plain(one.gate.metric) for one in gates if one.state == "open"]
    if lost:
        return f", but worse in {joined(lost)}"
    if broken:
        return f", but with a broken guardrail ({joined(broken)})"
    if unsure:
        return f", no harm was found (not yet proven for {joined(unsure)})"
    return ", nothing got worse"


def _keep(analysis: Analysis) -> str:
    head = f"Keep {control_of(analysis)}"
    several = len(analysis.definition.variants) > 2
    for variant, verdict in analysis.guardrails.items():
        for one in verdict.judgements:
            if one.state == "breached" and one.gate.block:
                with_it = f" with {plain(variant)}" if several else ""
                return f"{head}: {_judgement_phrase(analysis, one)}{with_it}."
    primary = [one for one in analysis.contrasts if one.metric == analysis.definition.primary]
    lost = [one for one in primary if one.state == "loses"] or [
        one for one in analysis.contrasts if one.state == "loses"
    ]
    if lost:
        with_it = f" with {plain(lost[0].variant)}" if several else ""
        return f"{head}: {_contrast_phrase(analysis, lost[0])}{with_it}."
    return _too_small(analysis, head, primary) or _with_why(head, analysis.decision.why)


def _too_small(analysis: Analysis, head: str, primary: list[Contrast]) -> str | None:
    """The sentence for when every treatment is surely less better than is worth having; None when it is not so."""
    metric = metric_of(analysis.definition, analysis.definition.primary)
    effect = None if metric is None else known(metric.effect)
    if metric is None or effect is None or effect <= 0 or not primary:
        return None
    for one in primary:
        gain = known(one.high) if metric.better == "higher" else _negated(known(one.low))
        if one.scale == "ratio" or gain is None or gain >= effect:
            return None
    least = scales_of(analysis.definition, analysis.arms)[metric.name].exact(effect, apart=True)
    who = "the treatment is" if len(primary) == 1 else "the treatments are"
    return f"{head}: if {who} better in {plain(metric.name)}, then by less than {least}, the least worth having."


def _negated(value: float | None) -> float | None:
    return None if value is None else -value


def _open(analysis: Analysis) -> str:
    decision, unit = analysis.decision, plural(analysis.definition.unit)
    missing = missing_text(decision, analysis.definition.unit)
    if analysis.state == "running":
        if missing:
            return f"Not known yet: {missing}."
        why = plain(decision.why) if decision.why.strip() else f"How many more {unit} it takes is not known either."
        return f"Not known yet. {why}"
    ended = f"Not known: it ended before there was an answer ({unit} judged: {analysis.units:,})"
    return f"{ended}; {missing} would be needed." if missing else f"{ended}."


_ANSWERS = {"ship": _ship, "keep": _keep, "inconclusive": _open}


def _with_why(head: str, why: str) -> str:
    return f"{head}: {plain(why).rstrip('.')}." if why.strip() else f"{head}."


def _contrast_phrase(analysis: Analysis, contrast: Contrast) -> str:
    scale = contrast_scale(contrast, scales_of(analysis.definition, analysis.arms))
    found = scale.apart_text(contrast.estimate, contrast.low, contrast.high, control_of(analysis))
    return f"{plain(contrast.metric)} is {found}"


def _judgement_phrase(analysis: Analysis, found: Judgement) -> str:
    scale, control = gate_scale(found.gate, scales_of(analysis.definition, analysis.arms)), control_of(analysis)
    said = f"{plain(found.gate.metric)} is {found_text(found, scale, control)}"
    allowed = allowed_text(found.gate, scale, control)
    return f"{said}, allowed is {allowed}" if isinstance(found.gate.rule, Absolute) else said


def standing(analysis: Analysis) -> str:
    """What it is and how far it has come, in one sentence."""
    definition = analysis.definition
    at = "is running" if analysis.state == "running" else f"is {plain(analysis.state)}"
    pace = known(analysis.units_per_day)
    rate = f", about {about_text(pace)} a day" if pace is not None and pace > 0 else ""
    return (
        f"{plain(definition.name)}, on {plain(definition.subject)} in {plain(definition.environment)}, {at}: "
        f"{days_text(analysis.days)}, {count_of(analysis.units, definition.unit)} judged{rate}."
    )


def split_sentence(analysis: Analysis) -> str:
    """Whether units came as they were meant to, and what it means when they did not."""
    units, split = plural(analysis.definition.unit), analysis.split
    answered = known(split.responders_p)
    if split.ok and not any(arm.exposed for arm in analysis.arms):
        return f"No {singular(analysis.definition.unit)} has come yet."
    if split.ok:
        return f"The {units} came in the shares that were meant ({p_text(split.p)})."
    if answered is not None and answered < SPLIT_P <= split.p:
        return (
            f"The {units} came in the shares that were meant ({p_text(split.p)}), but those with a value of "
            f"{plain(analysis.definition.primary)} did not ({p_text(answered)}): one variant loses more answers, "
            "so the ones that are left cannot be compared."
        )
    return (
        f"The {units} did not come in the shares that were meant ({p_text(split.p)}): something loses or sends them "
        "unevenly, so no figure here can be trusted until the cause is found."
    )


def control_of(analysis: Analysis) -> str:
    """The control's name."""
    return plain(analysis.definition.variants[0].name) if analysis.definition.variants else "the control"


def metric_of(definition: Definition, name: str) -> Metric | None:
    """The metric of this name; None when the definition has none."""
    return next((one for one in definition.measured if one.name == name), None)


def contrast_scale(contrast: Contrast, scales: Mapping[str, Scale]) -> Scale:
    """In what a contrast is said."""
    return TIMES if contrast.scale == "ratio" else scales.get(contrast.metric, NUMBER)


def change_cell(analysis: Analysis, contrast: Contrast) -> str:
    """A contrast for a table: `+3.1 points (+1.2 to +5.0)`, `1.8 times (1.3 to 2.5)`."""
    scale = contrast_scale(contrast, scales_of(analysis.definition, analysis.arms))
    return scale.cell(contrast.estimate, contrast.low, contrast.high)


def gates_of(analysis: Analysis, variant: str) -> tuple[Judgement, ...]:
    """What was found of a variant's guardrails."""
    verdict = analysis.guardrails.get(variant)
    return () if verdict is None else verdict.judgements


def share_text(share: float) -> str:
    """A share that someone chose: `50%`, `33.3%`."""
    return percent_text(share).replace(".0%", "%") if known(share, 100.0) is not None else "unknown"


def variant_text(variant: Variant) -> str:
    """What a variant serves: `qa 3.3.0, model gpt-4o-mini`."""
    prompt = " ".join(plain(one) for one in (variant.prompt, variant.version) if one is not None)
    model = "" if variant.model is None else f"model {plain(variant.model)}"
    return ", ".join(filter(None, (prompt, model))) or "as it is"


def p_cell(p: float) -> str:
    """A p-value for a table: `0.029`, `< 0.0001`."""
    return p_text(p).removeprefix("p ").removeprefix("= ")


def chance_text(chance: float | None) -> str:
    """A posterior probability in percent, never 0 or 100: `98%`, `> 99.9%`; `unknown`."""
    found = known(chance, 100.0)
    if found is None:
        return "unknown"
    if found > 99.9 or found < 0.1:
        return "> 99.9%" if found > 50 else "< 0.1%"
    return f"{found:.1f}%" if found > 99 or found < 1 else f"{found:.0f}%"
