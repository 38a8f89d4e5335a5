"""In what the metrics of an experiment are said, everywhere: percent, points, ms, dollars a query. Pure."""

from collections.abc import Iterable, Sequence

from tidegate.control.experiments.model import ArmReport, Definition, Metric
from tidegate.kernel.plain import plain, singular
from tidegate.kernel.scales import NUMBER, PERCENT, POINTS, Scale, known

__all__ = ["scale_of", "scales_of"]

WIDEST_SD = 0.51
"""No score between 0 and 1 has a standard deviation above 0.5."""


def scale_of(metric: Metric | None, definition: Definition, figures: Iterable[float | None] = ()) -> Scale:
    """How this metric is said. A score without a unit is said in points when all its `figures` lie in 0 to 1."""
    if metric is None:
        return NUMBER
    if metric.shape == "rate":
        return PERCENT
    if metric.unit == "":
        seen = [one for one in (metric.baseline, *figures) if known(one) is not None]
        small = (metric.sd is None or metric.sd <= WIDEST_SD) and all(one is None or 0 <= one <= 1 for one in seen)
        return POINTS if small else NUMBER
    if metric.unit == "ms":
        return Scale(1.0, "", " ms", " ms")
    of_all = metric.per_unit == "sum" and definition.unit != "request"
    each = f" a {singular(definition.unit)}" if of_all else " a query" if metric.source == "call" else ""
    if metric.unit == "usd":
        return Scale(1.0, "$", each, each)
    return Scale(1.0, "", f" {plain(metric.unit)}{each}", f" {plain(metric.unit)}{each}")


def scales_of(definition: Definition, arms: Sequence[ArmReport]) -> dict[str, Scale]:
    """How each metric of a definition is said, when this was found of its variants."""
    return {
        metric.name: scale_of(metric, definition, [arm.means.get(metric.name) for arm in arms])
        for metric in definition.measured
    }
