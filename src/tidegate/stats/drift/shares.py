"""The population stability index: how the shares of bins or of categories have moved."""

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from tidegate.stats.checks import BadSample, Floats, counts
from tidegate.stats.drift.distances import Distance, columns, whole

__all__ = ["psi", "psi_of_counts"]

SMOOTHING = 0.5
"""Added to the count of every bin that is not empty in both, so that an empty one costs much and not infinity."""


def psi(reference: npt.ArrayLike, window: npt.ArrayLike, *, bins: int = 10) -> Distance:
    """The population stability index of numbers, in bins between quantiles of the reference.

    Edges are the 1/bins, 2/bins, ... quantiles of the reference; the outer bins are open, and a value that fills a
    whole bin or more gets a bin of its own. Smoothing and p-value are those of psi_of_counts. Values: (rows,) or
    (rows, columns), at least one row each; else BadSample. No unit.
    """
    known, seen = columns("reference", reference), columns("window", window)
    if known.shape[1] != seen.shape[1]:
        raise BadSample(f"window has {seen.shape[1]} columns and reference {known.shape[1]}: they must be the same")
    inner = np.arange(1, whole("bins", bins, least=2)) / bins
    found = [_of_column(known[:, one], seen[:, one], inner) for one in range(known.shape[1])]
    value = np.array([float(one.value) for one in found])
    p_value = np.array([float(one.p_value) for one in found if one.p_value is not None])
    single = np.ndim(reference) == 1
    return Distance(
        value[0] if single else value,
        p_value[0] if single else p_value,
        len(known),
        len(seen),
        f"population stability index, {bins} bins",
    )


def psi_of_counts(reference: npt.ArrayLike, window: npt.ArrayLike) -> Distance:
    """The population stability index of categories, from how often each occurred.

    PSI = sum (w - r) ln(w / r) over the shares r and w of each category. Half an occurrence is added to every count,
    and categories that are empty in both are left out, so the index is finite. At least 0, no unit. Counts:
    one-dimensional, of equal length, at least one occurrence each; else BadSample. Without drift PSI / (1/n + 1/m) is
    about chi-square with one degree of freedom less than there are categories, whence the p-value: fair where each
    holds 5 or more. The usual marks 0.1 and 0.25 know nothing of n and m. Yurdakul & Naranjo 2020,
    doi:10.21314/JRMV.2020.227.
    """
    known, seen = counts("reference", reference), counts("window", window)
    if known.ndim != 1 or known.shape != seen.shape:
        raise BadSample("reference and window must count the same categories, in the same order")
    n, m = float(known.sum()), float(seen.sum())
    if n < 1 or m < 1:
        raise BadSample("reference and window must each count at least one occurrence")
    held = known + seen > 0
    before, after = _smoothed(known[held]), _smoothed(seen[held])
    value = max(0.0, float((after - before) @ np.log(after / before)))
    freedom = int(held.sum()) - 1
    p_value = float(chdtrc(freedom, value / (1.0 / n + 1.0 / m))) if freedom else 1.0
    return Distance(np.asarray(value), np.asarray(p_value), int(n), int(m), "population stability index of categories")


def _smoothed(counted: Floats) -> Floats:
    return np.asarray((counted + SMOOTHING) / (counted.sum() + SMOOTHING * len(counted)))


def _of_column(known: Floats, seen: Floats, inner: Floats) -> Distance:
    quantiles, times = np.unique(np.quantile(known, inner, method="inverted_cdf"), return_counts=True)
    atoms = np.nextafter(quantiles[times > 1], -np.inf)
    edges = np.union1d(quantiles, atoms)  # bin i holds edges[i - 1] < value <= edges[i]
    bins = len(edges) + 1
    return psi_of_counts(
        np.bincount(np.searchsorted(edges, known), minlength=bins),
        np.bincount(np.searchsorted(edges, seen), minlength=bins),
    )
