"""Regret and time to decide: equal split, Thompson, Thompson with a floor, top-two. Batches of 100, 8,000 units.

Floors are of 10% for each arm, as experiments have it, and of 10% for all arms together: 5% each of two, 1% of ten.
Ten arms of 10% each leave nothing to learn with, and are left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bench.statistics.findings import Cell, Found, Goal, Rows, Say, Scale, error_percent, no_less, no_more, percent
from bench.statistics.plan import Bools, Counts, Floats
from tidegate.stats.bandits import glr_stop, top_two, with_floor
from tidegate.stats.conjugates import BetaBernoulli
from tidegate.stats.posteriors import probability_best
from tidegate.stats.results import Proportion

SEED = 20260405
RUNS, BATCH, HORIZON = 1200, 100, 8000
FLOOR, SURE = 0.1, 0.95
EACH, TOGETHER = "Thompson, 10% floor each", "Thompson, 10% floor together"
PLACES = 256  # of the grid on which chances are summed
REACH = 7.0  # standard deviations that the grid covers
BOUNDS = ("usual", "proven")

NOT_FASTER = (
    "With two arms Thompson sampling does NOT decide faster than an equal split: it needs more units, for it feeds the "
    "arm that leads. What it saves is regret."
)

Share = Callable[[Floats], Floats]

POLICIES: Mapping[str, Share] = MappingProxyType(
    {
        "equal": lambda chances: np.full_like(chances, 1 / chances.shape[-1]),
        "Thompson": lambda chances: chances,
        EACH: lambda chances: with_floor(chances, FLOOR),
        TOGETHER: lambda chances: with_floor(chances, FLOOR / chances.shape[-1]),
        "top-two": top_two,
    }
)
"""The share of the next batch for each arm, from the chances to be best."""

CASES = (
    (0.90, 0.92),
    (0.80, 0.85),
    (0.70, 0.80),
    (0.10, 0.12),
    (0.80, 0.80, 0.80, 0.85),
    (0.70, 0.75, 0.80, 0.85),
    (0.80,) * 9 + (0.85,),
    (0.90, 0.90),
)
"""True rates of the arms; the last are equal, so that each winner is a false one."""


@dataclass(frozen=True)
class Played:
    """What happened in each run: regret in successes lost, the first batch at which a rule stopped (0: never) and the
    arm it named, for P(best) and for each bound; and the share of the least fed arm.
    """

    regret: Floats
    stops: Mapping[str, Counts]
    named: Mapping[str, Counts]
    least_share: Floats


def measure(scale: Scale, say: Say) -> Found:
    """All cases under all policies."""
    runs = scale.runs(RUNS, 60)
    rows: Rows = []
    null: Mapping[str, Played] = {}
    saved: dict[str, list[float]] = {EACH: [], TOGETHER: []}
    slower: list[float] = []
    for place, rates in enumerate(CASES):
        say(f"bandits: {named(rates)}")
        games = {
            policy: play(np.random.default_rng([SEED, place, at]), rates, share, runs)
            for at, (policy, share) in enumerate(POLICIES.items())
            if policy != EACH or FLOOR * len(rates) < 1
        }
        even = games["equal"]
        for policy, game in games.items():
            rows.append(_row(rates, policy, game, even))
        if len(set(rates)) == 1:
            null = games
        else:
            for policy in saved.keys() & games.keys():
                saved[policy].append(_saved(games[policy].regret, even.regret))
            if len(rates) == 2:
                slower.append(-_saved(units(games["Thompson"], "P95"), units(even, "P95")))
    goals = _goals(saved, slower, null, rows)
    false_rows: Rows = [
        {
            "policy": policy,
            "false_winners_percent": percent(game.stops["P95"] > 0),
            "standard_error_percent": error_percent(game.stops["P95"] > 0),
        }
        for policy, game in null.items()
    ]
    notes = (
        NOT_FASTER,
        f"The sums on a grid that stand in for the exact chances to be best differ by at most {grid_error():.1e}.",
    )
    tables = {"policies": rows, "stop at P(best) >= 95%, two equal arms": false_rows}
    return Found(goals, tables, notes)


def play(random: np.random.Generator, rates: tuple[float, ...], share: Share, runs: int) -> Played:
    """One policy, from nothing known to the horizon."""
    truth = np.array(rates)
    won, n = np.zeros((runs, len(rates))), np.zeros((runs, len(rates)))
    regret = np.zeros(runs)
    stops = {rule: np.zeros(runs, dtype=np.int64) for rule in ("P95", *BOUNDS)}
    arms = {rule: np.zeros(runs, dtype=np.int64) for rule in stops}
    best = chances(won, n)
    for batch in range(1, HORIZON // BATCH + 1):
        given = random.multinomial(BATCH, share(best))
        won, n = won + random.binomial(given, truth), n + given
        regret = regret + given @ (truth.max() - truth)
        best = chances(won, n)
        _note(stops["P95"], arms["P95"], batch, best.max(axis=-1) >= SURE, best.argmax(axis=-1))
        for bound in BOUNDS:
            found = glr_stop(Proportion(won, np.maximum(n, 1)), bound=bound)
            _note(stops[bound], arms[bound], batch, found.stop, found.leader)
    return Played(regret, stops, arms, n.min(axis=-1) / HORIZON)


def chances(won: Floats, n: Floats) -> Floats:
    """The chance of each arm to be best under uniform priors, (runs, arms), summed on a grid: fast for many runs."""
    a, b = won + 1, n - won + 1
    mean = a / (a + b)
    spread = np.sqrt(mean * (1 - mean) / (a + b + 1))
    low = np.clip((mean - REACH * spread).min(axis=-1), 0.0, 1.0)
    high = np.clip((mean + REACH * spread).max(axis=-1), 0.0, 1.0)
    middles = (np.arange(PLACES) + 0.5) / PLACES
    at = (low[:, None] + (high - low)[:, None] * middles)[:, None, :]
    logs = (a - 1)[..., None] * np.log(at) + (b - 1)[..., None] * np.log1p(-at)
    density = np.exp(logs - logs.max(axis=-1, keepdims=True))
    density /= density.sum(axis=-1, keepdims=True)
    below = np.maximum(np.cumsum(density, axis=-1) - density / 2, 1e-300)
    found = (density * np.exp(np.log(below).sum(axis=1, keepdims=True) - np.log(below))).sum(axis=-1)
    return np.asarray(found / found.sum(axis=-1, keepdims=True))


def grid_error() -> float:
    """How far `chances` is from the exact ones, at most, over states as they occur."""
    random = np.random.default_rng([SEED, 99])
    n = np.concatenate([random.integers(1, 200, (20, 2)), random.integers(1000, 7000, (20, 2)),
                        np.column_stack([random.integers(1, 60, 20), random.integers(5000, 8000, 20)])])  # fmt: skip
    won = random.binomial(n, random.uniform(0.05, 0.95, (60, 1))).astype(np.float64)
    exact = probability_best([BetaBernoulli(won[:, arm] + 1, n[:, arm] - won[:, arm] + 1) for arm in (0, 1)])
    return float(np.abs(chances(won, n.astype(np.float64)) - exact).max())


def units(game: Played, rule: str) -> Floats:
    """Units to the stop, the horizon where there was none."""
    return np.where(game.stops[rule] > 0, game.stops[rule] * BATCH, HORIZON).astype(np.float64)


def named(rates: tuple[float, ...]) -> str:
    """A case in words."""
    if len(rates) > 4:
        return f"{len(rates)} arms {rates[0]:.2f} x{len(rates) - 1}, {rates[-1]:.2f}"
    return f"{len(rates)} arms {' '.join(f'{rate:.2f}' for rate in rates)}"


def _note(stops: Counts, arms: Counts, batch: int, stop: Bools, leader: Counts) -> None:
    new = stop & (stops == 0)
    stops[new], arms[new] = batch, leader[new]


def _saved(mine: Floats, even: Floats) -> float:
    return 100 * (1 - float(mine.mean()) / float(even.mean()))


def _row(rates: tuple[float, ...], policy: str, game: Played, even: Played) -> dict[str, Cell]:
    best, alike = int(np.argmax(rates)), len(set(rates)) == 1
    row: dict[str, Cell] = {
        "case": named(rates),
        "policy": policy,
        "regret_successes": float(game.regret.mean()),
        "regret_saved_percent": None if alike or game is even else _saved(game.regret, even.regret),
        "units_to_P95": float(units(game, "P95").mean()),
        "units_saved_percent": None if game is even else _saved(units(game, "P95"), units(even, "P95")),
    }
    for rule in ("P95", *BOUNDS):
        title = rule if rule == "P95" else f"GLR_{rule}"
        stopped = game.stops[rule] > 0
        row[f"{title}_stopped_percent"] = percent(stopped)
        wrong = game.named[rule][stopped] != best
        row[f"{title}_wrong_of_stopped_percent"] = 100.0 if alike and wrong.size else percent(wrong)
    floor = {EACH: FLOOR, TOGETHER: FLOOR / len(rates)}.get(policy)
    row["floor_kept_percent"] = None if floor is None else 100 * float(game.least_share.mean()) / floor
    return row


def _goals(saved: Mapping[str, list[float]], slower: list[float], null: Mapping[str, Played], rows: Rows) -> list[Goal]:
    least = min(float(share) for row in rows if isinstance(share := row["floor_kept_percent"], float))
    runs = len(null["equal"].regret)
    return [
        *(no_less(f"{policy}: regret saved, worst case", min(all_of), 50.0) for policy, all_of in saved.items()),
        no_less("what the least fed arm had of its floor, worst case", least, 90.0),
        *(
            no_more(
                f"GLR ({bound} bound) stops between equal arms, worst policy",
                max(percent(game.stops[bound] > 0) for game in null.values()),
                5.0,
                runs=runs,
            )
            for bound in BOUNDS
        ),
        Goal("two arms: Thompson needs so many more units to decide, least case", min(slower), "%", "> 0: said plainly",
             min(slower) > 0),
    ]  # fmt: skip
