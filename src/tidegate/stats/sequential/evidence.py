"""Evidence that may be looked at whenever one likes: an e-value now, its highest so far, and the p-value of that.

An e-process E starts at 1 and, where the null hypothesis holds, has an expectation of at most 1 at every stopping
time. So P(E ever reaches 1/alpha) <= alpha (Ville 1939), with no correction for how often or why one looked; e-values
of several null hypotheses may be averaged. Ramdas, Grünwald, Vovk & Shafer 2023, doi:10.1214/23-STS894.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.checks import BadSample, Floats, finite, probability

__all__ = ["Evidence", "always_valid_p", "averaged"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an e-process says: natural logarithms of its value now and of its highest value so far (at least 0, its
    start). The fields are floats, or arrays with one entry a simulated run.
    """

    log_e: Floats
    log_peak: Floats

    @property
    def e_value(self) -> Floats:
        """The e-value now: 1 is no evidence, 1/alpha and above rejects; infinite above e^709."""
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(self.log_e))

    @property
    def p_value(self) -> Floats:
        """min(1, 1 / highest e-value so far): valid at every time, and it never rises."""
        return np.asarray(np.exp(-np.maximum(self.log_peak, 0.0)))

    def rejects(self, alpha: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether the null hypothesis has been rejected at `alpha` (in (0, 1), else BadSample) at any look so far."""
        return np.asarray(self.log_peak >= -np.log(probability("alpha", alpha)))


def always_valid_p(log_e: npt.ArrayLike, axis: int = -1) -> Floats:
    """p_t = min(1, 1 / max_{s <= t} E_s) from the logarithms of a whole path along `axis`.

    Domain: any logarithms, minus infinity included; NaN raises BadSample. Same shape as given; never rises along the
    axis. Johari, Koomen, Pekelis & Walsh 2022, doi:10.1287/opre.2021.2135.
    """
    path = np.asarray(log_e, dtype=np.float64)
    if path.ndim == 0 or np.any(np.isnan(path)):
        raise BadSample("log_e must be a path of numbers, none of them NaN")
    return np.asarray(np.exp(-np.maximum(np.maximum.accumulate(path, axis=axis), 0.0)))


def averaged(log_e: npt.ArrayLike, axis: int = -1) -> Floats:
    """log of the mean of e-values along `axis`: an e-value for "all of these null hypotheses hold", whatever their
    dependence.

    Domain: finite logarithms, at least one, else BadSample. Vovk & Wang 2021, doi:10.1214/20-AOS2020.
    """
    found = finite("log_e", log_e)
    if found.ndim == 0 or found.shape[axis] == 0:
        raise BadSample("log_e must hold at least one e-value")
    return np.asarray(special.logsumexp(found, axis=axis) - np.log(found.shape[axis]))
