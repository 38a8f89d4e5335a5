"""The decision of one experiment in words: the answer, why, and what is still missing. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tidegate.control.experiments.findings.compare import Track, ratio_intervals
from tidegate.control.experiments.findings.remaining import units_missing
from tidegate.control.experiments.findings.verdict import SHIP, Found, decided_of, variant_of
from tidegate.control.experiments.model import ANSWERS, Decision, Definition, Metric
from tidegate.control.experiments.rules.judging import named, rule_of
from tidegate.kernel.figures import about_text, level_text
from tidegate.kernel.plain import plain, plural
from tidegate.kernel.scales import TIMES, Scale
from tidegate.stats.checks import Floats
from tidegate.stats.sequential.stratified import Moments

__all__ = ["Seen", "decision"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the decision rests on beside what was found: the tables that were compared and what each metric is said in,
    when each window ended (s after the start), the units judged and the weights of now by variant, how many units come
    a day (None: unknown), and why nothing can be shipped (empty: nothing stands against it) or decided at all.
    """

    tables: Mapping[str, Moments]
    scales: Mapping[str, Scale]
    elapsed_s: Floats
    judged: tuple[int, ...]
    weights: tuple[int, ...]
    units_per_day: float | None = None
    not_shippable: str = ""
    void: str = ""


def decision(definition: Definition, found: Found, seen: Seen) -> Decision:
    """The decision at the first window that was decisive, else what is still missing."""
    decided = decided_of(definition, found, seen.elapsed_s)
    if seen.void:
        return Decision(answer="inconclusive", variant=None, why=seen.void)
    answer, variant, window = ANSWERS[int(decided.answer)], int(decided.variant), int(decided.window)
    if window < 0:
        return _open(definition, found, seen)
    if int(decided.answer) == SHIP:
        if seen.not_shippable:
            return Decision(answer="inconclusive", variant=None, why=seen.not_shippable)
        why = _shipped(definition, found, seen, (variant, window))
    else:
        why = " ".join(_kept(definition, found, seen, (at + 1, window)) for at in range(len(found.boards)))
    return Decision(answer=answer, variant=definition.variants[variant].name, why=why)


def _shipped(definition: Definition, found: Found, seen: Seen, at: tuple[int, int]) -> str:
    variant, window = at
    board, name = found.boards[variant - 1], definition.variants[variant].name
    wins = [
        _size(definition, found, seen, (metric, *at))
        for metric in named(rule_of(definition), definition)
        if bool(board.wins[metric][window])
    ]
    held = [metric for metric, holds in board.holds.items() if bool(holds[window])]
    told = f"`{name}` is better: {'; '.join(wins)}." if wins else f"`{name}` does what the rule asks."
    return f"{told} Guardrails that surely hold: {', '.join(held)}." if held else told


def _kept(definition: Definition, found: Found, seen: Seen, at: tuple[int, int]) -> str:
    variant, window = at
    board, name = found.boards[variant - 1], definition.variants[variant].name
    out_of_reach = not bool(found.truths[variant - 1].possible[window])
    breached = [metric for metric, state in board.breached.items() if bool(state[window])]
    if breached and out_of_reach:
        return f"`{name}` breaches {', '.join(breached)}."
    lost = [_size(definition, found, seen, (metric, *at)) for metric, state in board.loses.items() if state[window]]
    if lost and out_of_reach:
        return f"`{name}` is worse: {'; '.join(lost)}."
    primary = definition.metric(definition.primary)
    least = seen.scales[primary.name].exact(primary.effect or 0.0, apart=True)
    size = _size(definition, found, seen, (primary.name, *at))
    return f"The plan is over, and `{name}` is surely not better by {least}, the least that is worth it: {size}."


