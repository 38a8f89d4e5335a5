"""One tail or both: p-values and interval ends of a statistic that is normal or Student's t."""

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.checks import BadSample, Floats, probability
from tidegate.stats.results import ALTERNATIVES, Interval, Test

__all__ = ["by_error", "critical", "level_of", "one_sided", "sided", "standardised", "tail", "together"]


def together(*values: npt.ArrayLike) -> list[Floats]:
    """The values as floats of their common shape; raises BadSample when they have none."""
    try:
        shape = np.broadcast_shapes(*(np.shape(value) for value in values))
    except ValueError as error:
        raise BadSample(f"the arguments must broadcast to one shape: {error}") from error
    return [np.array(np.broadcast_to(value, shape), dtype=np.float64) for value in values]


def sided(alternative: str) -> str:
    """The alternative itself; raises BadSample for one that is not known."""
    if alternative not in ALTERNATIVES:
        raise BadSample(f"alternative must be one of {', '.join(ALTERNATIVES)}, not {alternative!r}")
    return alternative


def level_of(level: float) -> float:
    """The level of an interval; raises BadSample unless it is one number between 0 and 1."""
    found = probability("level", level)
    if found.ndim:
        raise BadSample("level must be one number: ask once for each level")
    return float(found)


def standardised(effect: npt.ArrayLike, error: npt.ArrayLike) -> Floats:
    """The effect in standard errors: 0 where both are 0, infinite where only the error is."""
    effect, error = together(effect, error)
    at_edge = np.where(effect == 0, 0.0, np.copysign(np.inf, effect))
    return np.asarray(np.divide(effect, error, out=at_edge, where=error > 0))


def tail(statistic: npt.ArrayLike, alternative: str, df: npt.ArrayLike | None = None) -> Floats:
    """The p-value of a statistic: normal, or Student's t with `df` degrees of freedom."""
    found = np.asarray(statistic, dtype=np.float64)
    if sided(alternative) == "two-sided":
        return np.asarray(np.minimum(2 * _below(-np.abs(found), df), 1.0))
    return _below(found if alternative == "less" else -found, df)


def critical(level: float, alternative: str, df: npt.ArrayLike | None = None) -> Floats:
    """How many standard errors an interval reaches from its estimate; raises BadSample for one that would not hold
    it."""
    beyond = 1 - level_of(level)
    if sided(alternative) == "two-sided":
        beyond /= 2
    if beyond > 0.5:
        raise BadSample("level must be at least one half for a one-sided interval: a lower one leaves its estimate out")
    return np.asarray(-special.ndtri(beyond) if df is None else -special.stdtrit(df, beyond))


def one_sided(low: Floats, high: Floats, alternative: str, level: float, ends: tuple[float, float]) -> Interval:
    """The interval, opened to the end of what is possible on the side that the alternative does not ask about."""
    least, most = ends
    if sided(alternative) == "greater":
        high = np.full_like(low, most)
    if alternative == "less":
        low = np.full_like(high, least)
    return Interval(np.asarray(np.maximum(low, least)), np.asarray(np.minimum(high, most)), level_of(level))


def by_error(
    effect: npt.ArrayLike, error: npt.ArrayLike, df: npt.ArrayLike | None, alternative: str, level: float, method: str
) -> Test:
    """The test of effect = 0 by its standard error, with the interval that excludes 0 exactly when p < 1 - level."""
    if df is None:
        effect, error = together(effect, error)
    else:
        effect, error, df = together(effect, error, df)
    statistic = standardised(effect, error)
    reach = critical(level, alternative, df) * error
    interval = one_sided(effect - reach, effect + reach, alternative, level, (-np.inf, np.inf))
    return Test(effect, interval, tail(statistic, alternative, df), statistic, df, method)


def _below(statistic: Floats, df: npt.ArrayLike | None) -> Floats:
    return np.asarray(special.ndtr(statistic) if df is None else special.stdtr(df, statistic))
