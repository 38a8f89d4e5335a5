"""Writes sizes.json: what statsmodels, SciPy and gbstats say of sizes, powers, splits and posteriors.

`make oracles` runs it once in an environment with statsmodels (statsmodels.txt) and once in one with gbstats
(gbstats.txt: the two do not share one). Each run replaces its own part of the file; with equal versions the file stays
the same, byte for byte. The tests need neither.
"""

import importlib
import importlib.metadata
import importlib.util
import itertools
import json
import math
from pathlib import Path
from typing import Any

PLACE = Path(__file__).with_name("sizes.json")
RATES = ((0.9, 0.89), (0.5, 0.6), (0.01, 0.015), (0.001, 0.002), (0.0, 0.02), (0.97, 1.0), (1e-5, 3e-5), (0.3, 0.9))
PLANS = ((0.8, 0.05, 1.0), (0.9, 0.01, 1.0), (0.95, 0.05, 0.25), (0.5, 0.1, 4.0), (0.999, 0.001, 1.0))
ALTERNATIVES = {"two-sided": "two-sided", "greater": "larger", "less": "smaller"}
SPLITS = (
    ([5000, 5000], [1, 1]),
    ([5100, 4900], [0.5, 0.5]),
    ([100, 1900, 18000], [0.01, 0.09, 0.9]),
    ([1, 0], [0.5, 0.5]),
    ([0, 12, 3, 4], [1, 1, 1, 1]),
    ([500_000_700_000, 499_999_300_000], [1, 1]),
    ([820, 815, 900, 777, 812], [2, 2, 2, 2, 2]),
)
ARMS = (
    ((0.9, 0.3, 1000), (0.92, 0.27, 1000)),
    ((10.0, 3.0, 50), (9.0, 4.0, 70)),
    ((0.01, 0.1, 100_000), (0.01, 0.1, 100_000)),
    ((-3.0, 1.0, 20), (-2.0, 8.0, 2000)),
    ((1e6, 1e4, 30), (1.002e6, 1e4, 30)),
    ((0.5, 0.5, 10**12), (0.500001, 0.5, 10**12)),
)
PRIORS = (None, (0.0, 0.1), (0.05, 1.0))


def of_statsmodels() -> dict[str, Any]:
    """Powers and sizes of the arcsine, the pooled z-test and the t-test."""
    power, rates = (importlib.import_module(f"statsmodels.stats.{name}") for name in ("power", "proportion"))
    normal, student = power.NormalIndPower(), power.TTestIndPower()
    found: dict[str, list[dict[str, Any]]] = {"precision": [], "arcsine": [], "pooled": [], "means": [], "n": []}
    for p, margin, level in itertools.product((0.9, 0.5, 0.001, 0.999), (0.05, 0.01, 1e-4), (0.9, 0.95, 0.999)):
        n = rates.samplesize_confint_proportion(p, margin, alpha=1 - level)
        found["precision"].append({"p": p, "margin": margin, "level": level, "n": float(n)})
    for (p_c, p_t), n, (_, alpha, ratio), ours in itertools.product(
        RATES, (2, 50, 3457, 10**6, 10**12), PLANS, ALTERNATIVES
    ):
        asked = {"p_c": p_c, "p_t": p_t, "n_c": n, "alpha": alpha, "ratio": ratio, "alternative": ours}
        h = rates.proportion_effectsize(p_t, p_c)
        said = normal.power(h, n, alpha, ratio=ratio, alternative=ALTERNATIVES[ours])
        found["arcsine"].append({**asked, "power": float(said)})
        # theirs is n of the first arm, p_t here, and ratio of the second to it
        said = rates.power_proportions_2indep(
            p_t - p_c, p_c, n * ratio, 1 / ratio, alpha, alternative=ALTERNATIVES[ours], return_results=False
        )
        found["pooled"].append({**asked, "power": float(said)})
    for d, n, (_, alpha, ratio), ours in itertools.product(
        (0.01, 0.2, 1.0, 3.0, -0.5), (4, 10, 64, 1000, 10**6), PLANS, ALTERNATIVES
    ):
        said = student.power(d, n, alpha, ratio=ratio, alternative=ALTERNATIVES[ours])
        asked = {"difference": d, "n_c": n, "alpha": alpha, "ratio": ratio, "alternative": ours}
        found["means"].append({**asked, "power": float(said)})
    for wanted, alpha, ratio in PLANS:
        asked = {"power": wanted, "alpha": alpha, "ratio": ratio}
        for p_c, p_t in RATES:
            h = rates.proportion_effectsize(p_t, p_c)
            said = normal.solve_power(abs(h), None, alpha, wanted, ratio)
            one_tail = power.normal_sample_size_one_tail(
                p_t - p_c + 0.1,
                wanted,
                alpha,
                std_alternative=(p_c * (1 - p_c) + p_t * (1 - p_t) / ratio) ** 0.5,
                std_null=(p_c * (1 - p_c) + p_t * (1 - p_t) / ratio) ** 0.5,
            )
            row = {"p_c": p_c, "p_t": p_t, **asked, "difference": float(said), "noninferior": float(one_tail)}
            found["n"].append(row)
        for d in (0.02, 0.1, 0.5, 1.0):
            both, one = (_solved(student, d, (alpha, wanted, ratio), name) for name in ("two-sided", "larger"))
            found["n"].append({"d": d, **asked, "means": both, "one_sided": one})
    return found


