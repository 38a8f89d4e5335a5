"""Four guardrails together over a whole rollout: errors, cost, p95 latency, a judge's score on a fifth of the units."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy import special

from bench.statistics.findings import Cell, Found, Rows, Say, Scale, error_percent, likely, no_less, no_more, percent
from bench.statistics.plan import (
    ALPHA,
    ERRORS,
    MINUTES,
    N_C,
    N_T,
    PROMOTE_ALPHA,
    Bools,
    Draw,
    Floats,
    Hit,
    events,
    first,
    in_parts,
    moments,
)
from tidegate.stats.sequential.exceedance import frozen_threshold
from tidegate.stats.sequential.means import rho_for
from tidegate.stats.sequential.rates import RateProcess, RateWindow
from tidegate.stats.sequential.stratified import StratifiedMeans

COST_SIGMA, LATENCY_SIGMA = 0.9, 0.6
RUNS = 60_000  # of the identical candidate: its figure lies so near its goal that 20,000 do not tell
BASELINE = 2_000  # values before the rollout, from which the p95 is frozen
JUDGED = 5  # one unit in so many
SCORE = (3.4, 0.6)  # Beta: mean 0.85, standard deviation 0.16, skewed
POWER_RUNS = 2_000
COST_VARIANCE = float(np.exp(COST_SIGMA**2) * np.expm1(COST_SIGMA**2))
SCORE_VARIANCE = 0.85 * 0.15 / (sum(SCORE) + 1)
TIGHTEST_AT = 500.0  # sum of n_c n_t / n at which the bounds for means are tightest, as in control.gates
HALF = 0.5  # of the margin's way: what an estimate must be beyond for harm to be told, as gates do unless said
NAMES = ("errors", "cost", "latency", "judge")
RATIO, COST_RATIO, DROP = 1.5, 1.2, 0.03
MARGINS: Mapping[str, str] = MappingProxyType(
    {
        "errors": f"ratio {RATIO}",
        "cost": f"ratio {COST_RATIO}",
        "latency": f"{RATIO} times as many above p95",
        "judge": f"drop {DROP}",
    }
)


@dataclass(frozen=True)
class Truth:
    """How much worse the candidate is: three ratios and a drop of the mean score."""

    errors: float = 1.0
    cost: float = 1.0
    latency: float = 1.0
    drop: float = 0.0


CASES = (
    Truth(cost=1.1), Truth(cost=1.2), Truth(latency=1.2), Truth(latency=1.5), Truth(drop=0.03), Truth(drop=0.05),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """At each look of each run, by guardrail: harm proven; harm proven and the estimate beyond half of the margin's
    way; no harm beyond the margin proven.
    """

    harm: Mapping[str, Bools]
    clear: Mapping[str, Bools]
    safe: Mapping[str, Bools]


def guardrails(random: np.random.Generator, scale: Scale, say: Say) -> Found:
    """A/A of all four: any harm, and all passed; then the power of cost, latency and judge."""
    say("rollouts: four guardrails together")
    told = _rollouts(random, Truth(), scale.runs(RUNS, 200), say)
    rows: Rows = [_row(name, *(first(one[name]) for one in (told.harm, told.clear, told.safe))) for name in NAMES]
    any_harm, any_clear = _together(told.harm, needed=1), _together(told.clear, needed=1)
    all_safe = _together(told.safe, needed=len(NAMES))
    rows.append(_row("any harm; all promoted", any_harm, any_clear, all_safe))
    power: Rows = []
    for case in CASES:
        say(f"rollouts: {_named(case)}")
        found = _rollouts(random, case, scale.runs(POWER_RUNS, 60), say)
        hit, clear = _together(found.harm, needed=1), _together(found.clear, needed=1)
        power.append(
            {"candidate": _named(case),
             "harm_percent": percent(hit.ever), "harm_median_minutes": hit.median_looks * MINUTES,
             "half_margin_too_percent": percent(clear.ever), "half_margin_too_median_minutes":
             clear.median_looks * MINUTES}
        )  # fmt: skip
    what = "four guardrails together: identical candidate rolled back"
    goals = [
        likely(no_more(f"{what}, any harm", percent(any_harm.ever), 1.0), any_harm.ever),
        likely(no_more(f"{what}, beyond half the margin too", percent(any_clear.ever), 1.0), any_clear.ever),
        *(
            no_less(f"identical candidate promoted, {name} gate alone", percent(first(told.safe[name]).ever), 85.0)
            for name in NAMES[1:]
        ),
    ]
    return Found(
        goals,
        {
            "an identical candidate under four guardrails: any harm at alpha 0.0125 each, promoted at 0.05 each": rows,
            "a worse candidate under the four": power,
        },
        (f"All four gates promote an identical candidate in {percent(all_safe.ever):.1f}% of rollouts.",),
    )


def _rollouts(random: np.random.Generator, truth: Truth, runs: int, say: Say) -> Told:
    parts = in_parts(runs)
    found = []
    for number, part in enumerate(parts):
        found.append(_part(random, truth, part))
        if number % 5 == 4:
            say(f"rollouts: {number + 1} of {len(parts)} thousand")
    sides = (
        {name: np.concatenate([getattr(one, side)[name] for one in found]) for name in NAMES} for side in Told.__slots__
    )
    return Told(*sides)


def _part(random: np.random.Generator, truth: Truth, runs: int) -> Told:
    errors = events(random, ERRORS, truth.errors, runs)
    slow = _slow(random, truth.latency, runs)
    cost = [moments(random, _costs(ratio), sizes, runs) for ratio, sizes in ((1.0, N_C), (truth.cost, N_T))]
    judged = [moments(random, _scores(drop), sizes // JUDGED, runs) for drop, sizes in ((0.0, N_C), (truth.drop, N_T))]
    rho_cost, rho_judge = (
        float(rho_for(TIGHTEST_AT * one, ALPHA, two_sided=False)) for one in (COST_VARIANCE, SCORE_VARIANCE)
    )
    harms = {"errors": RateProcess().path(errors), "latency": RateProcess().path(slow)}
    means = {
        "cost": StratifiedMeans(rho_cost).path(*cost),
        "judge": StratifiedMeans(rho_judge, alternative="less").path(*judged),
    }
    harm = {name: np.asarray(one.log_e >= -np.log(ALPHA)) for name, one in {**harms, **means}.items()}
    half = {
        **{name: one.rate_ratio >= 1 + HALF * (RATIO - 1) for name, one in harms.items()},
        "cost": StratifiedMeans(rho_cost, ratio=1 + HALF * (COST_RATIO - 1)).path(*cost).total >= 0,
        "judge": StratifiedMeans(rho_judge, margin=-HALF * DROP).path(*judged).total <= 0,
    }
    below = RateProcess(RATIO, non_inferiority=True)
    safe = {
        "errors": below.path(errors).log_e,
        "latency": below.path(slow).log_e,
        "cost": StratifiedMeans(rho_cost, ratio=COST_RATIO, alternative="less").path(*cost).log_e,
        "judge": StratifiedMeans(rho_judge, margin=-DROP).path(*judged).log_e,
    }
    return Told(
        harm,
        {name: np.asarray(harm[name] & half[name]) for name in NAMES},
        {name: np.asarray(log_e >= -np.log(PROMOTE_ALPHA)) for name, log_e in safe.items()},
    )


def _slow(random: np.random.Generator, ratio: float, runs: int) -> RateWindow:
    """Counts above a p95 that was frozen before: latencies are independent, so the counts are binomial."""
    tau = np.array([frozen_threshold(random.lognormal(0.0, LATENCY_SIGMA, BASELINE)) for _ in range(runs)])
    above_c, above_t = (special.ndtr(-np.log(tau / one) / LATENCY_SIGMA)[:, None] for one in (1.0, ratio))
    return RateWindow(
        random.binomial(N_C, above_c, (runs, len(N_C))), N_C, random.binomial(N_T, above_t, (runs, len(N_T))), N_T
    )


def _costs(ratio: float) -> Draw:
    def draw(random: np.random.Generator, shape: tuple[int, int]) -> Floats:
        return ratio * random.lognormal(0.0, COST_SIGMA, shape)

    return draw


def _scores(drop: float) -> Draw:
    def draw(random: np.random.Generator, shape: tuple[int, int]) -> Floats:
        return np.clip(random.beta(*SCORE, shape) - drop, 0.0, 1.0)

    return draw


def _together(fires: Mapping[str, Bools], *, needed: int) -> Hit:
    """So many of them, each having fired by then."""
    ever = np.stack([np.maximum.accumulate(one, axis=-1) for one in fires.values()])
    return first(np.asarray(ever.sum(axis=0) >= needed))


def _row(name: str, harm: Hit, clear: Hit, safe: Hit) -> dict[str, Cell]:
    return {
        "guardrail": name,
        "harm_percent": percent(harm.ever),
        "standard_error_percent": error_percent(harm.ever),
        "half_margin_too_percent": percent(clear.ever),
        "margin": MARGINS.get(name, "-"),
        "promoted_percent": percent(safe.ever),
        "promoted_median_minutes": safe.median_looks * MINUTES,
    }


def _named(case: Truth) -> str:
    for name in ("errors", "cost", "latency"):
        if getattr(case, name) != 1:
            return f"{name} x{getattr(case, name):g}"
    return f"judge's score {case.drop:g} lower"
