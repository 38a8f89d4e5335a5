"""Seconds to analyse 4 metrics of 2 arms from their sums, side by side with gbstats and statsmodels where installed.

errors and slow calls as rates, cost and a judge's score as means: for each an effect, its interval and a p-value. Ours
corrects the four for being four (Holm) and tests the split as well; the peers are not asked to.
"""

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.gateway.peers import bench_home
from bench.statistics.findings import Found, Rows, Say, Scale, no_more
from bench.statistics.plan import events
from tidegate.stats.means import welch
from tidegate.stats.multiple import holm
from tidegate.stats.proportions import z_test
from tidegate.stats.quantiles import quantile_difference
from tidegate.stats.ratios import relative_effect
from tidegate.stats.results import Proportion, Sample
from tidegate.stats.sequential.rates import RateProcess
from tidegate.stats.splits import srm_test

SEED = 20260407
REPS = 300
GOAL_MS = 5.0
LIMIT_S = 120.0
N = (10_000, 10_050)
ERRORS, SLOW = (100, 118), (500, 540)
COST, SCORE = ((1.5, 1.68), (1.53, 1.7)), ((0.85, 0.16), (0.848, 0.161))
SAME = 1e-6

PEERS = {"gbstats": "gbstats==0.8.0", "statsmodels": "statsmodels==0.15.0"}

TIMED = """\
import json, sys, time
import numpy as np
given = json.loads(sys.argv[1])
n, errors, slow, cost, score = (given[name] for name in ("n", "errors", "slow", "cost", "score"))
{calls}
took = []
for _ in range(given["reps"]):
    begun = time.perf_counter()
    p = analysed()
    took.append(time.perf_counter() - begun)
print(json.dumps({{"took_s": took, "p": [float(one) for one in p]}}))
"""

GBSTATS = """\
from gbstats.frequentist.tests import FrequentistConfig, TwoSidedTTest
from gbstats.models.statistics import ProportionStatistic, SampleMeanStatistic
config = FrequentistConfig(difference_type="absolute")
def mean(m, s, n): return SampleMeanStatistic(n=n, sum=m * n, sum_squares=s * s * (n - 1) + m * m * n)
def analysed():
    pairs = [[ProportionStatistic(n=k, sum=x) for x, k in zip(counts, n)] for counts in (errors, slow)]
    pairs += [[mean(*arm, k) for arm, k in zip(arms, n)] for arms in (cost, score)]
    return [TwoSidedTTest(*pair, config).compute_result().p_value for pair in pairs]
"""

STATSMODELS = """\
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest
from statsmodels.stats.weightstats import _tconfint_generic, _tstat_generic
def welch(arms):
    (m_c, s_c), (m_t, s_t) = arms
    v_c, v_t = s_c**2 / n[0], s_t**2 / n[1]
    error = np.sqrt(v_c + v_t)
    df = (v_c + v_t)**2 / (v_c**2 / (n[0] - 1) + v_t**2 / (n[1] - 1))
    _tconfint_generic(m_t - m_c, error, df, 0.05, "two-sided")
    return _tstat_generic(m_t, m_c, error, df, "two-sided")[1]
def analysed():
    found = []
    for counts in (errors, slow):
        confint_proportions_2indep(counts[1], n[1], counts[0], n[0], method="newcomb")
        found.append(proportions_ztest(counts, n)[1])
    found += [welch(cost), welch(score)]
    return found
"""

CALLS: Mapping[str, str] = {"gbstats": GBSTATS, "statsmodels": STATSMODELS}


