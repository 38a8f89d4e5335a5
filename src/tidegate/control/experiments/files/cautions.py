"""What an experiment file may not mean: it can be started, and its author should know."""

from collections.abc import Iterator

import numpy as np

from tidegate.control.experiments.files.durations import duration_text
from tidegate.control.experiments.files.metrics import is_score
from tidegate.control.experiments.model import Definition, Metric
from tidegate.control.experiments.rules.judging import blind_to, levels_of, named, rule_of, unguarded
from tidegate.kernel.documents import Document, Path
from tidegate.kernel.errors import InvalidDocument
from tidegate.live.experiments import REQUEST
from tidegate.stats.sizes import n_for_difference, n_for_means

__all__ = ["deviation", "fixed_size", "thin_windows", "warnings_of"]

Found = Iterator[InvalidDocument]

ROOT = "experiment"
DAY_S = 86_400
MOST_UNITS = 10**15
SMALLEST_DIFFERENCE = 1e-9
FEWEST_IN_WINDOW = 5
MEANT_IN_WINDOW = 10


def warnings_of(document: Document, definition: Definition) -> Found:
    """Every warning of a definition that could be read."""
    yield from _alike(document, definition)
    yield from _observed(document, definition)
    yield from _ruled(document, definition)
    yield from _traffic(document, definition)
    yield from _learned(document, definition)


def fixed_size(definition: Definition, metric: Metric) -> int | None:
    """Control units that a test which looks once would need for the metric's effect, at the definition's power and its
    alpha, shared among the rule's metrics and the treatments; None while baseline, deviation or effect are unknown.
    """
    effect = metric.effect
    sd = deviation(metric)
    family = len(named(rule_of(definition), definition)) * len(definition.treatments)
    alpha = definition.alpha / (family if definition.correction != "none" else 1)
    ratio = min(one.weight_bp for one in definition.treatments) / definition.variants[0].weight_bp
    if effect is None or sd is None or not alpha < definition.power:
        return None
    if metric.shape == "mean":
        return int(min(float(n_for_means(effect, sd, power=definition.power, alpha=alpha, ratio=ratio)), MOST_UNITS))
    baseline = metric.baseline or 0.0
    reached = baseline + (effect if metric.better == "higher" else -effect)
    if abs(reached - baseline) < SMALLEST_DIFFERENCE:
        return MOST_UNITS
    needed = n_for_difference(baseline, reached, power=definition.power, alpha=alpha, ratio=ratio)
    return int(min(float(needed), MOST_UNITS))


def deviation(metric: Metric) -> float | None:
    """The standard deviation of one unit: as given; of a rate by its baseline, and of a score from 0 to 1 the largest
    that its baseline allows (Bhatia & Davis 2000, doi:10.2307/2589180); None while unknown."""
    if metric.sd is not None or metric.baseline is None:
        return metric.sd
    bounded = metric.shape == "rate" or is_score(metric)
    found = float(np.sqrt(metric.baseline * (1 - metric.baseline))) if bounded else 0.0
    return found or None


def thin_windows(definition: Definition, units_per_day: float) -> tuple[str, str] | None:
    """What is lost, and the mend, where windows have so few units that means cannot be compared in many of them: that
    takes two of each variant. None where they have enough."""
    means = [one.name for one in definition.measured if one.method == "difference"]
    least = min(definition.variants, key=lambda one: one.weight_bp)
    share = least.weight_bp / 10_000
    if definition.bandit is not None:
        share = min(share, definition.bandit.floor * _share(definition))
    expected = units_per_day * share * definition.window_s / DAY_S
    if not means or expected >= FEWEST_IN_WINDOW:
        return None
    lost = (
        f"A window has about {expected:.2g} units of `{least.name}`, and one with fewer than two says nothing of means."
    )
    needed = int(np.ceil(MEANT_IN_WINDOW * DAY_S / (units_per_day * share)))
    return lost, f"Write `window: {duration_text(-(-needed // 60) * 60)}`."


def _alike(document: Document, definition: Definition) -> Found:
    control = definition.variants[0]
    for one in definition.treatments:
        if (one.prompt, one.version, one.model) == (control.prompt, control.version, control.model):
            message = f"`{one.name}` is the same as the control: an A/A test."
            mend = "Give it another version or model, unless that is meant."
            yield document.fault((ROOT, "variants", one.name), message, mend=mend, code="same_variants")


