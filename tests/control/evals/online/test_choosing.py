"""Which calls are scored: a share of them by their ids, the newest of each arm in turn."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.evals.online.choosing import chosen, sampled
from tidegate.control.evals.online.model import Job, Scorable

CALLS = st.lists(
    st.builds(
        Scorable,
        call_id=st.uuids().map(str),
        arm=st.sampled_from(("stable", "candidate")),
        started_at_ms=st.integers(0, 1000),
        environment=st.just("production"),
    ),
    unique_by=lambda one: one.call_id,
)


def job(share_bp: int) -> Job:
    return Job(about="roll_1", scorers=("x",), share_bp=share_bp, cap_nano_usd_per_day=1, within_ms=1)


@given(CALLS, st.integers(0, 40))
def test_arms_are_chosen_alike_and_the_newest_of_each_first(calls: list[Scorable], limit: int) -> None:
    found = chosen(calls, limit)
    assert len(found) == min(limit, len(calls))
    counts = {arm: sum(one.arm == arm for one in found) for arm in ("stable", "candidate")}
    there = {arm: sum(one.arm == arm for one in calls) for arm in counts}
    for arm, other in (("stable", "candidate"), ("candidate", "stable")):
        assert counts[arm] >= min(there[arm], counts[other] - 1)
        left = [one.started_at_ms for one in calls if one.arm == arm and one not in found]
        taken = [one.started_at_ms for one in found if one.arm == arm]
        assert max(left, default=-1) <= min(taken, default=1001)


@given(CALLS, st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_larger_share_only_adds_calls_and_all_or_nothing_is_that(calls: list[Scorable], one: int, other: int) -> None:
    small, large = sorted((one, other))
    assert set(sampled(job(small), calls)) <= set(sampled(job(large), calls))
    assert sampled(job(0), calls) == []
    assert sampled(job(10_000), calls) == calls


def test_the_share_is_the_share() -> None:
    calls = [Scorable(f"call_{n}", "stable", n, "production") for n in range(10_000)]
    assert abs(len(sampled(job(2_000), calls)) - 2_000) < 5 * (10_000 * 0.2 * 0.8) ** 0.5
