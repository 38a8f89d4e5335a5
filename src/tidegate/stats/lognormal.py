"""The mean of log-normal values, such as costs and latencies, as it is believed once data were seen."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.beliefs import equal_tails
from tidegate.stats.checks import BadSample, Floats, finite, positive, probability
from tidegate.stats.chi_square import evenly_weighed_shares, log_share, log_share_steps, weighed_shares
from tidegate.stats.quadrature import NODES
from tidegate.stats.results import Interval, Sample
from tidegate.stats.roots import crossing, secant
from tidegate.stats.student import POINT, NormalPrior, flat

__all__ = ["LogNormal"]

GAUSS = 9.0
"""Standard deviations that a normal belief reaches."""
LIGHT = 30.0
"""From these degrees of freedom on the tail is so light that few nodes reach its end."""
STEP = 0.45
WIDEST = 2.5
REACH = 26
"""So many nodes lie on either side."""
PROBIT = 38.0
MOST = 700.0


@dataclass(frozen=True, slots=True)
class LogNormal:
    """The mean of values whose logarithms are normal: exp(mu + sigma^2 / 2), not exp(mu), which is the median.

    mu and sigma^2 are believed to be normal-inverse-gamma: sigma^2 = df variance / chi2_df, and mu given it is
    normal around `centre` with variance sigma^2 / weight. Two such means are compared by their ratio. Unit: that of
    the values. df is at least 2, which three values give, and variance and weight are above 0, or BadSample. Source:
    Gelman et al. (2013), https://doi.org/10.1201/b16018, section 3.3.
    """

    centre: Floats
    variance: Floats
    weight: Floats
    df: Floats

    def __init__(
        self, centre: npt.ArrayLike, variance: npt.ArrayLike, weight: npt.ArrayLike, df: npt.ArrayLike
    ) -> None:
        object.__setattr__(self, "centre", finite("centre", centre))
        object.__setattr__(self, "variance", positive("variance", variance))
        object.__setattr__(self, "weight", positive("weight", weight))
        object.__setattr__(self, "df", positive("df", df))
        if np.any(self.df < 2):
            raise BadSample("df must be at least 2: three values, or a prior")

    @classmethod
    def of(cls, logarithms: Sample, prior: NormalPrior | None = None) -> Self:
        """From the mean, standard deviation and number of the values' natural logarithms, and a prior on them."""
        centre, variance, weight, df = flat(logarithms) if prior is None else prior.after(logarithms)
        return cls(centre, np.maximum(variance, POINT**2), weight, df)

    @classmethod
    def of_values(cls, values: npt.ArrayLike, axis: int = -1) -> Self:
        """From the values themselves, all above 0, along an axis."""
        return cls.of(Sample.of(np.log(positive("values", values)), axis=axis))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the problems that are held."""
        return np.broadcast_shapes(self.centre.shape, self.variance.shape, self.weight.shape, self.df.shape)

    @property
    def mean(self) -> Floats:
        """The median of the belief, which has no mean of its own: its tail is too heavy."""
        return self.quantile(0.5)

    @property
    def settled(self) -> npt.NDArray[np.bool_]:
        """Whether the mean's logarithm has an expectation: from df above 2 on."""
        return np.asarray(self.df > 2)

    @property
    def bends(self) -> tuple[float, ...]:
        """None: the slope is the same everywhere."""
        return ()

    @property
    def order(self) -> int:
        """How many nodes between two marks suffice."""
        return NODES

    def quantile(self, level: npt.ArrayLike) -> Floats:
        """The mean below which the belief `level` lies; at most exp(700)."""
        asked = probability("level", level)
        shape = np.broadcast_shapes(self.shape, asked.shape)

        def missed(place: Floats) -> Floats:
            below, above = self.tails(place[..., None])
            return np.asarray(_probit(below[..., 0], above[..., 0]) - wanted)

        wanted = np.broadcast_to(special.ndtri(asked), shape)
        width = np.broadcast_to(self.about(1.0) - self.about(0.0), shape)
        found, done = secant(missed, self.about(0.0) + wanted * width, width)
        if np.all(done):
            return np.asarray(np.exp(np.minimum(found, MOST)))
        marks = self.marks()
        low, high = np.broadcast_to(marks.min(axis=-1), shape), np.broadcast_to(marks.max(axis=-1), shape)
        return np.asarray(np.exp(np.minimum(np.where(done, found, crossing(missed, low, high)), MOST)))

    def interval(self, level: float = 0.95) -> Interval:
        """The credible interval with (1 - level) / 2 of the belief on either side."""
        return equal_tails(self, level)

    def marks(self) -> Floats:
        """Places between which the density is smooth; they reach until 1e-16 is left."""
        steps = log_share_steps(self.df)
        spread = np.exp(-log_share(self.df, np.concatenate((-steps[:0:-1], steps))))
        variance = self.variance[..., None] * spread
        wide = np.sqrt(variance / self.weight[..., None])
        far = len(steps) - 1
        deviation = np.minimum(steps, GAUSS)
        right = variance[..., far::-1] / 2 + deviation * wide[..., far::-1]
        left = variance[..., far:] / 2 - deviation * wide[..., far::-1]
        return np.concatenate((left, right), axis=-1) + self.centre[..., None]

    def below(self, place: Floats) -> Floats:
        """The belief that the mean's logarithm is below: a normal one for each variance, weighed by its belief."""
        standard, weights, _ = self._mixture(place)
        return np.asarray(np.sum(weights * special.ndtr(standard), axis=-1))

    def above(self, place: Floats) -> Floats:
        """The belief that the mean's logarithm is above."""
        standard, weights, _ = self._mixture(place)
        return np.asarray(np.sum(weights * special.ndtr(-standard), axis=-1))

    def density(self, place: Floats) -> Floats:
        """The density of the mean's logarithm."""
        standard, weights, wide = self._mixture(place)
        return np.asarray(np.sum(weights * np.exp(-(standard**2) / 2) / wide, axis=-1) / np.sqrt(2 * np.pi))

    def slope(self, place: Floats) -> Floats:
        """1: what is lost is counted in logarithms, as a share."""
        return np.ones_like(place)

    def moved(self, place: Floats, by: Floats, times: Floats) -> Floats:
        """The place of mean * times; an amount cannot be added on this line."""
        if np.any(by != 0):
            raise BadSample("log-normal means are compared by their ratio: ask with relative=True")
        return np.asarray(place + np.log(times))

    def smooth(self, by: bool = False, times: bool = False) -> npt.NDArray[np.bool_]:
        """Whether `nodes` suffice: where the tail is not heavy, nor the spread so great that it alone decides."""
        return np.asarray((self.df >= LIGHT) & (self.variance * self.weight <= WIDEST * self.df))

    def nodes(self) -> tuple[Floats, Floats]:
        """Places laid evenly but for the skew, and the belief that lies at each, (..., places): the trapezoidal rule in
        s, with place = centre + s sqrt(variance / weight) + variance / 2 exp(s sqrt(2 / df)). Its error falls as
        exp(-pi^2 / STEP^2). Source: Trefethen & Weideman (2014), https://doi.org/10.1137/130932132.
        """
        places, rise = self._laid(STEP * np.arange(-REACH, REACH + 1, dtype=np.float64))
        return places, np.asarray(STEP * rise * self.density(places))

    def tails(self, place: Floats, digits: bool = True) -> tuple[Floats, Floats]:
        """The belief that the mean's logarithm is below, and above; unless `digits`, tiny ones are right to 1e-15."""
        standard, weights, _ = self._mixture(place)
        below = np.sum(weights * special.ndtr(standard), axis=-1)
        return below, np.sum(weights * special.ndtr(-standard), axis=-1) if digits else 1 - below

    def excess(self, place: Floats) -> tuple[Floats, Floats]:
        """By how much the mean's logarithm is expected to lie above, and below: sigma (phi(z) - z Phi(-z)) of each
        normal part, and mirrored.
        """
        standard, weights, wide = self._mixture(place)
        top = np.exp(-(standard**2) / 2) / np.sqrt(2 * np.pi)
        above, below = top - standard * special.ndtr(-standard), top + standard * special.ndtr(standard)
        return tuple(np.sum(weights * wide * np.maximum(one, 0.0), axis=-1) for one in (above, below))

    def about(self, score: float) -> Floats:
        """The place so many standard deviations from the middle."""
        wide = np.sqrt(self.variance / self.weight + self.variance**2 / (2 * self.df))
        return np.asarray(self.centre + self.variance / 2 + score * wide)

    def value(self, place: Floats) -> Floats:
        """The mean at a place."""
        return np.asarray(np.exp(np.clip(place, -MOST, MOST)))

    def _laid(self, scores: Floats) -> tuple[Floats, Floats]:
        """Places of scores on the line, and how fast they rise along it."""
        wide, skew = np.sqrt(self.variance / self.weight)[..., None], np.sqrt(2 / self.df)[..., None]
        half = self.variance[..., None] / 2 * np.exp(skew * scores)
        return self.centre[..., None] + wide * scores + half, wide + skew * half

    def _mixture(self, place: Floats) -> tuple[Floats, Floats, Floats]:
        """(..., places, variances): standard score, weight and standard deviation of each normal part."""
        shares, weights = (evenly_weighed_shares if np.all(self.smooth()) else weighed_shares)(self.df)
        variance = self.variance[..., None] * np.exp(-shares)
        middle, wide = self.centre[..., None] + variance / 2, np.sqrt(variance / self.weight[..., None])
        standard = (place[..., None] - middle[..., None, :]) / wide[..., None, :]
        return standard, np.broadcast_to(weights[..., None, :], standard.shape), wide[..., None, :]


def _probit(below: Floats, above: Floats) -> Floats:
    """The standard normal's quantile of a probability, from whichever end keeps its digits."""
    near = np.where(below < above, special.ndtri(below), -special.ndtri(above))
    return np.asarray(np.clip(near, -PROBIT, PROBIT))
