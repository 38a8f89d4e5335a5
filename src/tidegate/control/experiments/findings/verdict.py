"""What the rule says of what was found: `ship`, `keep` or `inconclusive`, at every window, and the first answer stays.
Pure; everything before the axes of variants and windows are runs.

`ship` where the rule is true of a treatment and every variant has min_samples units. `keep` where the rule can no
longer become true of any; and, once the plan is over, where no treatment can still be better by as much as is worth it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.control.experiments.findings.compare import Track, surely_less_than, track
from tidegate.control.experiments.model import ANSWERS, Definition, Metric
from tidegate.control.experiments.rules.judging import Board, Truth, evaluate, named, rule_of
from tidegate.control.gates.judge import judge
from tidegate.stats.checks import Floats
from tidegate.stats.multiple import benjamini_hochberg, bonferroni, holm
from tidegate.stats.sequential.stratified import Moments

__all__ = ["Decided", "Found", "Sides", "boards", "decided", "decided_of", "find", "guard_alpha", "variant_of"]

SHIP, KEEP, INCONCLUSIVE = (ANSWERS.index(one) for one in ("ship", "keep", "inconclusive"))

_CORRECTIONS = MappingProxyType({"holm": holm, "bonferroni": bonferroni, "benjamini-hochberg": benjamini_hochberg})


class Sides(NamedTuple):
    """Adjusted two-sided p-values, 2 p_better and 2 p_worse, each adjusted among those of its own side: so that harm of
    one metric never helps another to win.
    """

    better: Floats
    worse: Floats

    @property
    def p(self) -> Floats:
        """The smaller of both."""
        return np.asarray(np.minimum(self.better, self.worse))


@dataclass(frozen=True, slots=True)
class Found:
    """Lists with one entry a treatment: its tracks and adjusted p-values by metric, its board, the rule's truth of it,
    and whether it is `hopeless`, surely not better by the primary metric's effect. `units` of the primary metric so
    far: (..., variants, windows).
    """

    tracks: list[dict[str, Track]]
    adjusted: list[dict[str, Sides]]
    boards: list[Board]
    truths: list[Truth]
    hopeless: list[npt.NDArray[np.bool_]]
    units: Floats


@dataclass(frozen=True, slots=True)
class Decided:
    """The answer of each run: its number in ANSWERS, the variant's number (0 for keep, -1 while open), and the window
    in which it was given (-1: none).
    """

    answer: npt.NDArray[np.int64]
    variant: npt.NDArray[np.int64]
    window: npt.NDArray[np.int64]


def variant_of(table: Moments, variant: int) -> Moments:
    """One variant's row of a table, (..., windows)."""
    return Moments(table.n[..., variant, :], table.mean[..., variant, :], table.squares[..., variant, :])


def guard_alpha(definition: Definition) -> float:
    """What the guardrails of one treatment have together."""
    return definition.alpha / max(len(definition.treatments), 1)


def boards(definition: Definition, tables: Mapping[str, Moments], *, adjusted: Moments | None = None) -> list[Board]:
    """What stands of each treatment after each window. `tables` are of shape (..., variants, windows); `adjusted` is
    the primary metric's after CUPED.
    """
    return find(definition, tables, adjusted=adjusted).boards


def decided(
    definition: Definition,
    tables: Mapping[str, Moments],
    elapsed_s: npt.ArrayLike,
    *,
    adjusted: Moments | None = None,
) -> Decided:
    """The answers. `elapsed_s` is the time from the start to each window's end."""
    return decided_of(definition, find(definition, tables, adjusted=adjusted), elapsed_s)


def find(definition: Definition, tables: Mapping[str, Moments], *, adjusted: Moments | None = None) -> Found:
    """Everything that the answer rests on."""
    rule = rule_of(definition)
    compared = dict(tables) if adjusted is None else {**tables, definition.primary: adjusted}
    treatments = range(1, len(definition.variants))
    tracks: list[dict[str, Track]] = [{} for _ in treatments]
    hopeless = []
    for at, variant in enumerate(treatments):
        for metric in definition.metrics:
            arms = variant_of(compared[metric.name], 0), variant_of(compared[metric.name], variant)
            tracks[at][metric.name] = track(metric, *arms, definition=definition)
            if metric.name == definition.primary:
                hopeless.append(surely_less_than(metric, tracks[at][metric.name], arms, definition=definition))
    sides = _adjusted(definition, tracks, named(rule, definition))
    found = [_board(definition, tables, variant, sides[at]) for at, variant in enumerate(treatments)]
    units = np.cumsum(tables[definition.primary].n, axis=-1)
    return Found(tracks, sides, found, [evaluate(rule, board) for board in found], hopeless, units)


