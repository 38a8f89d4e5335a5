"""Gates as values: what must hold of a metric, and what was found.

A gate asks two questions of the same evidence. Is there harm (then it is `breached`)? Is there surely no harm beyond
the margin (then it `holds`)? Between them lies `open`: nothing is known yet, which is no pass.
"""

from typing import Literal, TypeAlias

import msgspec

__all__ = ["Absolute", "Drop", "Gate", "Judgement", "Ratio", "Rule", "State", "Verdict"]

State: TypeAlias = Literal["holds", "breached", "open"]


class Ratio(msgspec.Struct, frozen=True, tag="ratio", tag_field="kind"):
    """The treatment is at most `margin` times the control (of a metric where lower is better, margin above 1), or at
    least (higher is better, margin below 1). Of a rate that should be low, so much more than the control in its own
    unit is `negligible`, whatever the ratio: without it nothing could be shown where there are no events at all.
    """

    margin: float
    negligible: float = 0.0


class Drop(msgspec.Struct, frozen=True, tag="drop", tag_field="kind"):
    """The treatment is at most `margin` worse than the control, in the metric's own unit; margin above 0."""

    margin: float


class Absolute(msgspec.Struct, frozen=True, tag="absolute", tag_field="kind"):
    """The treatment's own value is at most `bound` (lower is better) or at least (higher is better), in the metric's
    unit; the control is not asked."""

    bound: float


Rule: TypeAlias = Ratio | Drop | Absolute


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One metric and what must hold of it.

    `shape`: a rate is of events, at most one a unit (exact tests); a mean is of values (asymptotic, from `burn_in`
    units an arm on, Absolute from 500; `sd` is about one unit's standard deviation, None: learned from the first
    windows). `share` of the family's alpha is this gate's; it is found to hold with `hold_share` of it, which may be 1
    where all must hold together (an intersection-union test: Casella & Berger 2002, 8.3.3; None: as `share`). Harm is
    told only when the estimate is also beyond `require_effect` of the margin's way (0: any harm that is proven; 0.5:
    half of it; an absolute bound has no way, so that it is not asked there). A breach of one that does not `block` only
    warns.
    """

    metric: str
    rule: Rule
    shape: Literal["rate", "mean"]
    better: Literal["higher", "lower"]
    share: float
    require_effect: float = 0.5
    block: bool = True
    burn_in: int = 50
    sd: float | None = None
    hold_share: float | None = None


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one gate at one look. `estimate`, `low` and `high` are of what the rule compares: the ratio,
    the difference (treatment minus control), or the treatment's value; None while unknown. `level` is the interval's, 1
    less the gate's share of alpha. `p_harm` and `p_beyond` are the always-valid p-values of "no harm" and of "harm as
    large as the margin, or larger": they reject at 1 - level and at 1 - hold_level (None: the same). `why` is a
    sentence for people.
    """

    gate: Gate
    state: State
    control: float | None
    treatment: float | None
    n_control: int
    n_treatment: int
    estimate: float | None
    low: float | None
    high: float | None
    level: float
    p_harm: float
    p_beyond: float
    why: str
    hold_level: float | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """All gates together: `block` when a blocking one is breached, `pass` when every blocking one holds, else
    `open`.
    """

    answer: Literal["pass", "block", "open"]
    judgements: tuple[Judgement, ...]
    alpha: float
    why: str
