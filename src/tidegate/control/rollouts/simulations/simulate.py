"""What a plan does at a traffic, before it is started: how often it would roll back what is no worse, how soon it finds
what is, how often it promotes by itself. The gates are the real ones, the moves those of `step`. Pure; the random
numbers follow from the seed.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tidegate.control.rollouts.measuring import lag_s
from tidegate.control.rollouts.model import Foreseen, Plan, RolloutForecast
from tidegate.control.rollouts.simulations import kernel
from tidegate.control.rollouts.simulations.drawing import Drawing, Pool, pools_of
from tidegate.control.rollouts.simulations.walking import Ended, Ticking, joined_ends, walked
from tidegate.control.rollouts.simulations.worlds import CLUSTER, Expected, World, expected_of, notes_of, worlds_of
from tidegate.kernel.errors import Invalid
from tidegate.kernel.plain import plural, time_text
from tidegate.live.experiments import REQUEST

__all__ = ["RUNS", "TICK_S", "foreseen", "simulate"]

RUNS = 2000
MOST_RUNS = 100_000
TICK_S = 300
SHORTEST_TICK_S, LONGEST_TICK_S = 5, 3600
AT_ONCE = 500
"""Rollouts that walk together: memory stays small."""

POINTS = 40
Progress = Callable[[float], None]


def simulate(
    plan: Plan,
    *,
    units_per_minute: float,
    runs: int = RUNS,
    seed: int = 1,
    tick_s: int = TICK_S,
    progress: Progress | None = None,
) -> RolloutForecast:
    """The plan's operating characteristics at so many units a minute, both arms together.

    Looks are every `tick_s`, at windows as long; what is known lags as in production. An identical candidate is tried
    `runs` times, worse ones half as often. Raises Invalid for what cannot be simulated.
    """
    _check(plan, units_per_minute, runs, tick_s)
    expected = expected_of(plan)
    pools = pools_of(expected, np.random.default_rng((seed, 0)))
    worlds = worlds_of(plan, expected)
    told, found = progress or (lambda share: None), []
    ticking = Ticking(tick_s, lag_s(plan))
    for at, world in enumerate(worlds):
        times = runs if world.kind == "identical" else max(runs // 2, 1)
        drawing = _drawing(plan, world, (expected, pools), units_per_minute * tick_s / 60)
        found.append(foreseen(plan, world, _tried(plan, drawing, ticking, (times, (seed, 1 + at)))))
        told((at + 1) / len(worlds))
    return RolloutForecast(
        plan=plan,
        units_per_minute=units_per_minute,
        runs=runs,
        seed=seed,
        tick_s=tick_s,
        scenarios=tuple(found),
        false_rollback=found[0].caught,
        promoted_identical=found[0].promoted,
        notes=(*_notes(plan, ticking), *notes_of(expected)),
    )


def foreseen(plan: Plan, world: World, ended: Ended) -> Foreseen:
    """What came of the rollouts of one world."""
    runs = ended.state.size
    blocks = np.asarray([gate.block for gate in plan.gates], dtype=np.bool_)
    harmed = (ended.breached & blocks).any(axis=-1)
    caught = (ended.state == kernel.ROLLED_BACK) | ((ended.state == kernel.PAUSED) & harmed)
    promoted = ended.state == kernel.PROMOTED
    minutes = ended.after_ms / 60_000
    share = float(caught.mean())
    names = [gate.metric for gate in plan.gates]
    by = {name: ended.breached[:, [name == one for one in names]].any(axis=-1) for name in dict.fromkeys(names)}
    return Foreseen(
        name=world.name,
        kind=world.kind,
        metric=world.metric,
        runs=runs,
        caught=share,
        standard_error=float(np.sqrt(share * (1 - share) / runs)),
        caught_by={name: float((caught & flags).mean()) for name, flags in by.items()},
        promoted=float(promoted.mean()),
        inconclusive=float((ended.state == kernel.INCONCLUSIVE).mean()),
        paused=float(((ended.state == kernel.PAUSED) & ~caught).mean()),
        caught_min=_quantile(minutes[caught], 0.5),
        late_min=_quantile(minutes[caught], 0.9),
        served=_quantile(ended.served[caught].astype(np.float64), 0.5),
        promoted_min=_quantile(minutes[promoted], 0.5),
        curve=_curve(minutes[caught], runs),
    )


def _check(plan: Plan, units_per_minute: float, runs: int, tick_s: int) -> None:
    if not (units_per_minute > 0 and np.isfinite(units_per_minute)) or not 1 <= runs <= MOST_RUNS:
        message = f"{runs} runs of {units_per_minute:g} units a minute cannot be simulated."
        raise Invalid(message, mend=f"Ask for 1 to {MOST_RUNS} runs, and more than 0 units.", code="simulation")
    if not SHORTEST_TICK_S <= tick_s <= LONGEST_TICK_S:
        raise Invalid(f"A tick cannot be {tick_s} seconds.", mend="Ask for 5s to 1h.", code="simulation")
    if not any(one.kind == "canary" for one in plan.stages):
        raise Invalid("The plan has no canary stage.", mend="Nothing needs to be simulated.", code="simulation")
    if not plan.gates:
        raise Invalid("The plan has no gate.", mend="Write `gates: {error_rate: {ratio: 1.5}}`.", code="simulation")


def _drawing(plan: Plan, world: World, those: tuple[dict[str, Expected], dict[str, Pool]], units: float) -> Drawing:
    """What a world draws from. Errors by session: where units are requests their errors come together; where they are
    users or sessions, there are fewer of those.
    """
    clusters = world.kind == "clusters"
    by_call = clusters and plan.unit == REQUEST
    return Drawing(*those, units / CLUSTER if clusters and not by_call else units, world, by_call)


def _tried(plan: Plan, drawing: Drawing, ticking: Ticking, how: tuple[int, tuple[int, int]]) -> Ended:
    """So many times, some at a time."""
    runs, seed = how
    parts = [min(AT_ONCE, runs - begin) for begin in range(0, runs, AT_ONCE)]
    children = np.random.SeedSequence(seed).spawn(len(parts))
    return joined_ends(
        [
            walked(plan, drawing, ticking, np.random.default_rng(child), (part, None))
            for part, child in zip(parts, children, strict=True)
        ]
    )


def _quantile(values: npt.NDArray[np.float64], share: float) -> float | None:
    return float(np.quantile(values, share, method="inverted_cdf")) if values.size else None


def _curve(minutes: npt.NDArray[np.float64], runs: int) -> tuple[tuple[float, float], ...]:
    """The share caught by then, at POINTS times at most."""
    times, counts = np.unique(minutes, return_counts=True)
    shares = np.cumsum(counts) / runs
    kept = np.unique(np.linspace(0, max(times.size - 1, 0), min(POINTS, times.size)).astype(np.int64))
    return tuple((float(times[at]), float(shares[at])) for at in kept)


def _notes(plan: Plan, ticking: Ticking) -> list[str]:
    units = "requests" if plan.unit == REQUEST else plural(plan.unit)
    late = time_text(ticking.lag_s)
    even = f"Times are from the first canary stage; {units} come at an even rate; metrics are drawn independently"
    known = f"a window is known {late} after its end"
    notes = [f"{even}; {known}. Stages before it are taken as passed, approvals as given at once."]
    if ticking.tick_s > plan.window_s:
        notes.append(
            f"Looked at every {time_text(ticking.tick_s)}; in production every {time_text(plan.window_s)}, so that "
            f"large harm is found sooner: `--tick {plan.window_s}s`."
        )
    return notes