def _solved(student: Any, d: float, plan: tuple[float, float, float], alternative: str) -> float | None:
    """Their solver's size, unless their own power at that size shows that it had not converged."""
    alpha, wanted, ratio = plan
    said = student.solve_power(d, None, alpha, wanted, ratio, alternative=alternative)
    reached = student.power(d, said, alpha, ratio, alternative=alternative)
    return float(said) if abs(float(reached) - wanted) < 1e-6 else None


def of_scipy() -> dict[str, Any]:
    """Chi-square of splits, and the exact test of two arms."""
    stats = importlib.import_module("scipy.stats")
    rows = []
    for counts, weights in SPLITS:
        expected = [sum(counts) * weight / sum(weights) for weight in weights]
        said = stats.chisquare(counts, expected)
        exact = stats.binomtest(counts[0], sum(counts), weights[0] / sum(weights)).pvalue if len(counts) == 2 else None
        rows.append(
            {
                "counts": counts,
                "weights": weights,
                "statistic": float(said.statistic),
                "p": float(said.pvalue),
                "exact": exact,
            }
        )
    return {"splits": rows}


def of_gbstats() -> dict[str, Any]:
    """Normal posteriors of an absolute effect under several priors, and their check of a split."""
    tests, statistics = (
        importlib.import_module("gbstats.bayesian.tests"),
        importlib.import_module("gbstats.models.statistics"),
    )
    utils = importlib.import_module("gbstats.utils")
    rows = []
    for (control, treatment), prior in itertools.product(ARMS, PRIORS):
        first, second = (
            statistics.SampleMeanStatistic(n=n, sum=n * mean, sum_squares=(n - 1) * sd**2 + n * mean**2)
            for mean, sd, n in (control, treatment)
        )
        believed = tests.GaussianPrior(*((prior[0], prior[1] ** 2, True) if prior else (0, 1, False)))
        config = tests.EffectBayesianConfig(difference_type="absolute", prior_type="absolute", prior_effect=believed)
        said = tests.EffectBayesianABTest(first, second, config).compute_result()
        seen = (
            {"mean": first.mean, "sd": float(first.variance**0.5)},
            {"mean": second.mean, "sd": float(second.variance**0.5)},
        )
        rows.append(
            {
                "control": {**seen[0], "n": control[2]},
                "treatment": {**seen[1], "n": treatment[2]},
                "prior": prior,
                "chance": float(said.chance_to_win),
                "expected": float(said.expected),
                "interval": [float(end) for end in said.ci],
                "risk": [float(one) for one in said.risk],
            }
        )
    return {"effects": rows, "splits": [float(utils.check_srm(counts, weights)) for counts, weights in SPLITS]}


def _told(found: Any) -> Any:
    """With null where a solver gave up."""
    if isinstance(found, dict):
        return {name: _told(one) for name, one in found.items()}
    if isinstance(found, list):
        return [_told(one) for one in found]
    return None if isinstance(found, float) and math.isnan(found) else found


def main() -> None:
    """Makes the parts that this environment can make."""
    found = json.loads(PLACE.read_text()) if PLACE.exists() else {}
    for name, make in (("statsmodels", of_statsmodels), ("gbstats", of_gbstats), ("scipy", of_scipy)):
        if importlib.util.find_spec(name) is not None:
            found[name] = {"version": importlib.metadata.version(name), **make()}
    PLACE.write_text(json.dumps(_told(found), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
