"""What is believed of a rate once data were seen: the Beta distribution; and what every such belief can tell.

Each family (a rate here, a mean in `tidegate.stats.student`, a mean of log-normal values in `tidegate.stats.lognormal`)
lays its quantity on a line on which its density is smooth (the logit, the mean as it is, the mean's logarithm), so that
`tidegate.stats.posteriors` can compare any of them by quadrature.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.checks import BadSample, Floats, counts, finite, probability
from tidegate.stats.quadrature import either_side
from tidegate.stats.results import Interval

__all__ = ["BetaBernoulli", "Posterior", "equal_tails", "stirling"]

LEAST_BETA = 0.05
"""Below this a Beta piles up so close to 0 or 1 that floats cannot tell its places apart."""
STEPS = np.array([0, 0.75, 1.5, 2.5, 3.5, 5, 7, 10, 14, 20, 28, 38])
BENDS = (-37.0, -22.0, -13.0, -8.0, -5.0, -2.5, 0.0, 2.5, 5.0, 8.0, 13.0, 22.0, 37.0)
REACH = 700.0
"""The farthest logit: exp(-700) is still a float."""
SMALLEST = 1e-304
HUGE = 1e7
NEAR = 5e-6
"""Nearer to the mean than this, in units of the spread of one unit, the limit is more exact than the formula."""


class Posterior(Protocol):
    """One arm's quantity as it is believed to be. Places are positions on the family's line, (..., places)."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def mean(self) -> Floats: ...
    @property
    def settled(self) -> npt.NDArray[np.bool_]: ...
    @property
    def bends(self) -> tuple[float, ...]: ...
    def quantile(self, level: npt.ArrayLike) -> Floats: ...
    def interval(self, level: float = 0.95) -> Interval: ...
    def marks(self) -> Floats: ...
    def below(self, place: Floats) -> Floats: ...
    def above(self, place: Floats) -> Floats: ...
    def density(self, place: Floats) -> Floats: ...
    def slope(self, place: Floats) -> Floats: ...
    def moved(self, place: Floats, by: Floats, times: Floats) -> Floats: ...


