"""What is believed of a mean once data were seen: Student's t, or a normal where the standard error is known."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.beliefs import equal_tails
from tidegate.stats.checks import BadSample, Floats, finite, positive, probability
from tidegate.stats.quadrature import NODES, either_side
from tidegate.stats.ratios import Clusters, ratio_and_error
from tidegate.stats.results import Interval, Sample

__all__ = ["POINT", "NormalNormal", "NormalPrior", "flat"]

POINT = 1e-12
"""The width, as a share of its size, of what is believed after values that were all alike."""
SMALLEST = 1e-304
LIGHT = 30.0
"""From these degrees of freedom on the tail is so light that few nodes reach its end."""
NOTHING = 1e-25
STEP = 0.45
"""Scales from node to node."""


@dataclass(frozen=True, slots=True)
class NormalPrior:
    """What was believed of a normal mean and its spread before: worth `weight` values around `mean`, and `df` values
    with standard deviation `sd`. All above 0 but `mean`; BadSample otherwise.
    """

    mean: Floats
    sd: Floats
    weight: Floats
    df: Floats

    def __init__(self, mean: npt.ArrayLike, sd: npt.ArrayLike, weight: npt.ArrayLike, df: npt.ArrayLike) -> None:
        object.__setattr__(self, "mean", finite("mean", mean))
        object.__setattr__(self, "sd", positive("sd", sd))
        object.__setattr__(self, "weight", positive("weight", weight))
        object.__setattr__(self, "df", positive("df", df))

    def after(self, sample: Sample) -> tuple[Floats, Floats, Floats, Floats]:
        """Centre, variance, weight and df of the normal-inverse-gamma posterior."""
        weight, df = self.weight + sample.n, self.df + sample.n
        apart = (sample.mean - self.mean) ** 2 * self.weight * sample.n / weight
        squares = self.df * self.sd**2 + (sample.n - 1) * sample.sd**2 + apart
        return self.mean + (sample.mean - self.mean) * sample.n / weight, squares / df, weight, df


def flat(sample: Sample) -> tuple[Floats, Floats, Floats, Floats]:
    """Under the prior 1/sigma^2, which knows nothing."""
    return sample.mean, sample.sd**2, sample.n, sample.n - 1


@dataclass(frozen=True, slots=True)
class NormalNormal:
    """A mean, believed to be centre + scale * t, with t of Student's distribution with `df` degrees of freedom.

    Made by `of` (spread unknown) or `known` (standard error known: df is infinite). scale is above 0 and df at
    least 1, or BadSample. Unit: that of the values. Source: Gelman et al. (2013), Bayesian Data Analysis,
    https://doi.org/10.1201/b16018, section 3.3.
    """

    centre: Floats
    scale: Floats
    df: Floats

    def __init__(self, centre: npt.ArrayLike, scale: npt.ArrayLike, df: npt.ArrayLike = np.inf) -> None:
        object.__setattr__(self, "centre", finite("centre", centre))
        object.__setattr__(self, "scale", positive("scale", scale))
        object.__setattr__(self, "df", np.asarray(df, dtype=np.float64))
        if not np.all(self.df >= 1):
            raise BadSample("df must be at least 1; infinite for a known standard error")

    @classmethod
    def of(cls, sample: Sample, prior: NormalPrior | None = None) -> Self:
        """Normal values of unknown mean and spread: normal-inverse-gamma, whose mean is centre + sqrt(var/weight) t.

        Without a prior that of 1/sigma^2 is taken: centre = the sample's mean, scale = sd / sqrt(n), df = n - 1.
        Values that are all alike give a point: a width of 1e-12 of the mean.
        """
        centre, variance, weight, df = flat(sample) if prior is None else prior.after(sample)
        scale = np.sqrt(variance / weight)
        return cls(centre, np.maximum(scale, POINT * np.maximum(np.abs(centre), SMALLEST / POINT)), df)

    @classmethod
    def of_clusters(cls, clusters: Clusters) -> Self:
        """A ratio of sums over clusters (a rate a call, when users were assigned), without a prior: centre = the ratio,
        scale = its standard error by the delta method, df = clusters - 1. A point, as in `of`, where they are alike.
        """
        ratio, error, many = ratio_and_error(clusters)
        return cls(ratio, np.maximum(error, POINT * np.maximum(np.abs(ratio), SMALLEST / POINT)), many - 1)

    @classmethod
    def known(
        cls,
        estimate: npt.ArrayLike,
        standard_error: npt.ArrayLike,
        prior_mean: npt.ArrayLike = 0.0,
        prior_sd: npt.ArrayLike = np.inf,
    ) -> Self:
        """An estimate (of a mean or of an effect) with its standard error, weighed against a normal prior:
        precision = 1/error^2 + 1/prior^2, centre = their precision-weighted mean. An infinite prior_sd knows nothing.
        """
        error = positive("standard_error", standard_error)
        believed = np.asarray(prior_sd, dtype=np.float64)
        if not np.all(believed > 0):
            raise BadSample("prior_sd must be above 0; infinite to know nothing")
        variance = 1 / (1 / error**2 + 1 / believed**2)
        start = finite("prior_mean", prior_mean)
        moved = (finite("estimate", estimate) - start) * (variance / error**2)
        return cls(start + moved, np.sqrt(variance))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the problems that are held."""
        return np.broadcast_shapes(self.centre.shape, self.scale.shape, self.df.shape)

    @property
    def mean(self) -> Floats:
        """The centre; NaN where df is 1 or less, for there is no mean."""
        return np.where(self.settled, self.centre, np.nan)

    @property
    def settled(self) -> npt.NDArray[np.bool_]:
        """Whether there is an expectation: from df above 1 on."""
        return np.asarray(self.df > 1)

    @property
    def bends(self) -> tuple[float, ...]:
        """None: the slope is the same everywhere."""
        return ()

    @property
    def order(self) -> int:
        """How many nodes between two marks suffice."""
        return NODES

    def quantile(self, level: npt.ArrayLike) -> Floats:
        """centre + scale * t_level."""
        asked = probability("level", level)
        return np.asarray(self.centre + self.scale * special.stdtrit(self.df, asked))

    def interval(self, level: float = 0.95) -> Interval:
        """The credible interval with (1 - level) / 2 of the belief on either side."""
        return equal_tails(self, level)

    def marks(self) -> Floats:
        """Places between which the density is smooth; they reach until 1e-16 is left, however heavy the tail."""
        reach = 4 * 10 ** (17 / float(np.min(self.df, initial=np.inf)))
        tail = 4 * 1.8 ** np.arange(np.ceil(np.log(max(min(reach, 1e18), 13) / 4) / np.log(1.8)) + 1)
        return either_side(self.centre, self.scale, np.concatenate(([0, 0.6, 1.2, 1.9, 2.8], tail)))

    def below(self, place: Floats) -> Floats:
        """The belief that the mean is below."""
        return np.asarray(special.stdtr(self.df[..., None], self._standard(place)))

    def above(self, place: Floats) -> Floats:
        """The belief that the mean is above."""
        return np.asarray(special.stdtr(self.df[..., None], -self._standard(place)))

    def density(self, place: Floats) -> Floats:
        """Student's density at the place."""
        df, scale = self.df[..., None], self.scale[..., None]
        with np.errstate(over="ignore", invalid="ignore"):
            squared = self._standard(place) ** 2
            power = np.where(df > 1e15, squared / 2, (df + 1) / 2 * np.log1p(squared / df))
        return np.asarray(np.exp(-power) * _student_top(df) / scale)

    def slope(self, place: Floats) -> Floats:
        """1: the line is the mean itself."""
        return np.ones_like(place)

    def moved(self, place: Floats, by: Floats, times: Floats) -> Floats:
        """The place of mean * times + by."""
        return np.asarray(place * times + by)

    def smooth(self, by: bool = False, times: bool = False) -> npt.NDArray[np.bool_]:
        """Whether `nodes` suffice: where the tail is not heavy. The line has no ends that a move could meet."""
        return np.asarray(self.df >= LIGHT)

    def nodes(self) -> tuple[Floats, Floats]:
        """Evenly laid places, and the belief that lies at each, (..., places): a sum over them is an expectation.

        The trapezoidal rule, whose error falls as exp(-pi^2 / STEP^2). Source: Trefethen & Weideman (2014), The
        exponentially convergent trapezoidal rule, SIAM Review 56, 385-458, https://doi.org/10.1137/130932132.
        """
        far = np.ceil(-special.stdtrit(np.min(self.df, initial=np.inf), NOTHING) / STEP)
        places = self.centre[..., None] + self.scale[..., None] * (STEP * np.arange(-far, far + 1))
        return places, np.asarray(STEP * self.scale[..., None] * self.density(places))

    def tails(self, place: Floats, digits: bool = True) -> tuple[Floats, Floats]:
        """The belief that the mean is below, and above."""
        standard = self._standard(place)
        near = special.stdtr(self.df[..., None], -np.abs(standard))
        return np.where(standard < 0, near, 1 - near), np.where(standard < 0, 1 - near, near)

    def excess(self, place: Floats) -> tuple[Floats, Floats]:
        """By how much the mean is expected to lie above, and below: with z = (place - centre) / scale and the density f
        of t, E[(mean - place)+] / scale = f(z) (df + z^2) / (df - 1) - z P(above), and mirrored. Infinite for df of 1.
        """
        (below, above), standard, scale = self.tails(place), self._standard(place), self.scale[..., None]
        df = np.maximum(self.df[..., None], 1 + SMALLEST)
        heavy = np.where(np.isinf(df), 1.0, (1 + standard**2 / df) / (1 - 1 / df))
        part = self.density(place) * scale * heavy
        return scale * np.maximum(part - standard * above, 0.0), scale * np.maximum(part + standard * below, 0.0)

    def about(self, score: float) -> Floats:
        """The place so many scales from the centre."""
        return np.asarray(self.centre + self.scale * score)

    def value(self, place: Floats) -> Floats:
        """The place: the line is the mean itself."""
        return place

    def _standard(self, place: Floats) -> Floats:
        with np.errstate(over="ignore"):
            return np.asarray((place - self.centre[..., None]) / self.scale[..., None])


def _student_top(df: Floats) -> Floats:
    """Student's density at its centre."""
    near = np.minimum(df, 1000.0)
    exact = np.exp(special.gammaln((near + 1) / 2) - special.gammaln(near / 2)) / np.sqrt(near * np.pi)
    one = 1 / np.maximum(df, 1000.0)
    return np.asarray(np.where(df > 1000, (1 - one / 4 + one**2 / 32 + 5 * one**3 / 128) / np.sqrt(2 * np.pi), exact))
