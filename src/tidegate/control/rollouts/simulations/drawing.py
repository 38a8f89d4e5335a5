"""Windows of units as they might come: how many of each arm, and the Moments of each metric.

Values of means are drawn once into a long pool, and a window takes a run of it, whose sums are two subtractions: the
values are as skewed as they are, and nothing is taken to be normal. Two windows of one rollout share values seldom.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.control.rollouts.simulations.worlds import CLUSTER, Expected, World
from tidegate.stats.sequential.stratified import Moments

__all__ = ["Drawing", "Pool", "pools_of"]

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

POOL = 2_000_000


class Pool(NamedTuple):
    """Sums and sums of squares of the first values of a pool, and how many there are."""

    sums: Floats
    squares: Floats
    size: int

    def moments(self, random: np.random.Generator, n: Whole, times: float = 1.0, plus: float = 0.0) -> Moments:
        """Of n values of the pool, each times `times` and plus `plus`; n may be 0, and of any shape."""
        n = np.minimum(n, self.size)
        begin = random.integers(0, self.size - n + 1)
        some = np.maximum(n, 1)
        mean = (self.sums[begin + n] - self.sums[begin]) / some
        squares = np.maximum(self.squares[begin + n] - self.squares[begin] - mean * mean * n, 0.0)
        return Moments(n, np.where(n > 0, times * mean + plus, 0.0), times * times * squares)


class Drawing(NamedTuple):
    """What a world draws from: `units` a tick of both arms together, whether each is a call of a session of which all
    fail or none (`by_call`), and what is expected. `rates`: a rate of each rollout instead of the expected one, by
    metric (rollouts, 1).
    """

    expected: dict[str, Expected]
    pools: dict[str, Pool]
    units: float
    world: World
    by_call: bool = False
    rates: dict[str, Floats] | None = None

    def windows(
        self, random: np.random.Generator, share: Floats, rows: Whole
    ) -> tuple[Whole, Whole, dict[str, tuple[Moments, Moments]]]:
        """Units of the control and of the candidate, and by metric (control, candidate). `share` is the candidate's,
        of shape (rollouts, windows); `rows` are the rollouts' numbers.
        """
        n_c, n_t = (random.poisson(self.units * one).astype(np.int64) for one in (1 - share, share))
        found = {}
        for name, one in self.expected.items():
            worse = self.world.metric == name
            times, plus = (self.world.times, self.world.plus) if worse else (1.0, 0.0)
            asked = [n if one.asked == 1 else random.binomial(n, one.asked) for n in (n_c, n_t)]
            found[name] = (
                self._moments(random, one, asked[0], (1.0, 0.0, rows)),
                self._moments(random, one, asked[1], (times, plus, rows)),
            )
        return n_c, n_t, found

    def _moments(
        self, random: np.random.Generator, one: Expected, n: Whole, how: tuple[float, float, Whole]
    ) -> Moments:
        times, plus, rows = how
        if one.shape != "rate":
            return self.pools[one.metric.name].moments(random, n, times, plus)
        own = None if self.rates is None else self.rates.get(one.metric.name)
        base = one.mean if own is None else own[rows]
        rate = np.clip(base * times + plus, 0.0, 1.0)
        if self.by_call and one.metric.field == "error":
            events = np.minimum(random.binomial(-(-n // CLUSTER), rate) * CLUSTER, n).astype(np.float64)
        else:
            events = random.binomial(n, rate).astype(np.float64)
        mean = events / np.maximum(n, 1)
        return Moments(n, mean, events * (1 - mean))


def pools_of(expected: dict[str, Expected], random: np.random.Generator, size: int = POOL) -> dict[str, Pool]:
    """A pool for each metric that is a mean."""
    return {name: _pool(_values(one, random, size)) for name, one in expected.items() if one.shape != "rate"}


def _values(one: Expected, random: np.random.Generator, size: int) -> Floats:
    if one.shape == "figure":
        return one.mean * random.lognormal(-(one.sd**2) / 2, one.sd, size)
    if one.shape == "normal" or one.sd == 0 or not 0 < one.mean < 1:
        return random.normal(one.mean, one.sd, size)
    strength = one.mean * (1 - one.mean) / one.sd**2 - 1
    return random.beta(one.mean * strength, (1 - one.mean) * strength, size)


def _pool(values: Floats) -> Pool:
    sums, squares = (np.concatenate([[0.0], np.cumsum(one)]) for one in (values, values * values))
    return Pool(sums, squares, values.size)