def _observed(document: Document, definition: Definition) -> Found:
    path: Path = (ROOT, "observe")
    feedback = [one.name for one in definition.measured if one.source == "feedback"]
    if definition.observe_s == 0 and feedback:
        message = f"Feedback ({', '.join(feedback)}) counts only if it comes in the window of its call."
        mend = f"Windows are {duration_text(definition.window_s)} long; write `observe: 1h` to wait an hour for it."
        yield document.fault(path, message, mend=mend, code="observe")
    elif definition.observe_s == 0 and definition.unit != REQUEST:
        message = f"With `observe: 0s` only the first call of a {definition.unit} counts."
        yield document.fault(path, message, mend="Write how long to watch it, as 1d.", code="observe")
    elif definition.observe_s > 0 and definition.unit == REQUEST and not feedback:
        message = "No metric comes later than its call, and results wait for `observe`."
        yield document.fault(path, message, mend="Leave it out.", code="observe")


def _ruled(document: Document, definition: Definition) -> Found:
    path: Path = (ROOT, "decision_rule")
    rule = rule_of(definition)
    blind = blind_to(rule, definition)
    if blind and definition.on_breach == "warn":
        message = f"The rule can ship while {'one of ' if len(blind) > 1 else ''}{_listed(blind)} is breached."
        yield document.fault(path, message, mend="Add `and no guardrail loses`.", code="rule_blind")
    lost = unguarded(rule, definition)
    if lost:
        message = f"The rule can ship while {'one of ' if len(lost) > 1 else ''}{_listed(lost)} is surely worse."
        yield document.fault(path, message, mend=f"Add `and {lost[0]} does not lose`.", code="rule_unguarded")
    for level in levels_of(rule):
        if level > definition.alpha:
            message = f"The rule's own level {level:g} is above `significance_level`, {definition.alpha:g}."
            yield document.fault(path, message, mend="Write the same in both places.", code="rule_level")
    family = named(rule, definition)
    several = len(family) > 1 or len(definition.treatments) > 1
    if definition.correction == "none" and several:
        message = f"{len(family) * len(definition.treatments)} tests are each given the whole significance level."
        mend = "Write `correction: holm`."
        yield document.fault((ROOT, "correction"), message, mend=mend, code="correction")


def _traffic(document: Document, definition: Definition) -> Found:
    """Whether so many units come by that a decision can be reached."""
    if definition.units_per_day is None:
        return
    days = (definition.duration_s - definition.observe_s) / DAY_S
    thin = thin_windows(definition, definition.units_per_day)
    if thin is not None:
        yield document.fault((ROOT, "window"), thin[0], mend=thin[1], code="window_thin")
    least = min(definition.variants, key=lambda one: one.weight_bp)
    daily = definition.units_per_day * least.weight_bp / 10_000
    if definition.bandit is not None:
        daily = definition.units_per_day * definition.bandit.floor * _share(definition)
    expected = int(daily * days)
    if expected < definition.min_samples:
        message = (
            f"About {expected:,} units of `{least.name}` are judged in {duration_text(definition.duration_s)}, and "
            f"`min_samples` asks for {definition.min_samples:,}: nothing can ship."
        )
        mend = f"That takes {definition.min_samples / daily:.1f} days; make `duration` longer or `min_samples` less."
        yield document.fault((ROOT, "min_samples"), message, mend=mend, code="too_small")
        return
    metric = definition.metric(definition.primary)
    needed = fixed_size(definition, metric)
    control = definition.units_per_day * definition.variants[0].weight_bp / 10_000
    if needed is not None and definition.bandit is None and needed > control * days:
        message = (
            f"About {int(control * days):,} units of `{definition.variants[0].name}` are judged, and an effect of "
            f"{metric.effect:g} on `{metric.name}` needs {needed:,} even in a test that looks only once."
        )
        mend = f"That takes {needed / control:.1f} days; `tidegate experiment simulate` tells what this one can find."
        yield document.fault((ROOT, "duration"), message, mend=mend, code="too_small")


def _learned(document: Document, definition: Definition) -> Found:
    """A bandit may starve a variant for longer than its author thinks."""
    bandit = definition.bandit
    if bandit is None or definition.units_per_day is not None:
        return
    message = (
        f"A variant that falls behind gets {bandit.floor:.0%} of the units, and nothing ships before it has "
        f"{definition.min_samples:,} (`min_samples`)."
    )
    mend = "Say how many come with `units_per_day`, so that this can be checked."
    yield document.fault((ROOT, "bandit"), message, mend=mend, code="bandit_samples")


def _share(definition: Definition) -> float:
    return sum(one.weight_bp for one in definition.variants) / 10_000


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
