"""The maximum mean discrepancy between embeddings, through random features: time and memory grow with the rows, not
with their square, and a reference is kept as one vector.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from tidegate.stats.checks import BadSample, Floats
from tidegate.stats.drift.distances import (
    ROWS_AT_ONCE,
    Distance,
    Rows,
    bounded,
    centred,
    embeddings,
    rank_p_value,
    whole,
)

__all__ = ["Kernel", "Sketch", "mmd", "squared_mmd"]

BANDWIDTH_ROWS = 1000
"""Rows among which the median distance is looked for, in two halves."""

CELLS = 1000
"""Into about so many cells of rows the smaller sample is cut: a permutation moves cells."""

CELLS_OF_LARGER = 4 * CELLS
"""So many cells of the larger sample may change sides; all others stay."""

PERMUTED_AT_ONCE = 250

FARTHEST = 1e6
"""Bandwidths from the centre: beyond that a row is as far from all others as it can be, and stays finite."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """The sum of the features of `n` rows: all that MMD needs to know of them. Sketches of one kernel may be added."""

    total: Floats
    n: int

    def __add__(self, other: "Sketch") -> "Sketch":
        return Sketch(self.total + other.total, self.n + other.n)


@dataclass(frozen=True, slots=True)
class Kernel:
    """Random features of the Gaussian kernel k(x, y) = exp(-|x - y|^2 / (2 bandwidth^2)).

    A row x becomes cos(f x / bandwidth) and sin(f x / bandwidth) over standard normal `frequencies` f, shape (columns,
    features / 2), so that the mean product of two rows' features is k, with k(x, x) = 1 exactly. `centre` is taken off
    first: it changes no distance, and single precision is enough. Rahimi & Recht 2007, Random features for large-scale
    kernel machines, NIPS 20; Sutherland & Schneider 2015, arXiv:1506.02785.
    """

    frequencies: npt.NDArray[np.float32]
    centre: Floats
    bandwidth: float

    @classmethod
    def of(cls, rows: npt.ArrayLike, rng: np.random.Generator, *, features: int = 512) -> Self:
        """A kernel for such rows: its bandwidth is the median distance among up to 1,000 of them, drawn at random.

        Rows: (rows, columns), at least two, finite among those drawn; `features` even; else BadSample. Garreau,
        Jitkrittum & Kanagawa 2017, arXiv:1707.07269.
        """
        return cls._of([embeddings("rows", rows)], rng, features)

    @classmethod
    def _of(cls, samples: Sequence[Rows], rng: np.random.Generator, features: int) -> Self:
        if whole("features", features, least=2) % 2:
            raise BadSample("features must be even: each frequency has a cosine and a sine")
        drawn = _drawn(samples, rng)
        centre = np.median(drawn, axis=0)  # one row that is far off does not move it
        half = len(drawn) // 2
        bandwidth = _middle_distance(drawn[:half] - centre, drawn[half:] - centre)
        frequencies = rng.standard_normal((drawn.shape[1], features // 2), dtype=np.float32)
        return cls(frequencies, centre, bandwidth)

    def sketch(self, rows: npt.ArrayLike) -> Sketch:
        """The rows as one vector; raises BadSample for rows of another width or that are not finite."""
        found = embeddings("rows", rows, least=1)
        total = np.zeros(2 * self.frequencies.shape[1])
        for part in self._features("rows", found, ROWS_AT_ONCE):
            total += part.sum(axis=0, dtype=np.float64)
        return Sketch(total, len(found))

    def distance_from(self, base: npt.ArrayLike) -> Callable[[npt.ArrayLike], float]:
        """The unbiased squared MMD of a window from these rows, which are sketched once: a ruler for Calibrated."""
        kept = self.sketch(base)
        return lambda window: squared_mmd(kept, self.sketch(window))

    def _features(self, name: str, rows: Rows, at_once: int) -> Iterator[npt.NDArray[np.float32]]:
        half = self.frequencies.shape[1]
        for part in centred(name, rows, self.centre, at_once):
            part /= self.bandwidth
            np.clip(part, -FARTHEST, FARTHEST, out=part)
            angles = part.astype(np.float32) @ self.frequencies
            found = np.empty((len(angles), 2 * half), dtype=np.float32)
            np.cos(angles, out=found[:, :half])
            np.sin(angles, out=found[:, half:])
            yield found


def squared_mmd(reference: Sketch, window: Sketch) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy, from two sketches of one kernel.

    MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y) over pairs of different rows. 0 on average without drift, so
    about half the time below 0; at most 2. No unit. At least two rows each, else BadSample. Gretton et al. 2012, A
    kernel two-sample test, JMLR 13:723-773.
    """
    if reference.total.shape != window.total.shape or reference.n < 2 or window.n < 2:
        raise BadSample("reference and window must be sketches of one kernel, with at least two rows each")
    return float(_discrepancy(window.total[np.newaxis], reference.total + window.total, reference.n, window.n)[0])


