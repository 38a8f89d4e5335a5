"""What was found, as sections: the metrics, the guardrails, who was in it, and where a bandit stands."""

from collections.abc import Callable, Mapping
from itertools import zip_longest
from types import MappingProxyType

from tidegate.control.experiments.model import Analysis, ArmReport, BanditReport, Contrast, Metric
from tidegate.control.experiments.reports.blocks import Grid, Section
from tidegate.control.experiments.reports.words import (
    GATE_STATES,
    METRIC_STATES,
    chance_text,
    change_cell,
    control_of,
    metric_of,
    p_cell,
    share_text,
    split_sentence,
    variant_text,
)
from tidegate.control.experiments.scales import scales_of
from tidegate.control.gates.sentences import allowed_text, found_cell, gate_scale
from tidegate.kernel.figures import count_text, fixed_text, level_text, percent_text, places_of
from tidegate.kernel.plain import count_of, plain, plural, singular
from tidegate.kernel.scales import NUMBER, UNKNOWN, known, mean_error

__all__ = [
    "bandit_section",
    "equal_regret",
    "guardrails",
    "mean_text",
    "metrics",
    "regret_text",
    "shares",
    "sum_text",
    "who",
]


def metrics(analysis: Analysis) -> Section:
    """Every metric of every treatment against the control."""
    several = len({one.variant for one in analysis.contrasts}) > 1
    primary = analysis.definition.primary
    ordered = sorted(analysis.contrasts, key=lambda one: one.metric != primary)
    found = [_contrast_row(analysis, one, several) for one in ordered]
    control = control_of(analysis)
    heads = ("Metric", f">{control}", ">Variant" if several else f">{_treatment(analysis)}", ">Change")
    grids = [Grid("Each metric against the control", (*heads, "Verdict", ">p"), tuple(found))] if found else []
    chances = [_chance_row(analysis, one, several) for one in ordered if (one.best, one.loss) != (None, None)]
    if chances:
        heads = ("Metric", ">Likely better", ">Lost on average if shipped", ">Change of control's")
        grids.append(Grid("Chances, to look at, never to decide by", heads, tuple(chances)))
    empty = () if found else ("No metric has been measured yet.",)
    level = known(next((one.level for one in analysis.contrasts), None))
    told = level is not None and any(one.low is not None for one in analysis.contrasts)
    note = f"In brackets: the {level_text(level)} interval, valid however often one looks." if told and level else ""
    return Section("metrics", "What was found", (*empty, *filter(None, [note])), grids=tuple(grids))


def _treatment(analysis: Analysis) -> str:
    return plain(next((one.variant for one in analysis.contrasts), "treatment"))


def _named(analysis: Analysis, contrast: Contrast, several: bool) -> str:
    name = plain(contrast.metric) + (" (primary)" if contrast.metric == analysis.definition.primary else "")
    return f"{name}, {plain(contrast.variant)}" if several else name


def _contrast_row(analysis: Analysis, contrast: Contrast, several: bool) -> tuple[str, ...]:
    arms = {arm.variant: arm for arm in analysis.arms}
    control = analysis.definition.variants[0].name if analysis.definition.variants else ""
    return (
        _named(analysis, contrast, several),
        mean_text(analysis, arms.get(control), contrast.metric),
        mean_text(analysis, arms.get(contrast.variant), contrast.metric),
        change_cell(analysis, contrast),
        METRIC_STATES[contrast.state],
        p_cell(contrast.p_adjusted),
    )


def _chance_row(analysis: Analysis, contrast: Contrast, several: bool) -> tuple[str, ...]:
    relative = known(contrast.relative, 100.0)
    lost = scales_of(analysis.definition, analysis.arms).get(contrast.metric, NUMBER).difference(contrast.loss, 2)
    change = UNKNOWN if relative is None else signed_percent(relative)
    return _named(analysis, contrast, several), chance_text(contrast.best), lost, change


