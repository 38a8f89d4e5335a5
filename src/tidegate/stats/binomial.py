"""The tails of a binomial count B of `n` units with chance `q`, and the ranks between which a quantile lies."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.checks import Floats
from tidegate.stats.tails import together

__all__ = ["at_least", "at_most", "ranks_around"]


def at_most(k: npt.ArrayLike, n: npt.ArrayLike, q: npt.ArrayLike) -> Floats:
    """P(B <= k), by the incomplete beta function: 0 for a k below 0 and 1 from n on. n to 10^15."""
    k, n, q = together(k, n, q)
    inside = (k >= 0) & (k < n)
    found = special.betainc(np.where(inside, n - k, 1.0), np.where(inside, k + 1, 1.0), 1 - q)
    return np.where(inside, found, np.where(k < 0, 0.0, 1.0))


def at_least(k: npt.ArrayLike, n: npt.ArrayLike, q: npt.ArrayLike) -> Floats:
    """P(B >= k), as small as it may be: 1 for a k up to 0 and 0 beyond n."""
    k, n, q = together(k, n, q)
    inside = (k > 0) & (k <= n)
    found = special.betainc(np.where(inside, k, 1.0), np.where(inside, n - k + 1, 1.0), q)
    return np.where(inside, found, np.where(k <= 0, 1.0, 0.0))


def ranks_around(n: Floats, q: Floats, beyond: float) -> tuple[Floats, Floats]:
    """The largest l with P(B < l) <= beyond, and the smallest u with P(B >= u) <= beyond: from 0 to n + 1."""
    low = _first(lambda rank: np.asarray(at_most(rank - 1, n, q) > beyond), n) - 1
    return low, _first(lambda rank: np.asarray(at_least(rank, n, q) <= beyond), n)


def _first(holds: Callable[[Floats], npt.NDArray[np.bool_]], n: Floats) -> Floats:
    """The first rank of 1..n + 1 at which a condition holds that then holds on."""
    low, high = np.ones_like(n), n + 1
    while np.any(low < high):
        middle = np.floor((low + high) / 2)
        reached = holds(middle)
        low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
    return low
