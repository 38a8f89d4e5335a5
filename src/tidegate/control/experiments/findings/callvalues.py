"""What calls and units show: a number from each call for a metric, and one from all the calls of a unit. NaN: none."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from tidegate.control.experiments.model import Metric
from tidegate.control.monitoring.exposures import Exposed, Scored
from tidegate.stats.checks import Floats

__all__ = ["Calls", "Whole", "in_order", "read_calls", "scores_of", "unit_values"]

Whole = npt.NDArray[np.int64]

_FAILED = frozenset(("cut", "timeout", "blocked", "failed"))
_NOT_OURS = frozenset(("cancelled", "refused"))
_NANO = 1e9
_YES = 0.5
_MOST = 1e100


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls as columns, in the order of their start: each array has one entry a call, `index` finds a call's."""

    index: dict[str, int]
    units: Sequence[str]
    variants: Sequence[str]
    started_at_ms: Whole
    latency_ms: Floats
    propensity: Floats
    endings: Sequence[str]
    figures: dict[str, Sequence[float | None]]

    def __len__(self) -> int:
        return len(self.units)

    def field(self, name: str) -> Floats:
        """The figure `name` (one of CALL_FIELDS) of each call."""
        if name == "error":
            return _by_ending(self.endings, yes=_FAILED, none=_NOT_OURS)
        if name == "refused":
            return _by_ending(self.endings, yes=frozenset(("refused",)), none=frozenset())
        if name == "latency_ms":
            ours = _by_ending(self.endings, yes=frozenset(), none=_NOT_OURS)
            return self.latency_ms + ours
        found = np.asarray(self.figures[name], dtype=np.float64)
        return found / _NANO if name == "cost_usd" else found


def in_order(calls: Sequence[Exposed]) -> list[Exposed]:
    """The calls in the order of their start; of one ms in that of their ids, so that the order given says nothing."""
    return sorted(calls, key=itemgetter(4, 0))


def read_calls(calls: Sequence[Exposed]) -> Calls:
    """The columns of calls that are in order."""
    columns = tuple(zip(*calls, strict=True)) if calls else ((),) * len(Exposed._fields)
    ids, units, variants, propensity, started, endings, cost, latency, ttft, tpot, tokens_in, tokens_out = columns
    return Calls(
        index={call_id: at for at, call_id in enumerate(ids)},
        units=units,
        variants=variants,
        started_at_ms=np.asarray(started, dtype=np.int64),
        latency_ms=np.asarray(latency, dtype=np.float64),
        propensity=np.asarray(propensity, dtype=np.float64),
        endings=endings,
        figures={
            "cost_usd": cost,
            "ttft_ms": ttft,
            "tpot_ms": tpot,
            "input_tokens": tokens_in,
            "output_tokens": tokens_out,
        },
    )


def scores_of(scores: Sequence[Scored], calls: Calls, until_ms: Whole) -> dict[str, Floats]:
    """The score of each call by the score's name: the last that came in by the call's `until_ms`. One beyond 10^100 is
    none: its square would be no number.
    """
    found: dict[str, Floats] = {}
    if not scores or not len(calls):
        return found
    index = calls.index
    names: dict[str, int] = {}
    name = np.asarray([names.setdefault(one.name, len(names)) for one in scores])
    call = np.asarray([index.get(one.call_id, -1) for one in scores], dtype=np.int64)
    value = np.asarray([one.value for one in scores], dtype=np.float64)
    at_ms = np.asarray([one.at_ms for one in scores], dtype=np.int64)
    taken = (call >= 0) & (at_ms <= until_ms[call]) & (np.abs(value) <= _MOST)
    order = np.lexsort((value, at_ms))
    order = order[taken[order]]
    for text, code in names.items():
        mine = order[name[order] == code]
        column = np.full(len(calls), np.nan)
        column[call[mine]] = value[mine]  # the last one written stays
        found[text] = column
    return found


def unit_values(metric: Metric, values: Floats, unit: Whole, units: int) -> Floats:
    """One value a unit from its calls' `values`, of which entry i belongs to unit[i]; calls are in their order.

    A rate without `above` counts as an event from 0.5 on. A metric whose threshold is still to be frozen has no values.
    """
    if metric.quantile is not None and metric.above is None:
        return np.full(units, np.nan)
    known = ~np.isnan(values)
    value, of = values[known], unit[known]
    number = np.bincount(of, minlength=units)
    if metric.per_unit == "any":
        found = np.full(units, -np.inf)
        np.maximum.at(found, of, value)
    elif metric.per_unit == "first":
        found = np.zeros(units)
        found[of[::-1]] = value[::-1]  # the first one is written last
    else:
        found = np.bincount(of, weights=value, minlength=units)
        if metric.per_unit == "mean":
            found = found / np.maximum(number, 1)
    none = number == 0
    if metric.above is not None:
        found = (found > metric.above).astype(np.float64)
    elif metric.shape == "rate":
        found = (found >= _YES).astype(np.float64)
    return np.where(none, 0.0 if metric.missing == "zero" else np.nan, found)


def _by_ending(endings: Sequence[str], *, yes: frozenset[str], none: frozenset[str]) -> Floats:
    said = {ending: np.nan if ending in none else float(ending in yes) for ending in set(endings)}
    return np.asarray([said[ending] for ending in endings], dtype=np.float64)