def mean_text(analysis: Analysis, arm: ArmReport | None, name: str) -> str:
    """A variant's mean of a metric, to the places that its number of units allows; `not known yet`."""
    mean = None if arm is None else known(arm.means.get(name))
    if arm is None or mean is None:
        return UNKNOWN
    metric, counted = metric_of(analysis.definition, name), arm.counted.get(name, 0)
    error = None if metric is None else mean_error(mean, counted, metric.sd, rate=metric.shape == "rate")
    return scales_of(analysis.definition, analysis.arms).get(name, NUMBER).level(mean, error)


def guardrails(analysis: Analysis) -> Section | None:
    """Every guardrail of every treatment; None when there is none."""
    control, rows, points = control_of(analysis), [], []
    several = len(analysis.guardrails) > 1
    for variant, verdict in analysis.guardrails.items():
        for one in verdict.judgements:
            scale = gate_scale(one.gate, scales_of(analysis.definition, analysis.arms))
            name = plain(one.gate.metric) + ("" if one.gate.block else " (only warns)")
            name = f"{name}, {plain(variant)}" if several else name
            allowed = allowed_text(one.gate, scale, control)
            rows.append((name, allowed, found_cell(one, scale), GATE_STATES[one.state]))
            if one.why.strip():
                named = plain(one.gate.metric) in one.why and not several
                points.append(plain(one.why) if named else f"{name}: {plain(one.why)}")
    if not rows:
        return None
    line = (
        "A guardrail is broken when harm is proven, holds when it is proven that there is no harm beyond what is "
        "allowed, and is not known in between."
    )
    grid = Grid("What must not get worse", ("Guardrail", "Allowed", ">Found", "Verdict"), tuple(rows))
    levels = {one.level for verdict in analysis.guardrails.values() for one in verdict.judgements}
    wider = bool(levels - {one.level for one in analysis.contrasts}) and bool(analysis.contrasts)
    more = (
        ("Their intervals are wider than those above: each guardrail has only a share of the error.",) if wider else ()
    )
    return Section("guardrails", "Guardrails", (line, *more), tuple(points), (grid,))


def who(analysis: Analysis) -> Section:
    """Who was in it: shares meant and seen, units judged, and those left out."""
    unit, rows = analysis.definition.unit, []
    served = {one.name: variant_text(one) for one in analysis.definition.variants}
    for arm, meant, came in zip(analysis.arms, *shares(analysis), strict=True):
        share = UNKNOWN if came is None else percent_text(came)
        shown = UNKNOWN if meant is None else share_text(meant)
        rows.append(
            (
                plain(arm.variant),
                served.get(arm.variant, ""),
                shown,
                share,
                count_text(arm.exposed),
                count_text(arm.judged),
            )
        )
    heads = ("Variant", "Serves", ">Meant", ">Came", f">{plural(unit).capitalize()}", ">Judged")
    lines = [split_sentence(analysis)]
    left = {name: count for name, count in analysis.excluded.items() if count > 0}
    points = tuple(
        f"Left out: {_REASONS[name](count, unit) if name in _REASONS else f'{count:,} ({plain(name)})'}."
        for name, count in left.items()
    )
    return Section("who", "Who was in it", tuple(lines), points, (Grid("Who came", heads, tuple(rows)),))


_REASONS: Mapping[str, Callable[[int, str], str]] = MappingProxyType(
    {
        "mixed": lambda count, unit: f"{count_of(count, unit)} seen in more than one variant",
        "no_unit": lambda count, unit: f"{count_of(count, 'call')} without a {singular(unit)}",
        "unknown_variant": lambda count, _: f"{count_of(count, 'call')} with a variant that is not in it",
        "before_start": lambda count, _: f"{count_of(count, 'call')} from before the start",
        "unfinished": lambda count, _: f"{count_of(count, 'call')} that took too long",
    }
)


