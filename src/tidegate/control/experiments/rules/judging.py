"""Decision rules, held against what a definition has, and judged on arrays.

A rule is a small sentence such as `primary wins and no guardrail loses` (`grammar` reads it). It may not be able to
ship what has shown nothing: without a win it is true only where every guardrail surely holds.
"""

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tidegate.control.experiments.model import Definition
from tidegate.control.experiments.rules.grammar import (
    PRIMARY,
    All,
    AnyOf,
    BadRule,
    Holds,
    HoldsAll,
    NotLost,
    Rule,
    Unharmed,
    Wins,
    WinsAtLeast,
    parse_rule,
)

__all__ = [
    "Board",
    "Rule",
    "Truth",
    "blind_to",
    "evaluate",
    "levels_of",
    "named",
    "parse_rule",
    "rule_of",
    "ships_unwon",
    "unguarded",
]

Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Board:
    """What stands of one treatment, as arrays of one shape (..., windows), each by metric.

    `wins` and `loses` at the definition's alpha; `p_adjusted` is two-sided, and `ahead` says that it speaks for the
    treatment: what `at p < x` needs. `breached` and `holds` are of the guardrails. Once true, all stay true.
    """

    wins: dict[str, Flags]
    loses: dict[str, Flags]
    breached: dict[str, Flags] = field(default_factory=dict)
    holds: dict[str, Flags] = field(default_factory=dict)
    p_adjusted: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    ahead: dict[str, Flags] = field(default_factory=dict)


class Truth(NamedTuple):
    """Whether a rule is true `now`, and whether it is `possible` that it is or becomes true."""

    now: Flags
    possible: Flags


def rule_of(definition: Definition) -> Rule:
    """The definition's rule with its metrics and guardrails put in, ready for `evaluate`.

    Raises BadRule with the place in the text: what cannot be read, names and numbers that the definition does not have,
    and a rule that could ship what shows neither a win nor that all guardrails hold.
    """
    rule = _bound(parse_rule(definition.rule), definition)
    _grounded(rule, definition)
    return rule


def named(rule: Rule, definition: Definition) -> tuple[str, ...]:
    """The family of metrics that are tested together, in the definition's order: those that the rule names; the
    primary one when it names none."""
    found = _names(_bound(rule, definition))
    return tuple(one.name for one in definition.metrics if one.name in found) or (definition.primary,)


def blind_to(rule: Rule, definition: Definition) -> tuple[str, ...]:
    """The blocking guardrails whose breach would not keep a bound rule from shipping."""
    metrics, guards = _metrics(definition), _guards(definition)
    blind = []
    for guard in guards:
        held = {one: one != guard for one in guards}
        board = Board(
            wins=_flags(dict.fromkeys(metrics, True)),
            loses=_flags(dict.fromkeys(metrics, False)),
            breached=_flags({one: one == guard for one in _margins(definition)}),
            holds=_flags({one: held.get(one, True) for one in _margins(definition)}),
            p_adjusted={one: np.zeros(()) for one in metrics},
            ahead=_flags(dict.fromkeys(metrics, True)),
        )
        if bool(evaluate(rule, board).now):
            blind.append(guard)
    return tuple(blind)


def unguarded(rule: Rule, definition: Definition) -> tuple[str, ...]:
    """The metrics that a bound rule names, and that may surely lose while it ships."""
    metrics, margins = _metrics(definition), _margins(definition)
    lost = []
    for loser in sorted(_names(rule), key=metrics.index):
        board = Board(
            wins=_flags({one: one != loser for one in metrics}),
            loses=_flags({one: one == loser for one in metrics}),
            breached=_flags({one: one == loser for one in margins}),
            holds=_flags({one: one != loser for one in margins}),
            p_adjusted={one: np.zeros(()) for one in metrics},
            ahead=_flags({one: one != loser for one in metrics}),
        )
        if bool(evaluate(rule, board).now):
            lost.append(loser)
    return tuple(lost)


