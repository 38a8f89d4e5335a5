"""Pictures with a row for each thing: metrics, guardrails, the variants of a bandit, who came."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from tidegate.control.experiments.model import Analysis, BanditReport, Contrast
from tidegate.control.experiments.reports.drawing import WIDTH, Picture, Span, mark, picture, short, span_of, write
from tidegate.control.experiments.reports.evidence import shares
from tidegate.control.experiments.reports.words import (
    GATE_STATES,
    METRIC_STATES,
    chance_text,
    change_cell,
    control_of,
    metric_of,
    share_text,
)
from tidegate.control.experiments.scales import scales_of
from tidegate.control.gates.model import Absolute, Drop, Judgement, Ratio
from tidegate.control.gates.sentences import allowed_text, found_cell, gate_scale
from tidegate.kernel.figures import p_text, percent_text
from tidegate.kernel.markup import Markup, tag
from tidegate.kernel.plain import plain
from tidegate.kernel.scales import NUMBER, known

__all__ = ["forest", "margins", "posteriors", "split"]

ROW = 66.0
LEFT, RIGHT = 8.0, WIDTH - 8.0
BAR = 45.0
"""A row's bar is so far below its top."""


class Row(NamedTuple):
    """One row: its words, and where its estimate and interval lie on the axis (None: nowhere yet)."""

    name: str
    verdict: str
    figure: str
    state: str
    place: float | None
    low: float | None
    high: float | None
    limits: tuple[float, ...] = ()
    zero: float | None = None


def _draw(rows: Sequence[Row], span: Span, foot: str) -> tuple[list[Markup], float]:
    height = ROW * len(rows) + 24
    parts = []
    for number, row in enumerate(rows):
        parts += _drawn(row, number * ROW, span)
    parts.append(write(WIDTH / 2, height - 5, foot, "middle", "quiet"))
    return parts, height


def _drawn(row: Row, top: float, span: Span) -> list[Markup]:
    verdict_width = len(row.verdict) * 6.4 + 12
    parts = [
        write(0, top + 14, short(row.name, WIDTH - verdict_width), class_="name"),
        write(WIDTH, top + 14, row.verdict, "end", f"words {_TONES.get(row.state, '')}".strip()),
        write(0, top + 29, short(row.figure, WIDTH), class_="figures"),
    ]
    y = top + BAR
    if row.zero is not None:
        parts.append(tag("line", x1=span.at(row.zero), x2=span.at(row.zero), y1=y - 10, y2=y + 10, class_="zero"))
    for limit in row.limits:
        parts.append(tag("line", x1=span.at(limit), x2=span.at(limit), y1=y - 9, y2=y + 9, class_="limit"))
    if row.low is not None or row.high is not None:
        low = span.low if row.low is None else row.low
        high = span.high if row.high is None else row.high
        parts.append(
            tag("line", x1=span.at(low), x2=span.at(high), y1=y, y2=y, class_=f"bar {_TONES.get(row.state, '')}")
        )
        for end in (low, high):
            if span.low <= end <= span.high:
                parts.append(tag("line", x1=span.at(end), x2=span.at(end), y1=y - 4, y2=y + 4, class_="cap"))
    if row.place is not None:
        parts.append(mark(row.state, span.at(row.place), y))
    return parts


_TONES = {"wins": "good-text", "holds": "good-text", "loses": "bad-text", "breached": "bad-text"}


def forest(analysis: Analysis) -> Picture | None:
    """Every metric as an interval, each on its own scale, better to the right; None when there is none."""
    several = len({one.variant for one in analysis.contrasts}) > 1
    ordered = sorted(analysis.contrasts, key=lambda one: one.metric != analysis.definition.primary)
    rows = [_contrast_row(analysis, one, several) for one in ordered]
    if not any(row.place is not None for row in rows):
        return None
    parts, height = _draw(rows, Span(-1.08, 1.08, LEFT, RIGHT), "← worse · no difference · better →")
    told = "; ".join(f"{row.name}: {row.figure}, {row.verdict}" for row in rows)
    caption = (
        "Each metric with its interval: right of the line is better. Every row has its own scale. A dashed mark is the "
        "effect worth having."
    )
    return Picture(caption, picture("forest", "Each metric against the control", told, height, parts))


def _contrast_row(analysis: Analysis, contrast: Contrast, several: bool) -> Row:
    metric = metric_of(analysis.definition, contrast.metric)
    sign = -1.0 if metric is not None and metric.better == "lower" else 1.0
    found = [_logged(one) if contrast.scale == "ratio" else known(one)
             for one in (contrast.estimate, contrast.low, contrast.high)]  # fmt: skip
    widest = max((abs(one) for one in found if one is not None), default=0.0)
    place, low, high = (None if one is None else sign * one / widest if widest else 0.0 for one in found)
    effect = None if metric is None or contrast.scale == "ratio" else known(metric.effect)
    worth = (effect / widest,) if effect is not None and widest and 0 < effect / widest <= 1 else ()
    name = plain(contrast.metric) + (f", {plain(contrast.variant)}" if several else "")
    figure = change_cell(analysis, contrast)
    first, last = (low, high) if sign > 0 else (high, low)
    return Row(name, METRIC_STATES[contrast.state], figure, contrast.state, place, first, last, worth, 0.0)


