"""How many units an undecided experiment still needs. Pure."""

import math
from collections.abc import Sequence

from scipy import special

from tidegate.control.experiments.findings.compare import mixing
from tidegate.control.experiments.model import Definition
from tidegate.stats.sequential.means import normal_mixture_bound

__all__ = ["information_needed", "units_needed"]

_MOST = 1e12
_BISECTIONS = 80


def information_needed(definition: Definition, difference: float, sd: float, *, alpha: float) -> float:
    """The sum of h_w (n_c n_t / (n_c + n_t) by windows) at which a true difference is found with definition.power.

    The least H with difference H >= bound(sd^2 H) + z sd sqrt(H): what S is then expected to be lies z standard
    errors beyond the normal-mixture bound at `alpha`. Infinite for no difference, and above 10^12. Unit of difference
    and sd: the metric's; sd above 0.
    """
    rho, z = mixing(definition, sd), float(special.ndtri(definition.power))

    def enough(information: float) -> bool:
        variance = sd * sd * information
        bound = float(normal_mixture_bound(variance, rho, alpha, two_sided=True))
        return abs(difference) * information >= bound + z * math.sqrt(variance)

    low, high = 1e-6, _MOST
    if not enough(high):
        return math.inf
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def units_needed(information: float, shares: Sequence[float], variant: int) -> float:
    """Units of all variants together, coming in `shares` that sum to 1, that give so much information on a variant
    against the control (number 0): N with N w_c w_t / (w_c + w_t) = information.
    """
    control, treatment = shares[0], shares[variant]
    if control <= 0 or treatment <= 0:
        return math.inf
    return information * (control + treatment) / (control * treatment)
