"""How many cases it takes for an answer: with 80% probability, if what was estimated is true.

What is counted is a whole new run with so many cases more: it is on the safe side of adding them to those there are.
None where the estimate lies at the margin, or so near that more than a hundred million would be needed.
"""

import math

import numpy as np
from scipy import special

from tidegate.stats.binomial import at_most
from tidegate.stats.checks import Floats

__all__ = ["POWER", "for_drop", "for_mean", "for_none", "for_share", "more"]

ALPHA = 0.05
POWER = 0.8
MOST = 1e8
Z_ALPHA, Z_POWER = float(special.ndtri(1 - ALPHA)), float(special.ndtri(POWER))


def more(needed: float | None, had: int) -> int | None:
    """How many cases are to be added; at least one, since there is no answer yet."""
    if needed is None or not math.isfinite(needed) or needed > MOST:
        return None
    return max(1, math.ceil(needed) - had)


def for_none(least: float) -> float:
    """Cases until a harm that none of them shows is surely smaller: (1 - least)^n = 5%."""
    return math.log(ALPHA) / math.log1p(-min(least, 0.999))


def for_drop(harm: float, margin: float, sd: float) -> float | None:
    """Cases for a harm against a baseline: until it is surely below the margin, or, at or beyond the margin, until it
    is proven and its estimate stays there. `sd` is that of one case's difference.
    """
    if harm < margin:
        return ((Z_ALPHA + Z_POWER) * sd / (margin - harm)) ** 2
    if harm == margin:
        return None
    return max(((Z_ALPHA + Z_POWER) * sd / harm) ** 2, (Z_POWER * sd / (harm - margin)) ** 2)


def for_mean(distance: float, sd: float) -> float | None:
    """Cases until a mean is surely on the side of its bound on which it is, so far away."""
    return None if distance == 0 else ((Z_ALPHA + Z_POWER) * sd / distance) ** 2


def for_share(share: float, bound: float) -> float | None:
    """Cases until a share, if it is that of now, is surely below (or above) a bound by the exact interval."""
    if share == bound:
        return None
    grid = np.unique(np.ceil(np.geomspace(1, 1e7, 1500)))
    reached = _powers(grid, share, bound) >= POWER
    if not reached.any():
        return None
    first = int(np.argmax(reached))
    fine = np.arange(grid[max(first - 1, 0)], grid[first] + 1)
    if len(fine) > 5_000:
        return float(grid[first])
    return float(fine[int(np.argmax(_powers(fine, share, bound) >= POWER))])


def _powers(n: Floats, share: float, bound: float) -> Floats:
    """The chance that the one-sided exact interval of so many cases lies on the share's side of the bound."""
    q, edge = (share, bound) if share < bound else (1 - share, 1 - bound)
    # the most events whose interval ends below the bound: P(B <= x; bound) <= alpha
    most = np.floor(special.bdtrik(ALPHA, n, edge))
    most = np.where(np.isfinite(most), most, -1.0)
    most = np.where(at_most(most, n, edge) > ALPHA, most - 1, most)
    return np.where(most < 0, 0.0, at_most(most, n, q))
