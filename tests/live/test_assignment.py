"""Assignment: sticky, monotone in weight, fair, and the same for ever."""

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.live.assignment import BUCKETS, assign, bucket
from tidegate.live.snapshot import Arm

UNITS = st.text(max_size=20)
SALTS = st.text(max_size=20)


def split(first_bp: int) -> tuple[Arm, Arm]:
    return Arm("old", first_bp), Arm("new", BUCKETS - first_bp)


@given(SALTS, UNITS)
def test_the_bucket_is_the_published_formula(salt: str, unit: str) -> None:
    digest = hashlib.sha256(salt.encode() + b"\x1f" + unit.encode()).digest()
    assert bucket(salt, unit) == int.from_bytes(digest[:8], "big") % 10_000


@pytest.mark.parametrize(("salt", "unit", "expected"), [("", "", 8438), ("greeting", "ada", 2850), ("s", "🌊", 3641)])
def test_buckets_never_change(salt: str, unit: str, expected: int) -> None:
    assert bucket(salt, unit) == expected


@given(SALTS, UNITS, st.integers(0, BUCKETS), st.integers(0, BUCKETS))
def test_a_growing_arm_only_gains_units(salt: str, unit: str, one: int, other: int) -> None:
    small, large = sorted((one, other))  # the weight of the last arm
    if assign(split(BUCKETS - small), salt, unit) == "new":
        assert assign(split(BUCKETS - large), salt, unit) == "new"


@given(SALTS, UNITS, st.lists(st.integers(0, BUCKETS), min_size=1, max_size=5))
def test_a_unit_always_gets_the_same_arm_and_only_arms_with_weight(salt: str, unit: str, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), BUCKETS]
    arms = [Arm(str(n), b - a) for n, (a, b) in enumerate(pairwise(edges))]
    chosen = assign(arms, salt, unit)
    assert chosen == assign(arms, salt, unit)
    assert arms[int(chosen)].weight_bp > 0


@given(SALTS, UNITS)
def test_all_or_nothing_is_all_or_nothing(salt: str, unit: str) -> None:
    assert assign(split(BUCKETS), salt, unit) == "old"
    assert assign(split(0), salt, unit) == "new"
    assert assign([Arm("only", BUCKETS)], salt, unit) == "only"


@pytest.mark.parametrize("new_bp", [100, 500, 2500, 5000])
def test_the_share_is_the_weight(new_bp: int) -> None:
    count = 20_000
    got = sum(assign(split(BUCKETS - new_bp), "salt", f"user-{n}") == "new" for n in range(count))
    share = new_bp / BUCKETS
    assert abs(got / count - share) < 4.5 * (share * (1 - share) / count) ** 0.5


def test_two_releases_do_not_split_alike() -> None:
    both = sum(
        assign(split(5000), "one", str(n)) == "new" and assign(split(5000), "two", str(n)) == "new"
        for n in range(20_000)
    )
    assert abs(both / 20_000 - 0.25) < 0.015
