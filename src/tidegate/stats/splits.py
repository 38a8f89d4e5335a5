"""Whether units were split over the arms as planned (sample ratio mismatch), once or at every look.

A mismatch means that the assignment or the logging is broken: no result of the experiment can be trusted then.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from tidegate.stats.checks import BadSample, Floats, counts, positive
from tidegate.stats.conjugates import stirling
from tidegate.stats.sequential.evidence import Evidence

__all__ = ["CONCENTRATIONS", "SequentialSplit", "Split", "srm_test"]

METHODS = ("auto", "chi-square", "exact")
FEW = 5.0
"""Below this expected count chi-square is no good reference."""
TABLES = 200_000
"""So many ways to fill the arms are counted at most."""
SAME = 1e-7
"""Two probabilities are the same within this share, as SciPy's exact tests have it."""
CONCENTRATIONS = (10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)
"""How near to the plan a broken split is thought to be, from far to very near: each is given equal weight."""


@dataclass(frozen=True, slots=True)
class Split:
    """What a test of a split says. `expected` is (..., arms); `exact` tells where p was counted over all tables and is
    not from chi-square.
    """

    statistic: Floats
    df: int
    p_value: Floats
    expected: Floats
    exact: npt.NDArray[np.bool_]


def srm_test(observed: npt.ArrayLike, weights: npt.ArrayLike, *, method: str = "auto") -> Split:
    """Whether counts of units, (..., arms), fit the planned weights: chi2 = sum (o - e)^2 / e with arms - 1 degrees of
    freedom, e = n w / sum w.

    "exact" sums the multinomial probabilities of all tables no likelier than the one seen; "auto" does so where an
    expected count is below 5 and the tables are at most 200,000 (two arms: always then). Weights above 0, in any unit.
    At least two arms and one unit; BadSample otherwise. To be asked once, at p < 0.001 say: for every look there is
    `SequentialSplit`. Source: Pearson (1900), https://doi.org/10.1080/14786440009463897; Fabijan et al. (2019),
    https://doi.org/10.1145/3292500.3330722.
    """
    if method not in METHODS:
        raise BadSample(f"method must be one of {', '.join(METHODS)}")
    seen, shares = _seen_and_shares(observed, weights)
    total = seen.sum(axis=-1, keepdims=True)
    if np.any(total == 0):
        raise BadSample("observed must hold at least one unit")
    expected = np.asarray(total * shares)
    statistic = np.asarray(((seen - expected) ** 2 / expected).sum(axis=-1))
    df = seen.shape[-1] - 1
    p_value = np.array(special.chdtrc(df, statistic))
    countable = (np.broadcast_to(df == 1, p_value.shape)) | (_tables_of(total[..., 0], df + 1) <= TABLES)
    if method == "exact" and not np.all(countable):
        raise BadSample(f"method cannot be exact here: more than {TABLES:,} tables; ask for chi-square")
    exact = countable & (method != "chi-square") & ((method == "exact") | (expected.min(axis=-1) < FEW))
    for place in np.argwhere(exact):
        at = tuple(place)
        p_value[at] = _exact(seen[at], np.broadcast_to(shares, seen.shape)[at])
    return Split(statistic, df, p_value, expected, np.asarray(exact))


