"""Errors that come in clusters, as of one broken session: counted by request, and by what was assigned, the session."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from bench.statistics.findings import Found, Rows, Say, Scale, error_percent, no_more, percent
from bench.statistics.naive import RULES
from bench.statistics.plan import ALPHA, ERRORS, N_C, N_T, Bools, Counts, Floats, first
from tidegate.stats.ratios import Clusters, delta_ratio
from tidegate.stats.sequential.rates import RateProcess, RateWindow

SEED = 20260403
RUNS, ONCE_RUNS = 20_000, 4_000
CALLS = 5
FAIL = MappingProxyType({"all calls of a broken session fail": 1.0, "half of them do": 0.5})
ONCE_SESSIONS = 150

Rule = Callable[[RateWindow], Bools]


def measure(scale: Scale, say: Say) -> Found:
    """An identical candidate with 5 calls a session; then a fixed test of clustered rates."""
    runs = scale.runs(RUNS, 200)
    rules: Mapping[str, Rule] = {
        "N1 window > 1.5 x control": RULES["N1 window > 1.5 x control"],
        "N7 z-test p < 0.05 at every look": RULES["N7 z-test p < 0.05 at every look"],
        "RateProcess": lambda seen: np.asarray(RateProcess().path(seen).log_e >= -np.log(ALPHA)),
    }
    rows: Rows = []
    worst = 0.0
    for at, (how, chance) in enumerate(FAIL.items()):
        say(f"clusters: {how}")
        by_call, by_session = rollouts(np.random.default_rng([SEED, at]), chance, runs)
        for name, rule in rules.items():
            wrong = {"request": first(rule(by_call)).ever, "session": first(rule(by_session)).ever}
            rows.extend(
                {"clusters": how, "rule": name, "unit": unit, "rolled_back_percent": percent(one),
                 "standard_error_percent": error_percent(one)}
                for unit, one in wrong.items()
            )  # fmt: skip
            if name == "RateProcess":
                worst = max(worst, percent(wrong["session"]))
    once = fixed_tests(np.random.default_rng([SEED, 9]), scale.runs(ONCE_RUNS, 100))
    return Found(
        [no_more("clusters of 5, session as unit: identical candidate rolled back", worst, 1.0)],
        {
            "an identical candidate, 5 calls a session": rows,
            "one look, arms that do not differ, 150 users an arm with 9 calls each on average, tests at 5%": once,
        },
    )


def rollouts(random: np.random.Generator, chance: float, runs: int) -> tuple[RateWindow, RateWindow]:
    """The same rollouts counted by call and by session; a session has failed when any of its calls has."""
    columns: list[tuple[Floats, Floats]] = []
    for sizes in (N_C // CALLS, N_T // CALLS):
        broken = random.binomial(sizes, ERRORS, (runs, len(sizes)))
        failed = random.binomial(broken, 1 - (1 - chance) ** CALLS)
        columns.append((_calls(random, failed, chance), failed.astype(np.float64)))
    (calls_c, failed_c), (calls_t, failed_t) = columns
    return (
        RateWindow(calls_c, N_C, calls_t, N_T),
        RateWindow(failed_c, N_C // CALLS, failed_t, N_T // CALLS),
    )


def _calls(random: np.random.Generator, failed: Counts, chance: float) -> Floats:
    """How many calls failed in so many sessions with a failure: a binomial each, given that it is not 0."""
    if chance == 1:
        return np.asarray(failed * float(CALLS))
    counts = np.arange(1, CALLS + 1)
    weights = np.array([math.comb(CALLS, int(k)) * chance**k * (1 - chance) ** (CALLS - k) for k in counts])
    drawn = random.choice(counts, size=(*failed.shape, int(failed.max(initial=0))), p=weights / weights.sum())
    there = np.arange(drawn.shape[-1]) < failed[..., None]
    return np.asarray((drawn * there).sum(axis=-1), dtype=np.float64)


def fixed_tests(random: np.random.Generator, runs: int) -> Rows:
    """z-test by call and delta method by user; users differ in their rate of failures (Beta) and in their calls."""
    calls = 1 + random.poisson(8, (runs, 2, ONCE_SESSIONS))
    fails = random.binomial(calls, random.beta(0.5, 4.5, calls.shape))
    total, n = fails.sum(axis=-1), calls.sum(axis=-1)
    pooled = total.sum(axis=-1) / n.sum(axis=-1)
    z = (total[:, 1] / n[:, 1] - total[:, 0] / n[:, 0]) / np.sqrt(pooled * (1 - pooled) * (1 / n).sum(axis=-1))
    found = delta_ratio(*(Clusters.of(fails[:, arm], calls[:, arm]) for arm in (0, 1)))
    return [
        {"test": name, "unit": unit, "found_a_difference_percent": percent(wrong),
         "standard_error_percent": error_percent(wrong)}
        for name, unit, wrong in (("z-test", "call", np.abs(z) > 1.959964), ("delta_ratio", "user",
                                                                             found.p_value < 0.05))
    ]  # fmt: skip
