"""What a definition's rule does at a traffic, before it is started: how often it ships what is no better, how often it
finds what is, how long that takes. The same code as in production judges experiments that are drawn at random. Pure;
the random numbers follow from the seed.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tidegate.control.experiments.files.cautions import deviation, thin_windows
from tidegate.control.experiments.files.durations import duration_text
from tidegate.control.experiments.findings.verdict import decided_of, find
from tidegate.control.experiments.model import ANSWERS, Definition, Operating, Scenario
from tidegate.control.experiments.rules.judging import rule_of, ships_unwon
from tidegate.control.experiments.scales import scale_of
from tidegate.control.experiments.simulations.worlds import Expectation, World, expectations, simulated, worlds_of
from tidegate.kernel.errors import Invalid
from tidegate.stats.sequential.stratified import Moments

__all__ = ["RUNS", "simulate"]

RUNS = 2000
MOST_RUNS = 100_000
DAY_S = 86_400
LONGER_RUNS = 400
LONGEST = 64
"""How many times its duration an experiment is extended in search of what it needs."""

_CELLS = 60_000
_SHIP, _KEEP, _OPEN = (ANSWERS.index(one) for one in ("ship", "keep", "inconclusive"))

Progress = Callable[[float], None]
"""Told the share of the work that is done."""


class _Plan(NamedTuple):
    """What all worlds share. `rates`: units of each variant that are judged in each window, on average."""

    definition: Definition
    expected: dict[str, Expectation]
    rates: npt.NDArray[np.float64]
    elapsed_s: npt.NDArray[np.float64]


class _Ended(NamedTuple):
    """Answers by run, and the days after which they were given (infinite: never)."""

    answer: npt.NDArray[np.int64]
    days: npt.NDArray[np.float64]


def simulate(
    definition: Definition,
    *,
    units_per_day: float,
    runs: int = RUNS,
    seed: int = 1,
    progress: Progress | None = None,
) -> Operating:
    """The operating characteristics of a definition at so many units a day (in the experiment or not).

    Units come at an even rate and each once; the share of a variant is that of its weight. Raises Invalid for what
    cannot be, and where nothing tells what to expect of a metric that the rule or a guardrail asks for.
    """
    if not (units_per_day > 0 and np.isfinite(units_per_day)) or not 1 <= runs <= MOST_RUNS:
        message = f"{runs} runs of {units_per_day:g} units a day cannot be simulated."
        raise Invalid(message, mend=f"Ask for 1 to {MOST_RUNS} runs, and more than 0 units.", code="simulation")
    reduced = simulated(definition)
    expected = expectations(reduced)
    plan = _planned(reduced, expected, units_per_day, 1)
    worlds = worlds_of(reduced, expected)
    told = progress or (lambda share: None)
    ends: dict[str, _Ended] = {}
    for at, world in enumerate(worlds):
        ends[world.name] = _tried(plan, world, runs, np.random.SeedSequence((seed, at)))
        told((at + 1) / (len(worlds) + 1))
    unwon = ships_unwon(rule_of(reduced), reduced)
    notes = _notes(reduced, expected, unwon=unwon)
    thin = thin_windows(reduced, units_per_day)
    wanted = next((one for one in worlds if one.kind == ("null" if unwon else "better")), None)
    wrong = [ends[one.name] for one in worlds if one.kind == ("margin" if unwon else "null")]
    days = None if wanted is None else _needed(plan, wanted, ends[wanted.name], (units_per_day, seed))
    told(1.0)
    share, watched = sum(one.weight_bp for one in reduced.variants) / 10_000, reduced.observe_s / DAY_S
    return Operating(
        definition=definition,
        units_per_day=units_per_day,
        runs=runs,
        seed=seed,
        scenarios=tuple(_scenario(world, ends[world.name]) for world in worlds),
        false_ship=max(_share(one, _SHIP) for one in wrong),
        power=None if wanted is None else _share(ends[wanted.name], _SHIP),
        needed_units=None if days is None else int(np.ceil((days - watched) * units_per_day * share)),
        needed_days=days,
        ships_unwon=unwon,
        notes=(*notes, *((f"{thin[0]} {thin[1]}",) if thin else ())),
    )


def _planned(definition: Definition, expected: dict[str, Expectation], units_per_day: float, times: int) -> _Plan:
    """The windows of a plan that is `times` as long, and whose windows are too."""
    window_s = definition.window_s * times
    duration_s = definition.duration_s * times
    windows = -(-duration_s // window_s)
    ends = np.arange(1, windows + 1, dtype=np.float64) * window_s
    open_s = np.clip(ends - definition.observe_s, 0.0, window_s)
    weights = np.asarray([one.weight_bp for one in definition.variants]) / 10_000
    longer = msgspec.structs.replace(definition, window_s=window_s, duration_s=duration_s)
    return _Plan(longer, expected, units_per_day / DAY_S * weights[:, None] * open_s, ends)


def _tried(plan: _Plan, world: World, runs: int, seed: np.random.SeedSequence) -> _Ended:
    """One world, so many times; a few at a time, so that memory stays small."""
    at_once = max(1, min(runs, _CELLS // plan.rates.size))
    parts = [min(at_once, runs - begin) for begin in range(0, runs, at_once)]
    answers, days = [], []
    for part, child in zip(parts, seed.spawn(len(parts)), strict=True):
        answer, window = _judged(plan, _drawn(plan, world, part, np.random.default_rng(child)))
        answers.append(answer)
        days.append(np.where(window >= 0, plan.elapsed_s[np.maximum(window, 0)] / DAY_S, np.inf))
    return _Ended(np.concatenate(answers), np.concatenate(days))


def _judged(plan: _Plan, tables: Mapping[str, Moments]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Answers and the windows in which they were given. A breach that stops the experiment keeps the control."""
    definition = plan.definition
    found = find(definition, tables)
    decided = decided_of(definition, found, plan.elapsed_s)
    guards = [gate.metric for gate in definition.guardrails if gate.block]
    if definition.on_breach != "stop" or not guards:
        return decided.answer, decided.window
    breached = np.logical_or.reduce([board.breached[name] for board in found.boards for name in guards])
    first = np.argmax(breached, axis=-1)
    stopped = breached.any(axis=-1) & ((decided.window < 0) | (first <= decided.window))
    return np.where(stopped, _KEEP, decided.answer), np.where(stopped, first, decided.window)


