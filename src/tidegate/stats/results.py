"""The words of statistics: what goes into a test (Proportion, Sample) and what comes out (Interval, Test).

Every field may hold one number or an array of them: all broadcast together.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from tidegate.stats.checks import BadSample, Floats, counts, finite

__all__ = ["ALTERNATIVES", "Interval", "Proportion", "Sample", "Test"]

ALTERNATIVES = ("two-sided", "greater", "less")
"""What is looked for: a treatment that differs, is above, or is below."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, at a level such as 0.95."""

    low: Floats
    high: Floats
    level: float


@dataclass(frozen=True, slots=True)
class Test:
    """What a test says. `effect` is treatment minus control, or their ratio: `method` says so. `df` is None where the
    reference distribution has none.
    """

    effect: Floats
    interval: Interval
    p_value: Floats
    statistic: Floats
    df: Floats | None
    method: str


@dataclass(frozen=True, slots=True)
class Proportion:
    """`successes` of `n` units, n at least 1; raises BadSample for what cannot be."""

    successes: Floats
    n: Floats

    def __init__(self, successes: npt.ArrayLike, n: npt.ArrayLike) -> None:
        object.__setattr__(self, "successes", counts("successes", successes))
        object.__setattr__(self, "n", counts("n", n, least=1))
        if np.any(self.successes > self.n):
            raise BadSample("successes must not be more than n")

    @property
    def rate(self) -> Floats:
        """Successes a unit."""
        return np.asarray(self.successes / self.n)


@dataclass(frozen=True, slots=True)
class Sample:
    """Mean and standard deviation (with n - 1 below it) of `n` values; raises BadSample for what cannot be."""

    mean: Floats
    sd: Floats
    n: Floats

    def __init__(self, mean: npt.ArrayLike, sd: npt.ArrayLike, n: npt.ArrayLike) -> None:
        object.__setattr__(self, "mean", finite("mean", mean))
        object.__setattr__(self, "sd", finite("sd", sd))
        object.__setattr__(self, "n", counts("n", n, least=2))
        if np.any(self.sd < 0):
            raise BadSample("sd must not be below 0")

    @classmethod
    def of(cls, values: npt.ArrayLike, axis: int = -1) -> Self:
        """From the values themselves, along an axis; at least two of them."""
        found = finite("values", values)
        if found.ndim == 0 or found.shape[axis] < 2:
            raise BadSample("values must be at least two")
        mean, sd = found.mean(axis=axis), found.std(axis=axis, ddof=1)
        least, most = found.min(axis=axis), found.max(axis=axis)
        same = least == most  # one value everywhere: its mean may be off by a bit, and two arms would seem to differ
        return cls(np.where(same, least, mean), np.where(same, 0.0, sd), np.float64(found.shape[axis]))