def measure(scale: Scale, say: Say) -> Found:
    """Ours from sums and from values; the peers; and a rollout's tick."""
    reps = scale.runs(REPS, 30)
    say("speed: tidegate")
    mine = timed(analysed, reps)
    values = from_values(np.random.default_rng(SEED))
    rows: Rows = [
        {"what": "tidegate", "metrics": 4, "from": "sums", **mine, "p_values_agree": None},
        {"what": "tidegate, p95 of latency for slow calls", "metrics": 4, "from": "10,000 values an arm",
         **timed(values, max(reps // 10, 5)), "p_values_agree": None},
        {"what": "tidegate, sequential, 39 windows", "metrics": 4, "from": "counts a window",
         **timed(ticks(np.random.default_rng(SEED)), reps), "p_values_agree": None},
    ]  # fmt: skip
    for name in PEERS:
        say(f"speed: {name}")
        rows.append({"what": name, "metrics": 4, "from": "sums", **peer(name, reps)})
    notes = [
        f"{name} is not installed: python3 -m venv {home} && {home}/bin/pip install '{PEERS[name]}'"
        for name in PEERS
        if not (home := bench_home() / name).exists()
    ]
    goal = no_more("4 metrics x 2 arms analysed (median)", mine["median_ms"], GOAL_MS, "ms")
    return Found([goal], {"one analysis": rows}, notes)


def analysed() -> list[float]:
    """The p-values of the four."""
    tests = [z_test(*(Proportion(x, n) for x, n in zip(counts, N, strict=True))) for counts in (ERRORS, SLOW)]
    tests += [welch(*(Sample(*arm, n) for arm, n in zip(arms, N, strict=True))) for arms in (COST, SCORE)]
    found = [float(one.p_value) for one in tests]
    holm(found)
    srm_test(N, (1, 1))
    return found


def from_values(random: np.random.Generator) -> Callable[[], list[float]]:
    """The same from each unit's values, with the p95 in the place of the slow calls."""
    failed = [random.random(n) < 0.01 for n in N]
    latency, cost = ([random.lognormal(0.0, sigma, n) for n in N] for sigma in (0.6, 0.9))
    score = [random.beta(3.4, 0.6, n) for n in N]

    def run() -> list[float]:
        tests = [
            z_test(*(Proportion(int(one.sum()), one.size) for one in failed)),
            quantile_difference(latency[0], latency[1], 0.95),
            relative_effect(*(Sample.of(one) for one in cost)),
            welch(*(Sample.of(one) for one in score)),
        ]
        return [float(one.p_value) for one in tests]

    return run


def ticks(random: np.random.Generator) -> Callable[[], list[float]]:
    """Four guardrails on rates, whole rollouts from the start."""
    seen = [events(random, rate, 1.0, 1) for rate in (0.01, 0.05, 0.02, 0.1)]

    def run() -> list[float]:
        return [float(RateProcess().path(one).p_value[0, -1]) for one in seen]

    return run


def timed(call: Callable[[], list[float]], reps: int) -> dict[str, float]:
    """The median and the greatest of so many calls, after one that is not counted."""
    call()
    took = []
    for _ in range(reps):
        begun = time.perf_counter()
        call()
        took.append(time.perf_counter() - begun)
    return {"median_ms": 1000 * float(np.median(took)), "p95_ms": 1000 * float(np.quantile(took, 0.95))}


def peer(name: str, reps: int) -> dict[str, Any]:
    """A library's time for the same in its own environment; None where it is not installed or fails."""
    python: Path = bench_home() / name / "bin" / "python"
    nothing = {"median_ms": None, "p95_ms": None, "p_values_agree": None}
    if not python.exists():
        return nothing
    given = {"n": N, "errors": ERRORS, "slow": SLOW, "cost": COST, "score": SCORE, "reps": reps + 1}
    done = subprocess.run(
        [str(python), "-W", "ignore", "-c", TIMED.format(calls=CALLS[name]), json.dumps(given)],
        capture_output=True, text=True, check=False, timeout=LIMIT_S,
    )  # fmt: skip
    if done.returncode:
        return nothing
    found = json.loads(done.stdout.splitlines()[-1])
    took = found["took_s"][1:]
    agree = bool(np.allclose(found["p"], analysed(), rtol=SAME)) if name == "statsmodels" else None
    return {"median_ms": 1000 * float(np.median(took)), "p95_ms": 1000 * float(np.quantile(took, 0.95)),
            "p_values_agree": agree}  # fmt: skip
