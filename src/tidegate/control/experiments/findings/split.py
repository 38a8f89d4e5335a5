"""Whether units came in the shares that were meant (sample-ratio mismatch), at every look. Pure.

Shares are told by the propensities that the gateway logged: of two variants one tells the other. Of more, the weights
that held then are looked up, and who came while they changed is left out, as is whose propensity was another.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from tidegate.control.experiments.findings.callvalues import Whole
from tidegate.control.experiments.findings.outcomes import Outcomes
from tidegate.control.experiments.model import Definition, SplitReport
from tidegate.stats.checks import Floats
from tidegate.stats.splits import SequentialSplit

__all__ = ["BROKEN", "WeightsLog", "meant_shares", "split_of"]

WeightsLog: TypeAlias = Sequence[tuple[int, Sequence[int]]]
"""Since when (Unix ms) which weights held, oldest first."""

BROKEN = 0.001
"""Below this p-value the split is broken."""

_DIGITS = 6
_ON_ITS_WAY_MS = 10_000
"""So long before and after a change some gateways may have the new weights and others the old ones."""


def split_of(definition: Definition, outcomes: Outcomes, weights_log: WeightsLog = ()) -> SplitReport:
    """The split of all units that came in complete windows; and, when the primary metric has units without a value, of
    those that have one.
    """
    came = outcomes.arrivals
    shares = _shares(definition, came.variant, came.propensity, came.at_ms, weights_log)
    p = _split_p(came.variant, came.window, shares)
    responders_p = None
    answered = ~np.isnan(outcomes.values[definition.primary])
    if not answered.all():
        first = outcomes.at_ms - definition.observe_s * 1000
        shares = _shares(definition, outcomes.variant, outcomes.propensity, first, weights_log)
        responders_p = _split_p(outcomes.variant[answered], outcomes.window[answered], shares[answered])
    return SplitReport(ok=p >= BROKEN, p=p, responders_p=responders_p)


def meant_shares(weights: Sequence[int], outcomes: Outcomes, weights_log: WeightsLog = ()) -> tuple[float, ...]:
    """The share of the units so far that each variant was to get: the weights' of when each unit came, on average;
    those of `weights` (now) where none came, or the log tells nothing.
    """
    now = np.asarray(weights, dtype=np.float64)
    at_ms = outcomes.arrivals.at_ms
    if not weights_log or not at_ms.size:
        return tuple(float(one) for one in now / now.sum())
    since = np.asarray([since_ms for since_ms, _ in weights_log])
    held = np.asarray([shares for _, shares in weights_log], dtype=np.float64)
    counts = np.bincount(np.maximum(np.searchsorted(since, at_ms, side="right") - 1, 0), minlength=len(since))
    return tuple(float(one) for one in counts @ (held / held.sum(axis=1, keepdims=True)) / at_ms.size)


def _split_p(variant: Whole, window: Whole, shares: Floats) -> float:
    """The always-valid p-value, window by window and in it by the shares that held."""
    told = np.all(shares > 0, axis=-1) & np.all(np.isfinite(shares), axis=-1)
    if not told.any():
        return 1.0
    variants = shares.shape[-1]
    plans, plan = np.unique(shares[told], axis=0, return_inverse=True)
    plan = plan.reshape(-1)
    places, place = np.unique(np.stack([window[told], plan]), axis=1, return_inverse=True)
    counts = np.bincount(place.reshape(-1) * variants + variant[told], minlength=places.shape[1] * variants)
    held = int(places[1, 0])
    test = SequentialSplit.begin(plans[held])
    for at, row in zip(places[1], counts.reshape(-1, variants), strict=True):
        if at != held:
            held = int(at)
            test = test.with_weights(plans[held])
        test = test.update(row)
    return float(test.p_value)


def _shares(
    definition: Definition, variant: Whole, propensity: Floats, at_ms: Whole, weights_log: WeightsLog
) -> Floats:
    """The shares of all variants that held when each unit came, (units, variants); NaN where they cannot be told."""
    variants = len(definition.variants)
    found = np.full((variant.size, variants), np.nan)
    if variants == 2:
        treatment = np.where(variant == 1, propensity, 1 - propensity)
        found = np.stack([1 - treatment, treatment], axis=-1)
        return np.asarray(np.round(found, _DIGITS))
    since = np.asarray([at for at, _ in weights_log], dtype=np.int64)
    order = np.argsort(since, kind="stable")
    plans = [[one.weight_bp for one in definition.variants], *(list(weights_log[at][1]) for at in order)]
    shares = np.asarray([np.asarray(one, dtype=np.float64) / sum(one) for one in plans])
    held = np.searchsorted(since[order], at_ms, side="right")
    fits = np.abs(shares[held, variant] - propensity) < 10.0**-_DIGITS
    for change in since:
        fits &= np.abs(at_ms - change) > _ON_ITS_WAY_MS
    found[fits] = np.round(shares[held[fits]], _DIGITS)
    return found