@dataclass(frozen=True, slots=True)
class BetaBernoulli:
    """A rate, believed to be Beta(alpha, beta): density x^(alpha-1) (1-x)^(beta-1) / B(alpha, beta).

    As it stands it is the prior, uniform unless said; `after` learns. alpha and beta are at least 0.05, or BadSample.
    Unit: none, a rate between 0 and 1. Source: Gelman et al. (2013), Bayesian Data Analysis,
    https://doi.org/10.1201/b16018, section 2.4.
    """

    alpha: Floats
    beta: Floats

    def __init__(self, alpha: npt.ArrayLike = 1.0, beta: npt.ArrayLike = 1.0) -> None:
        object.__setattr__(self, "alpha", _at_least("alpha", alpha))
        object.__setattr__(self, "beta", _at_least("beta", beta))

    def after(self, successes: npt.ArrayLike, n: npt.ArrayLike) -> Self:
        """The belief after `successes` of `n` units: Beta(alpha + successes, beta + n - successes); n may be 0."""
        seen, units = counts("successes", successes), counts("n", n)
        if np.any(seen > units):
            raise BadSample("successes must not be more than n")
        return type(self)(self.alpha + seen, self.beta + (units - seen))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the problems that are held."""
        return np.broadcast_shapes(self.alpha.shape, self.beta.shape)

    @property
    def mean(self) -> Floats:
        """alpha / (alpha + beta)."""
        return np.asarray(self.alpha / (self.alpha + self.beta))

    @property
    def settled(self) -> npt.NDArray[np.bool_]:
        """Whether there is an expectation along the line: always."""
        return np.asarray(True)

    @property
    def bends(self) -> tuple[float, ...]:
        """Further places between which the slope is smooth."""
        return BENDS

    def quantile(self, level: npt.ArrayLike) -> Floats:
        """The rate below which the belief `level` lies, refined by Newton's steps where n is huge."""
        asked = probability("level", level)
        rate, rest = special.betaincinv(self.alpha, self.beta, asked), special.betainccinv(self.beta, self.alpha, asked)
        place = np.log(np.maximum(rate, SMALLEST)) - np.log(np.maximum(rest, SMALLEST))
        place, asked = np.clip(place, -REACH, REACH)[..., None], asked[..., None]
        for _ in range(4):
            missed = np.where(asked <= 0.5, self.below(place) - asked, (1 - asked) - self.above(place))
            with np.errstate(all="ignore"):
                step = missed / self.density(place)
            place = place - np.where(np.isfinite(step) & (np.abs(step) < 1), step, 0.0)
        return np.asarray(special.expit(place[..., 0]))

    def interval(self, level: float = 0.95) -> Interval:
        """The credible interval with (1 - level) / 2 of the belief on either side."""
        return equal_tails(self, level)

    def marks(self) -> Floats:
        """Places between which the density is smooth, from where nothing is left below to where nothing is above."""
        found = either_side(*_logit_of(self.alpha, self.beta), STEPS)
        if np.any(np.minimum(self.alpha, self.beta) < 1):  # one side ends far more abruptly than the other
            edge = either_side(*_logit_of(np.maximum(self.alpha, 1.0), np.maximum(self.beta, 1.0)), STEPS[:6])
            found = np.concatenate((found, edge), axis=-1)
        return np.asarray(np.clip(found, -REACH, REACH))

    def below(self, place: Floats) -> Floats:
        """The belief that the rate is below; from the nearer end, so that neither loses digits."""
        alpha, beta = self.alpha[..., None], self.beta[..., None]
        huge = np.minimum(alpha, beta) >= HUGE
        few, rest = np.where(huge, 1.0, alpha), np.where(huge, 1.0, beta)
        low = special.betainc(few, rest, special.expit(np.minimum(place, 0)))
        high = special.betaincc(rest, few, special.expit(-np.maximum(place, 0)))
        exact = np.where(place < 0, low, high)
        return np.asarray(np.where(huge, self._below_by_expansion(place), exact) if np.any(huge) else exact)

    def above(self, place: Floats) -> Floats:
        """The belief that the rate is above."""
        return type(self)(self.beta, self.alpha).below(-place)

    def density(self, place: Floats) -> Floats:
        """On the logit's line: x^alpha (1-x)^beta / B, by its distance from the mean, which keeps its digits."""
        alpha, beta = self.alpha[..., None], self.beta[..., None]
        size = 0.5 * np.log(alpha / (alpha + beta) * beta / (2 * np.pi)) + stirling(alpha + beta)
        return np.asarray(np.exp(size - stirling(alpha) - stirling(beta) + self._log_height(place)[0]))

    def _log_height(self, place: Floats) -> tuple[Floats, Floats]:
        """log of x^alpha (1-x)^beta over the same at the mean, and how far x lies above the mean."""
        alpha, beta = self.alpha[..., None], self.beta[..., None]
        total = alpha + beta
        middle = alpha / total
        up = np.where(middle < 0.5, special.expit(place) - middle, beta / total - special.expit(-place))
        height = alpha * _log_ratio(up, middle, place) + beta * _log_ratio(-up, beta / total, -place)
        return np.minimum(height, 0.0), up

    def _below_by_expansion(self, place: Floats) -> Floats:
        """For a huge alpha and beta, where a continued fraction would take seconds: Temme's expansion, to its first
        order; its relative error is below 1 / min(alpha, beta). Source: https://dlmf.nist.gov/8.18.E14.
        """
        height, up = self._log_height(place)
        total = (self.alpha + self.beta)[..., None]
        spread = np.sqrt(self.alpha[..., None] / total * (self.beta[..., None] / total))
        score = np.sign(up) * np.sqrt(-2 * height / total)
        near = np.abs(score) < NEAR
        apart = 1 / np.where(near, 1.0, score) - spread / np.where(near, 1.0, up)
        limit = (self.beta - self.alpha)[..., None] / total / (3 * spread)
        first = np.exp(height) / np.sqrt(2 * np.pi * total) * np.where(near, limit, apart)
        return np.asarray(np.clip(special.ndtr(score * np.sqrt(total)) + first, 0.0, 1.0))

    def slope(self, place: Floats) -> Floats:
        """How fast the rate rises along the line."""
        return np.asarray(special.expit(place) * special.expit(-place))

    def moved(self, place: Floats, by: Floats, times: Floats) -> Floats:
        """The place of rate * times + by."""
        rate, rest = special.expit(place), special.expit(-place)
        at = rate * times + by
        left = rest * times + (1 - times - by)
        return np.asarray(np.log(np.maximum(at, SMALLEST)) - np.log(np.maximum(left, SMALLEST)))


def equal_tails(belief: Posterior, level: float) -> Interval:
    """The interval with (1 - level) / 2 of the belief on either side."""
    asked = float(probability("level", level))
    return Interval(belief.quantile((1 - asked) / 2), belief.quantile((1 + asked) / 2), asked)


def stirling(z: Floats) -> Floats:
    """What Stirling's formula leaves of the logarithm of the gamma function: 1/(12 z) - 1/(360 z^3) + ..."""
    near = np.minimum(z, 20.0)
    exact = special.gammaln(near) - ((near - 0.5) * np.log(near) - near + 0.5 * np.log(2 * np.pi))
    far = np.maximum(z, 20.0)
    return np.where(z > 20, 1 / (12 * far) - 1 / (360 * far**3) + 1 / (1260 * far**5), exact)


def _log_ratio(up: Floats, middle: Floats, place: Floats) -> Floats:
    """log((middle + up) / middle), where middle + up is the rate at the place."""
    share = up / middle
    near = np.abs(share) < 0.5
    return np.where(near, np.log1p(np.where(near, share, 0)), special.log_expit(place) - np.log(middle))


def _logit_of(alpha: Floats, beta: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the logit of a Beta variable."""
    middle = special.digamma(alpha) - special.digamma(beta)
    return middle, np.sqrt(special.polygamma(1, alpha) + special.polygamma(1, beta))


def _at_least(name: str, value: npt.ArrayLike) -> Floats:
    found = finite(name, value)
    if not np.all(found >= LEAST_BETA):
        raise BadSample(f"{name} must be at least {LEAST_BETA}")
    return found
