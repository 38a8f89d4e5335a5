"""What a rollout decides: `python -m bench.rollouts [--json] [--quick] [--seed N]`.

The product's default plan, with a judge on a fifth of the calls, at 200 units a minute: 5% for 15 minutes, 25% for an
hour, 50% for two hours, then 100%; looked at every 5 minutes. Windows are drawn, the real gates judge all windows so
far, and every look goes as Evidence through the real `step` and `moved`. The kernel that `tidegate release simulate`
uses walks the same rollouts and must end each alike. Shares are of 1.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import special

from bench.statistics.guardrails import BASELINE, LATENCY_SIGMA
from bench.statistics.naive import RULES
from bench.statistics.plan import events, first
from tidegate.control.rollouts.defaults import prompt_plan
from tidegate.control.rollouts.model import Begun, Evidence, Plan, Rollout, Side
from tidegate.control.rollouts.simulations import kernel
from tidegate.control.rollouts.simulations.drawing import Drawing, Pool, pools_of
from tidegate.control.rollouts.simulations.kernel import Looks, Standing
from tidegate.control.rollouts.simulations.walking import Decide, Ended, Ticking, joined_ends, walked
from tidegate.control.rollouts.simulations.worlds import CLUSTER, Expected, World, expected_of
from tidegate.control.rollouts.step import begin, moved, step
from tidegate.stats.sequential.exceedance import frozen_threshold

SEED = 20260601
RUNS, QUICK_RUNS = 20_000, 2_000
AT_ONCE = 1_000
UNITS_PER_MINUTE = 200
TICK_S, SHORT_TICK_S = 300, 10
PLANNED_MIN = 195.0
"""The holds of 5, 25 and 50% together; where the gates are not all shown by then, the last stage goes on, to a day."""
ERRORS = "error_rate"
TIMES = (1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 20.0)
GATES = (ERRORS, "faithfulness", "cost_per_query", "p95_latency_ms")

Say = Callable[[str], None]


class Steps:
    """What decides: the real `step` and `moved`, one rollout and one look at a time. Rollouts that stand alike are one
    value, as no look asks how they came there.
    """

    def __init__(self, plan: Plan) -> None:
        self._metrics = tuple(dict.fromkeys(gate.metric for gate in plan.gates))
        self._gates = tuple(gate.metric for gate in plan.gates)
        begun = Begun(
            rollout_id="roll_bench",
            prompt="bench",
            environment="production",
            stable=Side(version="1.0.0"),
            candidate=Side(version="1.1.0"),
            salt="bench",
            authors=(),
        )
        start = begin(begun, plan, 0)
        self._known: dict[tuple[int, int, int], Rollout] = {_key(start): start}
        self.steps = 0

    def decide(self, standing: Standing, looks: Looks, flags: npt.NDArray[np.bool_]) -> Standing:
        """Where they stand after the look."""
        after = Standing(*(one.copy() for one in standing))
        rows = zip(*(one.tolist() for one in (*standing, looks.at_ms, looks.units, looks.seen_at_ms)), strict=True)
        for number, (state, stage, entered, at_ms, units, seen) in enumerate(rows):
            rollout = self._known[state, stage, entered]
            evidence = Evidence(
                at_ms=at_ms,
                breached=_named(self._gates, flags[number]),
                holds=_named(self._metrics, looks.holds[number]),
                units=units,
                seen_at_ms=None if seen == kernel.NEVER else seen,
                stage=stage,
            )
            move = step(rollout, evidence)
            self.steps += 1
            if move is not None:
                rollout = moved(rollout, move, at_ms)
                key = _key(rollout)
                self._known[key] = rollout
                for whole, value in zip(after, key, strict=True):
                    whole[number] = value
        return after


def _key(rollout: Rollout) -> tuple[int, int, int]:
    return kernel.STATES.index(rollout.state), rollout.stage, rollout.entered_at_ms


def _named(names: tuple[str, ...], flags: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(name for name, flag in zip(names, flags.tolist(), strict=True) if flag)


@dataclass
class Bench:
    """What every part shares."""

    plan: Plan
    expected: dict[str, Expected]
    pools: dict[str, Pool]
    runs: int
    seed: int
    say: Say
    steps: int = 0
    checked: int = 0
    apart: int = 0
    seeds: dict[str, list[int]] = field(default_factory=dict)

    def rollouts(self, name: str, plan: Plan, world: World, **how: float) -> Ended:
        """So many rollouts through `step`; the first part also through the kernel."""
        self.say(name)
        tick_s = int(how.get("tick_s", TICK_S))
        units = how.get("units_per_minute", UNITS_PER_MINUTE) * tick_s / 60
        number = len(self.seeds)
        self.seeds[name] = [self.seed, number]
        expected = {gate.metric: self.expected[gate.metric] for gate in plan.gates}
        parts, steps = [], Steps(plan)
        sizes = [min(AT_ONCE, self.runs - begun) for begun in range(0, self.runs, AT_ONCE)]
        for part, size in enumerate(sizes):
            rates = _thresholds(np.random.default_rng((self.seed, number, part, 1)), size, world)
            drawing = Drawing(expected, self.pools, units, world, bool(how.get("by_call", 0)), rates)

            def walk(decide: Decide | None, at: int = part, runs: int = size, drawn: Drawing = drawing) -> Ended:
                random = np.random.default_rng((self.seed, number, at))
                return walked(plan, drawn, Ticking(tick_s), random, (runs, decide))

            parts.append(walk(steps.decide))
            if part == 0:
                twin = walk(None)
                same = (twin.state == parts[0].state) & (twin.after_ms == parts[0].after_ms)
                self.checked += size
                self.apart += int((~same).sum())
        self.steps += steps.steps
        return joined_ends(parts)


def _thresholds(random: np.random.Generator, runs: int, world: World) -> dict[str, npt.NDArray[np.float64]]:
    """How often the control exceeds a p95 that was frozen from the 2,000 calls before each rollout."""
    if world.metric == ERRORS:  # judged without slow calls
        return {}
    tau = np.array([frozen_threshold(random.lognormal(0.0, LATENCY_SIGMA, BASELINE)) for _ in range(runs)])
    return {"p95_latency_ms": special.ndtr(-np.log(tau) / LATENCY_SIGMA)[:, None]}


def alone(plan: Plan, metric: str) -> Plan:
    """The plan with one gate only, which keeps its share of alpha."""
    stages = tuple(
        msgspec.structs.replace(one, needs=tuple(name for name in one.needs if name == metric)) for one in plan.stages
    )
    return msgspec.structs.replace(
        plan, gates=tuple(gate for gate in plan.gates if gate.metric == metric), stages=stages
    )


def measure(bench: Bench) -> dict[str, object]:
    """All figures; the keys that are promised come first."""
    joint = bench.rollouts("four gates, identical", bench.plan, World("identical", "identical"))
    errors = {
        times: bench.rollouts(f"errors x{times:g}", alone(bench.plan, ERRORS), World("errors", "worse", ERRORS, times))
        for times in TIMES
    }
    single = {
        name: bench.rollouts(f"{name} alone, identical", alone(bench.plan, name), World("identical", "identical"))
        for name in GATES[1:]
    }
    single[ERRORS] = errors[1.0]
    clusters = {
        name: bench.rollouts(f"sessions of {CLUSTER}, {name}", plan, World("identical", "clusters"), **how)
        for name, plan, how in (
            ("session as unit", alone(bench.plan, ERRORS), {"units_per_minute": UNITS_PER_MINUTE / CLUSTER}),
            ("session as unit, four gates", bench.plan, {"units_per_minute": UNITS_PER_MINUTE / CLUSTER}),
            ("request as unit", alone(bench.plan, ERRORS), {"by_call": 1.0}),
        )
    }
    short = {times: _short_ticks(bench, times) for times in (5.0, 20.0)}
    bench.say("the rule that people write first")
    naive = {
        f"{times:g}": _share(
            first(RULES["N1 window > 1.5 x control"](events(_random(bench, times), 0.01, times, bench.runs))).ever
        )
        for times in (1.0, 1.5)
    }
    planned = {f"{times:g}": _caught(one, PLANNED_MIN) for times, one in errors.items() if times > 1}
    found: dict[str, object] = {
        "aa_false_rollback": _caught(joint),
        "caught": planned,
        "delay_min": {f"{times:g}": _median(errors[times]) for times in (2.0, 3.0, 5.0, 20.0)},
        "promoted_at_margin": _promoted(errors[1.5]),
        "promoted_identical": min(_promoted(one, PLANNED_MIN) for one in single.values()),
        "aa_clustered": _caught(clusters["session as unit"]),
    }
    return found | {
        "shares_are_of": 1,
        "through": "plan -> gates.judge -> Evidence -> step -> moved",
        "steps": bench.steps,
        "kernel": {"rollouts_compared": bench.checked, "ended_otherwise": bench.apart},
        "joint": _joint(joint),
        "errors_alone": {f"{times:g}": _single(one) for times, one in errors.items()},
        "identical_alone": {name: _single(single[name]) for name in GATES},
        "clusters": {name: _single(one) for name, one in clusters.items()},
        "ticks_of_10_s": {f"{times:g}": _single(one) for times, one in short.items()},
        "naive_window_over_1.5x": naive,
        "runs": bench.runs,
        "seeds": bench.seeds,
        "plan": msgspec.to_builtins(bench.plan),
        "goals": goals(joint, errors, single, (clusters["session as unit"], short[20.0])),
    }


def _short_ticks(bench: Bench, times: float) -> Ended:
    world = World("errors", "worse", ERRORS, times)
    return bench.rollouts(f"10 s ticks, errors x{times:g}", alone(bench.plan, ERRORS), world, tick_s=SHORT_TICK_S)


def goals(
    joint: Ended, errors: Mapping[float, Ended], single: Mapping[str, Ended], others: tuple[Ended, Ended]
) -> list[dict[str, object]]:
    """Each goal with its figure, whether it is met, and the figure's standard error."""
    by_session, short = others
    runs = joint.state.size
    at_once, by_then = "at 100% by 195 min", "rolled back by 195 min"
    return [
        _goal("identical, four gates: rolled back", _caught(joint), "<=", 0.01, runs),
        _goal(f"errors x1.5, alone: {by_then}", _caught(errors[1.5], PLANNED_MIN), ">=", 0.8, runs),
        _goal("errors x3: median min", _median(errors[3.0]), "<=", 25.0),
        _goal("errors x5: median min", _median(errors[5.0]), "<=", 20.0),
        _goal("errors x20, 10 s ticks: median min", _median(short), "<=", 2.0),
        _goal("errors at the margin (x1.5): promoted by itself", _promoted(errors[1.5]), "<=", 0.05, runs),
        *(
            _goal(f"identical, {name} alone: {at_once}", _promoted(one, PLANNED_MIN), ">=", 0.85, runs)
            for name, one in single.items()
        ),
        _goal("identical, errors by session: rolled back", _caught(by_session), "<=", 0.01, by_session.state.size),
    ]


