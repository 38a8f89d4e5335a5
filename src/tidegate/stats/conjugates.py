"""What is believed of a rate once data were seen: the Beta distribution."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats.beliefs import equal_tails
from tidegate.stats.checks import BadSample, Floats, counts, finite, probability
from tidegate.stats.quadrature import FEWER_NODES, NODES, either_side
from tidegate.stats.results import Interval

__all__ = ["BetaBernoulli", "stirling"]

LEAST_BETA = 0.05
"""Below this a Beta piles up so close to 0 or 1 that floats cannot tell its places apart."""
STEPS = np.array([0, 1.5, 3, 5, 7, 10, 14, 20, 28, 38])
BENDS = (-37.0, -22.0, -13.0, -8.0, -5.0, -2.5, 0.0, 2.5, 5.0, 8.0, 13.0, 22.0, 37.0)
REACH = 700.0
"""The farthest logit: exp(-700) is still a float."""
SMALLEST = 1e-304
HUGE = 1e7
CLEAR = 2e-4
"""Above this 1 - x keeps enough digits of x."""
SHORT = 3.0
LEAST_MOVED = 12.0
"""From this alpha and beta on a rate of 0 or 1 is so improbable that a density that ends there counts as smooth."""
STEP = 0.35
"""Standard deviations from node to node."""
LONGEST = 0.3
"""From node to node on the logit's line: the density is tame within pi / 2 of it, so the error is exp(-pi^2 / 0.3)."""
NATS = 60.0
REFINED = 8
NEWTON = 1e-9
"""After a step shorter than this share of the width the next would be lost in rounding."""
NEAR = 5e-6
"""Nearer to the mean than this, in units of the spread of one unit, the limit is more exact than the formula."""


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

    @property
    def order(self) -> int:
        """How many nodes between two marks suffice: fewer where no tail is long."""
        return FEWER_NODES if np.all(np.minimum(self.alpha, self.beta) >= SHORT) else NODES

    def quantile(self, level: npt.ArrayLike) -> Floats:
        """The rate below which the belief `level` lies, refined by Newton's steps where n is huge."""
        asked = probability("level", level)
        at = np.broadcast_to(asked, np.broadcast_shapes(self.shape, asked.shape))[..., None]
        rate, rest = special.betaincinv(self.alpha, self.beta, asked), special.betainccinv(self.beta, self.alpha, asked)
        place = np.log(np.maximum(rate, SMALLEST)) - np.log(np.maximum(rest, SMALLEST))
        place = np.clip(place, -REACH, REACH)[..., None]
        for _ in range(4):
            below, above = self.tails(place)
            missed = np.where(at <= 0.5, below - at, (1 - at) - above)
            with np.errstate(all="ignore"):
                step = missed / self.density(place)
            step = np.where(np.isfinite(step) & (np.abs(step) < 1), step, 0.0)
            place = place - step
            if np.all(np.abs(step) < NEWTON * _logit_of(self.alpha, self.beta)[1][..., None]):
                break
        return np.asarray(special.expit(place[..., 0]))

    def interval(self, level: float = 0.95) -> Interval:
        """The credible interval with (1 - level) / 2 of the belief on either side."""
        return equal_tails(self, level)

    def marks(self) -> Floats:
        """Places between which the density is smooth, from where nothing is left below to where nothing is above."""
        found = either_side(*_logit_of(self.alpha, self.beta), STEPS)
        if np.any(np.minimum(self.alpha, self.beta) < 1):  # one side ends far more abruptly than the other
            edge = either_side(*_logit_of(np.maximum(self.alpha, 1.0), np.maximum(self.beta, 1.0)), STEPS[:4])
            found = np.concatenate((found, edge), axis=-1)
        return np.asarray(np.clip(found, -REACH, REACH))

    def below(self, place: Floats) -> Floats:
        """The belief that the rate is below."""
        return self.tails(place)[0]

    def above(self, place: Floats) -> Floats:
        """The belief that the rate is above."""
        return self.tails(place)[1]

    def tails(self, place: Floats, digits: bool = True) -> tuple[Floats, Floats]:
        """The belief that the rate is below, and above; unless `digits`, tiny ones are only right to 1e-15."""
        alpha, beta, place = np.broadcast_arrays(self.alpha[..., None], self.beta[..., None], place)
        huge = np.minimum(alpha, beta) >= HUGE
        few, rest = (np.where(huge, 1.0, one) for one in (alpha, beta)) if np.any(huge) else (alpha, beta)
        left, small = place < 0, special.expit(-np.abs(place))
        near, far = np.where(left, few, rest), np.where(left, rest, few)
        other = digits & (left != (place < np.log(few / rest)))
        loose = other & (small * np.sqrt(1 / few + 1 / rest) < CLEAR)
        turned = other & ~loose
        at = np.where(turned, special.expit(np.abs(place)), small)
        found = special.betainc(np.where(turned, far, near), np.where(turned, near, far), at)
        if np.any(loose):
            special.betaincc(near, far, small, where=loose, out=found)
        lower = left != other
        low, high = np.where(lower, found, 1 - found), np.where(lower, 1 - found, found)
        if not np.any(huge):
            return low, high
        mirrored = type(self)(self.beta, self.alpha)
        low = np.where(huge, self._below_by_expansion(place), low)
        return low, np.where(huge, mirrored._below_by_expansion(-place), high)

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

    def smooth(self, by: bool = False, times: bool = False) -> npt.NDArray[np.bool_]:
        """Whether `nodes` suffice: for a rate that is moved, the ends that it can meet must be all but impossible."""
        few, rest = (LEAST_MOVED if by else 1.0), (LEAST_MOVED if by or times else 1.0)
        return np.asarray((self.alpha >= few) & (self.beta >= rest))

    def nodes(self) -> tuple[Floats, Floats]:
        """Evenly laid places, and the belief that lies at each, (..., places): a sum over them is an expectation.

        The trapezoidal rule on a line on which the density is analytic, whose error falls as exp(-pi^2 / STEP^2).
        Source: Trefethen & Weideman (2014), The exponentially convergent trapezoidal rule, SIAM Review 56, 385-458,
        https://doi.org/10.1137/130932132.
        """
        alpha, beta = np.broadcast_arrays(self.alpha, self.beta)
        step = np.minimum(STEP * _logit_of(alpha, beta)[1], LONGEST)
        left, right = _reach(beta, alpha), _reach(alpha, beta)
        many = int(np.max(np.ceil((left + right) / step), initial=1))
        step = (left + right) / many
        places = (np.log(alpha / beta) - left)[..., None] + step[..., None] * np.arange(many + 1)
        return places, step[..., None] * self.density(places)

    def excess(self, place: Floats) -> tuple[Floats, Floats]:
        """By how much the rate is expected to lie above, and below: E[(rate - x)+] = (mean - x) P(above) + density of
        the logit / (alpha + beta), E[(x - rate)+] = (x - mean) P(below) + the same.
        """
        below, above = self.tails(place)
        up, part = self._log_height(place)[1], self.density(place) / (self.alpha + self.beta)[..., None]
        return np.maximum(part - up * above, 0.0), np.maximum(part + up * below, 0.0)

    def about(self, score: float) -> Floats:
        """The place so many standard deviations from the middle."""
        middle, wide = _logit_of(self.alpha, self.beta)
        return np.asarray(middle + score * wide)

    def value(self, place: Floats) -> Floats:
        """The rate at a place."""
        return np.asarray(special.expit(place))


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
    return middle, np.sqrt(special.zeta(2, alpha) + special.zeta(2, beta))


def _reach(alpha: Floats, beta: Floats) -> Floats:
    """How far above the mean's logit the density has fallen by NATS nats: n log(1 + m (e^d - 1)) - alpha d = NATS
    with m = alpha / n, a convex function, so that Newton's steps end above.
    """
    n = alpha + beta
    share, rest = alpha / n, beta / n
    far = np.sqrt(2 * NATS * n / alpha / beta)
    for _ in range(REFINED):
        grown, risen = np.exp(-far), np.expm1(np.minimum(far, 1.0))
        wide, near = n * np.log(share + rest * grown) + beta * far, n * np.log1p(share * risen) - alpha * far
        rise = share * beta * -np.expm1(-far) / (share + rest * grown)
        far = far - (np.where(far > 1, wide, near) - NATS) / rise
    return np.asarray(far)


def _at_least(name: str, value: npt.ArrayLike) -> Floats:
    found = finite(name, value)
    if not np.all(found >= LEAST_BETA):
        raise BadSample(f"{name} must be at least {LEAST_BETA}")
    return found
