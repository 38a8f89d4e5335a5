"""What cannot be a sample, a probability or a level is refused here, by name, before any formula sees it."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BadSample", "Floats", "counts", "finite", "positive", "probability"]

Floats = npt.NDArray[np.float64]


class BadSample(ValueError):
    """An argument that cannot be; the message names it and says what it may be."""


def finite(name: str, value: npt.ArrayLike) -> Floats:
    """The values as floats; raises BadSample when one is NaN or infinite."""
    found = _floats(name, value)
    if not np.all(np.isfinite(found)):
        raise BadSample(f"{name} holds what is no finite number: leave out what is missing")
    return found


def positive(name: str, value: npt.ArrayLike) -> Floats:
    """The values as floats; raises BadSample unless all are finite and above 0."""
    found = finite(name, value)
    if not np.all(found > 0):
        raise BadSample(f"{name} must be above 0, and one is {found.min():g}")
    return found


def probability(name: str, value: npt.ArrayLike, *, closed: bool = False) -> Floats:
    """The values as floats; raises BadSample unless all lie between 0 and 1, which themselves count when `closed`."""
    found = finite(name, value)
    if closed and np.all((found >= 0) & (found <= 1)):
        return found
    if not closed and np.all((found > 0) & (found < 1)):
        return found
    kind = "from 0 to 1" if closed else "between 0 and 1"
    raise BadSample(f"{name} must be {kind}: 95 % is 0.95")


def counts(name: str, value: npt.ArrayLike, *, least: int = 0) -> Floats:
    """The values as floats; raises BadSample unless all are whole numbers of at least `least`."""
    found = finite(name, value)
    if not np.all((found >= least) & (found == np.floor(found))):
        raise BadSample(f"{name} must be whole numbers of at least {least}")
    return found


def _floats(name: str, value: Any) -> Floats:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadSample(f"{name} must be numbers: {error}") from error
