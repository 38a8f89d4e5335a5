"""What may be wrong with the units of an experiment, in sentences for people. Pure."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np

from tidegate.control.experiments.findings.outcomes import Outcomes, settle_ms
from tidegate.control.experiments.findings.split import BROKEN
from tidegate.control.experiments.model import Definition, Metric, SplitReport
from tidegate.kernel.figures import p_text

__all__ = ["doubts_of"]

_FEWEST_EVENTS = 20
_FEW = 50
"""Units of a variant, before which nothing is said of its events."""
_LOW_RESPONSE = 0.5
_MUCH = 0.1
"""Of all units, so many may lie in windows that are too small before it is said."""


def doubts_of(definition: Definition, outcomes: Outcomes, split: SplitReport) -> tuple[str, ...]:
    """Everything that a reader should know before believing the numbers."""
    found = [*_of_split(definition, split), *_of_calls(definition, outcomes)]
    if not outcomes.windows:
        found.append(f"Nothing is judged before the first window of {definition.window_s:,} s is over.")
    for metric in definition.measured:
        found.extend(_of_metric(definition, metric, outcomes))
    return tuple(found)


def _of_split(definition: Definition, split: SplitReport) -> Iterator[str]:
    if not split.ok:
        yield (
            f"The split is broken ({p_text(split.p)}). Look for calls of one variant that are not logged or not "
            "assigned: errors before the log, retries, a cache, bots, clients that send their unit only sometimes; "
            "and for weights that were changed outside the experiment."
        )
    if split.responders_p is not None and split.responders_p < BROKEN:
        yield (
            f"Who has a value of {definition.primary} differs by variant ({p_text(split.responders_p)}). Look for a "
            "variant whose users are asked more often, answer more often, or whose calls fail before they can; "
            "`missing: zero` counts everyone."
        )


_OF_CALLS: Mapping[str, Callable[[int, Definition], str]] = MappingProxyType(
    {
        "mixed": lambda n, _: (
            f"{n:,} units were seen in two variants before they were judged, and are left out: their unit is not what "
            "was assigned, or their variant changed on the way."
        ),
        "no_unit": lambda n, _: f"{n:,} calls had no unit and are left out: send `x-tidegate-unit`.",
        "unknown_variant": lambda n, _: f"{n:,} calls had a variant that the experiment does not know.",
        "before_start": lambda n, _: f"{n:,} calls started before the experiment did, by their gateway's clock.",
        "unfinished": lambda n, definition: (
            f"{n:,} calls took longer than {settle_ms(definition) // 1000:,} s and are left out; a variant that "
            "hangs shows only in the split."
        ),
    }
)


def _of_calls(definition: Definition, outcomes: Outcomes) -> Iterator[str]:
    for why, number in outcomes.excluded.items():
        yield _OF_CALLS[why](number, definition)
    if outcomes.switched:
        yield (
            f"{outcomes.switched:,} units were seen in another variant after they had been judged; they count for "
            "their first one, and its effect may be diluted."
        )


def _of_metric(definition: Definition, metric: Metric, outcomes: Outcomes) -> Iterator[str]:
    if metric.quantile is not None and metric.above is None:
        yield f"{metric.name} has no threshold, for there were too few calls before the start: give `above`."
        return
    judged, answered = outcomes.judged(), outcomes.responders(metric.name)
    units, values = int(judged.sum()), int(answered.sum())
    if not units:
        return
    if metric.missing == "ignore" and values < _LOW_RESPONSE * units:
        yield f"Only {values:,} of {units:,} units have a value of {metric.name}: it tells of those alone."
    if metric.method == "difference" and values:
        short = answered[:, (answered < 2).any(axis=0)].sum()
        if short > _MUCH * values:
            yield (
                f"{int(short):,} of {values:,} units with a value of {metric.name} lie in windows with fewer than 2 of "
                "a variant, and do not count: make `window` longer."
            )
    if metric.shape == "rate" and metric.method == "difference" and values:
        found = outcomes.values[metric.name]
        events = np.bincount(outcomes.variant[found > 0], minlength=len(definition.variants))
        rare = np.minimum(events, answered.sum(axis=1) - events)
        if rare.min() < _FEWEST_EVENTS and answered.sum(axis=1).min() >= _FEW:
            yield (
                f"{metric.name} has only {int(rare.min())} units of one kind in a variant, too few for a difference of "
                "means: `method: ratio` is exact."
            )
