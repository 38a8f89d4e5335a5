"""How many units are missing: whether so many really tell the difference with the power that was asked for."""

import math

import msgspec
import numpy as np
import pytest

from tests.support.experiment_logs import SCORE, definition
from tests.support.experiment_worlds import normal_table
from tidegate.control.experiments.findings.compare import track
from tidegate.control.experiments.findings.remaining import information_needed, units_needed

OF = definition(msgspec.structs.replace(SCORE, sd=0.4), min_samples=1000)


@pytest.mark.parametrize("power", [0.8, 0.95])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_so_many_units_find_the_difference_with_the_power(power: float, share: float):
    of = msgspec.structs.replace(OF, power=power)
    information = information_needed(of, 0.05, 0.4, alpha=0.05)
    units = units_needed(information, (1 - share, share), 1)
    rng, runs, windows = np.random.default_rng(3), 1500, 20
    arms = [
        normal_table(rng, np.full((runs, windows), round(units * part / windows)), mean, 0.4)
        for part, mean in ((1 - share, 0.5), (share, 0.55))
    ]
    found = (track(of.metrics[0], *arms, definition=of).p[:, -1] < 0.05).mean()
    assert found >= power - 5 * math.sqrt(power * (1 - power) / runs)
    assert found <= power + 0.5 * (1 - power)  # and not with many more than are needed


def test_smaller_differences_need_more_and_none_needs_for_ever():
    needed = [information_needed(OF, size, 0.4, alpha=0.05) for size in (0.1, 0.05, -0.05, 0.01, 0.0)]
    assert needed[0] < needed[1] < needed[3] < needed[4]
    assert needed[1] == needed[2]
    assert needed[4] == math.inf


def test_uneven_shares_need_more_and_a_variant_without_traffic_needs_for_ever():
    assert units_needed(250.0, (0.5, 0.5), 1) == 1000
    assert units_needed(250.0, (0.5, 0.25, 0.25), 2) == 1500
    assert units_needed(250.0, (1.0, 0.0), 1) == math.inf
