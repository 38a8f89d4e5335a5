"""Weighted rendezvous: shares as given, sticky, and no unit moves that need not."""

import hashlib
import json
import math
import os
import subprocess
import sys
from collections import Counter
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from tidegate.live.assignment import BUCKETS, assign, bucket, draw
from tidegate.live.snapshot import Arm

UNITS = st.text(max_size=20)
SALTS = st.text(max_size=20)
NAMES = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6, unique=True)
ARMS = NAMES.flatmap(
    lambda names: st.tuples(
        st.just(names), st.lists(st.integers(0, BUCKETS), min_size=len(names), max_size=len(names)).filter(any)
    )
)


@given(ARMS, SALTS, UNITS)
def test_the_same_unit_gets_the_same_arm_and_only_one_with_weight(
    arms: tuple[list[str], list[int]], salt: str, unit: str
) -> None:
    names, weights = arms
    at = draw(names, weights, salt, unit)
    assert at == draw(names, weights, salt, unit)
    assert weights[at] > 0


@given(ARMS, SALTS, UNITS, st.randoms(use_true_random=False))
def test_the_order_of_names_does_not_matter(
    arms: tuple[list[str], list[int]], salt: str, unit: str, random: Random
) -> None:
    names, weights = arms
    order = random.sample(range(len(names)), len(names))
    again = draw([names[at] for at in order], [weights[at] for at in order], salt, unit)
    assert names[order[again]] == names[draw(names, weights, salt, unit)]


@given(ARMS, SALTS, UNITS, st.integers(0, 5), st.integers(0, BUCKETS))
def test_when_one_weight_changes_units_move_only_to_or_from_that_arm(
    arms: tuple[list[str], list[int]], salt: str, unit: str, which: int, weight: int
) -> None:
    names, weights = arms
    which %= len(names)
    changed = [weight if at == which else one for at, one in enumerate(weights)]
    assume(any(changed))
    before, after = draw(names, weights, salt, unit), draw(names, changed, salt, unit)
    if weight >= weights[which]:
        assert after in (before, which)
    else:
        assert after == before or before == which


@given(ARMS, SALTS, UNITS, st.text(min_size=9, max_size=12), st.integers(0, BUCKETS))
def test_a_new_arm_takes_units_and_moves_no_other(
    arms: tuple[list[str], list[int]], salt: str, unit: str, name: str, weight: int
) -> None:
    names, weights = arms
    before = draw(names, weights, salt, unit)
    assert draw([*names, name], [*weights, weight], salt, unit) in (before, len(names))


@given(ARMS, SALTS, UNITS, st.integers(1, 9))
def test_only_the_ratios_of_weights_count(arms: tuple[list[str], list[int]], salt: str, unit: str, factor: int) -> None:
    names, weights = arms
    assert draw(names, [one * factor for one in weights], salt, unit) == draw(names, weights, salt, unit)


@pytest.mark.parametrize(
    ("weights", "count"), [((5_000, 5_000), 200_000), ((1, 2, 3, 4), 200_000), ((9_000, 500, 500), 100_000)]
)
def test_the_shares_are_the_weights(weights: tuple[int, ...], count: int) -> None:
    names = [f"arm-{at}" for at in range(len(weights))]
    got = Counter(draw(names, weights, "salt", f"user-{number}") for number in range(count))
    expected = [count * weight / sum(weights) for weight in weights]
    assert stats.chisquare([got[at] for at in range(len(weights))], expected).pvalue > 1e-3


def test_fewer_units_move_than_by_ranges() -> None:
    """The figures of docs/decisions/0008-assignment.md: 1/6 is the least by which 1:1:1 can become 2:1:1."""
    names, before, after = ("a", "b", "c"), (4_000, 4_000, 4_000), (6_000, 3_000, 3_000)

    def by_range(weights: tuple[int, ...], unit: str) -> int:
        position = bucket("salt", unit) * 12_000 // BUCKETS
        return next(at for at in range(3) if position < sum(weights[: at + 1]))

    units = [f"user-{number}" for number in range(40_000)]
    moved = sum(draw(names, before, "salt", unit) != draw(names, after, "salt", unit) for unit in units)
    ranged = sum(by_range(before, unit) != by_range(after, unit) for unit in units)
    assert abs(moved / len(units) - 1 / 6) < 5 * math.sqrt(1 / 6 * 5 / 6 / len(units))
    assert abs(ranged / len(units) - 1 / 4) < 5 * math.sqrt(3 / 16 / len(units)) + 0.0002


def test_an_experiment_and_a_release_with_the_same_salt_do_not_split_alike() -> None:
    halves = (Arm("control", 5_000), Arm("treatment", 5_000))
    names = ("control", "treatment")
    both = Counter(
        (assign(halves, "salt", unit), draw(names, (1, 1), "salt", unit))
        for unit in (f"user-{number}" for number in range(50_000))
    )
    table = [[both[one, other] for other in range(2)] for one in names]
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_two_experiments_with_the_same_arms_do_not_split_alike() -> None:
    names = ("control", "treatment")
    both = Counter(
        (draw(names, (1, 1), "one", unit), draw(names, (1, 1), "two", unit))
        for unit in (f"user-{number}" for number in range(50_000))
    )
    assert stats.chi2_contingency([[both[one, other] for other in range(2)] for one in range(2)]).pvalue > 1e-3


@given(ARMS, SALTS, UNITS)
def test_the_draw_is_the_published_formula(arms: tuple[list[str], list[int]], salt: str, unit: str) -> None:
    def score(name: str, weight: int) -> float:
        digest = hashlib.sha256(f"{salt}\x1f{name}\x1f{unit}".encode()).digest()
        return -math.log((int.from_bytes(digest[:8], "big") + 1) / 2**64) / weight

    names, weights = arms
    scores = {at: score(names[at], weight) for at, weight in enumerate(weights) if weight}
    assert draw(names, weights, salt, unit) == min(scores, key=scores.__getitem__)


FOR_EVER = [
    (("control", "treatment"), (1, 1), "greeting", "ada"),
    (("control", "treatment"), (1, 1), "greeting", "bob"),
    (("a", "b", "c"), (1, 2, 3), "s", "🌊"),
    (("a", "b", "c"), (1, 2, 3), "", ""),
    (("a", "b", "c", "d"), (2_500, 2_500, 2_500, 2_500), "s", "user-17"),
]


def test_draws_never_change() -> None:
    assert [draw(*one) for one in FOR_EVER] == [1, 1, 0, 2, 0]


def test_another_process_draws_the_same() -> None:
    code = (
        "import json, sys; from tidegate.live.assignment import draw; "
        "print([draw(['a', 'b', 'c'], [1, 2, 3], 'salt', f'user-{n}') for n in range(500)])"
    )
    mine = [draw(["a", "b", "c"], [1, 2, 3], "salt", f"user-{number}") for number in range(500)]
    for seed in ("1", "2"):
        environ = {**os.environ, "PYTHONHASHSEED": seed}
        told = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
        assert json.loads(told.stdout) == mine
