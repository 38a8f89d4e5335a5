"""Integrals over a line, for a whole array of problems at once: Gauss-Legendre nodes between marks."""

from types import MappingProxyType

import numpy as np

from tidegate.stats.checks import Floats

__all__ = ["FEWER_NODES", "NODES", "either_side", "gauss_legendre", "products_of_others"]

NODES = 12
FEWER_NODES = 8
RULES = MappingProxyType({nodes: np.polynomial.legendre.leggauss(nodes) for nodes in (FEWER_NODES, NODES)})
"""Nodes and weights between -1 and 1, by their number."""


def gauss_legendre(marks: Floats, nodes: int = NODES) -> tuple[Floats, Floats]:
    """Places and weights for the integral from the least to the greatest mark, with `nodes` places between every two.

    sum(weights * f(places), axis=-1) is the integral of f. `marks` is (..., m), in any order; places and weights are
    (..., (m - 1) * nodes). `nodes` is 8 or 12. Exact for polynomials of degree 2 * nodes - 1 between two marks.
    """
    standard, share = RULES[nodes]
    ordered = np.sort(marks, axis=-1)
    half = (ordered[..., 1:] - ordered[..., :-1]) / 2
    middle = ordered[..., :-1] + half
    flat = (*half.shape[:-1], -1)
    places = (middle[..., None] + half[..., None] * standard).reshape(flat)
    return places, (half[..., None] * share).reshape(flat)


def products_of_others(factors: Floats) -> Floats:
    """For each entry of the first axis the product of all other entries, without a division."""
    before = np.ones_like(factors)
    after = np.ones_like(factors)
    np.cumprod(factors[:-1], axis=0, out=before[1:])
    np.cumprod(factors[:0:-1], axis=0, out=after[-2::-1])
    return before * after


def either_side(middle: Floats, unit: Floats, steps: Floats) -> Floats:
    """Marks at so many units on both sides of the middle, (..., 2 * steps - 1) when the first step is 0."""
    both = np.concatenate((-steps[:0:-1], steps))
    return np.asarray(np.asarray(middle)[..., None] + np.asarray(unit)[..., None] * both)