def _logged(value: float | None) -> float | None:
    found = known(value)
    return math.log(found) if found is not None and found > 0 else None


def margins(analysis: Analysis) -> Picture | None:
    """Every guardrail as an interval between no harm and the limit; None when nothing is known of any."""
    rows = []
    control = control_of(analysis)
    for variant, verdict in analysis.guardrails.items():
        several = len(analysis.guardrails) > 1
        for one in verdict.judgements:
            scale = gate_scale(one.gate, scales_of(analysis.definition, analysis.arms))
            ends = [_allowance(one, figure) for figure in (one.estimate, one.low, one.high)]
            bounds = sorted(end for end in ends[1:] if end is not None)
            low, high = bounds if len(bounds) == 2 else (None, None)
            name = plain(one.gate.metric) + (f", {plain(variant)}" if several else "")
            zero = None if isinstance(one.gate.rule, Absolute) else 0.0
            figure = f"{found_cell(one, scale)}; {allowed_text(one.gate, scale, control)}"
            rows.append(Row(name, GATE_STATES[one.state], figure, one.state, ends[0], low, high, (-1.0,), zero))
    if all(row.place is None for row in rows):
        return None
    parts, height = _draw(rows, Span(-2.3, 1.3, LEFT, RIGHT), "← worse · dashed: the limit · line: no harm · better →")
    told = "; ".join(f"{row.name}: {row.figure}, {row.verdict}" for row in rows)
    caption = "Each guardrail with its interval. Left of the dashed mark is more harm than is allowed."
    return Picture(caption, picture("margins", "Guardrails and their limits", told, height, parts))


def _allowance(found: Judgement, value: float | None) -> float | None:
    """Where a figure stands: 0 is no harm, -1 the limit, below it is beyond; None when it cannot be told."""
    rule, figure = found.gate.rule, known(value)
    if figure is None:
        return None
    if isinstance(rule, Ratio):
        logged, limit = _logged(figure), _logged(rule.margin)
        return None if logged is None or not limit else known(-logged / limit)
    if isinstance(rule, Drop):
        harm = figure if found.gate.better == "lower" else -figure
        return known(-harm / rule.margin) if rule.margin > 0 else None
    if rule.bound == 0 or known(rule.bound) is None:
        return None
    beyond = (figure - rule.bound) / abs(rule.bound)
    return known(-1 - (beyond if found.gate.better == "lower" else -beyond))


def posteriors(analysis: Analysis, bandit: BanditReport) -> Picture | None:
    """What each variant of a bandit earns, as far as it is known."""
    scale = scales_of(analysis.definition, analysis.arms).get(analysis.definition.primary, NUMBER)
    rows = []
    for variant, posterior, best in zip(analysis.definition.variants, bandit.posterior, bandit.best, strict=False):
        place, low, high = (known(one) for one in posterior)
        state = "wins" if bandit.may_stop and variant.name == bandit.leader else "open"
        rows.append(
            Row(
                plain(variant.name), f"best: {chance_text(best)}", scale.level_cell(*posterior), state, place, low, high
            )
        )
    span = span_of([end for row in rows for end in (row.place, row.low, row.high)], LEFT, RIGHT)
    if span is None:
        return None
    parts, height = _draw(rows, span, f"{short(plain(analysis.definition.primary), 200)} →")
    told = "; ".join(f"{row.name}: {row.figure}, {row.verdict}" for row in rows)
    caption = "What each variant earns, with the range in which 95% of the belief lies. To look at, never to decide by."
    return Picture(caption, picture("posteriors", "What each variant earns", told, height, parts))


def split(analysis: Analysis) -> Picture | None:
    """Shares that came beside the shares that were meant; None before anything came."""
    meant, came = shares(analysis)
    most = max((one for one in (*meant, *came) if one is not None), default=0.0)
    if not any(arm.exposed > 0 for arm in analysis.arms) or most <= 0:
        return None
    span, parts, told = Span(0.0, most, 0.0, WIDTH), [], []
    for number, (arm, wanted, got) in enumerate(zip(analysis.arms, meant, came, strict=True)):
        top = number * 46.0
        said = f"{percent_text(got or 0.0)} came, {'none' if wanted is None else share_text(wanted)} meant"
        parts += [
            write(0, top + 14, short(plain(arm.variant), WIDTH - len(said) * 6.4), class_="name"),
            write(WIDTH, top + 14, said, "end"),
            tag("rect", x=0.0, y=top + 21, width=span.at(got or 0.0), height=14.0, class_=f"share tone{number % 6}"),
        ]
        if wanted is not None:
            x = min(max(span.at(wanted), 1.5), WIDTH - 1.5)
            parts.append(tag("line", x1=x, x2=x, y1=top + 17, y2=top + 39, class_="meant"))
        told.append(f"{plain(arm.variant)}: {said}")
    height = 46.0 * len(analysis.arms) + 6
    caption = f"Shares that came (bars) and that were meant (upright lines): {p_text(analysis.split.p)}."
    return Picture(caption, picture("split", "Who came, and who was meant to", "; ".join(told), height, parts))
