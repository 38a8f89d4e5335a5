"""Who is in an experiment, and in which arm."""

import math
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.live.assignment import BUCKETS, bucket, draw
from tidegate.live.experiments import HOLDOUT, Enrolment, LiveExperiment, LiveVariant, Seen, enrol, unit_of
from tidegate.live.snapshot import Snapshot, decode_snapshot, encode_snapshot

UNITS = st.text(min_size=1, max_size=20)


def experiment(**fields: Any) -> LiveExperiment:
    values: dict[str, Any] = {
        "experiment_id": "exp_1",
        "name": "tone",
        "environment": "production",
        "subject": "prompt:qa",
        "unit": "user",
        "salt": "tone-salt",
        "layer": "tone",
        "from_bp": 0,
        "to_bp": BUCKETS,
        "variants": (
            LiveVariant(name="control", weight_bp=5_000),
            LiveVariant(name="treatment", weight_bp=5_000, version="2.0.0"),
        ),
    }
    return LiveExperiment(**(values | fields))


def seen(unit: str | None = "ada", *, call_id: str = "call_1", key: str = "web", **tags: str) -> Seen:
    return Seen(call_id, unit, tags, key)


def test_a_unit_is_in_the_arm_that_is_drawn_for_it() -> None:
    one = experiment()
    for number in range(50):
        unit = f"user-{number}"
        taken = enrol(one, seen(unit))
        assert taken == Enrolment(one, one.variants[draw(*one.arms, "tone-salt", unit)], unit, 0.5)


def test_who_says_no_unit_is_in_no_experiment_of_users() -> None:
    assert enrol(experiment(), seen(None)) is None
    assert enrol(experiment(unit="tag:session"), seen("ada")) is None
    assert enrol(experiment(unit="tag:session"), seen("ada", session="")) is None


def test_the_unit_is_the_user_the_call_or_a_tag() -> None:
    assert unit_of(experiment(), seen("ada", session="s1")) == "ada"
    assert unit_of(experiment(unit="request"), seen("ada", call_id="call_7", session="s1")) == "call_7"
    assert unit_of(experiment(unit="tag:session"), seen("ada", session="s1")) == "s1"


def test_a_session_keeps_its_arm_whoever_the_user_is() -> None:
    one = experiment(unit="tag:session")
    first, *others = (enrol(one, seen(user, session="s1")) for user in ("ada", "bob", None))
    assert first is not None
    assert others == [first, first]


@pytest.mark.parametrize(
    ("fields", "tags", "key", "inside"),
    [
        ({}, {}, "web", True),
        ({"tags": {"tier": "free"}}, {"tier": "free", "team": "x"}, "web", True),
        ({"tags": {"tier": "free"}}, {"tier": "paid"}, "web", False),
        ({"tags": {"tier": "free"}}, {}, "web", False),
        ({"tags": {"tier": "free", "land": "de"}}, {"tier": "free"}, "web", False),
        ({"keys": ("web", "app")}, {}, "app", True),
        ({"keys": ("web", "app")}, {}, "batch", False),
        ({"keys": ("web",), "tags": {"tier": "free"}}, {"tier": "free"}, "web", True),
        ({"keys": ("web",), "tags": {"tier": "free"}}, {"tier": "free"}, "app", False),
    ],
)
def test_the_segment_says_whose_calls_are_in(
    fields: dict[str, Any], tags: dict[str, str], key: str, inside: bool
) -> None:
    assert (enrol(experiment(**fields), seen(key=key, **tags)) is not None) is inside


@given(UNITS, st.text(max_size=9), st.lists(st.integers(1, BUCKETS - 1), max_size=3, unique=True))
def test_experiments_that_share_a_layer_share_no_unit(unit: str, layer: str, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), BUCKETS]
    parts = [
        experiment(name=f"e{at}", salt=f"e{at}", layer=layer, from_bp=edges[at], to_bp=edges[at + 1])
        for at in range(len(edges) - 1)
    ]
    assert sum(enrol(part, seen(unit)) is not None for part in parts) == 1


@given(UNITS, st.integers(0, BUCKETS), st.sampled_from(["user", "request", "tag:session"]))
def test_who_is_held_out_is_in_no_experiment_and_all_others_are(unit: str, holdout_bp: int, kind: str) -> None:
    held = bucket(HOLDOUT, unit) < holdout_bp
    for name in ("one", "two"):
        one = experiment(name=name, salt=name, layer=name, unit=kind)
        taken = enrol(one, seen(unit, call_id=unit, session=unit), holdout_bp)
        assert (taken is None) is held


@given(UNITS, st.integers(0, BUCKETS - 1), st.integers(1, BUCKETS))
def test_a_range_that_grows_keeps_its_units_in_their_arms(unit: str, to_bp: int, more: int) -> None:
    small = experiment(to_bp=to_bp)
    taken = enrol(small, seen(unit))
    if taken is not None:
        grown = enrol(msgspec.structs.replace(small, to_bp=min(to_bp + more, BUCKETS)), seen(unit))
        assert grown is not None
        assert grown.variant == taken.variant


def test_the_share_of_a_range_is_in_and_its_arms_are_even() -> None:
    one = experiment(from_bp=2_000, to_bp=5_000)
    taken = [enrol(one, seen(f"user-{number}")) for number in range(60_000)]
    got = Counter(found.variant.name for found in taken if found is not None)
    inside = got.total()
    assert abs(inside / 60_000 - 0.3) < 5 * math.sqrt(0.3 * 0.7 / 60_000)
    assert abs(got["control"] / inside - 0.5) < 5 * math.sqrt(0.25 / inside)


@given(st.lists(st.integers(0, BUCKETS), min_size=2, max_size=5).filter(any), UNITS)
def test_the_propensity_is_the_variants_share_of_the_experiment(weights: list[int], unit: str) -> None:
    variants = tuple(LiveVariant(name=f"v{at}", weight_bp=weight) for at, weight in enumerate(weights))
    taken = enrol(experiment(variants=variants), seen(unit))
    assert taken is not None
    assert taken.propensity == taken.variant.weight_bp / sum(weights)
    assert 0 < taken.propensity <= 1


def test_new_weights_move_units_only_to_the_arm_that_grew() -> None:
    one = experiment()
    control, treatment = one.variants
    shifted = (msgspec.structs.replace(control, weight_bp=2_000), msgspec.structs.replace(treatment, weight_bp=8_000))
    more = msgspec.structs.replace(one, variants=shifted)
    moved: Counter[tuple[str, str]] = Counter()
    for number in range(2_000):
        before, after = enrol(one, seen(f"user-{number}")), enrol(more, seen(f"user-{number}"))
        assert before is not None
        assert after is not None
        moved[before.variant.name, after.variant.name] += 1
    assert moved["treatment", "control"] == 0
    assert moved["control", "treatment"] > 0


def test_experiments_travel_with_the_snapshot() -> None:
    one = experiment(tags={"tier": "free"}, keys=("web",))
    world = Snapshot(experiments={"production": {"prompt:qa": (one,)}})
    assert one.arms == (("control", "treatment"), (5_000, 5_000))  # what was looked up is no part of it
    blob, digest = encode_snapshot(world)
    assert decode_snapshot(blob, digest) == world
