"""Sums over a chi-square variable, laid out by its logarithm: what a variance that was estimated does."""

import numpy as np
from scipy import special

from tidegate.stats.checks import Floats
from tidegate.stats.conjugates import stirling
from tidegate.stats.quadrature import gauss_legendre

__all__ = ["evenly_weighed_shares", "log_share", "log_share_steps", "noncentral_t_below", "weighed_shares"]

GAUSS = 9.0
"""Standard deviations that a normal belief reaches."""
NATS = 37.0
"""exp(-37) is the rounding of 1."""
NODES = 8
STEP = 0.45
NOTHING = 1e-19
AROUND = np.array([-9.0, -6.0, -4.0, -2.5, -1.2, 0.0, 1.2, 2.5, 4.0, 6.0, 9.0])


def log_share_steps(df: Floats) -> Floats:
    """Standard deviations of log(chi2_df), from 0, so close that a heavy tail is smooth between two of them, and so far
    that 1e-16 is left beyond.
    """
    half = float(np.min(df)) / 2
    wide = float(np.sqrt(special.polygamma(1, half)))
    step = min(max(1 / wide, 0.4), 1.5)
    return np.arange(0, max(GAUSS, NATS / (half * wide)) + step, step)


def log_share(df: Floats, steps: Floats) -> Floats:
    """log(chi2_df / df) at so many standard deviations from its mean, (..., steps)."""
    half = np.asarray(df)[..., None] / 2
    return np.asarray(special.digamma(half) - np.log(half) + np.sqrt(special.polygamma(1, half)) * steps)


def weighed_shares(df: Floats, marks: Floats | None = None) -> tuple[Floats, Floats]:
    """Places of log(chi2_df / df) and how probable each is, (..., places): a sum over them is an expectation.

    `marks` are further places where what is summed bends. Density of y = log(chi2_df / df), h = df / 2:
    exp(-h (e^y - 1 - y)) sqrt(h / 2 pi), but for Stirling's remainder.
    """
    steps = log_share_steps(df)
    edges = log_share(df, np.concatenate((-steps[:0:-1], steps)))
    if marks is not None:
        inside = np.clip(marks, edges[..., :1], edges[..., -1:])
        shape = inside.shape[:-1]
        edges = np.concatenate((np.broadcast_to(edges, (*shape, edges.shape[-1])), inside), axis=-1)
    places, width = gauss_legendre(edges, NODES)
    half = np.asarray(df)[..., None] / 2
    power = -half * (np.expm1(places) - places) + 0.5 * np.log(half / (2 * np.pi)) - stirling(half)
    weights = width * np.exp(power)
    kept = np.any(weights > NOTHING, axis=tuple(range(weights.ndim - 1)))
    places, weights = places[..., kept], weights[..., kept]
    return places, np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def evenly_weighed_shares(df: Floats) -> tuple[Floats, Floats]:
    """As `weighed_shares`, at fewer places, for df of 30 or more and what bends no faster than the density itself: the
    trapezoidal rule, whose error falls as exp(-2 pi^2 / STEP^2).
    """
    places = log_share(df, STEP * np.arange(-33, 21, dtype=np.float64))
    half = np.asarray(df)[..., None] / 2
    weights = np.exp(-half * (np.expm1(places) - places))
    kept = np.any(weights > NOTHING, axis=tuple(range(weights.ndim - 1)))
    places, weights = places[..., kept], weights[..., kept]
    return places, np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def noncentral_t_below(df: Floats, moved: Floats, place: Floats) -> Floats:
    """P((Z + moved) / sqrt(chi2_df / df) <= place) = E[Phi(place sqrt(chi2_df / df) - moved)].

    Source: Johnson, Kotz & Balakrishnan (1995), Continuous Univariate Distributions 2, chapter 31.
    """
    df, moved, place = np.broadcast_arrays(df, moved, place)
    with np.errstate(divide="ignore", invalid="ignore"):
        bend = np.nan_to_num(2 * np.log(moved / place), nan=0.0, posinf=0.0, neginf=0.0)
    marks = bend[..., None] + 2 / np.maximum(np.abs(moved), 1.0)[..., None] * AROUND
    shares, weights = weighed_shares(df, marks)
    score = place[..., None] * np.exp(shares / 2) - moved[..., None]
    return np.asarray(np.sum(weights * special.ndtr(score), axis=-1))