@dataclass(frozen=True, slots=True)
class SequentialSplit(Evidence):
    """A test of the split that may be read after every unit: `update` gives the test with more units seen.

    e = mean over concentrations A of Gamma(A) / Gamma(A + n) prod_i Gamma(A w_i + n_i) / Gamma(A w_i) w_i^-n_i: the
    likelihood of the counts when the shares are Dirichlet(A w), over that of the plan. Under the plan it is a
    martingale that starts at 1, so that P(e ever >= 1 / alpha) <= alpha, however often one looks (Ville); above 1000
    the split is broken, at alpha = 0.001.
    Source: Lindon & Malek (2022), Anytime-valid inference for multinomial count data,
    https://doi.org/10.48550/arXiv.2011.03567.
    """

    shares: Floats
    concentrations: tuple[float, ...]
    seen: Floats
    log_carried: Floats
    """log e of the periods with other weights that are over."""

    @classmethod
    def begin(cls, weights: npt.ArrayLike, concentrations: tuple[float, ...] = CONCENTRATIONS) -> Self:
        """Nothing seen yet. Weights, (..., arms), above 0 in any unit; concentrations above 0; BadSample otherwise."""
        shares = _shares(weights)
        positive("concentrations", concentrations)
        if not concentrations:
            raise BadSample("concentrations must hold at least one")
        nothing = np.zeros(shares.shape[:-1])
        return cls(nothing, nothing, shares, tuple(concentrations), np.zeros_like(shares), nothing)

    def update(self, observed: npt.ArrayLike) -> Self:
        """With `observed` more units, (..., arms); BadSample for what cannot be counts."""
        more = counts("observed", observed)
        if more.ndim == 0 or more.shape[-1] != self.shares.shape[-1]:
            raise BadSample(f"observed must hold one count for each of the {self.shares.shape[-1]} arms")
        seen = np.asarray(self.seen + more)
        parts = np.stack([_log_evidence(seen, self.shares, one) for one in self.concentrations])
        log_e = np.asarray(self.log_carried + special.logsumexp(parts, axis=0) - math.log(len(self.concentrations)))
        return replace(self, log_e=log_e, log_peak=np.maximum(self.log_peak, log_e), seen=seen)

    def with_weights(self, weights: npt.ArrayLike) -> Self:
        """From now on another plan holds, as at a ramp's next stage: what was found is kept, e goes on as a product."""
        shares = _shares(weights)
        if shares.shape[-1] != self.shares.shape[-1]:
            raise BadSample(f"weights must hold one for each of the {self.shares.shape[-1]} arms")
        return replace(self, shares=shares, seen=np.zeros_like(self.seen), log_carried=self.log_e)


def _log_evidence(seen: Floats, shares: Floats, concentration: float) -> Floats:
    """log of Dirichlet-multinomial over multinomial, by Stirling's formula and its remainders, which keeps the digits
    that a difference of gamma functions would lose at 10^12 units.
    """
    total = seen.sum(axis=-1)
    whole = concentration + total
    before = concentration * shares
    after = before + seen
    apart = (seen - total[..., None] * shares) / (whole[..., None] * shares)
    found = (after * np.log1p(apart) - 0.5 * np.log(after / before) + stirling(after) - stirling(before)).sum(axis=-1)
    least = np.asarray(concentration)
    return np.asarray(found + 0.5 * np.log(whole / concentration) + stirling(least) - stirling(whole))


def _exact(seen: Floats, shares: Floats) -> float:
    """The probability of all tables that are no likelier than this one."""
    total = int(seen.sum())
    if len(seen) == 2:
        return float(stats.binomtest(int(seen[0]), total, float(shares[0])).pvalue)
    tables = np.vstack((seen, _tables(total, len(seen))))
    logs = special.gammaln(total + 1.0) - special.gammaln(tables + 1.0).sum(axis=-1) + tables @ np.log(shares)
    rare = logs[1:] <= logs[0] + SAME
    return min(1.0, float(np.exp(logs[1:][rare]).sum()))


def _tables(total: int, arms: int) -> Floats:
    """Every way to lay `total` units into the arms."""
    rows = np.arange(total + 1)[:, None]
    for _ in range(arms - 2):
        choices = total - rows.sum(axis=1) + 1
        start = np.repeat(np.cumsum(choices) - choices, choices)
        rows = np.column_stack((np.repeat(rows, choices, axis=0), np.arange(choices.sum()) - start))
    return np.column_stack((rows, total - rows.sum(axis=1))).astype(np.float64)


def _tables_of(total: Floats, arms: int) -> Floats:
    """How many ways there are: (total + arms - 1) over (arms - 1)."""
    return np.asarray(special.binom(total + arms - 1, arms - 1))


def _shares(weights: npt.ArrayLike) -> Floats:
    found = positive("weights", weights)
    if found.ndim == 0 or found.shape[-1] < 2:
        raise BadSample("weights must hold one for each of at least two arms")
    return np.asarray(found / found.sum(axis=-1, keepdims=True))


def _seen_and_shares(observed: npt.ArrayLike, weights: npt.ArrayLike) -> tuple[Floats, Floats]:
    seen, shares = counts("observed", observed), _shares(weights)
    if seen.ndim == 0 or seen.shape[-1] != shares.shape[-1]:
        raise BadSample("observed and weights must hold one number for each arm")
    return np.broadcast_arrays(seen, shares)[0], shares