def ships_unwon(rule: Rule, definition: Definition) -> bool:
    """Whether a bound rule is true where all guardrails hold and nothing wins."""
    metrics, margins = _metrics(definition), _margins(definition)
    board = Board(
        wins=_flags(dict.fromkeys(metrics, False)),
        loses=_flags(dict.fromkeys(metrics, False)),
        breached=_flags(dict.fromkeys(margins, False)),
        holds=_flags(dict.fromkeys(margins, True)),
        p_adjusted={one: np.ones(()) for one in metrics},
        ahead=_flags(dict.fromkeys(metrics, False)),
    )
    return bool(evaluate(rule, board).now)


def levels_of(rule: Rule) -> tuple[float, ...]:
    """The rule's own levels (`at p < x`)."""
    match rule:
        case All(parts) | AnyOf(parts):
            return tuple(level for part in parts for level in levels_of(part))
        case Wins(p=float(level)) | WinsAtLeast(p=float(level)):
            return (level,)
        case _:
            return ()


def evaluate(rule: Rule, board: Board) -> Truth:
    """Judge a rule that rule_of gave; the arrays have the board's shape."""
    match rule:
        case All(parts):
            truths = [evaluate(part, board) for part in parts]
            return Truth(_every([one.now for one in truths]), _every([one.possible for one in truths]))
        case AnyOf(parts):
            truths = [evaluate(part, board) for part in parts]
            return Truth(_some([one.now for one in truths]), _some([one.possible for one in truths]))
        case Wins(metric, p):
            return Truth(_won(board, metric, p), ~board.loses[metric])
        case WinsAtLeast(count, _, p, metrics):
            won = sum(_won(board, metric, p).astype(np.int64) for metric in metrics)
            open_ = sum((~board.loses[metric]).astype(np.int64) for metric in metrics)
            return Truth(np.asarray(won >= count), np.asarray(open_ >= count))
        case Holds(metric):
            return Truth(board.holds[metric], ~board.breached[metric])
        case NotLost(metric):
            lost = [states[metric] for states in (board.loses, board.breached) if metric in states]
            return Truth(~_some(lost), ~_some(lost))
        case Unharmed(metrics):
            intact = _every([~board.breached[metric] for metric in metrics] or [_true(board)])
            return Truth(intact, intact)
        case HoldsAll(metrics):
            nothing = [_true(board)]
            now = _every([board.holds[metric] for metric in metrics] or nothing)
            return Truth(now, _every([~board.breached[metric] for metric in metrics] or nothing))


def _won(board: Board, metric: str, p: float | None) -> Flags:
    if p is None:
        return board.wins[metric]
    return np.asarray((board.p_adjusted[metric] < p) & board.ahead[metric])


def _true(board: Board) -> Flags:
    """True in the board's shape."""
    some = next(iter((*board.wins.values(), *board.breached.values())))
    return np.ones(np.shape(some), dtype=np.bool_)


def _every(flags: list[Flags]) -> Flags:
    return np.asarray(np.logical_and.reduce(np.broadcast_arrays(*flags)))


def _some(flags: list[Flags]) -> Flags:
    return np.asarray(np.logical_or.reduce(np.broadcast_arrays(*flags)))