def _goal(what: str, figure: float | None, sign: str, bound: float, runs: int = 0) -> dict[str, object]:
    met = figure is not None and (figure <= bound if sign == "<=" else figure >= bound)
    error = _error(figure, runs) if runs and figure is not None else None
    return {"what": what, "figure": figure, "goal": f"{sign} {bound:g}", "met": met, "standard_error": error}


def _joint(ended: Ended) -> dict[str, object]:
    caught = ended.state == kernel.ROLLED_BACK
    return _single(ended) | {
        "caught_by": {name: _share(caught & ended.breached[:, at]) for at, name in enumerate(GATES)},
    }


def _single(ended: Ended) -> dict[str, object]:
    share = _caught(ended)
    return {
        "rolled_back": share,
        "standard_error": _error(share, ended.state.size),
        "rolled_back_by_195_min": _caught(ended, PLANNED_MIN),
        "median_min": _median(ended),
        "median_units_served": _middle(ended.served[ended.state == kernel.ROLLED_BACK]),
        "promoted": _promoted(ended),
        "at_100_percent_by_195_min": _promoted(ended, PLANNED_MIN),
        "inconclusive": _share(ended.state == kernel.INCONCLUSIVE),
        "paused": _share(ended.state == kernel.PAUSED),
    }


def _caught(ended: Ended, until_min: float = np.inf) -> float:
    return _share((ended.state == kernel.ROLLED_BACK) & (ended.after_ms <= until_min * 60_000))