def _size(definition: Definition, found: Found, seen: Seen, at: tuple[str, int, int]) -> str:
    """A metric of a variant after a window, in the words of the reports: `score is 3.1 points higher (1.2 to 5.0)`."""
    name, variant, window = at
    track, scale = found.tracks[variant - 1][name], seen.scales[name]
    low, high = float(track.low[window]), float(track.high[window])
    if definition.metric(name).method == "ratio":
        scale, arms = TIMES, [variant_of(seen.tables[name], one) for one in (0, variant)]
        interval = ratio_intervals(arms[0], arms[1], np.asarray([window]), level=1 - definition.alpha)
        low, high = (float(end) for end in interval[:, 0])
    control = plain(definition.variants[0].name)
    return f"{plain(name)} is {scale.apart_text(float(track.estimate[window]), low, high, control)}"


def _open(definition: Definition, found: Found, seen: Seen) -> Decision:
    if not len(seen.elapsed_s) or not sum(seen.judged):
        return Decision(answer="inconclusive", variant=None, why="No unit has been judged yet.")
    fewest = min(int(one) for one in found.units[:, -1])
    if fewest < definition.min_samples:
        why = f"Too early: a variant has {fewest:,} units with a value of {definition.primary}, and each needs "
        why += f"{definition.min_samples:,}."
    elif float(seen.elapsed_s[-1]) >= definition.duration_s:
        why = "The plan is over, and the rule is neither true nor out of reach."
    else:
        why = "Neither is the rule true yet, nor out of reach."
    more, assumed = _more_units(definition, found, seen)
    if more is None:
        return Decision(answer="inconclusive", variant=None, why=why)
    days = more / seen.units_per_day if seen.units_per_day else None
    if assumed is not None:
        metric, scale, units = definition.metric(definition.primary), seen.scales[definition.primary], definition.unit
        chosen = metric.effect is not None and abs(assumed) == abs(metric.effect)
        size = scale.exact(abs(assumed), apart=True) if chosen else scale.difference(abs(assumed), 2)
        why += f" About {about_text(more)} more {plural(units)} would tell a true difference of {size} with "
        why += f"{level_text(definition.power)} power."
    return Decision(answer="inconclusive", variant=None, why=why, more_units=more, about_days=days)


def _more_units(definition: Definition, found: Found, seen: Seen) -> tuple[int | None, float | None]:
    """Units of all variants that are still missing for the treatment that needs the fewest, and the difference that
    they would tell; None when that is unknown, or when it is only min_samples that is missing.
    """
    units = found.units[:, -1]
    shares = [one / sum(seen.weights) for one in seen.weights]
    short = max(
        (max(definition.min_samples - float(n), 0.0) / share for n, share in zip(units, shares, strict=True) if share),
        default=0.0,
    )
    needs = [
        _missing(definition, found.tracks[at][definition.primary], seen.tables[definition.primary], shares, at + 1)
        for at in range(len(found.boards))
        if bool(found.truths[at].possible[-1])
    ]
    least, assumed = min(needs, key=lambda one: one[0], default=(math.inf, 0.0))
    answered = float(units.sum()) / max(sum(seen.judged), 1)  # units that come, of which only these have a value
    if not answered or (not math.isfinite(least) and not short):
        return None, None
    if not math.isfinite(least) or least < short:
        return math.ceil(short / answered), None
    return math.ceil(least / answered), assumed


def _missing(
    definition: Definition, found: Track, tables: Moments, shares: Sequence[float], variant: int
) -> tuple[float, float]:
    """Units with a value that are still to come to tell the effect that is worth having (where it is unknown: the
    effect as it is estimated), and that effect with its sign. Infinite when nothing is known.
    """
    primary = definition.metric(definition.primary)
    arms = variant_of(tables, 0), variant_of(tables, variant)
    difference = _assumed(primary, found, arms[0])
    if not difference or not math.isfinite(difference):
        return math.inf, 0.0
    return units_missing(definition, found, arms, difference, (shares[0], shares[variant])), difference


def _assumed(primary: Metric, found: Track, control: Moments) -> float:
    """The true difference for which units are counted, with its sign; NaN while nothing is known."""
    if primary.effect is not None:
        return primary.effect if primary.better == "higher" else -primary.effect
    estimate = float(found.estimate[-1])
    if primary.method != "ratio":
        return estimate
    units = float(control.n.sum())
    usual = primary.baseline or (float((control.n * control.mean).sum()) / units if units else math.nan)
    return (estimate - 1) * usual
