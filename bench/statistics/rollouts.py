"""Rollouts by the ten thousand: how often an identical candidate is rolled back, how soon a bad one. Errors alone."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from bench.statistics.findings import (
    Cell,
    Found,
    Goal,
    Rows,
    Say,
    Scale,
    error_percent,
    likely,
    no_less,
    no_more,
    percent,
)
from bench.statistics.guardrails import guardrails
from bench.statistics.naive import RULES, stratified_z
from bench.statistics.plan import (
    ALPHA,
    ERRORS,
    LOOKS,
    MINUTES,
    N_C,
    N_T,
    PROMOTE_ALPHA,
    STAGE,
    Bools,
    Hit,
    events,
    first,
    in_parts,
)
from tidegate.stats.sequential.group import lan_demets
from tidegate.stats.sequential.rates import RateProcess, RateWindow

SEED = 20260402
RUNS = 20_000
OURS, HISTORICAL = "P1 RateProcess", "N0 window > 1.5 x last week's 1%"
TABLE = "errors 1%: rolled back percent (median minutes | mean units that the candidate served)"
RATIOS = (1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 20.0)
MARGIN = 1.5
SECONDS = 10
UNITS_A_TICK = np.array([2, 1, 2, 2, 1, 2])  # of the candidate at 5%, of 33 or 34 units a tick: 50 in 5 minutes
FIRST_STAGE_TICKS = 90

Fires = Callable[[RateWindow], Bools]


def measure(scale: Scale, say: Say) -> Found:
    """The table of the goals, other settings of A/A, promotion, short ticks, and four guardrails together."""
    runs = scale.runs(RUNS, 200)
    rules = {**RULES, **_ours()}
    hits = _hits(rules, runs, say)
    others = _other_settings(rules, runs, say)
    promoted = _promotions(runs, say)
    ticks = _short_ticks(runs, say)
    together = guardrails(np.random.default_rng([SEED, 9]), scale, say)
    goals = [*together.goals, *_goals({ratio: hits[OURS, ratio] for ratio in RATIOS}, promoted, ticks, others)]
    tables = {
        TABLE: [_row(rule, ratio, hit) for (rule, ratio), hit in hits.items()],
        "an identical candidate, other settings: rolled back (percent)": others,
        "promoted: shown to be below 1.5 times the control's errors, alpha 0.05": promoted,
        "windows of 10 seconds, 5% of 200 units a minute, first 15 minutes": ticks,
        **together.tables,
    }
    historical = (
        f"A rule against last week's rate rolls back {percent(hits[HISTORICAL, 1.0].ever):.2f}% of identical "
        "candidates: no function of tidegate.stats.sequential takes one."
    )
    short: Rows = [{"rule": rule, **{f"x{ratio:g}": _shown(hits[rule, ratio]) for ratio in RATIOS}} for rule in rules]
    return Found(goals, tables, (*together.notes, historical), {TABLE: short})


def _e_process(seen: RateWindow) -> Bools:
    return np.asarray(RateProcess().path(seen).log_e >= -np.log(ALPHA))


def _equal_weights(seen: RateWindow) -> Bools:
    return np.asarray(RateProcess(weights=(1.0,) * 7).path(seen).log_e >= -np.log(ALPHA))


def _with_margin(seen: RateWindow) -> Bools:
    path = RateProcess().path(seen)
    return np.asarray((path.log_e >= -np.log(ALPHA)) & (path.rate_ratio >= MARGIN))


def _ours() -> Mapping[str, Fires]:
    told = np.cumsum(N_C * N_T / (N_C + N_T))
    boundaries = lan_demets(np.minimum(told / told[-1], 1.0), alpha=ALPHA, two_sided=False)

    def planned(seen: RateWindow) -> Bools:
        return np.asarray(stratified_z(seen) >= boundaries.z)

    return MappingProxyType(
        {
            "G1 Lan-DeMets, O'Brien-Fleming type": planned,
            "P0 RateProcess, equal weights": _equal_weights,
            OURS: _e_process,
            "P2 RateProcess, and the estimate >= 1.5": _with_margin,
        }
    )


def _hits(rules: Mapping[str, Fires], runs: int, say: Say) -> dict[tuple[str, float], Hit]:
    """What each rule did, by the true ratio: all see the same rollouts."""
    found = {}
    for at, ratio in enumerate(RATIOS):
        say(f"rollouts: errors at {ratio:g} times the control's")
        seen = events(np.random.default_rng([SEED, 1, at]), ERRORS, ratio, runs)
        found.update({(name, ratio): first(rule(seen)) for name, rule in rules.items()})
    return {(name, ratio): found[name, ratio] for name in rules for ratio in RATIOS}


def _row(rule: str, ratio: float, hit: Hit) -> dict[str, Cell]:
    return {
        "rule": rule,
        "true_ratio": ratio,
        "rolled_back_percent": percent(hit.ever),
        "standard_error_percent": error_percent(hit.ever),
        "median_minutes": hit.median_looks * MINUTES,
        "mean_units_served": float(hit.served.mean()),
    }


def _shown(hit: Hit) -> str:
    minutes = f"{hit.median_looks * MINUTES:g}" if hit.ever.any() else "-"
    return f"{percent(hit.ever):.2f} ({minutes} | {hit.served.mean():.0f})"


def _other_settings(rules: Mapping[str, Fires], runs: int, say: Say) -> Rows:
    say("rollouts: identical candidates in other settings")
    incident = np.full(LOOKS, ERRORS)
    incident[20:23] = 6 * ERRORS
    drifting = np.where(STAGE == 2, 0.02, 0.005)
    settings: Mapping[str, npt.ArrayLike] = {
        "errors_0.2%": 0.002,
        "errors_1%": ERRORS,
        "errors_5%": 0.05,
        "incident_x6_for_15_min": incident,
        "rate_drifts_0.5_to_2%": drifting,
    }
    seen = {
        name: events(np.random.default_rng([SEED, 2, at]), rate, 1.0, runs)
        for at, (name, rate) in enumerate(settings.items())
    }
    return [
        {"rule": rule, **{name: percent(first(fires(one)).ever) for name, one in seen.items()}}
        for rule, fires in rules.items()
    ]


def _promotions(runs: int, say: Say) -> Rows:
    say("rollouts: promotions")
    process = RateProcess(MARGIN, non_inferiority=True)
    rows: Rows = []
    for at, (rate, ratio) in enumerate(((ERRORS, 1.0), (ERRORS, 1.25), (ERRORS, 1.5), (ERRORS, 2.0), (0.002, 1.0))):
        seen = events(np.random.default_rng([SEED, 3, at]), rate, ratio, runs)
        hit = first(np.asarray(process.path(seen).log_e >= -np.log(PROMOTE_ALPHA)))
        rows.append(
            {
                "errors_percent": 100 * rate,
                "true_ratio": ratio,
                "promoted_percent": percent(hit.ever),
                "standard_error_percent": error_percent(hit.ever),
                "median_minutes": hit.median_looks * MINUTES,
            }
        )
    return rows


def _short_ticks(runs: int, say: Say) -> Rows:
    say("rollouts: ticks of 10 seconds")
    n_t = np.tile(UNITS_A_TICK, FIRST_STAGE_TICKS // len(UNITS_A_TICK))
    n_c = np.tile([31, 32, 31, 32, 32, 32], FIRST_STAGE_TICKS // len(UNITS_A_TICK))
    rows: Rows = []
    for at, ratio in enumerate((1.0, 5.0, 20.0)):
        random = np.random.default_rng([SEED, 4, at])
        hits = [first(_e_process(events(random, ERRORS, ratio, part, (n_c, n_t))), n_t) for part in in_parts(runs)]
        ever, looks = (np.concatenate([getattr(one, name) for one in hits]) for name in ("ever", "looks"))
        rows.append(
            {
                "true_ratio": ratio,
                "rolled_back_percent": percent(ever),
                "median_s": float(np.median(looks[ever])) * SECONDS if ever.any() else None,
            }
        )
    return rows


def _goals(ours: Mapping[float, Hit], promoted: Rows, ticks: Rows, others: Rows) -> list[Goal]:
    minutes = {ratio: hit.median_looks * MINUTES for ratio, hit in ours.items()}
    usual = [row for row in promoted if row["errors_percent"] == 100 * ERRORS]
    by_ratio = {row["true_ratio"]: float(str(row["promoted_percent"])) for row in usual}
    fastest = next(row["median_s"] for row in ticks if row["true_ratio"] == RATIOS[-1])
    mine = next(row for row in others if row["rule"] == OURS)
    worst = max(float(str(share)) for name, share in mine.items() if name != "rule")
    return [
        no_more("errors alone: identical candidate rolled back, worst setting", worst, 100 * ALPHA),
        likely(no_less("errors alone: x1.5 rolled back", percent(ours[1.5].ever), 80.0), ours[1.5].ever),
        no_more("errors x3 found after (median)", minutes[3.0], 25.0, "min"),
        no_more("errors x5 found after (median)", minutes[5.0], 20.0, "min"),
        no_more("errors x20 found after (median)", minutes[20.0], 5.0, "min"),
        no_more("errors x20 found after (median), windows of 10 s",
                None if fastest is None else float(fastest) / 60, 2.0, "min"),
        no_more("candidate at the margin (x1.5) promoted by itself", by_ratio[1.5], 5.0),
        no_less("identical candidate promoted, errors gate alone", by_ratio[1.0], 85.0),
    ]  # fmt: skip
