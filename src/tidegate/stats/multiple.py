"""Many tests at once: adjusted p-values, each to be compared with alpha itself.

The family of the tests is the last axis: an array of shape (experiments, metrics) is adjusted experiment by
experiment.
"""

import numpy as np
import numpy.typing as npt

from tidegate.stats.checks import BadSample, Floats, probability

__all__ = ["benjamini_hochberg", "bonferroni", "holm"]


def bonferroni(p_values: npt.ArrayLike) -> Floats:
    """Bonferroni's adjusted p-values min(1, m p): P(any false finding) <= alpha, whatever the dependence.

    Shape in, shape out. Raises BadSample for what is no probability, and for a single number. Dunn 1961,
    doi:10.1080/01621459.1961.10482090.
    """
    p = _family(p_values)
    return np.asarray(np.minimum(p * p.shape[-1], 1.0))


def holm(p_values: npt.ArrayLike) -> Floats:
    """Holm's adjusted p-values: P(any false finding) <= alpha, whatever the dependence, and never above Bonferroni's.

    In rising order, p~_(i) = max over j <= i of min(1, (m - j + 1) p_(j)). Shape in, shape out. Raises BadSample for
    what is no probability, and for a single number. Holm 1979, Scandinavian Journal of Statistics 6, 65-70.
    """
    p = _family(p_values)
    order = np.argsort(p, axis=-1, kind="stable")
    m = p.shape[-1]
    stepped = np.take_along_axis(p, order, axis=-1) * np.arange(m, 0, -1)
    return _put_back(np.minimum(np.maximum.accumulate(stepped, axis=-1), 1.0), order)


def benjamini_hochberg(p_values: npt.ArrayLike) -> Floats:
    """Benjamini and Hochberg's adjusted p-values: the expected share of false findings among the findings is <=
    alpha, for tests that are independent or positively dependent (PRDS).

    In rising order, p~_(i) = min over j >= i of min(1, m p_(j) / j). Shape in, shape out. Raises BadSample for what
    is no probability, and for a single number. Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x;
    Benjamini & Yekutieli 2001, doi:10.1214/aos/1013699998.
    """
    p = _family(p_values)
    order = np.argsort(p, axis=-1, kind="stable")
    m = p.shape[-1]
    stepped = np.take_along_axis(p, order, axis=-1) * (m / np.arange(1, m + 1))
    lowest = np.minimum.accumulate(stepped[..., ::-1], axis=-1)[..., ::-1]
    return _put_back(np.minimum(lowest, 1.0), order)


def _family(p_values: npt.ArrayLike) -> Floats:
    p = probability("p_values", p_values, closed=True)
    if p.ndim == 0:
        raise BadSample("p_values must be a family of them: a list, or an array whose last axis is the family")
    return p


def _put_back(sorted_values: Floats, order: npt.NDArray[np.intp]) -> Floats:
    """The values in the order that the sorting took them from."""
    found = np.empty_like(sorted_values)
    np.put_along_axis(found, order, sorted_values, axis=-1)
    return found
