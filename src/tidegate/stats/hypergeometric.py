"""The hypergeometric distribution, exact from a table of four up to arms of 10^12: pmf and tails.

X counts the successes among `draws` units of `total`, of which `successes` succeed.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.checks import Floats

__all__ = ["Margins", "log_pmf", "lower_tail", "two_sided", "upper_tail"]

Truths = npt.NDArray[np.bool_]

SUMMED = 4_096
"""Terms of a tail that are added one by one; a longer tail is smooth, and integrated."""
DROP = 45.0
"""A term e^-45 of the first one no longer counts in a double."""
TIE = 1e-10
"""Two tables whose log probabilities are this near have the same one."""
PANELS, NODES = 16, 24


class Margins(NamedTuple):
    """The fixed margins of a table: arrays of one shape."""

    draws: Floats
    successes: Floats
    total: Floats

    @property
    def least(self) -> Floats:
        """The least X can be."""
        return np.maximum(0.0, self.draws + self.successes - self.total)

    @property
    def most(self) -> Floats:
        """The most X can be."""
        return np.minimum(self.draws, self.successes)

    @property
    def mode(self) -> Floats:
        """The likeliest X."""
        mode = np.floor((self.draws + 1) / (self.total + 2) * (self.successes + 1))
        return np.clip(mode, self.least, self.most)

    @property
    def mirrored(self) -> "Margins":
        """The margins of draws - X: failures in the place of successes."""
        return Margins(self.draws, self.total - self.successes, self.total)


def log_pmf(x: Floats, margins: Margins) -> Floats:
    """log P(X = x), with a relative error of P of about 1e-13 for a total of 10^6 and 1e-9 for 10^12.

    P = b(x; n, p) b(K - x; N - n, p) / b(K; N, p) with p = K / N and b the binomial probability in its saddle-point
    form (Loader 2000, Fast and accurate computation of binomial probabilities), whose terms do not cancel however
    large the counts are. Between whole numbers it goes on smoothly.
    """
    n, k, total = margins
    p, q = k / total, (total - k) / total
    log = _log_binomial(x, n, p, q) + _log_binomial(k - x, total - n, p, q) - _log_binomial(k, total, p, q)
    return np.where((k == 0) | (k == total), 0.0, log)


def upper_tail(x: Floats, margins: Margins) -> Floats:
    """P(X >= x)."""
    above = x > margins.mode
    beyond = _sum_up(np.where(above, x, margins.most + 1), margins)
    mirror = margins.mirrored
    below = _sum_up(np.where(above, mirror.most + 1, margins.draws - x + 1), mirror)
    return np.clip(np.where(above, beyond, 1 - below), 0.0, 1.0)


def lower_tail(x: Floats, margins: Margins) -> Floats:
    """P(X <= x)."""
    return upper_tail(margins.draws - x, margins.mirrored)


def two_sided(x: Floats, margins: Margins) -> Floats:
    """The probability of all tables that are no likelier than x."""
    mode, limit = margins.mode, log_pmf(x, margins) + TIE

    def no_likelier(y: Floats) -> Truths:
        return np.asarray(log_pmf(y, margins) <= limit)

    right = x >= mode
    # from the mode outwards on the other side: the first table that is no likelier
    left_cut = mode - _first(lambda step: no_likelier(mode - step), mode - margins.least)
    right_cut = mode + _first(lambda step: no_likelier(mode + step), margins.most - mode)
    upper = upper_tail(np.where(right, x, right_cut), margins)
    lower = lower_tail(np.where(right, left_cut, x), margins)
    return np.where(no_likelier(mode), 1.0, np.minimum(upper + lower, 1.0))


def _first(holds: Callable[[Floats], Truths], most: Floats) -> Floats:
    """The first whole number of 0..most where a condition holds that then holds on; most + 1 when none does."""
    low, high = np.zeros_like(most), most + 1
    while np.any(low < high):
        middle = np.floor((low + high) / 2)
        reached = holds(np.minimum(middle, most))
        high = np.where((low < high) & reached, middle, high)
        low = np.where((low < high) & ~reached, middle + 1, low)
    return low


def _sum_up(x: Floats, margins: Margins) -> Floats:
    """P(X >= x) for an x above the mode: the terms fall from x on."""
    inside = x <= margins.most
    start = np.where(inside, x, margins.most)
    peak = log_pmf(start, margins)
    width = _first(lambda step: peak - log_pmf(start + step, margins) > DROP, margins.most - start)
    sums = [
        _tail(*each)
        for each in zip(
            start.flat, np.minimum(width, margins.most - start).flat, *(m.flat for m in margins), strict=True
        )
    ]
    return np.where(inside, np.exp(peak) * np.reshape(sums, start.shape), 0.0)


def _tail(start: float, width: float, draws: float, successes: float, total: float) -> float:
    """The sum of P(start + i) / P(start) for i in 0..width."""
    margins = Margins(np.asarray(draws), np.asarray(successes), np.asarray(total))
    peak = log_pmf(np.asarray(start), margins)

    def fallen(step: Floats) -> Floats:
        return np.asarray(np.exp(log_pmf(start + step, margins) - peak))

    if width < SUMMED:
        return float(fallen(np.arange(width + 1)).sum())
    # Euler-Maclaurin: the sum is the integral + f/2 - f'/12, for an f that changes by about 1 % a step
    nodes, weights = special.roots_legendre(NODES)
    edges = np.linspace(0.0, width, PANELS + 1)
    half = width / PANELS / 2
    points = edges[:-1, None] + half * (nodes + 1)
    slope = float(np.diff(log_pmf(start + np.array([-1.0, 1.0]), margins))[0]) / 2
    return float((fallen(points) * weights).sum() * half) + 0.5 - slope / 12


def _log_binomial(x: Floats, n: Floats, p: Floats, q: Floats) -> Floats:
    """log C(n, x) p^x q^(n-x), for p and q that add up to 1."""
    y = n - x
    none, every = x <= 0, y <= 0
    x, y = np.where(none | every, 1.0, x), np.where(none | every, 1.0, y)
    m = np.where(none | every, 2.0, n)
    p, q = np.where((p <= 0) | (q <= 0), 0.5, p), np.where((p <= 0) | (q <= 0), 0.5, q)
    inner = _stirling(m) - _stirling(x) - _stirling(y) - _deviance(x, m * p) - _deviance(y, m * q)
    inner = inner + 0.5 * (np.log(m) - np.log(2 * np.pi * x) - np.log(y))
    log_p = np.where(p > 0.5, np.log1p(-q), np.log(p))
    log_q = np.where(q > 0.5, np.log1p(-p), np.log(q))
    return np.where(none, n * log_q, np.where(every, n * log_p, inner))


def _stirling(n: Floats) -> Floats:
    """What Stirling's formula lacks: log n! - log(sqrt(2 pi n) (n/e)^n)."""
    large = np.maximum(n, 15.0)
    i = 1 / (large * large)
    series = (1 / 12 - i * (1 / 360 - i * (1 / 1260 - i * (1 / 1680 - i / 1188)))) / large
    small = np.minimum(n, 15.0)
    exact = special.gammaln(small + 1) - (small + 0.5) * np.log(small) + small - 0.5 * np.log(2 * np.pi)
    return np.where(n > 15, series, exact)


def _deviance(x: Floats, mean: Floats) -> Floats:
    """x log(x / mean) + mean - x, without the cancellation near the mean."""
    gap = x - mean
    v = gap / (x + mean)
    w = np.where(np.abs(v) < 0.1, v, 0.0)
    square, series = w * w, np.zeros_like(w)
    for j in range(9, 0, -1):
        series = square * (1 / (2 * j + 1) + series)
    return np.where(np.abs(v) < 0.1, gap * w + 2 * x * w * series, x * np.log(x / mean) - gap)
