"""Whose call is in which arm of a rollout: sticky by the unit that the plan names, and only ever towards the candidate
while it grows.
"""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.live.assignment import BUCKETS, assign
from tidegate.live.experiments import Seen
from tidegate.live.rollouts import CANDIDATE, STABLE, Placement, place
from tidegate.live.snapshot import Arm, LiveRelease, LiveRollout

TEXT = st.text(min_size=1, max_size=12)


def release(candidate_bp: int, **rollout: object) -> LiveRelease:
    return LiveRelease(
        release_id="rel_7",
        number=7,
        prompt="greeting",
        environment="production",
        arms=(
            Arm("1.0.0", BUCKETS - candidate_bp, STABLE),
            Arm("2.0.0", candidate_bp, CANDIDATE, "other"),
        ),
        salt="salt",
        rollout=LiveRollout(rollout_id="roll_1", **rollout),  # type: ignore[arg-type]
    )


def placed(candidate_bp: int, unit: str, seen: Seen) -> Placement:
    return place(release(candidate_bp), unit, seen)


@given(TEXT, TEXT, st.integers(0, BUCKETS))
def test_the_unit_is_the_one_that_the_plan_names_else_the_call(call_id: str, user: str, weight: int) -> None:
    seen = Seen(call_id, user, {"session": "s1"}, "")
    assert placed(weight, "user", seen).unit == user
    assert placed(weight, "request", seen).unit == call_id
    assert placed(weight, "tag:session", seen).unit == "s1"
    assert placed(weight, "tag:tenant", seen).unit == call_id
    assert placed(weight, "user", seen._replace(unit=None)).unit == call_id


@given(TEXT, st.integers(0, BUCKETS), st.integers(0, BUCKETS))
def test_a_growing_candidate_only_gains_units_and_the_propensity_is_its_arms(user: str, one: int, other: int) -> None:
    small, large = sorted((one, other))
    seen = Seen("call_1", user, {}, "")
    before, after = placed(small, "user", seen), placed(large, "user", seen)
    if before.arm.name == CANDIDATE:
        assert after.arm.name == CANDIDATE
    share = after.arm.weight_bp / BUCKETS
    assert after.propensity == share > 0
    assert after.arm.version == assign(release(large).arms, "salt", user)
    assert after.candidate.name == CANDIDATE
