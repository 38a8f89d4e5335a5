"""What the rules of `tidegate eval gate` decide, through their own code, on made-up runs whose truth is known.

`python -m bench.evalgates [--json] [--quick]`: for each truth the shares of runs that pass, are blocked (a rule that
only warns counts as blocked), and stay open, and for the sizes that are told how often they suffice.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.control.evals.comparing.answering import Found, own_answer, paired_answer
from tidegate.control.evals.comparing.bounds import DEFAULTS
from tidegate.control.evals.comparing.pairing import Own, Paired
from tidegate.control.evals.model import Bound

ERRORS, LEAST, PASSES, FAITHFUL, COST, P99 = DEFAULTS
Floats = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Found]
MANY, FEW = 20_000, 200
FLIPS = ((0.01, 0.01), (0.02, 0.02), (0.025, 0.015), (0.035, 0.005), (0.04, 0.01), (0.05, 0.02), (0.07, 0.01))
"""Shares of the cases that regress and improve."""


class Truth(NamedTuple):
    """A rule, what is true, at how many cases, and how one run is drawn."""

    rule: str
    truth: str
    cases: int
    draw: Draw
    runs: int


class Row(NamedTuple):
    """Shares of runs."""

    rule: str
    truth: str
    cases: int
    passed: float
    blocked: float
    open: float
    runs: int


@cache
def own_found(bound: Bound, events: int, cases: int) -> Found:
    """The answer, which depends on how many have it, and not on which."""
    return own_answer(bound, Own((np.arange(cases) < events).astype(np.float64), None, bounded=True))


@cache
def flips_found(worse: int, better: int, cases: int) -> Found:
    """The answer, which depends on how many regress and improve."""
    at = np.arange(cases)
    return paired_answer(PASSES, paired((at >= better).astype(np.float64), (at < cases - worse).astype(np.float64)))


def own(bound: Bound, rate: float) -> Draw:
    """Cases that have it or not, each by itself."""

    def draw(generator: np.random.Generator, cases: int) -> Found:
        return own_found(bound, int(generator.binomial(cases, rate)), cases)

    return draw


def flips(worse: float, better: float) -> Draw:
    """Pass and fail: shares of all cases that regress and improve."""

    def draw(generator: np.random.Generator, cases: int) -> Found:
        seen = generator.multinomial(cases, (worse, better, 1 - worse - better))
        return flips_found(int(seen[0]), int(seen[1]), cases)

    return draw


def scores(drop: float, sd: float = 0.15) -> Draw:
    """A score near 0.9, most differences small, some large."""

    def draw(generator: np.random.Generator, cases: int) -> Found:
        before = generator.beta(9, 1, cases)
        jump = generator.standard_t(4, cases) * sd / np.sqrt(2)
        return paired_answer(
            FAITHFUL, paired(before, np.clip(before + jump - drop, before - 1, before + 1), bounded=True)
        )

    return draw


def costs(ratio: float) -> Draw:
    """Log-normal costs that go together by case."""

    def draw(generator: np.random.Generator, cases: int) -> Found:
        both = 0.7 * generator.standard_normal(cases)
        before, after = (np.exp(both + 0.3 * generator.standard_normal(cases)) for _ in range(2))
        return paired_answer(COST, paired(before, ratio * after, bounded=False))

    return draw


def times(ratio: float) -> Draw:
    """Log-normal latencies that go together by case a little."""

    def draw(generator: np.random.Generator, cases: int) -> Found:
        both = 0.3 * generator.standard_normal(cases)
        before, after = (np.exp(both + 0.5 * generator.standard_normal(cases)) for _ in range(2))
        return paired_answer(P99, paired(before, ratio * after, bounded=False))

    return draw


def paired(before: Floats, after: Floats, *, bounded: bool = True) -> Paired:
    """The same cases under both."""
    return Paired(Own(before, None, bounded), Own(after, None, bounded))


def truths(quick: bool) -> Iterator[Truth]:
    """What is tried."""
    many, few = (MANY // 10, FEW // 10) if quick else (MANY, FEW)
    for cases in (500, 5_000):
        for worse, better in (
            (0.01, 0.01),
            (0.02, 0.02),
            (0.025, 0.015),
            (0.035, 0.005),
            (0.04, 0.01),
            (0.05, 0.02),
            (0.07, 0.01),
        ):
            told = f"{100 * worse:g}% regress, {100 * better:g}% improve: {100 * (better - worse):+.2g} points"
            yield Truth(
                "pass rate at most 3 points lower",
                told,
                cases,
                flips(worse, better),
                many if cases < 1000 else many // 2,
            )
    for cases in (30, 100, 500, 5_000):
        for rate in (1.0, 0.99, 0.98, 0.97, 0.95, 0.93, 0.90):
            yield Truth("pass rate at least 95%", f"{rate:.0%} pass", cases, own(LEAST, rate), many)
    for cases in (100, 500, 5_000):
        for rate in (0.0, 0.001, 0.005, 0.01, 0.02, 0.05):
            yield Truth("error rate at most 1%", f"{100 * rate:g}% fail", cases, own(ERRORS, rate), many)
    for cases in (100, 500, 2_000):
        for drop in (0.0, 0.015, 0.03, 0.045, 0.06):
            yield Truth("faithfulness at most 0.03 lower", f"{drop:g} lower", cases, scores(drop), few)
        for ratio in (1.0, 1.1, 1.2, 1.3):
            yield Truth("cost per query at most 1.2 times", f"{ratio:g} times", cases, costs(ratio), few)
    for cases in (300, 500, 2_000):
        for ratio in (1.0, 1.5, 2.0, 2.5, 3.0):
            yield Truth("P99 latency at most 2 times", f"{ratio:g} times", cases, times(ratio), few)


def measured(quick: bool, only: str) -> list[Row]:
    """Every truth, tried."""
    rows = []
    for seed, one in enumerate(truths(quick)):
        if only not in one.rule:
            continue
        generator = np.random.default_rng((20_261_124, seed))
        answers = [one.draw(generator, one.cases).answer for _ in range(one.runs)]
        passed, blocked, still = (answers.count(name) / one.runs for name in ("pass", "block", "inconclusive"))
        rows.append(Row(one.rule, one.truth, one.cases, passed, blocked, still, one.runs))
        sys.stderr.write(f"{one.rule}, {one.truth}, {one.cases}: {passed:.4f} {blocked:.4f} {still:.4f}\n")
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.evalgates", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs")
    parser.add_argument("--only", default="", help="rules whose name has this in it")
    options = parser.parse_args()
    rows = measured(options.quick, options.only)
    if options.json:
        sys.stdout.write(json.dumps([one._asdict() for one in rows], indent=1) + "\n")
        return
    for one in rows:
        sys.stdout.write(
            f"| {one.rule} | {one.truth} | {one.cases:,} | {one.passed:.1%} | {one.blocked:.1%} | {one.open:.1%} |\n"
        )


if __name__ == "__main__":
    main()