def _promoted(ended: Ended, until_min: float = np.inf) -> float:
    """Promoted; all had it one look before."""
    return _share((ended.state == kernel.PROMOTED) & (ended.after_ms <= (until_min + TICK_S / 60) * 60_000))


def _median(ended: Ended) -> float | None:
    found = _middle(ended.after_ms[ended.state == kernel.ROLLED_BACK])
    return None if found is None else found / 60_000


def _middle(values: npt.NDArray[np.int64]) -> float | None:
    return float(np.median(values)) if values.size else None


def _share(flags: npt.NDArray[np.bool_]) -> float:
    return float(np.mean(flags))


def _error(share: float, runs: int) -> float:
    return float(np.sqrt(share * (1 - share) / runs))


def _random(bench: Bench, times: float) -> np.random.Generator:
    return np.random.default_rng((bench.seed, 99, round(times * 100)))


def show(found: Mapping[str, object]) -> None:
    """The goals, for reading."""
    rows = found["goals"]
    if not isinstance(rows, list):
        return
    for row in rows:
        figure, error = row["figure"], row["standard_error"]
        shown = (
            "-"
            if figure is None
            else f"{100 * figure:.2f}% (+-{100 * error:.2f})"
            if error is not None
            else f"{figure:g}"
        )
        print(f"{'met   ' if row['met'] else 'MISSED'}  {row['what']:<58} {shown:>18}   goal {row['goal']}")
    print(f"{found['runs']:,} rollouts each, {found['steps']:,} looks through step(); the kernel: {found['kernel']}")


def main() -> int:
    """Measure and print; exit code 1 if the kernel and `step` differ."""
    parser = argparse.ArgumentParser(prog="python -m bench.rollouts", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_RUNS:,} rollouts of each kind, not {RUNS:,}")
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args()
    begun = time.perf_counter()
    whole = prompt_plan(has_staging=True, scored=True)
    plan = msgspec.structs.replace(whole, stages=tuple(one for one in whole.stages if one.kind == "canary"))
    expected = expected_of(plan)
    bench = Bench(
        plan=plan,
        expected=expected,
        pools=pools_of(expected, np.random.default_rng((asked.seed, 10_000))),
        runs=QUICK_RUNS if asked.quick else RUNS,
        seed=asked.seed,
        say=lambda what: print(f"  {time.perf_counter() - begun:6.1f} s  {what}", file=sys.stderr),
    )
    found = measure(bench) | {"seconds": round(time.perf_counter() - begun, 1)}
    if asked.json:
        print(json.dumps(found, indent=1))
    else:
        show(found)
    return 1 if bench.apart else 0


if __name__ == "__main__":
    sys.exit(main())