def _drawn(plan: _Plan, world: World, runs: int, rng: np.random.Generator) -> Mapping[str, Moments]:
    """Tables of shape (runs, variants, windows). Every metric has a value of every unit."""
    n = rng.poisson(plan.rates, size=(runs, *plan.rates.shape)).astype(np.float64)
    return {name: _moments(plan.expected[name], n, means, rng) for name, means in world.means.items()}


def _moments(
    one: Expectation, n: npt.NDArray[np.float64], means: tuple[float, ...], rng: np.random.Generator
) -> Moments:
    """Events are binomial; means normal, and squared deviations chi-square, as of normal values."""
    true = np.asarray(means)[:, None]
    some = np.maximum(n, 1.0)
    if one.metric.shape == "rate":
        events = rng.binomial(n.astype(np.int64), true).astype(np.float64)
        return Moments(n, events / some, events * (1 - events / some))
    mean = true + rng.standard_normal(n.shape) * (one.sd / np.sqrt(some))
    squares = 2 * one.sd**2 * rng.standard_gamma(np.maximum(n - 1, 0) / 2)
    return Moments(n, np.where(n > 0, mean, 0.0), squares)


def _needed(plan: _Plan, world: World, ended: _Ended, drawn: tuple[float, int]) -> float | None:
    """Days until the definition's power is reached, whatever its duration; None when that is too far away."""
    units_per_day, seed = drawn
    times = 1
    while _share(ended, _SHIP) < plan.definition.power:
        times *= 2
        if times > LONGEST:
            return None
        longer = _planned(plan.definition, plan.expected, units_per_day, times)
        ended = _tried(longer, world, LONGER_RUNS, np.random.SeedSequence((seed, 1000 + times)))
    shipped = np.sort(np.where(ended.answer == _SHIP, ended.days, np.inf))
    return float(shipped[int(np.ceil(plan.definition.power * shipped.size)) - 1])


def _scenario(world: World, ended: _Ended) -> Scenario:
    shares = {answer: _share(ended, answer) for answer in (_SHIP, _KEEP, _OPEN)}
    runs = ended.answer.size
    middle = float(np.sort(ended.days)[(runs - 1) // 2])
    return Scenario(
        name=world.name,
        effect=world.effect,
        runs=runs,
        ship=shares[_SHIP],
        keep=shares[_KEEP],
        inconclusive=shares[_OPEN],
        standard_error=max(float(np.sqrt(share * (1 - share) / runs)) for share in shares.values()),
        median_days=middle if np.isfinite(middle) else None,
    )


def _share(ended: _Ended, answer: int) -> float:
    return float(np.mean(ended.answer == answer))


def _notes(definition: Definition, expected: dict[str, Expectation], *, unwon: bool) -> list[str]:
    """What the figures rest on."""
    drawn = (
        "Metrics are drawn independently of each other, units at an even rate and each with a value of every metric; "
        "means are normal: where a few units cost much more than the rest, it takes longer."
    )
    notes = [drawn]
    largest = [name for name, one in expected.items() if one.metric.shape == "mean" and one.metric.sd is None]
    if largest:
        words = ", ".join(f"`{name}` {deviation(expected[name].metric):.2g}" for name in largest)
        notes.append(f"No `sd` is known; the largest that a score with this baseline can have was taken: {words}.")
    taken = [(name, one) for name, one in expected.items() if one.metric.baseline is None]
    if taken:
        words = ", ".join(
            f"`{name}` {scale_of(one.metric, definition).exact(one.baseline, digits=2)}" for name, one in taken
        )
        notes.append(f"What exceeds a quantile was taken as frequent as the quantile says: {words}.")
    if unwon:
        notes.append(
            "The rule ships without a win: power is the share shipped when there is no difference, and false ships are "
            "those of a treatment that is exactly at a margin."
        )
    if definition.bandit is not None:
        notes.append("The bandit's weights were kept as they begin: with weights that move, decisions take longer.")
    if definition.cuped is not None:
        notes.append("Without the adjustment by CUPED: with it, decisions come sooner.")
    if definition.observe_s:
        watched = duration_text(definition.observe_s)
        notes.append(f"Nothing can be decided in the first {watched}, while the first units are watched.")
    return notes
