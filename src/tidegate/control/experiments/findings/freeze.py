"""What is fixed before the first unit comes: thresholds, baselines and deviations, from the calls before. Pure."""

import msgspec
import numpy as np
import numpy.typing as npt

from tidegate.control.experiments.findings.callvalues import Calls, Whole, in_order, read_calls, scores_of, unit_values
from tidegate.control.experiments.model import Definition, Metric
from tidegate.control.monitoring.exposures import Exposures
from tidegate.stats.checks import Floats
from tidegate.stats.results import Sample
from tidegate.stats.sequential.exceedance import frozen_threshold

__all__ = ["FEWEST_UNITS", "freeze"]

FEWEST_UNITS = 100
"""Of fewer units nothing is taken: what is unknown stays unknown."""


def freeze(definition: Definition, history: Exposures) -> Definition:
    """The definition with what the calls before the start tell and its author did not: of a metric with a `quantile`
    the threshold `above`, that quantile of the calls; the `baseline`, the mean of the units; of a mean the `sd` of one
    unit, for its guardrails too. From at least 100 units with a value, else it stays as it was; each with its calls of
    observe_s from its first on (of one call for 0), as it will be judged, and if that time was over.
    """
    calls = read_calls(in_order([one for one in history.calls if one.unit]))
    if not len(calls):
        return definition
    names: dict[str, int] = {}
    unit = np.asarray([names.setdefault(one, len(names)) for one in calls.units], dtype=np.int64)
    counted, until = _judged(definition, calls, unit, len(names))
    scores = scores_of(history.scores, calls, until)
    nothing = np.full(len(calls), np.nan)
    metrics = []
    for metric in definition.measured:
        column = calls.field(metric.field) if metric.source == "call" else scores.get(metric.field, nothing)
        metrics.append(_frozen(metric, np.where(counted, column, np.nan), unit, len(names)))
    sds = {metric.name: metric.sd for metric in metrics if metric.shape == "mean"}
    guardrails = tuple(
        msgspec.structs.replace(gate, sd=sds.get(gate.metric)) if gate.sd is None and gate.shape == "mean" else gate
        for gate in definition.guardrails
    )
    own = len(definition.metrics)
    return msgspec.structs.replace(
        definition, metrics=tuple(metrics[:own]), watched=tuple(metrics[own:]), guardrails=guardrails
    )


def _judged(definition: Definition, calls: Calls, unit: Whole, units: int) -> tuple[npt.NDArray[np.bool_], Whole]:
    """Which calls count for their unit, and until when their scores do."""
    first = np.zeros(units, dtype=np.int64)
    first[unit[::-1]] = np.arange(len(calls))[::-1]
    observe_ms, window_ms = definition.observe_s * 1000, definition.window_s * 1000
    until = calls.started_at_ms[first][unit] + (observe_ms or window_ms)
    if not observe_ms:
        return np.arange(len(calls)) == first[unit], until
    return (calls.started_at_ms <= until) & (until <= calls.started_at_ms[-1]), until


def _frozen(metric: Metric, values: Floats, unit: Whole, units: int) -> Metric:
    known = values[~np.isnan(values)]
    if metric.above is None and metric.quantile is not None:
        if np.unique(unit[~np.isnan(values)]).size < FEWEST_UNITS:
            return metric
        metric = msgspec.structs.replace(metric, above=frozen_threshold(known, metric.quantile))
    found = unit_values(metric, values, unit, units)
    found = found[~np.isnan(found)]
    if found.size < FEWEST_UNITS:
        return metric
    sample = Sample.of(found)
    baseline = float(sample.mean) if metric.baseline is None else metric.baseline
    sd = metric.sd
    if sd is None and metric.shape == "mean" and sample.sd > 0:
        sd = float(sample.sd)
    return msgspec.structs.replace(metric, baseline=baseline, sd=sd)