def shares(analysis: Analysis) -> tuple[list[float | None], list[float | None]]:
    """The share of all units that each variant was meant to get, and that it got; None while nothing came."""
    whole = sum(max(arm.weight_bp, 0) for arm in analysis.arms)
    now = [max(arm.weight_bp, 0) / whole if whole else None for arm in analysis.arms]
    came = sum(max(arm.exposed, 0) for arm in analysis.arms)
    return (
        [share if known(arm.meant) is None else arm.meant for arm, share in zip(analysis.arms, now, strict=True)],
        [max(arm.exposed, 0) / came if came else None for arm in analysis.arms],
    )


def bandit_section(analysis: Analysis, bandit: BanditReport) -> Section:
    """Where a bandit stands: weights, rewards, what was lost, and whether it may be ended."""
    primary, names = analysis.definition.primary, [one.name for one in analysis.definition.variants]
    scale = scales_of(analysis.definition, analysis.arms).get(primary, NUMBER)
    weights = bandit.weights[-1][1] if bandit.weights else ()
    rows = []
    for name, weight, posterior, best, weighted in zip_longest(
        names, weights, bandit.posterior, bandit.best, bandit.weighted_means
    ):
        if name is None:
            break
        rows.append(
            (
                plain(name),
                UNKNOWN if weight is None else share_text(weight / 10_000),
                UNKNOWN if posterior is None else scale.level_cell(*posterior),
                chance_text(best),
                UNKNOWN if weighted is None else scale.level_cell(*weighted),
            )
        )
    leader = plain(bandit.leader)
    stop = (
        f"{leader} leads, and the stopping rule says that it is the best: the bandit may be ended."
        if bandit.may_stop
        else f"{leader} leads, but the stopping rule does not say yet that it is the best."
    )
    heads = ("Variant", ">Weight now", f">{plain(primary)}", ">Likely best", ">Corrected for weights")
    grid = Grid("Each variant of the bandit", heads, tuple(rows))
    return Section(
        "bandit", "Where the bandit stands", tuple(filter(None, [stop, regret_text(analysis, bandit)])), grids=(grid,)
    )


def regret_text(analysis: Analysis, bandit: BanditReport) -> str:
    """What was lost against the best variant so far, and what equal shares would have lost, in a sentence."""
    lost, equal = known(bandit.regret), equal_regret(analysis, bandit)
    metric = metric_of(analysis.definition, analysis.definition.primary)
    if lost is None or metric is None:
        return ""
    units = f"over {count_of(analysis.units, analysis.definition.unit)}"
    even = "" if equal is None else f"; equal shares would have lost about {sum_text(metric, equal)}"
    return f"Lost so far against the best variant, {units}: about {sum_text(metric, lost)}{even}."


def sum_text(metric: Metric, total: float) -> str:
    """A sum of a metric over units: `$12`, `5,200 ms`, `41 (sum of resolved)`."""
    text = fixed_text(total, max(places_of(total, 2), 0) if abs(total) < 100 else 0)
    if metric.unit == "usd":
        return f"${text}"
    return f"{text} {plain(metric.unit)}" if metric.unit else f"{text} (sum of {plain(metric.name)})"


def equal_regret(analysis: Analysis, bandit: BanditReport) -> float | None:
    """What equal shares would have lost by the posterior means, over as many units; None while unknown."""
    means = [known(one[0]) for one in bandit.posterior]
    metric = metric_of(analysis.definition, analysis.definition.primary)
    told = [one for one in means if one is not None]
    if metric is None or not told or len(told) < len(means):
        return None
    best = max(told) if metric.better == "higher" else min(told)
    return known(abs(best - sum(told) / len(told)) * analysis.units)


def signed_percent(percent: float) -> str:
    """`+3.9%`, `-12%`, with two digits that count."""
    text = fixed_text(percent, max(places_of(percent, 2), 0))
    return f"{'+' if percent > 0 else ''}{text}%"
