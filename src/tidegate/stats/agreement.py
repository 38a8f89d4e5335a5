"""How far scores agree with human labels: AUROC, Cohen's kappa, accuracy and Spearman's correlation, each with an
interval by bootstrap over clusters (rows of one document are drawn together), and beside a rival on the same draws.

AUROC is the Mann-Whitney statistic with ties counted half (Hanley and McNeil 1982, 10.1148/radiology.143.1.7063747);
kappa, Cohen 1960 (10.1177/001316446002000104). Intervals are percentiles (Field and Welsh 2007,
10.1111/j.1467-9868.2007.00593.x).
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["MEASURES", "Agreement", "Measure", "accuracy", "agreement", "auroc", "kappa", "spearman"]

Measure: TypeAlias = Literal["auroc", "kappa", "accuracy", "spearman"]
Floats: TypeAlias = NDArray[np.float64]
DRAWS = 2_000


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """One measure with its 95% interval, over `n` rows in `clusters` clusters; of a rival on the same rows, its value
    and the gain over it. NaN: not defined (labels of one kind only).
    """

    measure: Measure
    value: float
    low: float
    high: float
    n: int
    clusters: int
    rival: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None


def auroc(labels: Floats, scores: Floats, weights: Floats | None = None) -> float:
    """The chance that a row labelled 1 scores higher than one labelled 0; ties count half. NaN without both labels."""
    weight = np.ones(len(labels)) if weights is None else weights
    order, starts = _groups(scores)
    good = np.add.reduceat((weight * labels)[order], starts)
    bad = np.add.reduceat((weight * (1.0 - labels))[order], starts)
    total = good.sum() * bad.sum()
    return float(np.dot(good, np.cumsum(bad) - bad / 2) / total) if total > 0 else float("nan")


def kappa(labels: Floats, decisions: Floats, weights: Floats | None = None) -> float:
    """Agreement of two raters that say 0 or 1, beyond chance. NaN when both always say the same one thing."""
    weight = np.ones(len(labels)) if weights is None else weights
    share = weight / weight.sum()
    one, other = float(share @ labels), float(share @ decisions)
    expected = one * other + (1 - one) * (1 - other)
    seen = float(share @ (labels == decisions))
    return (seen - expected) / (1 - expected) if expected < 1 else float("nan")


def accuracy(labels: Floats, decisions: Floats, weights: Floats | None = None) -> float:
    """The share of rows on which both say the same."""
    return float(np.average(labels == decisions, weights=weights))


def spearman(labels: Floats, scores: Floats, weights: Floats | None = None) -> float:
    """Pearson's correlation of the mid-ranks. NaN when one of them is constant. Whole weights are repeated rows."""
    weight = np.ones(len(labels)) if weights is None else weights
    one, other = _ranks(labels, weight), _ranks(scores, weight)
    one, other = one - np.average(one, weights=weight), other - np.average(other, weights=weight)
    spread = float(weight @ (one * one)) * float(weight @ (other * other))
    return float(weight @ (one * other)) / spread**0.5 if spread > 0 else float("nan")


MEASURES: Mapping[Measure, Callable[[Floats, Floats, Floats | None], float]] = MappingProxyType(
    {"auroc": auroc, "kappa": kappa, "accuracy": accuracy, "spearman": spearman}
)


def agreement(
    measure: Measure,
    labels: Sequence[float] | Floats,
    scores: Sequence[float] | Floats,
    *,
    clusters: Sequence[str] = (),
    rival: Sequence[float] | Floats | None = None,
    seed: int = 0,
) -> Agreement:
    """The measure with its interval, and the gain over `rival` (its scores; for kappa and accuracy its decisions) with
    a paired interval. `clusters` names the cluster of each row; without it every row is one. Raises ValueError when
    there are no rows or lengths differ.
    """
    known, mine = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    names = np.asarray(clusters if len(clusters) else [str(one) for one in range(len(known))])
    theirs = None if rival is None else np.asarray(rival, dtype=np.float64)
    if not len(known) or {len(mine), len(names), len(known if theirs is None else theirs)} != {len(known)}:
        raise ValueError("labels, scores, clusters and rival need one value for each row")
    of = MEASURES[measure]
    value = of(known, mine, None)
    beside = None if theirs is None else of(known, theirs, None)
    _, places = np.unique(names, return_inverse=True)
    count = int(places.max()) + 1
    random = np.random.default_rng(seed)
    own, gains = [], []
    for _ in range(DRAWS):
        weight = np.bincount(random.integers(0, count, count), minlength=count)[places].astype(np.float64)
        drawn = of(known, mine, weight)
        own.append(drawn)
        if theirs is not None:
            gains.append(drawn - of(known, theirs, weight))
    low, high = _interval(own)
    found = Agreement(measure=measure, value=value, low=low, high=high, n=len(known), clusters=count)
    if beside is None:
        return found
    gain_low, gain_high = _interval(gains)
    return msgspec.structs.replace(found, rival=beside, gain=value - beside, gain_low=gain_low, gain_high=gain_high)


def _interval(drawn: Sequence[float]) -> tuple[float, float]:
    known = np.asarray(drawn)[~np.isnan(drawn)]
    if len(known) < DRAWS // 2:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def _groups(scores: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows in the order of their scores, and where each different score begins."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    return order, np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])


def _ranks(values: Floats, weights: Floats) -> Floats:
    order, starts = _groups(values)
    heavy = np.add.reduceat(weights[order], starts)
    middle = np.cumsum(heavy) - (heavy - 1) / 2
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(middle, np.diff(np.r_[starts, len(values)]))
    return ranks
