"""How often intervals hold the truth: confidence sequences over whole paths, fixed intervals at their one look."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from bench.statistics.findings import Found, Goal, Rows, Say, Scale, error_percent, no_less, percent
from bench.statistics.plan import ERRORS, N_C, N_T, Bools, Draw, Floats, events, in_parts, moments
from tidegate.stats.means import welch
from tidegate.stats.proportions import newcombe, wilson
from tidegate.stats.ratios import Clusters, delta_ratio, fieller, relative_effect
from tidegate.stats.results import Interval, Proportion, Sample
from tidegate.stats.sequential.exceedance import quantile_ranks
from tidegate.stats.sequential.means import (
    asymptotic_difference,
    asymptotic_sequence,
    normal_mixture_bound,
    rho_for,
    running_sample,
)
from tidegate.stats.sequential.rates import RateProcess
from tidegate.stats.sequential.scores import BettingScores
from tidegate.stats.sequential.stratified import StratifiedMeans

SEED = 20260404
RUNS, BETTING_RUNS, ONCE_RUNS = 10_000, 2_000, 40_000
UNITS, BETTING_UNITS = 2_000, 500
LEVEL, LEAST_ONCE = 95.0, 93.0
ALPHA = 1 - LEVEL / 100

Random = np.random.Generator

DISTRIBUTIONS: Mapping[str, tuple[Draw, float]] = MappingProxyType(
    {
        "normal": (lambda random, shape: random.normal(5.0, 2.0, shape), 5.0),
        "log-normal 0.9": (lambda random, shape: random.lognormal(0.0, 0.9, shape), float(np.exp(0.405))),
        "Bernoulli 0.5": (lambda random, shape: random.binomial(1, 0.5, shape).astype(np.float64), 0.5),
        "Bernoulli 0.01": (lambda random, shape: random.binomial(1, 0.01, shape).astype(np.float64), 0.01),
        "judge scores, Beta(3.4, 0.6)": (lambda random, shape: random.beta(3.4, 0.6, shape), 0.85),
    }
)
"""What is drawn, and its mean."""

ASYMPTOTIC = ("asymptotic_sequence", "asymptotic_difference", "StratifiedMeans")
TOO_SKEWED = "Bernoulli 0.01"
"""What the asymptotic sequences say they are not for: events go to `rates`."""


def measure(scale: Scale, say: Say) -> Found:
    """Both kinds."""
    sequences, goals = _sequences(scale, say)
    once = _fixed(scale, say)
    least = min(float(str(row["coverage_percent"])) for row in once)
    return Found(
        [*goals, no_less("fixed intervals at their one look: least coverage", least, LEAST_ONCE)],
        {
            "95% confidence sequences, over whole paths": sequences,
            "95% intervals of a fixed size, at their one look": once,
        },
        ("Asymptotic sequences of events at 1% are outside their domain and shown for that: `rates` is exact there.",),
    )


def _sequences(scale: Scale, say: Say) -> tuple[Rows, list[Goal]]:
    rows: Rows = []
    worst: dict[str, tuple[float, int]] = {}
    for at, (name, of, held, whole) in enumerate(_paths()):
        say(f"coverage: {name}, {of}")
        random, runs = np.random.default_rng([SEED, at]), scale.runs(whole, 200)
        always = np.concatenate([held(random, part) for part in in_parts(runs)])
        domain = not (name in ASYMPTOTIC and of == TOO_SKEWED)
        rows.append(
            {
                "sequence": name,
                "of": of,
                "runs": runs,
                "held_over_the_path_percent": percent(always),
                "standard_error_percent": error_percent(always),
                "in_its_domain": domain,
            }
        )
        if domain and percent(always) <= worst.get(name, (100.0, 0))[0]:
            worst[name] = (percent(always), runs)
    goals = [no_less(f"{name}: held over whole paths, least", share, LEVEL, runs=runs) for name, (share, runs) in
             worst.items()]  # fmt: skip
    return rows, goals


def _paths() -> list[tuple[str, str, Callable[[Random, int], Bools], int]]:
    """Name, distribution, whether each run's truth stayed inside, runs."""
    found: list[tuple[str, str, Callable[[Random, int], Bools], int]] = [("normal mixture", "normal", _mixture, RUNS)]
    for of, (draw, mean) in DISTRIBUTIONS.items():
        found.append(("asymptotic_sequence", of, _alone(draw, mean), RUNS))
        found.append(("asymptotic_difference", of, _apart(draw), RUNS))
        found.append(("StratifiedMeans", of, _stratified(draw), RUNS // 5))
        if of.startswith(("Bernoulli", "judge")):
            found.append(("betting_sequence", of, _betting(draw, mean), BETTING_RUNS))
    found += [("quantile_sequence", f"any, p{100 * q:g}", _quantile(q), RUNS) for q in (0.5, 0.95)]
    found += [("rate_ratio_interval", f"1% errors, ratio {ratio:g}", _ratio(ratio), RUNS) for ratio in (0.7, 1.0, 2.0)]
    return found


def _inside(interval: Interval, truth: float) -> Bools:
    return np.asarray(((interval.low <= truth) & (truth <= interval.high)).all(axis=-1))


def _mixture(random: Random, runs: int) -> Bools:
    total = np.cumsum(random.standard_normal((runs, UNITS)), axis=-1)
    bound = normal_mixture_bound(np.arange(1, UNITS + 1), rho_for(500, ALPHA), ALPHA, two_sided=True)
    return np.asarray((np.abs(total) < bound).all(axis=-1))


def _alone(draw: Draw, mean: float) -> Callable[[Random, int], Bools]:
    return lambda random, runs: _inside(
        asymptotic_sequence(running_sample(draw(random, (runs, UNITS))), rho_for(500, ALPHA)), mean
    )


def _apart(draw: Draw) -> Callable[[Random, int], Bools]:
    def held(random: Random, runs: int) -> Bools:
        arms = [running_sample(draw(random, (runs, UNITS))) for _ in range(2)]
        return _inside(asymptotic_difference(arms[0], arms[1], rho_for(1000, ALPHA)), 0.0)

    return held


def _stratified(draw: Draw) -> Callable[[Random, int], Bools]:
    def held(random: Random, runs: int) -> Bools:
        variance = float(draw(random, (1, 10_000)).var())
        process = StratifiedMeans(float(rho_for(500 * variance, ALPHA)))
        path = process.path(*(moments(random, draw, sizes // 5, runs) for sizes in (N_C, N_T)))
        return _inside(process.interval(path), 0.0)

    return held


def _betting(draw: Draw, mean: float) -> Callable[[Random, int], Bools]:
    return lambda random, runs: _inside(BettingScores(cells=200).path(draw(random, (runs, BETTING_UNITS))), mean)


def _quantile(q: float) -> Callable[[Random, int], Bools]:
    def held(random: Random, runs: int) -> Bools:
        """The values are continuous, so that how many are at or below the quantile is all that matters."""
        low, high = quantile_ranks(np.arange(1, UNITS + 1), q)
        below = np.cumsum(random.random((runs, UNITS)) < q, axis=-1)
        return np.asarray(((below >= low) & (below < high)).all(axis=-1))

    return held


def _ratio(ratio: float) -> Callable[[Random, int], Bools]:
    def held(random: Random, runs: int) -> Bools:
        """The interval leaves a ratio out exactly when one of the two processes at it rejects at alpha / 2."""
        seen = events(random, ERRORS, ratio, runs)
        above, below = (RateProcess(ratio, non_inferiority=way).path(seen).log_e for way in (False, True))
        return np.asarray((np.maximum(above, below) < np.log(2 / ALPHA)).all(axis=-1))

    return held


def _fixed(scale: Scale, say: Say) -> Rows:
    say("coverage: fixed intervals")
    random, runs = np.random.default_rng([SEED, 99]), scale.runs(ONCE_RUNS, 1000)
    rows: Rows = []

    def add(name: str, of: str, n: int, held: Bools) -> None:
        rows.append({"interval": name, "of": of, "units_an_arm": n, "coverage_percent": percent(held),
                     "standard_error_percent": error_percent(held)})  # fmt: skip

    for rate, n in ((0.01, 200), (0.01, 2000), (0.5, 50), (0.9, 200)):
        add("Wilson", f"rate {rate:g}", n, _once(wilson(Proportion(random.binomial(n, rate, runs), n)), rate))
    for p_c, p_t, n in ((0.01, 0.015, 1000), (0.5, 0.5, 50), (0.9, 0.92, 500)):
        arms = [Proportion(random.binomial(n, rate, runs), n) for rate in (p_c, p_t)]
        add("Newcombe", f"rates {p_c:g}, {p_t:g}", n, _once(newcombe(*arms), p_t - p_c))
    for of, n in (("normal", 10), ("log-normal 0.9", 100), ("log-normal 0.9", 1000), (
            "judge scores, Beta(3.4, 0.6)", 50)):  # fmt: skip
        held = [_once(welch(*_samples(random, DISTRIBUTIONS[of][0], part, n)).interval, 0.0) for part in in_parts(runs)]
        add("Welch", of, n, np.concatenate(held))
    for of, n, ratio in (("log-normal 0.9", 200, 1.2), ("normal", 20, 1.2)):
        draw = DISTRIBUTIONS[of][0]
        both = [_samples(random, draw, part, n, ratio) for part in in_parts(runs)]
        add("Fieller", f"{of}, ratio {ratio:g}", n, np.concatenate([_in_set(*arms, ratio) for arms in both]))
        held = [_once(relative_effect(*arms).interval, ratio - 1) for arms in both]
        add("delta method (relative_effect)", f"{of}, ratio {ratio:g}", n, np.concatenate(held))
    calls = 1 + random.poisson(8, (runs // 4, 2, 60))
    fails = random.binomial(calls, random.beta(0.5, 4.5, calls.shape))
    users = [Clusters.of(fails[:, arm], calls[:, arm]) for arm in (0, 1)]
    add(
        "delta method (delta_ratio)", "failures a call, clustered by user", 60, _once(delta_ratio(*users).interval, 0.0)
    )
    return rows


def _samples(random: Random, draw: Draw, runs: int, n: int, ratio: float = 1.0) -> tuple[Sample, Sample]:
    return Sample.of(draw(random, (runs, n))), Sample.of(ratio * draw(random, (runs, n)))


def _once(interval: Interval, truth: float) -> Bools:
    return np.asarray((interval.low <= truth) & (truth <= interval.high))


def _in_set(control: Sample, treatment: Sample, ratio: float) -> Bools:
    """Whether Fieller's set holds the ratio; it may be all but what lies between its ends."""
    found = fieller(control, treatment, df=2 * float(control.n.max()) - 2)
    low, high = found.interval.low, found.interval.high
    within: Floats = np.where(found.shape == "outside", (ratio >= low) | (ratio <= high), (low <= ratio) &
                              (ratio <= high))  # fmt: skip
    return np.asarray(within, dtype=np.bool_)
