"""The rollout that the tests of this folder simulate: 1,000 units every 5 minutes, of which the treatment has 5 % for
15 minutes, then 25 % for an hour, then 50 % for two hours; looked at after each of the 39 windows.
"""

import numpy as np
import numpy.typing as npt

from tidegate.stats.sequential.rates import RateWindow

__all__ = ["ALPHA", "MINUTES", "N_C", "N_T", "at_most", "first_minutes", "rollouts"]

ALPHA = 0.0125
"""One guardrail's share of 5 %, of four."""

MINUTES = 5
UNITS = 1000
N_T = np.array([50] * 3 + [250] * 12 + [500] * 24)
N_C = UNITS - N_T

Bools = npt.NDArray[np.bool_]


def rollouts(
    rate: npt.ArrayLike, ratio: float, *, runs: int = 20_000, seed: int = 1, n_c: npt.ArrayLike = N_C,
    n_t: npt.ArrayLike = N_T,
) -> RateWindow:  # fmt: skip
    """Events of independent units, at a rate (or one for each window) and `ratio` times it; runs on axis 0."""
    random = np.random.default_rng(seed)
    control, treatment = np.asarray(n_c), np.asarray(n_t)
    shape = (runs, control.size)
    events_c = random.binomial(control, np.asarray(rate, dtype=float), size=shape)
    events_t = random.binomial(treatment, np.minimum(np.asarray(rate, dtype=float) * ratio, 1.0), size=shape)
    return RateWindow(events_c, control, events_t, treatment)


def first_minutes(crossed: Bools) -> npt.NDArray[np.float64]:
    """When each run that ever crossed did so, in minutes."""
    return np.asarray((crossed[crossed.any(axis=-1)].argmax(axis=-1) + 1.0) * MINUTES)


def at_most(share: float, bound: float, runs: int) -> bool:
    """Whether a simulated share is compatible with a true one of at most `bound`: 4 standard errors of room."""
    return share <= bound + 4 * float(np.sqrt(bound * (1 - bound) / runs))
