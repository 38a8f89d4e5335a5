"""How many units an undecided experiment still needs: so many more find the difference with the power."""

import math

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from tests.support.experiment_logs import ERRORS, SCORE, definition
from tests.support.experiment_worlds import normal_table, rate_table
from tidegate.control.experiments.findings.compare import track
from tidegate.control.experiments.findings.remaining import units_missing
from tidegate.control.experiments.model import Metric
from tidegate.stats.sequential.stratified import Moments

MEAN = msgspec.structs.replace(SCORE, sd=1.0, effect=0.12)
FAILED = msgspec.structs.replace(ERRORS, baseline=0.05, effect=0.02)
LEVEL = 0.05


def drawn(metric: Metric, rng: np.random.Generator, n: npt.NDArray[np.int64]) -> list[Moments]:
    """Both arms of a world in which the treatment is better by the effect; n is (2, windows)."""
    if metric is MEAN:
        return [normal_table(rng, n[arm], 0.12 * arm, 1.0) for arm in (0, 1)]
    return [rate_table(rng, n[arm], 0.05 - 0.02 * arm) for arm in (0, 1)]


@pytest.mark.parametrize("metric", [MEAN, FAILED])
def test_what_is_undecided_is_decided_after_so_many_more_whatever_came_before(metric: Metric):
    """Computed from the plan alone it were 30 to 75 % where half of the runs had been decided."""
    of, rng = definition(metric, min_samples=1000), np.random.default_rng(5)
    found: list[bool] = []
    difference = 0.12 if metric is MEAN else -0.02
    while len(found) < 200:
        before = drawn(metric, rng, rng.poisson(60, (2, 22)))
        seen = track(metric, *before, definition=of)
        if seen.p[-1] < LEVEL:
            continue
        missing = units_missing(of, seen, (before[0], before[1]), difference, (0.5, 0.5))
        after = drawn(metric, rng, rng.poisson(missing / 40, (2, 20)))
        whole = [
            Moments(*(np.concatenate([getattr(a, part), getattr(b, part)]) for part in ("n", "mean", "squares")))
            for a, b in zip(before, after, strict=True)
        ]
        found.append(bool(track(metric, *whole, definition=of).p_better[-1] < LEVEL / 2))
    assert np.mean(found) >= 0.8 - 5 * math.sqrt(0.8 * 0.2 / 200)
    assert np.mean(found) <= 0.97


def test_before_anything_is_known_the_plan_tells_it_and_nothing_comes_of_nothing():
    one = Moments(np.ones(1), np.zeros(1), np.zeros(1))
    for metric in (MEAN, FAILED):
        of = definition(metric, min_samples=1000)
        seen = track(metric, one, one, definition=of)
        assert 1000 < units_missing(of, seen, (one, one), 0.1 if metric is MEAN else -0.02, (0.5, 0.5)) < 20_000
        assert units_missing(of, seen, (one, one), 0.0, (0.5, 0.5)) == math.inf
        assert units_missing(of, seen, (one, one), -0.02, (1.0, 0.0)) == math.inf
    unknown = msgspec.structs.replace(MEAN, sd=None)
    of = definition(unknown)
    assert units_missing(of, track(unknown, one, one, definition=of), (one, one), 0.1, (0.5, 0.5)) == math.inf


@pytest.mark.parametrize("metric", [MEAN, FAILED])
def test_smaller_differences_and_uneven_shares_need_more(metric: Metric):
    of, sign = definition(metric, min_samples=1000), 1 if metric is MEAN else -1
    before = drawn(metric, np.random.default_rng(8), np.full((2, 5), 40))
    seen = track(metric, *before, definition=of)
    needed = [units_missing(of, seen, (before[0], before[1]), sign * one, (0.5, 0.5)) for one in (0.04, 0.02, 0.01)]
    assert needed == sorted(needed)
    assert len(set(needed)) == 3
    assert units_missing(of, seen, (before[0], before[1]), sign * 0.02, (0.9, 0.1)) > needed[1]
