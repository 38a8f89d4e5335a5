"""Turns: no window of time sees more than its share, and nothing waits longer than it must."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.evals.pacing import Bucket, Halt, Halted, Pacer, Patient, backoff_s
from tidegate.kernel.complete import Ask, Said
from tidegate.kernel.errors import Invalid, ProviderFailed, ProviderTimeout, Refused, TidegateError


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


@given(
    st.floats(min_value=1, max_value=6000),
    st.lists(st.tuples(st.floats(min_value=0, max_value=5), st.floats(min_value=0.1, max_value=50)), max_size=60),
)
def test_no_window_sees_more_than_its_rate_and_a_burst(per_minute: float, arrivals: list[tuple[float, float]]) -> None:
    bucket, now_s, starts = Bucket(per_minute), 0.0, []
    for gap_s, amount in arrivals:
        now_s += gap_s
        starts.append((now_s + bucket.wait_s(amount, now_s), amount))
    rate_s = per_minute / 60
    for first in range(len(starts)):
        for last in range(first, len(starts)):
            within = sum(amount for _, amount in starts[first:last])  # the last one is not over when it starts
            assert within <= rate_s * (starts[last][0] - starts[first][0]) + rate_s * 1.0 + 1e-6 * within + 1e-6
    assert [start for start, _ in starts] == sorted(start for start, _ in starts)


def test_a_free_bucket_lets_through_at_once() -> None:
    bucket = Bucket(60)
    assert bucket.wait_s(1, 10.0) == 0
    assert bucket.wait_s(1, 10.0) == 0  # a second's worth
    assert bucket.wait_s(1, 10.0) == pytest.approx(1.0)
    assert bucket.wait_s(1, 100.0) == 0


async def test_tokens_that_were_not_used_come_back() -> None:
    time = Time()
    pacer = Pacer(tpm=600, clock=time, sleep=time.sleep)
    await pacer.turn(600)
    pacer.settle(600, 10)
    await pacer.turn(10)
    assert time.slept == []  # 10 used of the second's 10
    await pacer.turn(10)
    assert sum(time.slept) == pytest.approx(1.0)


async def test_nobody_asks_while_the_provider_wants_peace() -> None:
    time = Time()
    pacer = Pacer(clock=time, sleep=time.sleep)
    await pacer.turn()
    pacer.hold_back(7)
    await pacer.turn()
    assert time.slept == [7]
    await pacer.turn()
    assert time.slept == [7]


def test_waits_grow_and_are_never_shorter_than_told() -> None:
    draw = random.Random(1)
    assert max(backoff_s(1, None, draw) for _ in range(200)) <= 1.0
    assert max(backoff_s(20, None, draw) for _ in range(200)) <= 30.0
    assert min(backoff_s(1, 9.0, draw) for _ in range(200)) == 9.0


class Failing:
    """Fails with these errors in turn, then answers."""

    def __init__(self, *errors: TidegateError) -> None:
        self.errors = list(errors)
        self.asked = 0

    async def complete(self, ask: Ask) -> Said:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return Said(text="yes", input_tokens=1, output_tokens=1)

    async def close(self) -> None:
        """Nothing."""


ASK = Ask(model="m")


@pytest.mark.parametrize(
    "error",
    [
        Refused("slow", retry_after_s=0.0),
        ProviderFailed("bad", status=503),
        ProviderFailed("cut", code="provider_cut"),
        ProviderTimeout("late"),
    ],
)
async def test_what_may_pass_is_asked_again(error: TidegateError) -> None:
    seen: list[TidegateError] = []
    failing = Failing(error, error)
    patient = Patient(failing, Pacer(), Halt(), base_s=0.0001, retried=lambda why, _: seen.append(why))
    assert (await patient.complete(ASK)).text == "yes"
    assert (failing.asked, seen) == (3, [error, error])


@pytest.mark.parametrize(
    "error",
    [
        Refused("no money", code="insufficient_quota"),
        ProviderFailed("nonsense", code="provider_bad_answer"),
        Invalid("wrong"),
        ProviderFailed("no", status=400),
    ],
)
async def test_what_cannot_pass_is_asked_once(error: TidegateError) -> None:
    failing = Failing(error)
    with pytest.raises(type(error)):
        await Patient(failing, Pacer(), Halt(), base_s=0.0001).complete(ASK)
    assert failing.asked == 1


async def test_patience_ends() -> None:
    failing = Failing(*[ProviderFailed("bad", status=500)] * 10)
    with pytest.raises(ProviderFailed):
        await Patient(failing, Pacer(), Halt(), retries=2, base_s=0.0001).complete(ASK)
    assert failing.asked == 3


async def test_a_halt_ends_a_wait_at_once() -> None:
    halt = Halt()
    patient = Patient(Failing(Refused("slow", retry_after_s=3600)), Pacer(sleep=halt.sleep), halt)
    halt.ask("deadline")
    halt.ask("interrupted")
    with pytest.raises(Halted):
        await patient.complete(ASK)
    with pytest.raises(Halted):
        await halt.sleep(3600)
    assert halt.why == "deadline"
