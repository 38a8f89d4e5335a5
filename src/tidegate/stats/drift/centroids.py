"""How far the mean of embeddings has moved: almost free, blind to all but the mean."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tidegate.stats.checks import Floats
from tidegate.stats.drift.distances import Distance, Rows, centred, embeddings

__all__ = ["centroid", "centroid_from"]


def centroid(reference: npt.ArrayLike, window: npt.ArrayLike) -> Distance:
    """The distance between the means, in root mean square distances of the reference's rows from their mean.

    |mean(y) - mean(x)| / sqrt(sum of the variances of x's columns, with n - 1 below); at least 0, about
    sqrt(1/n + 1/m) without drift where rows are independent. A constant reference gives 0 or infinity. No p-value: take
    one from Calibrated. Rows: (rows, columns), at least two of reference and one of window, as many columns; else
    BadSample. For one column it is the standardised difference of Cohen 1988, doi:10.4324/9780203771587, by the
    reference's own deviation (Glass 1976, doi:10.3102/0013189X005010003).
    """
    known, seen = embeddings("reference", reference), embeddings("window", window, least=1)
    value = _moved(_mean_and_spread(known), seen)
    return Distance(np.asarray(value), None, len(known), len(seen), "distance of means, in spreads of the reference")


def centroid_from(base: npt.ArrayLike) -> Callable[[npt.ArrayLike], float]:
    """The value of `centroid` for windows of these rows, which are read once: a ruler for Calibrated."""
    kept = _mean_and_spread(embeddings("base", base))
    return lambda window: _moved(kept, embeddings("window", window, least=1))


def _mean_and_spread(rows: Rows) -> tuple[Floats, float]:
    first = np.asarray(rows[0], dtype=np.float64)
    mean = first + _sum_from("reference", rows, first) / len(rows)
    squares = sum(float(np.sum(part**2)) for part in centred("reference", rows, mean))
    constant = not np.any(rows != rows[0])
    return mean, 0.0 if constant else float(np.sqrt(squares / (len(rows) - 1.0)))


def _sum_from(name: str, rows: Rows, origin: Floats) -> Floats:
    total = np.zeros(rows.shape[1])
    for part in centred(name, rows, origin):
        total += part.sum(axis=0)
    return total


def _moved(kept: tuple[Floats, float], window: Rows) -> float:
    mean, spread = kept
    moved = float(np.linalg.norm(_sum_from("window", window, mean) / len(window)))
    if spread > 0.0:
        return moved / spread
    return float("inf") if moved > 0.0 else 0.0
