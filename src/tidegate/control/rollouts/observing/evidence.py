"""Cells to evidence: what the gates and the test of the split say of all windows so far. Pure."""

from collections.abc import Sequence

import numpy as np

from tidegate.control.experiments.model import Definition
from tidegate.control.experiments.scales import scale_of
from tidegate.control.gates.judge import verdict
from tidegate.control.gates.model import Verdict
from tidegate.control.gates.sentences import worded
from tidegate.control.rollouts.measuring import STABLE
from tidegate.control.rollouts.observing.model import Cell
from tidegate.live.assignment import BUCKETS
from tidegate.stats.sequential.stratified import Moments
from tidegate.stats.splits import SequentialSplit

__all__ = ["split_p", "tables_of", "verdict_of"]

_ARMS = 2


def tables_of(definition: Definition, cells: Sequence[Cell]) -> dict[str, tuple[Moments, Moments]]:
    """By metric the Moments of (stable, candidate); on the axis lie the windows, one under two splits twice, so that
    only what was served at the same time under the same split is compared.
    """
    places = {place: at for at, place in enumerate(sorted({(one.window, one.share_bp) for one in cells}))}
    shape = (len(definition.measured), _ARMS, len(places))
    n, mean, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    names = {metric.name: at for at, metric in enumerate(definition.measured)}
    for cell in cells:
        place = places[cell.window, cell.share_bp]
        for name, figures in cell.figures.items():
            at = (names[name], cell.arm, place) if name in names else None
            if at is not None:
                n[at], mean[at], squares[at] = figures
    return {
        name: (Moments(n[at, 0], mean[at, 0], squares[at, 0]), Moments(n[at, 1], mean[at, 1], squares[at, 1]))
        for name, at in names.items()
    }


def verdict_of(definition: Definition, cells: Sequence[Cell]) -> Verdict:
    """What the definition's guardrails say, in the words in which their metrics are said."""
    tables = tables_of(definition, cells)
    asked = {gate.metric for gate in definition.guardrails}
    found = verdict(
        definition.guardrails,
        {name: pair for name, pair in tables.items() if name in asked and pair[0].n.size},
        alpha=definition.alpha,
    )
    scales = {
        metric.name: scale_of(metric, definition, [_mean(one) for one in tables[metric.name]])
        for metric in definition.measured
    }
    return worded(found, scales, STABLE)


def split_p(cells: Sequence[Cell]) -> float:
    """The always-valid p-value of "new units came in the shares that were meant", window by window."""
    counts: dict[tuple[int, int], list[int]] = {}
    for cell in cells:
        if 0 < cell.share_bp < BUCKETS:
            counts.setdefault((cell.window, cell.share_bp), [0] * _ARMS)[cell.arm] += cell.arrived
    test: SequentialSplit | None = None
    held = 0
    for (_, share), row in sorted(counts.items()):
        weights = (BUCKETS - share, share)
        if test is None:
            test = SequentialSplit.begin(weights)
        elif share != held:
            test = test.with_weights(weights)
        held, test = share, test.update(row)
    return 1.0 if test is None else float(test.p_value)


def _mean(table: Moments) -> float | None:
    n = float(table.n.sum())
    return float((table.n * table.mean).sum() / n) if n else None
