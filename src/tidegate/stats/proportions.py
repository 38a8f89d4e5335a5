"""Two rates, each a number of successes out of a number of units: tests, and intervals of one rate, of a difference
and of a ratio.

Each function says what its p-value is about. For 120 of 1,000 against 150 of 1,000 the pooled z-test says p = 0.0496:
its null is that both arms have one rate. A test of the relative effect p_t / p_c - 1 by the delta method says 0.0796
(`ratios.relative_effect`): the same null, another standard error. Choose before looking.

An interval has two ends for the two-sided alternative; for `greater` it goes up to the most that can be at all, for
`less` down to the least, with the whole of 1 - level on its one side (`level` at least one half).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.stats import binomial, hypergeometric
from tidegate.stats.checks import BadSample, Floats, counts
from tidegate.stats.results import Interval, Proportion, Test
from tidegate.stats.tails import critical, level_of, one_sided, sided, standardised, tail, together

__all__ = [
    "Pairs",
    "clopper_pearson",
    "fisher_exact",
    "mcnemar",
    "mcnemar_mid_p",
    "newcombe",
    "ratio_interval",
    "wilson",
    "z_test",
]

RATE, DIFFERENCE, RATIO = (0.0, 1.0), (-1.0, 1.0), (0.0, np.inf)
"""What each can be at all: the ends of one-sided intervals."""
HALVINGS = 80


@dataclass(frozen=True, slots=True)
class Pairs:
    """Units that saw both arms: how many succeeded under both, under one alone, under neither; at least one unit.

    Raises BadSample for what is no count.
    """

    both: Floats
    only_control: Floats
    only_treatment: Floats
    neither: Floats

    def __init__(
        self, both: npt.ArrayLike, only_control: npt.ArrayLike, only_treatment: npt.ArrayLike, neither: npt.ArrayLike
    ) -> None:
        object.__setattr__(self, "both", counts("both", both))
        object.__setattr__(self, "only_control", counts("only_control", only_control))
        object.__setattr__(self, "only_treatment", counts("only_treatment", only_treatment))
        object.__setattr__(self, "neither", counts("neither", neither))
        if np.any(self.n < 1):
            raise BadSample("the pairs must be at least one")

    @property
    def n(self) -> Floats:
        """How many pairs."""
        return np.asarray(self.both + self.only_control + self.only_treatment + self.neither)


def z_test(
    control: Proportion,
    treatment: Proportion,
    *,
    pooled: bool = True,
    alternative: str = "two-sided",
    level: float = 0.95,
) -> Test:
    """The normal test of p_t = p_c. Estimand: the difference p_t - p_c, in units of rate.

    z = (p_t - p_c) / sqrt(V). Pooled: V = p (1 - p) (1 / n_c + 1 / n_t) with p the rate of both arms together, the
    variance under the null; the interval is Newcombe's, which keeps to -1..1 but may, near the limit, say otherwise
    than the p-value. Unpooled (Wald): V = p_c (1 - p_c) / n_c + p_t (1 - p_t) / n_t, and its interval excludes 0
    exactly when p < 1 - level; with few successes it rejects too often.

    Domain: normal approximation, good from about five successes and five failures in each arm; below, `fisher_exact`.
    No success in either arm, or no failure: z = 0 and p = 1. Unpooled with one arm all success and the other none: V
    = 0, z infinite and p = 0 (its limit, no evidence: take the pooled test). Raises BadSample for an unknown
    alternative or level. Agresti & Caffo 2000, doi:10.1080/00031305.2000.10474560; Newcombe 1998, see `newcombe`.
    """
    x_c, n_c, x_t, n_t = together(control.successes, control.n, treatment.successes, treatment.n)
    p_c, p_t = x_c / n_c, x_t / n_t
    effect = p_t - p_c
    if pooled:
        n = n_c + n_t
        error = np.sqrt((x_c + x_t) / n * ((n_c - x_c + n_t - x_t) / n) * (1 / n_c + 1 / n_t))
        interval = newcombe(control, treatment, alternative=alternative, level=level)
    else:
        error = np.sqrt(p_c * ((n_c - x_c) / n_c) / n_c + p_t * ((n_t - x_t) / n_t) / n_t)
        reach = critical(level, alternative) * error
        interval = one_sided(effect - reach, effect + reach, alternative, level, DIFFERENCE)
    z = standardised(effect, error)
    method = "z-test of p_t - p_c, " + ("pooled; Newcombe's interval" if pooled else "unpooled; Wald's interval")
    return Test(effect, interval, tail(z, alternative), z, None, method)


def wilson(
    proportion: Proportion, *, continuity: bool = False, alternative: str = "two-sided", level: float = 0.95
) -> Interval:
    """Wilson's score interval of one rate: all p with |p^ - p| <= z sqrt(p (1 - p) / n).

    Ends: (2 n p^ + z^2 -+ z sqrt(z^2 + 4 n p^ (1 - p^))) / (2 (n + z^2)); with `continuity` half a success is added
    to the distance (Newcombe's method 4), for a coverage that is rarely below the level. 0 where there is no success,
    1 where there is no failure. Raises BadSample for an unknown alternative or level. Wilson 1927,
    doi:10.1080/01621459.1927.10502953; Newcombe 1998,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E.
    """
    x, n = together(proportion.successes, proportion.n)
    below, above = _reaches(x, n, critical(level, alternative), continuity)
    return one_sided(x / n - below, x / n + above, alternative, level, RATE)


def clopper_pearson(proportion: Proportion, *, alternative: str = "two-sided", level: float = 0.95) -> Interval:
    """The exact interval of one rate: all p at which what was seen, or more of it, is not rarer than 1 - level.

    Ends: the quantiles of Beta(x, n - x + 1) below and of Beta(x + 1, n - x) above; 0 where there is no success, 1
    where there is no failure. It holds the rate at least as often as its level says, whatever the rate and n are.
    Raises BadSample for an unknown alternative or level. Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404.
    """
    x, n = together(proportion.successes, proportion.n)
    beyond = (1 - level_of(level)) / (2 if sided(alternative) == "two-sided" else 1)
    low = special.betaincinv(np.maximum(x, 1.0), n - x + 1, beyond)
    high = special.betainccinv(x + 1, np.maximum(n - x, 1.0), beyond)
    return one_sided(np.where(x > 0, low, 0.0), np.where(x < n, high, 1.0), alternative, level, RATE)


def newcombe(
    control: Proportion,
    treatment: Proportion,
    *,
    continuity: bool = False,
    alternative: str = "two-sided",
    level: float = 0.95,
) -> Interval:
    """Newcombe's hybrid score interval of the difference p_t - p_c, in units of rate.

    With (l, u) the Wilson interval of each arm: low = d - sqrt((p_t - l_t)^2 + (u_c - p_c)^2), high = d + sqrt((u_t -
    p_t)^2 + (p_c - l_c)^2) (method 10; `continuity` takes Wilson's corrected intervals, method 11). Any counts, also
    none. Raises BadSample for an unknown alternative or level. Newcombe 1998,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.
    """
    x_c, n_c, x_t, n_t = together(control.successes, control.n, treatment.successes, treatment.n)
    z = critical(level, alternative)
    below_c, above_c = _reaches(x_c, n_c, z, continuity)
    below_t, above_t = _reaches(x_t, n_t, z, continuity)
    effect = x_t / n_t - x_c / n_c
    low, high = effect - np.hypot(below_t, above_c), effect + np.hypot(above_t, below_c)
    return one_sided(low, high, alternative, level, DIFFERENCE)


def fisher_exact(
    control: Proportion, treatment: Proportion, *, alternative: str = "two-sided", level: float = 0.95
) -> Test:
    """Fisher's exact test of p_t = p_c. Estimand: the odds ratio, which is 1 under the null; the test conditions on
    the number of successes of both arms together.

    p is the hypergeometric probability of all tables that are no likelier than the one seen (SciPy's and R's rule),
    or of one tail. `statistic` is the sample odds ratio x_t (n_c - x_c) / (x_c (n_t - x_t)), NaN where both arms have
    no success or no failure: unknown then. `effect` is the difference p_t - p_c with Newcombe's interval with
    continuity, which is near the test but no inversion of it.

    Domain: any counts up to 10^15, in logarithms; relative error of p about 1e-8 at arms of 10^12, 1e-11 up to 10^6.
    Conservative: under the null p < alpha less often than alpha. Raises BadSample for an unknown alternative or
    level. Fisher 1935, doi:10.2307/2342435.
    """
    x_c, n_c, x_t, n_t = together(control.successes, control.n, treatment.successes, treatment.n)
    margins = hypergeometric.Margins(n_t, x_c + x_t, n_c + n_t)
    tails = {
        "two-sided": hypergeometric.two_sided,
        "greater": hypergeometric.upper_tail,
        "less": hypergeometric.lower_tail,
    }
    p = tails[sided(alternative)](x_t, margins)
    up, down = x_t * (n_c - x_c), x_c * (n_t - x_t)
    unknown = np.where(up > 0, np.inf, np.nan)
    odds_ratio = np.divide(up, down, out=unknown, where=down > 0)
    interval = newcombe(control, treatment, continuity=True, alternative=alternative, level=level)
    method = "Fisher's exact test; effect p_t - p_c with Newcombe's interval with continuity; statistic: odds ratio"
    return Test(x_t / n_t - x_c / n_c, interval, np.asarray(p), np.asarray(odds_ratio), None, method)


def ratio_interval(
    control: Proportion,
    treatment: Proportion,
    *,
    method: str = "koopman",
    alternative: str = "two-sided",
    level: float = 0.95,
) -> Interval:
    """The interval of the ratio p_t / p_c.

    `koopman`: all r with |p^_t - r p^_c| <= z sqrt(p_t (1 - p_t) / n_t + r^2 p_c (1 - p_c) / n_c), p_t = r p_c the
    likeliest rates of that ratio; it excludes 1 exactly when the pooled z-test has p < 1 - level. `katz`:
    exp(log(p^_t / p^_c) -+ z sqrt(1 / x_t - 1 / n_t + 1 / x_c - 1 / n_c)).

    No success under treatment: koopman's low is 0; under control: its high is infinite; in neither arm: 0 to
    infinity. Katz's is 0 to infinity where an arm has no success, and the point 1 where neither has a failure (prefer
    koopman there). Raises BadSample for an unknown method, alternative or level. Koopman 1984, doi:10.2307/2531405;
    Katz et al. 1978, doi:10.2307/2530610.
    """
    x_c, n_c, x_t, n_t = together(control.successes, control.n, treatment.successes, treatment.n)
    z = critical(level, alternative)
    if method == "koopman":
        low = np.where(x_t > 0, _koopman(x_c, n_c, x_t, n_t, z), 0.0)
        high = np.where(x_c > 0, _koopman(x_c, n_c, x_t, n_t, -z), np.inf)
    elif method == "katz":
        some = (x_c > 0) & (x_t > 0)
        a, b = np.where(some, x_t, 1.0), np.where(some, x_c, 1.0)
        log, error = np.log(a / n_t) - np.log(b / n_c), np.sqrt((n_t - a) / (a * n_t) + (n_c - b) / (b * n_c))
        low, high = np.where(some, np.exp(log - z * error), 0.0), np.where(some, np.exp(log + z * error), np.inf)
    else:
        raise BadSample(f"method must be koopman or katz, not {method!r}")
    return one_sided(low, high, alternative, level, RATIO)


def mcnemar(pairs: Pairs, *, exact: bool = True, alternative: str = "two-sided", level: float = 0.95) -> Test:
    """McNemar's test of paired rates: the same units under both arms. Estimand: the difference p_t - p_c of the
    paired rates, (only_treatment - only_control) / n; pairs that agree say nothing of its sign.

    Exact: the binomial probability, at one half, of a split of the d = only_control + only_treatment pairs that
    disagree as uneven as seen. Otherwise z = (only_treatment - only_control) / sqrt(d), whose square is McNemar's
    chi-square without correction (`statistic` is z; for the exact test it is only_treatment). No pair disagrees: p =
    1. The interval is Tango's score interval of the difference, which excludes 0 exactly when the test that is not
    exact has p < 1 - level. Raises BadSample for an unknown alternative or level. McNemar 1947,
    doi:10.1007/BF02295996; Tango 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B.
    """
    c, t, n = together(pairs.only_control, pairs.only_treatment, pairs.n)
    z = standardised(t - c, np.sqrt(c + t))
    if exact:
        up, down = binomial.at_least(t, c + t, 0.5), binomial.at_most(t, c + t, 0.5)
        both = np.minimum(2 * np.minimum(up, down), 1.0)
        p = {"two-sided": both, "greater": up, "less": down}[sided(alternative)]
    else:
        p = tail(z, alternative)
    reach = critical(level, alternative)
    interval = one_sided(_tango(c, t, n, reach), _tango(c, t, n, -reach), alternative, level, DIFFERENCE)
    method = "McNemar's test of p_t - p_c, " + ("exact" if exact else "normal") + "; Tango's interval"
    return Test((t - c) / n, interval, np.asarray(p), t if exact else z, None, method)


def mcnemar_mid_p(pairs: Pairs, *, alternative: str = "two-sided") -> Floats:
    """The mid-p-value of McNemar's exact test: of the split that was seen, half its probability counts.

    Less conservative than the exact test, and close to its level, without its promise never to be above it. No pair
    disagrees: 1 for two sides, one half for one. Raises BadSample for an unknown alternative. Fagerland, Lydersen &
    Laake 2013, doi:10.1186/1471-2288-13-91.
    """
    c, t = together(pairs.only_control, pairs.only_treatment)
    up = (binomial.at_least(t, c + t, 0.5) + binomial.at_least(t + 1, c + t, 0.5)) / 2
    down = (binomial.at_most(t, c + t, 0.5) + binomial.at_most(t - 1, c + t, 0.5)) / 2
    both = np.minimum(2 * np.minimum(up, down), 1.0)
    return np.asarray({"two-sided": both, "greater": up, "less": down}[sided(alternative)])


def _reaches(x: Floats, n: Floats, z: Floats, continuity: bool) -> tuple[Floats, Floats]:
    """How far Wilson's interval reaches below and above x / n, without the cancellation of its ends."""
    y, scale = n - x, 2 * (n + z * z)
    lean = z * z * (y - x) / n
    if not continuity:
        root = z * np.sqrt(z * z + 4 * x * y / n)
        return np.where(x > 0, (root - lean) / scale, 0.0), np.where(y > 0, (root + lean) / scale, 0.0)
    low = 1 + z * np.sqrt(np.maximum(z * z - 2 - 1 / n + 4 * x * (y + 1) / n, 0.0))
    high = 1 + z * np.sqrt(np.maximum(z * z - 2 - 1 / n + 4 * y * (x + 1) / n, 0.0))
    below, above = (low - lean) / scale, (high + lean) / scale
    return np.where(x > 0, np.clip(below, 0.0, x / n), 0.0), np.where(y > 0, np.clip(above, 0.0, y / n), 0.0)


def _koopman(x_c: Floats, n_c: Floats, x_t: Floats, n_t: Floats, z: Floats) -> Floats:
    """The ratio at which the score statistic is z; it falls as the ratio grows."""

    def score(log_ratio: Floats) -> Floats:
        r = np.exp(log_ratio)
        # the root of N r p^2 - ((n_t + x_c) r + x_t + n_c) p + x_c + x_t, whose discriminant is a sum of two squares
        a, b = (n_t + x_c) * r, x_t + n_c
        p_c = 2 * (x_c + x_t) / (a + b + np.sqrt((a - b) ** 2 + 4 * r * (n_c - x_c) * (n_t - x_t)))
        p_t = np.minimum(r * p_c, 1.0)
        p_c = np.minimum(p_c, 1.0)
        error = np.sqrt(p_t * (1 - p_t) / n_t + r * r * p_c * (1 - p_c) / n_c)
        return standardised(x_t / n_t - r * (x_c / n_c), error)

    return np.exp(_falls_to(score, z, np.full_like(x_c, -80.0), np.full_like(x_c, 80.0)))


def _tango(c: Floats, t: Floats, n: Floats, z: Floats) -> Floats:
    """The difference at which Tango's score statistic is z; it falls as the difference grows."""

    def score(difference: Floats) -> Floats:
        # the likeliest share of pairs that only control wins, given the difference
        linear = (2 * n + c - t) * difference - c - t
        root = np.sqrt(np.maximum(linear**2 + 8 * n * c * difference * (1 - difference), 0.0))
        only_control = np.maximum((root - linear) / (4 * n), 0.0)
        variance = n * np.maximum(2 * only_control + difference * (1 - difference), 0.0)
        return standardised(t - c - n * difference, np.sqrt(variance))

    return _falls_to(score, z, np.full_like(n, -1.0), np.full_like(n, 1.0))


def _falls_to(score: Callable[[Floats], Floats], z: Floats, low: Floats, high: Floats) -> Floats:
    """Where a falling function passes z, to the last bit."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = score(middle) > z
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2
