"""What every drift distance gives back, the rows it takes, and the p-value of a permutation test."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.stats.checks import BadSample, Floats, finite

__all__ = [
    "ROWS_AT_ONCE",
    "TIES",
    "Distance",
    "Rows",
    "bounded",
    "centred",
    "columns",
    "embeddings",
    "rank_p_value",
    "whole",
]

TIES = 1e-12
"""Distances closer than this, relatively, are equal: the order of a sum may not decide."""

LARGEST = 1e100
"""The greatest value, up or down, that a distance takes: squares of it and sums of those stay finite."""

ROWS_AT_ONCE = 1024
"""Rows of embeddings that are worked on at one time."""

Rows = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a window of `n_window` rows lies from a reference of `n_reference`: one number, or one a column.

    `p_value` is how often windows from the reference's own distribution lie at least as far, when rows are
    exchangeable; None where it was not asked for or has no formula. `method` names the distance and its unit.
    """

    value: Floats
    p_value: Floats | None
    n_reference: int
    n_window: int
    method: str

    def __float__(self) -> float:
        return float(self.value)


def columns(name: str, values: npt.ArrayLike, least: int = 1) -> Floats:
    """The values as an array of rows and columns (one-dimensional values are one column); raises BadSample."""
    found = bounded(name, finite(name, values))
    if found.ndim not in (1, 2) or found.shape[0] < least or found.size == 0:
        raise BadSample(f"{name} must be at least {least} values, or as many rows of columns")
    return found.reshape(found.shape[0], -1)


def embeddings(name: str, rows: npt.ArrayLike, least: int = 2) -> Rows:
    """The rows in the precision that they came in; raises BadSample. Whether they are finite is seen in `centred`."""
    found = np.asarray(rows)
    if found.dtype.kind not in "fiu":
        raise BadSample(f"{name} must be real numbers")
    if found.ndim != 2 or len(found) < least or found.shape[1] < 1:
        raise BadSample(f"{name} must have at least {least} rows and one column: shape (rows, columns)")
    return found


def centred(name: str, rows: Rows, centre: Floats, at_once: int = ROWS_AT_ONCE) -> Iterator[Floats]:
    """The rows less the centre, so many at a time; raises BadSample for another width and for what is not finite."""
    if rows.shape[1] != len(centre):
        raise BadSample(f"{name} has {rows.shape[1]} columns, not {len(centre)}: another model embedded it")
    for begin in range(0, len(rows), at_once):
        yield bounded(name, rows[begin : begin + at_once]) - centre


def bounded(name: str, values: npt.NDArray[Any]) -> Floats:
    """The values as floats; raises BadSample for one that is no number or too large to be squared."""
    found = np.asarray(values, dtype=np.float64)
    if not np.all(np.abs(found) <= LARGEST):  # false for what is no number too
        raise BadSample(f"{name} holds what is no finite number up to {LARGEST:g}: leave out what is missing")
    return found


def whole(name: str, value: Any, least: int = 1) -> int:
    """The value as an int; raises BadSample unless it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise BadSample(f"{name} must be a whole number of at least {least}")
    return int(value)


def rank_p_value(observed: npt.ArrayLike, drawn: npt.ArrayLike) -> Floats:
    """The share of draws at least as great as what was observed, the observed one counted among them.

    p = (1 + #{drawn >= observed}) / (B + 1), with `drawn` of shape (B, ...) and `observed` of shape (...). Never 0, and
    valid at every B: P(p <= alpha) <= alpha when observed and drawn are exchangeable. Raises BadSample for NaN and for
    no draw. Phipson & Smyth 2010, doi:10.2202/1544-6115.1585.
    """
    seen, draws = finite("observed", observed), finite("drawn", drawn)
    if draws.ndim < 1 or draws.shape[0] < 1:
        raise BadSample("drawn must be at least one draw")
    reached = draws >= seen - TIES * np.abs(seen)
    return np.asarray((1.0 + np.sum(reached, axis=0)) / (draws.shape[0] + 1.0))
