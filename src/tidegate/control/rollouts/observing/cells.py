"""Calls to cells: units judged once, by the window, the split and the arm in which they were. Pure.

A unit is judged once under each split (the candidate's share), in the arm in which the split puts it: while a rollout
grows, who has been there before is in both arms as often as who is new, so that the two stay alike. It is judged
`observe_s` after its first call under the split; what counts are its calls and the scores until then. With observe_s =
0 its first call, and the scores that came in before the window of that call ended. A unit comes in once, with its first
call of all: by those the split itself is checked.

A copy is judged beside the call of which it is one: both are a unit, in one window. They are compared as if they were
not a pair, which is right at the level said when pairs are not alike, and careful when they are: alike pairs differ
less than that allows for.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tidegate.control.experiments.findings.callvalues import Calls, Whole, read_calls, scores_of, unit_values
from tidegate.control.experiments.findings.outcomes import moments_of
from tidegate.control.experiments.model import Definition
from tidegate.control.monitoring.exposures import Exposed, Scored
from tidegate.control.monitoring.stretches.model import Rolled
from tidegate.control.rollouts.observing.model import Cell, Span
from tidegate.live.assignment import BUCKETS
from tidegate.stats.checks import Floats

__all__ = ["pair_cells", "unit_cells"]


class _Units(NamedTuple):
    """What is judged: calls in order, the unit of each, each unit's first call, when it is judged, its share, and
    whether it is new.
    """

    calls: Calls
    unit: Whole
    first: Whole
    judged_ms: Whole
    share_bp: Whole
    new: Whole


def unit_cells(definition: Definition, rolled: Rolled, span: Span) -> list[Cell]:
    """The cells of users' calls, in order of window, share and arm."""
    arms = {one.name: at for at, one in enumerate(definition.variants)}
    kept = [one for one in rolled.calls if one.variant in arms]
    if not kept:
        return []
    calls = read_calls(kept)
    arm = np.asarray([arms[one] for one in calls.variants], dtype=np.int64)
    share = np.round(np.where(arm == 1, calls.propensity, 1 - calls.propensity) * BUCKETS).astype(np.int64)
    names: dict[tuple[str, int, int], int] = {}
    unit = np.asarray(
        [names.setdefault(one, len(names)) for one in zip(calls.units, share, arm, strict=True)], dtype=np.int64
    )
    first = _firsts(unit, len(names))
    known = set(rolled.seen)
    new = np.zeros(len(names), dtype=np.int64)
    for at in np.argsort(first, kind="stable"):  # of one that comes under two splits, the first
        whose = calls.units[first[at]]
        new[at] = whose not in known
        known.add(whose)
    judged_ms = calls.started_at_ms[first] + definition.observe_s * 1000
    found = _Units(calls, unit, first, judged_ms, share[first], new)
    return _cells(definition, found, rolled.scores, (span, arm[first]))


def pair_cells(definition: Definition, rolled: Rolled, span: Span) -> list[Cell]:
    """The cells of copies and of the calls that they copy; no split of users, so a share of 0."""
    names = [one.name for one in definition.variants]
    copies, users = [], []
    for one in rolled.calls:
        user = rolled.copied.get(one.call_id)
        if user is not None:
            copies.append(one._replace(variant=names[1]))
            users.append(user._replace(variant=names[0], started_at_ms=one.started_at_ms))
    if not copies:
        return []
    both: list[Exposed] = [*users, *copies]
    calls = read_calls(both)
    unit = np.arange(len(both), dtype=np.int64)
    judged_ms = calls.started_at_ms + definition.observe_s * 1000
    nothing = np.zeros(len(both), dtype=np.int64)
    arm = (unit >= len(users)).astype(np.int64)
    return _cells(definition, _Units(calls, unit, unit, judged_ms, nothing, nothing), rolled.scores, (span, arm))


def _cells(definition: Definition, units: _Units, scores: Sequence[Scored], placed: tuple[Span, Whole]) -> list[Cell]:
    span, arm = placed
    window_ms = definition.window_s * 1000
    window = (units.judged_ms - span.started_at_ms) // window_ms
    inside = (window >= span.first) & (window < span.until)
    if not inside.any():
        return []
    values, newest = _values(definition, units, scores, span.started_at_ms + (window + 1) * window_ms - 1)
    places, place = np.unique(
        np.stack([window[inside], units.share_bp[inside], arm[inside]]), axis=1, return_inverse=True
    )
    place, cells = place.reshape(-1), places.shape[1]
    judged = np.bincount(place, minlength=cells)
    arrived = np.bincount(place, units.new[inside], minlength=cells)
    last = np.zeros(cells, dtype=np.int64)
    np.maximum.at(last, place, newest[inside])
    moments = {name: moments_of(one[inside], place, (1, cells)) for name, one in values.items()}
    return [
        Cell(
            window=int(places[0, at]),
            share_bp=int(places[1, at]),
            arm=int(places[2, at]),
            judged=int(judged[at]),
            arrived=int(arrived[at]),
            newest_ms=int(last[at]),
            figures={
                name: (int(one.n[0, at]), float(one.mean[0, at]), float(one.squares[0, at]))
                for name, one in moments.items()
                if one.n[0, at]
            },
        )
        for at in range(cells)
    ]


def _values(
    definition: Definition, units: _Units, scores: Sequence[Scored], ends_ms: Whole
) -> tuple[dict[str, Floats], Whole]:
    """By metric one value a unit, and when the last call that made it counted."""
    calls, unit, judged = units.calls, units.unit, units.judged_ms
    if definition.observe_s:
        counted, until = calls.started_at_ms <= judged[unit], judged
    else:
        counted, until = np.arange(len(calls)) == units.first[unit], ends_ms
    said = scores_of(scores, calls, until[unit])
    nothing = np.full(len(calls), np.nan)
    found = {}
    for metric in definition.measured:
        column = calls.field(metric.field) if metric.source == "call" else said.get(metric.field, nothing)
        found[metric.name] = unit_values(metric, column[counted], unit[counted], len(units.first))
    newest = np.zeros(len(units.first), dtype=np.int64)
    np.maximum.at(newest, unit[counted], calls.started_at_ms[counted])
    return found, newest


def _firsts(unit: Whole, units: int) -> Whole:
    first = np.zeros(units, dtype=np.int64)
    first[unit[::-1]] = np.arange(len(unit))[::-1]
    return first
