"""Where experiments stand: stretches that never overlap, shares that are whole, and the variant that a unit gets."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.experiments.model import Definition, Experiment, Metric, Variant
from tidegate.control.experiments.placing import (
    assignment_of,
    live_by_environment,
    live_experiment,
    place,
    shares,
    versions_of,
)
from tidegate.live.assignment import BUCKETS


def an_experiment(name: str = "tone", **how: object) -> Experiment:
    variants = (
        Variant(name="control", weight_bp=2000, prompt="qa", version="1.0.0"),
        Variant(name="treatment", weight_bp=1000, prompt="qa", version="1.1.0", model="big"),
    )
    metric = Metric(name="helpful", source="feedback", field="helpful", shape="mean", better="higher")
    fields = {
        "name": name,
        "environment": "production",
        "subject": "prompt:qa",
        "variants": variants,
        "metrics": (metric,),
        "primary": "helpful",
        "rule": "primary wins",
        "layer": "tones",
    } | how
    return Experiment(
        experiment_id=f"exp_{name}",
        definition=Definition(**fields),  # type: ignore[arg-type]
        state="running",
        salt=f"exp_{name}",
        from_bp=4000,
        to_bp=7000,
        weights_bp=(6667, 3333),
        actor="dora",
        started_at_ms=1,
    )


@given(st.lists(st.integers(1, 6000), max_size=12))
def test_stretches_never_overlap_and_room_that_is_there_is_found(widths: list[int]) -> None:
    taken: list[tuple[int, int]] = []
    for number, width in enumerate(widths):
        found = place(taken, width)
        if found is None:
            edges = [0, *(edge for pair in sorted(taken) for edge in pair), BUCKETS]
            assert all(end - start < width for start, end in zip(edges[::2], edges[1::2], strict=True))
            continue
        assert 0 <= found[0] < found[1] == found[0] + width <= BUCKETS
        assert all(found[1] <= begins or ends <= found[0] for begins, ends in taken)
        taken.append(found)
        if number % 3 == 2:
            taken.pop(0)  # one is over, and its room is free again


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=16))
def test_shares_are_whole_and_next_to_what_was_asked(weights: list[int]) -> None:
    found = shares(weights)
    assert sum(found) == BUCKETS
    exact = [weight * BUCKETS / sum(weights) for weight in weights]
    assert all(abs(share - wanted) < 1 for share, wanted in zip(found, exact, strict=True))


def test_the_gateways_are_told_of_each_subjects_experiments_in_their_order() -> None:
    runs = [an_experiment("a"), an_experiment("b"), an_experiment("c", environment="staging", subject="fast")]
    told = live_by_environment(runs)
    assert [one.name for one in told["production"]["prompt:qa"]] == ["a", "b"]
    assert [one.name for one in told["staging"]["fast"]] == ["c"]
    assert told["production"]["prompt:qa"][0] == live_experiment(runs[0])
    assert versions_of(runs) == {("qa", "1.0.0"), ("qa", "1.1.0")}


@pytest.mark.parametrize(
    ("unit", "tags", "keys"),
    [
        ("user", {}, ()),
        ("request", {}, ()),
        ("tag:session", {"tier": "free"}, ("web",)),
        ("tag:tier", {"tier": "x"}, ()),
    ],
)
def test_a_unit_is_told_what_the_gateway_would_give_it(unit: str, tags: dict[str, str], keys: tuple[str, ...]) -> None:
    experiment = an_experiment(unit=unit, tags=tags, keys=keys)
    found = [assignment_of(experiment, f"u{number}", 0) for number in range(3000)]
    if unit == "tag:tier":  # everybody in the segment has the same value: one unit, one variant
        assert len({one.variant for one in found}) == 1
        return
    counted = Counter(one.variant for one in found)
    assert 770 < counted["control"] + counted["treatment"] < 1030  # 30% of 3,000, standard deviation 25
    assert counted["control"] > counted["treatment"] > 200
    assert {one.propensity for one in found if one.variant == "control"} == {0.6667}
    assert {(one.version, one.model) for one in found if one.variant == "treatment"} == {("1.1.0", "big")}


@pytest.mark.parametrize("state", ["decided", "stopped"])
def test_nobody_gets_anything_of_a_run_that_is_over(state: str) -> None:
    found = {assignment_of(an_experiment(), f"u{number}", 0).variant for number in range(50)}
    assert {"control", "treatment"} <= found
    over = msgspec.structs.replace(an_experiment(), state=state)
    told = {(one.variant, one.why) for one in (assignment_of(over, f"u{number}", 0) for number in range(50))}
    assert told == {(None, f"It is over ({state}): everybody gets what is live.")}


def test_the_holdout_is_in_nothing() -> None:
    found = [assignment_of(an_experiment(), f"u{number}", 10_000) for number in range(50)]
    assert {(one.variant, one.why) for one in found} == {(None, "It is held out of every experiment.")}
