"""The rollout that is simulated: 1,000 units every 5 minutes, of which the candidate has 5% for 15 minutes, then 25%
for an hour, then 50% for two hours; looked at after each of the 39 windows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidegate.stats.sequential.rates import RateWindow
from tidegate.stats.sequential.stratified import Moments

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]

MINUTES = 5
UNITS = 1000
ERRORS = 0.01
ALPHA = 0.0125
"""One guardrail's share of 5%, of four."""
PROMOTE_ALPHA = 0.05

STAGE = np.repeat([0, 1, 2], [3, 12, 24])
N_T = np.repeat([50, 250, 500], [3, 12, 24])
N_C = UNITS - N_T
LOOKS = len(STAGE)


@dataclass(frozen=True)
class Hit:
    """What a rule did in each run: whether it ever rolled back, after how many looks, and how many of the candidate's
    units had been served by then (all of them where it did not).
    """

    ever: Bools
    looks: Counts
    served: Floats

    @property
    def median_looks(self) -> float:
        """Of the runs that were rolled back; NaN when none was."""
        return float(np.median(self.looks[self.ever])) if self.ever.any() else float("nan")


def first(fires: Bools, n_t: npt.ArrayLike = N_T) -> Hit:
    """From whether a rule fires at each look (last axis)."""
    ever = np.asarray(fires.any(axis=-1))
    looks = np.where(ever, fires.argmax(axis=-1) + 1, fires.shape[-1])
    return Hit(ever, looks, np.cumsum(np.asarray(n_t))[looks - 1].astype(np.float64))


def events(
    random: np.random.Generator, rate: npt.ArrayLike, ratio: float, runs: int, sizes: tuple[Counts, Counts] = (N_C, N_T)
) -> RateWindow:
    """Events of independent units at a rate (or one a window), in the treatment at `ratio` times it; runs on axis 0."""
    control, treatment = sizes
    base = np.asarray(rate, dtype=np.float64)
    shape = (runs, len(control))
    events_c = random.binomial(control, np.broadcast_to(base, len(control)), size=shape)
    events_t = random.binomial(treatment, np.broadcast_to(np.minimum(base * ratio, 1.0), len(control)), size=shape)
    return RateWindow(events_c, control, events_t, treatment)


def moments(random: np.random.Generator, draw: Draw, sizes: Counts, runs: int) -> Moments:
    """Of independent values, for each run and window; the values themselves are not kept."""
    found = [Moments.of(draw(random, (runs, int(n)))) for n in sizes]
    shape = (runs,)
    return Moments(*(np.stack([np.broadcast_to(getattr(one, name), shape) for one in found], axis=1)
                     for name in ("n", "mean", "squares")))  # fmt: skip


def in_parts(runs: int, most: int = 1000) -> list[int]:
    """Runs in handy portions: whole windows of values need memory."""
    return [min(most, runs - begun) for begun in range(0, runs, most)]
