"""Worlds for the tests of decisions: tables of many runs at once, drawn as such."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tests.support.experiment_logs import definition
from tidegate.control.experiments.findings.verdict import Decided
from tidegate.control.experiments.model import ANSWERS
from tidegate.control.gates.model import Drop, Gate, Ratio
from tidegate.stats.sequential.stratified import Moments

Tables = dict[str, Moments]

WINDOWS = 48
HARMFUL = (
    Gate(metric="error_rate", rule=Ratio(1.5), shape="rate", better="lower", share=0.5, require_effect=0.0),
    Gate(metric="cost", rule=Drop(0.1), shape="mean", better="lower", share=0.5, require_effect=0.0),
)
GUARDED = definition(rule="primary wins and no guardrail loses", guardrails=HARMFUL, min_samples=100)


def hours(windows: int = WINDOWS) -> npt.NDArray[np.float64]:
    return np.linspace(3600.0, 3600.0 * windows, windows)


def worlds(
    rng: np.random.Generator,
    runs: int,
    *,
    gain: float = 0.0,
    dearer: float = 0.0,
    errors: float = 0.02,
    variants: int = 2,
) -> Tables:
    """Runs of 48 windows with about 30 units a variant; what is said of them holds for every treatment."""
    n = rng.poisson(30, (runs, variants, WINDOWS))
    treated = (np.arange(variants) > 0)[None, :, None]
    return {
        "score": normal_table(rng, n, np.where(treated, 0.5 + gain, 0.5), 0.3),
        "cost": normal_table(rng, n, np.where(treated, 1.0 + dearer, 1.0), 0.4),
        "error_rate": rate_table(rng, n, np.where(treated, errors, 0.02)),
    }


def share(found: Decided, answer: str) -> float:
    return float((found.answer == ANSWERS.index(answer)).mean())


def within_5_se(rate: float, runs: int) -> float:
    return rate + 5 * float(np.sqrt(rate * (1 - rate) / runs))


# ------------------------------------------------------------------------------------------ what is answered


def normal_table(rng: np.random.Generator, n: npt.ArrayLike, mean: npt.ArrayLike, sd: float) -> Moments:
    """Moments of so many normal values a cell, drawn as such."""
    units = np.asarray(n, dtype=np.float64)
    means = np.asarray(mean) + sd * rng.standard_normal(units.shape) / np.sqrt(np.maximum(units, 1))
    squares = sd**2 * rng.chisquare(np.maximum(units - 1, 1e-9)) * (units > 1)
    return Moments(units, np.where(units > 0, means, 0.0), squares)


def rate_table(rng: np.random.Generator, n: npt.ArrayLike, rate: npt.ArrayLike) -> Moments:
    """Moments of so many events a cell, drawn as such."""
    units = np.asarray(n, dtype=np.int64)
    mean = rng.binomial(units, np.asarray(rate)) / np.maximum(units, 1)
    return Moments(units, mean, units * mean * (1 - mean))


def stacked(tables: Sequence[Moments]) -> Moments:
    """Runs on a new first axis."""
    return Moments(*(np.stack([getattr(one, name) for one in tables]) for name in ("n", "mean", "squares")))