def mmd(
    reference: npt.ArrayLike,
    window: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    features: int = 512,
    permutations: int = 999,
    block: int | None = None,
) -> Distance:
    """The squared maximum mean discrepancy of two sets of embeddings, with its p-value.

    The value is squared_mmd in random features of a Gaussian kernel whose bandwidth is the median distance in both sets
    together; other random features give another value, by about a tenth of it with 512. The p-value is rank_p_value
    over `permutations` in which cells of `block` consecutive rows change sides: by default so many that the smaller
    sample has about 1,000 cells. Rows that fill no cell, and those of a larger sample beyond 4,000 cells, stay where
    they are. Exchanges of this kind form a group, so the p-value is valid (Hemerik & Goeman 2018,
    doi:10.1007/s11749-017-0571-1) where rows are exchangeable; where neighbours in time are alike, take `block` longer
    than that lasts, and prefer Calibrated. Rows: (rows, columns), at least two each and as many columns; else
    BadSample. Memory: the arrays given and about 50 MB, more where a block has over 1,000 rows.
    """
    known, seen = embeddings("reference", reference), embeddings("window", window)
    if known.shape[1] != seen.shape[1]:
        raise BadSample(f"window has {seen.shape[1]} columns, not {known.shape[1]}: another model embedded it")
    draws = whole("permutations", permutations)
    size = _cell_size(min(len(known), len(seen)), block)
    kernel = Kernel._of([known, seen], rng, features)
    cells_known, rest_known = _cells(kernel, "reference", known, size)
    cells_seen, rest_seen = _cells(kernel, "window", seen, size)
    cells = np.concatenate([cells_known, cells_seen])
    total = cells.sum(axis=0) + rest_known + rest_seen
    mine = (np.arange(len(cells)) >= len(cells_known)).astype(np.float64)
    found = np.empty(draws + 1)
    for begin in range(0, draws + 1, PERMUTED_AT_ONCE):
        some = min(PERMUTED_AT_ONCE, draws + 1 - begin)
        moved = rng.permuted(np.tile(mine, (some, 1)), axis=1)
        if begin == 0:
            moved[0] = mine  # what was seen takes the same way as what is drawn
        found[begin : begin + some] = _discrepancy(moved @ cells + rest_seen, total, len(known), len(seen))
    method = f"unbiased squared MMD, Gaussian kernel of bandwidth {kernel.bandwidth:.3g}, {features} random features"
    p_value = rank_p_value(found[0], found[1:])
    return Distance(np.asarray(found[0]), p_value, len(known), len(seen), method)


def _drawn(samples: Sequence[Rows], rng: np.random.Generator) -> Floats:
    """Up to 1,000 rows of all samples together, whichever they come from."""
    sizes = np.cumsum([0, *(len(one) for one in samples)])
    total = int(sizes[-1])
    chosen = rng.choice(total, min(total, BANDWIDTH_ROWS), replace=False)
    source = np.searchsorted(sizes, chosen, side="right") - 1
    found = np.empty((len(chosen), samples[0].shape[1]))
    for number, one in enumerate(samples):
        mine = source == number
        found[mine] = bounded("the embeddings", one[chosen[mine] - sizes[number]])
    return found


def _middle_distance(some: Floats, others: Floats) -> float:
    """The median distance above 0; 1 where all rows are the same. The halves differ, so no product is symmetric."""
    norms = (some**2).sum(axis=1)[:, np.newaxis] + (others**2).sum(axis=1)
    squares = norms - 2.0 * (some @ others.T)
    apart = squares[squares > 1e-12 * norms]  # what is less is rounding
    return float(np.sqrt(np.median(apart))) if apart.size else 1.0


def _cell_size(rows: int, block: int | None) -> int:
    if block is None:
        return -(-rows // CELLS)
    if whole("block", block) > rows // 2:
        raise BadSample(f"block must be at most {rows // 2}, half the smaller sample")
    return int(block)


def _cells(kernel: Kernel, name: str, rows: Rows, size: int) -> tuple[Floats, Floats]:
    """The sums of the features of cells that may change sides, and of all rows that stay."""
    whole_cells = len(rows) // size
    stride = -(-whole_cells // CELLS_OF_LARGER)  # every so-many-th cell may move, spread over the whole sample
    per_part = max(1, ROWS_AT_ONCE // size)
    moving: list[Floats] = []
    rest = np.zeros(2 * kernel.frequencies.shape[1])
    number = 0
    for part in kernel._features(name, rows, per_part * size):
        whole_here = len(part) // size
        sums = part[: whole_here * size].reshape(whole_here, size, -1).sum(axis=1, dtype=np.float64)
        moves = np.arange(number, number + whole_here) % stride == 0
        moving.append(sums[moves])
        rest += sums[~moves].sum(axis=0) + part[whole_here * size :].sum(axis=0, dtype=np.float64)
        number += whole_here
    return np.concatenate(moving), rest


def _discrepancy(windows: Floats, total: Floats, n: int, m: int) -> Floats:
    """The unbiased squared MMD for each candidate sum of the window's features; shape (candidates,)."""
    half = total.shape[0] / 2.0
    own = np.einsum("ij,ij->i", windows, windows) / half
    others = total - windows
    across = np.einsum("ij,ij->i", windows, others) / half
    rest = np.einsum("ij,ij->i", others, others) / half
    return np.asarray((rest - n) / (n * (n - 1.0)) + (own - m) / (m * (m - 1.0)) - 2.0 * across / (float(n) * m))
