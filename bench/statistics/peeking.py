"""A/A under continuous peeking: how often each method is ever wrong though nothing differs. Naive tests as contrast."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy import special

from bench.statistics.findings import Found, Rows, Say, Scale, error_percent, no_more, percent
from bench.statistics.naive import stratified_z
from bench.statistics.plan import ALPHA, ERRORS, LOOKS, N_C, N_T, Bools, Floats, events, in_parts, moments
from tidegate.stats.results import Interval
from tidegate.stats.sequential.evidence import always_valid_p
from tidegate.stats.sequential.exceedance import exceedance_window, frozen_threshold, quantile_ranks
from tidegate.stats.sequential.group import group_sequential_test, lan_demets
from tidegate.stats.sequential.means import (
    asymptotic_difference,
    asymptotic_sequence,
    msprt,
    normal_mixture,
    rho_for,
    running_sample,
)
from tidegate.stats.sequential.rates import RateProcess, RateWindow
from tidegate.stats.sequential.scores import betting_evidence
from tidegate.stats.sequential.stratified import Moments, StratifiedMeans
from tidegate.stats.splits import SequentialSplit

SEED = 20260401
RUNS, FEWER = 20_000, 10_000
UNITS = 2_000
LEVEL = 0.05
COST_MEAN = float(np.exp(0.9**2 / 2))
COST_VARIANCE = float(np.exp(0.81) * np.expm1(0.81))

Random = np.random.Generator
Method = Callable[[Random, int], Bools]
"""Whether each run was ever wrong."""


def measure(scale: Scale, say: Say) -> Found:
    """Every method, in its own setting."""
    rows: Rows = []
    goals = []
    for at, (name, (method, whole, alpha, looks)) in enumerate(METHODS.items()):
        say(f"peeking: {name}")
        random, runs = np.random.default_rng([SEED, at]), scale.runs(whole, 200)
        wrong = np.concatenate([method(random, part) for part in in_parts(runs)])
        rows.append(
            {
                "method": name,
                "looks": looks,
                "runs": runs,
                "alpha_percent": 100 * alpha,
                "ever_wrong_percent": percent(wrong),
                "standard_error_percent": error_percent(wrong),
            }
        )
        if not name.startswith("naive"):
            goals.append(no_more(f"A/A, {name}: ever wrong", percent(wrong), 100 * alpha, runs=runs))
    return Found(goals, {"ever wrong under continuous peeking, nothing differs": rows})


def _crossed(log_e: Floats, alpha: float = LEVEL) -> Bools:
    return np.asarray((log_e >= -np.log(alpha)).any(axis=-1))


def _left_out(interval: Interval, truth: float) -> Bools:
    return np.asarray(((interval.low > truth) | (interval.high < truth)).any(axis=-1))


def _rates(random: Random, runs: int) -> Bools:
    return _crossed(RateProcess().path(events(random, ERRORS, 1.0, runs)).log_e, ALPHA)


def _rates_often(random: Random, runs: int) -> Bools:
    """Windows of 4 units, 5% errors."""
    two = np.full(1000, 2)
    return _crossed(RateProcess().path(events(random, 0.05, 1.0, runs, (two, two))).log_e)


def _not_worse(random: Random, runs: int) -> Bools:
    """The candidate is at the margin."""
    process = RateProcess(1.5, non_inferiority=True)
    return _crossed(process.path(events(random, 2 * ERRORS, 1.5, runs)).log_e)


def _stratified(random: Random, runs: int) -> Bools:
    def costs(random: Random, shape: tuple[int, int]) -> Floats:
        return random.lognormal(0.0, 0.9, shape)

    process = StratifiedMeans(float(rho_for(400 * COST_VARIANCE, LEVEL, two_sided=False)))
    arms: list[Moments] = [moments(random, costs, sizes // 5, runs) for sizes in (N_C, N_T)]
    return _crossed(process.path(*arms).log_e)


def _normal_walk(random: Random, runs: int) -> tuple[Floats, Floats]:
    return np.cumsum(random.standard_normal((runs, UNITS)), axis=-1), np.arange(1.0, UNITS + 1)


def _mixture(random: Random, runs: int) -> Bools:
    total, n = _normal_walk(random, runs)
    return _crossed(normal_mixture(total, n, rho_for(500, LEVEL, two_sided=False)))


def _msprt(random: Random, runs: int) -> Bools:
    total, n = _normal_walk(random, runs)
    return np.asarray(always_valid_p(msprt(total / n, 1 / n, 0.1))[:, -1] <= LEVEL)


def _costs_alone(random: Random, runs: int) -> Bools:
    values = running_sample(random.lognormal(0.0, 0.9, (runs, UNITS)))
    return _left_out(asymptotic_sequence(values, rho_for(500, LEVEL)), COST_MEAN)


def _costs_apart(random: Random, runs: int) -> Bools:
    arms = [running_sample(random.lognormal(0.0, 0.9, (runs, UNITS))) for _ in range(2)]
    return _left_out(asymptotic_difference(arms[0], arms[1], rho_for(1000, LEVEL)), 0.0)


def _betting(random: Random, runs: int) -> Bools:
    scores = random.beta(17, 3, (runs, 1000))
    return _crossed(betting_evidence(scores, 0.85, alternative="less").log_e)


def _exceedance(random: Random, runs: int) -> Bools:
    """Latency, log-normal; 200 units a window; the threshold is the p95 of 2,000 values before the rollout."""
    tau = frozen_threshold(random.lognormal(0.0, 0.6, 2000))
    windows = [
        exceedance_window(random.lognormal(0.0, 0.6, (runs, n_c)), random.lognormal(0.0, 0.6, (runs, n_t)), tau)
        for n_c, n_t in zip(N_C // 5, N_T // 5, strict=True)
    ]
    path = RateWindow(*(np.stack([np.broadcast_to(getattr(one, name), runs) for one in windows], axis=-1)
                        for name in RateWindow.__slots__))  # fmt: skip
    return _crossed(RateProcess().path(path).log_e)


def _quantile(random: Random, runs: int) -> Bools:
    """p95 of values whose distribution is continuous: how many are at or below it is all that matters."""
    n = np.arange(1, UNITS + 1)
    low, high = quantile_ranks(n, 0.95, level=1 - LEVEL)
    below = np.cumsum(random.random((runs, UNITS)) < 0.95, axis=-1)
    return np.asarray(((below < low) | (below >= high)).any(axis=-1))


def _split(random: Random, runs: int) -> Bools:
    test = SequentialSplit.begin(np.full((runs, 2), 0.5))
    for _ in range(200):
        first = random.binomial(50, 0.5, runs)
        test = test.update(np.stack([first, 50 - first], axis=-1))
    return np.asarray(test.p_value <= LEVEL)


def _planned(random: Random, runs: int) -> Bools:
    looks = 10
    boundaries = lan_demets(np.arange(1, looks + 1) / looks, alpha=LEVEL)
    z = np.cumsum(random.standard_normal((runs, looks)), axis=-1) / np.sqrt(np.arange(1, looks + 1))
    return group_sequential_test(z, boundaries).rejected


def _naive_rates(random: Random, runs: int) -> Bools:
    return np.asarray((stratified_z(events(random, ERRORS, 1.0, runs)) > -special.ndtri(LEVEL)).any(axis=-1))


def _naive_means(random: Random, runs: int) -> Bools:
    """Looked at from 50 units on."""
    total, n = _normal_walk(random, runs)
    z: npt.NDArray[np.float64] = np.abs(total / np.sqrt(n))[:, 49:]
    return np.asarray((z > -special.ndtri(LEVEL / 2)).any(axis=-1))


METHODS: Mapping[str, tuple[Method, int, float, int]] = MappingProxyType(
    {
        "RateProcess, rollout of 39 windows": (_rates, RUNS, ALPHA, LOOKS),
        "RateProcess, windows of 4 units": (_rates_often, FEWER, LEVEL, 1000),
        "RateProcess, non-inferiority at the margin": (_not_worse, RUNS, LEVEL, LOOKS),
        "StratifiedMeans, log-normal cost": (_stratified, FEWER, LEVEL, LOOKS),
        "normal_mixture": (_mixture, FEWER, LEVEL, UNITS),
        "mSPRT": (_msprt, FEWER, LEVEL, UNITS),
        "asymptotic_sequence, log-normal cost": (_costs_alone, FEWER, LEVEL, UNITS),
        "asymptotic_difference, log-normal cost": (_costs_apart, FEWER, LEVEL, UNITS),
        "betting, judge scores": (_betting, FEWER, LEVEL, 1000),
        "exceedance of a frozen p95": (_exceedance, FEWER, LEVEL, LOOKS),
        "quantile_sequence, p95": (_quantile, FEWER, LEVEL, UNITS),
        "SequentialSplit": (_split, RUNS, LEVEL, 200),
        "Lan-DeMets, planned looks": (_planned, RUNS, LEVEL, 10),
        "naive z-test of errors, p < 0.05 at every look": (_naive_rates, RUNS, LEVEL, LOOKS),
        "naive z-test of a mean, p < 0.05 at every unit": (_naive_means, FEWER, LEVEL, UNITS - 49),
    }
)
"""Of each: what is simulated, how many times, at which alpha, and how many looks there are."""