def _bound(rule: Rule, definition: Definition) -> Rule:
    match rule:
        case All(parts):
            return All(tuple(_bound(part, definition) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(_bound(part, definition) for part in parts))
        case Wins(metric, p):
            return Wins(_known(metric, definition, _metrics(definition), "metric"), p)
        case Holds(metric):
            return Holds(_known(metric, definition, _margins(definition), "guardrail"))
        case NotLost(metric):
            return NotLost(_known(metric, definition, (*_metrics(definition), *_margins(definition)), "metric"))
        case Unharmed():
            return Unharmed(_guards(definition))
        case HoldsAll():
            return HoldsAll(_guards(definition))
        case WinsAtLeast():
            return _counted(rule, definition)


def _counted(rule: WinsAtLeast, definition: Definition) -> WinsAtLeast:
    metrics = _metrics(definition)
    if rule.of != len(metrics):
        message = f"The rule counts wins of {rule.of} metrics, and there are {len(metrics)}: {', '.join(metrics)}."
        mend = f"Write `of {len(metrics)}`, or change `metrics`."
        raise BadRule(message, at=_place(definition.rule, rf"of\s+(0*{rule.of})"), mend=mend, code="rule_count")
    if not 1 <= rule.count <= rule.of:
        message = f"{rule.count} of {rule.of} metrics cannot win."
        at = _place(definition.rule, rf"[>≥]=?\s*(0*{rule.count})")
        raise BadRule(message, at=at, mend=f"Ask for 1 to {rule.of}.", code="rule_count")
    return WinsAtLeast(rule.count, rule.of, rule.p, metrics)


def _known(name: str, definition: Definition, known: tuple[str, ...], kind: str) -> str:
    name = definition.primary if name == PRIMARY else name
    if name in known:
        return name
    if kind == "guardrail" and name in _metrics(definition):
        message = f"`{name}` has no margin to hold."
        mend = f"Write one: `guardrails: {{{name}: {{drop: 0.03}}}}`, or say `{name} does not lose`."
    else:
        near = get_close_matches(name, known, n=2, cutoff=0.5)
        message = f"There is no {kind} named `{name}`."
        mend = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known) or 'none'}."
    at = _place(definition.rule, rf"(?<![\w.-])({re.escape(name)})(?![\w.-])")
    raise BadRule(message, at=at, mend=mend, code=f"{kind}_not_found")


def _place(text: str, pattern: str) -> int:
    found = re.search(pattern, text, re.IGNORECASE)
    return found.start(1) if found else 0


def _names(rule: Rule) -> frozenset[str]:
    match rule:
        case All(parts) | AnyOf(parts):
            return frozenset().union(*(_names(part) for part in parts))
        case Wins(metric) | NotLost(metric):
            return frozenset((metric,))
        case WinsAtLeast(metrics=metrics):
            return frozenset(metrics)
        case Holds() | HoldsAll() | Unharmed():
            return frozenset()


def _grounded(rule: Rule, definition: Definition) -> None:
    """Refuses a bound rule that is true where nothing wins, unless every blocking guardrail must then hold."""
    metrics, guards, margins = _metrics(definition), _guards(definition), _margins(definition)
    for failing in guards or ("",):
        board = Board(
            wins=_flags(dict.fromkeys(metrics, False)),
            loses=_flags(dict.fromkeys(metrics, False)),
            breached=_flags(dict.fromkeys(margins, False)),
            holds=_flags({one: one != failing for one in margins}),
            p_adjusted={one: np.ones(()) for one in metrics},
            ahead=_flags(dict.fromkeys(metrics, False)),
        )
        if bool(evaluate(rule, board).now):
            raise BadRule(
                "The rule would ship a treatment that wins nothing"
                + (f", and of which nobody knows whether `{failing}` keeps its margin." if failing else "."),
                mend="Add `primary wins and`; or, where no worse is good enough, `all guardrails hold`.",
                code="rule_without_win",
            )


def _metrics(definition: Definition) -> tuple[str, ...]:
    return tuple(one.name for one in definition.metrics)


def _margins(definition: Definition) -> tuple[str, ...]:
    return tuple(gate.metric for gate in definition.guardrails)


def _guards(definition: Definition) -> tuple[str, ...]:
    """The guardrails that block."""
    return tuple(gate.metric for gate in definition.guardrails if gate.block)


def _flags(states: dict[str, bool]) -> dict[str, Flags]:
    return {name: np.asarray(state) for name, state in states.items()}