def decided_of(definition: Definition, found: Found, elapsed_s: npt.ArrayLike) -> Decided:
    """The answers from what was found."""
    enough = (found.units >= definition.min_samples).all(axis=-2)
    over = enough & (np.asarray(elapsed_s, dtype=np.float64) >= definition.duration_s)
    ships = np.stack([truth.now for truth in found.truths]) & enough
    ends = [~truth.possible | (over & hopeless) for truth, hopeless in zip(found.truths, found.hopeless, strict=True)]
    ship = ships.any(axis=0)
    said = ship | np.stack(ends).all(axis=0)
    if not said.shape[-1]:
        none = np.full(said.shape[:-1], -1, dtype=np.int64)
        return Decided(np.full(said.shape[:-1], INCONCLUSIVE, dtype=np.int64), none, none)
    window = np.where(said.any(axis=-1), np.argmax(said, axis=-1), -1)
    at = np.maximum(window, 0)[..., None]
    shipped = np.take_along_axis(ship, at, -1)[..., 0] & (window >= 0)
    metric = definition.metric(definition.primary)
    worth = np.stack([_worth(metric, one[metric.name]) for one in found.tracks])
    best = np.take_along_axis(np.where(ships, worth, -np.inf), at[None], -1)[..., 0].argmax(axis=0) + 1
    answer = np.where(shipped, SHIP, np.where(window >= 0, KEEP, INCONCLUSIVE))
    variant = np.where(shipped, best, np.where(window >= 0, 0, -1))
    return Decided(answer.astype(np.int64), variant.astype(np.int64), window.astype(np.int64))


def _worth(metric: Metric, found: Track) -> Floats:
    """How good the estimate is: more is better, unknown is nothing."""
    none = 1.0 if metric.method == "ratio" else 0.0
    estimate = np.where(np.isfinite(found.estimate), found.estimate, none)
    return np.asarray(estimate if metric.better == "higher" else -estimate)


def _board(
    definition: Definition,
    tables: Mapping[str, Moments],
    variant: int,
    sides: dict[str, Sides],
) -> Board:
    board = Board(
        wins={name: one.better < definition.alpha for name, one in sides.items()},
        loses={name: one.worse < definition.alpha for name, one in sides.items()},
        p_adjusted={name: one.p for name, one in sides.items()},
        ahead={name: one.better < one.worse for name, one in sides.items()},
    )
    for gate in definition.guardrails:
        arms = variant_of(tables[gate.metric], 0), variant_of(tables[gate.metric], variant)
        if not arms[0].n.shape[-1]:
            board.breached[gate.metric] = board.holds[gate.metric] = np.zeros(arms[0].n.shape, dtype=np.bool_)
            continue
        judged = judge(gate, *arms, alpha=guard_alpha(definition))
        for states, state, every in ((board.breached, judged.breached, False), (board.holds, judged.holds, True)):
            before = states.get(gate.metric)
            both = np.logical_and if every else np.logical_or
            states[gate.metric] = state if before is None else both(before, state)
    return board


def _adjusted(
    definition: Definition, tracks: list[dict[str, Track]], family: tuple[str, ...]
) -> list[dict[str, Sides]]:
    """By treatment and metric the p-values: those of the family over the family, the others over all others."""
    found: list[dict[str, Sides]] = [{} for _ in tracks]
    others = tuple(metric.name for metric in definition.metrics if metric.name not in family)
    for names in (family, others):
        places = [(at, name) for at in range(len(tracks)) for name in names]
        if not places:
            continue
        better = _corrected(definition, [tracks[at][name].p_better for at, name in places])
        worse = _corrected(definition, [tracks[at][name].p_worse for at, name in places])
        for column, (at, name) in enumerate(places):
            found[at][name] = Sides(better[..., column], worse[..., column])
    return found


def _corrected(definition: Definition, one_sided: list[Floats]) -> Floats:
    """Two-sided and adjusted, with the family on the last axis."""
    p = np.minimum(1.0, 2 * np.stack(one_sided, axis=-1))
    correct = _CORRECTIONS.get(definition.correction)
    return p if correct is None or p.shape[-1] == 1 else correct(p)
