"""Who is left alone, and for how long."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tidegate.gateway.routing.health import CLOSED, HALF_OPEN, OPEN, Health
from tidegate.gateway.routing.retries import RetryBudget, backoff_s, retry_after_s
from tidegate.live.snapshot import Breaker, Retry

BREAKER = Breaker(failures=3, open_s=10.0)


def fail(health: Health, now_s: float, times: int = 1) -> None:
    for _ in range(times):
        health.failed(now_s, BREAKER, health.begin())


def test_after_failures_in_a_row_it_opens_then_lets_one_call_try() -> None:
    health = Health()
    fail(health, 100.0, 2)
    assert health.blocked(100.0, None) is None
    fail(health, 100.0)
    assert (health.state(100.0), health.blocked(109.9, None)) == (OPEN, "breaker_open")
    assert (health.state(110.0), health.blocked(110.0, None)) == (HALF_OPEN, None)
    trial = health.begin()
    assert health.blocked(110.0, None) == "breaker_open"  # one alone tries
    health.well(110.5, 500.0, trial)
    assert health.state(110.5) == CLOSED


@pytest.mark.parametrize("how", ["well", "failed", "limited", "left", "unasked"])
def test_the_end_of_an_older_call_neither_lets_a_second_one_try_nor_decides(how: str) -> None:
    health = Health()
    older = health.begin()
    fail(health, 100.0, 3)
    trial = health.begin()
    assert (older, trial > 0) == (0, True)
    if how == "well":
        health.well(110.0, 1.0, older)
    elif how == "failed":
        health.failed(110.0, BREAKER, older)
    elif how == "limited":
        health.limited(110.0, 0.0, older)
    else:
        getattr(health, how)(older)
    assert health.state(110.0) == HALF_OPEN
    assert health.blocked(110.0, None) == "breaker_open"
    health.well(111.0, 1.0, trial)
    assert (health.state(111.0), health.in_flight) == (CLOSED, 0)


def test_a_trial_that_a_good_probe_overtook_does_not_end_the_next_trial() -> None:
    health = Health()
    fail(health, 0.0, 3)
    overtaken = health.begin()
    health.probed_well(10.0, answered=True)
    fail(health, 20.0, 3)
    trial = health.begin()
    health.failed(30.0, BREAKER, overtaken)
    assert (health.blocked(30.0, None), health.state(30.0)) == ("breaker_open", HALF_OPEN)
    health.well(31.0, 1.0, trial)
    assert health.state(31.0) == CLOSED


def test_being_limited_is_no_failure_and_cools() -> None:
    health = Health()
    for asked_s in (3.0, None, 0.25):
        for _ in range(5):
            health.limited(100.0, asked_s, health.begin())
    assert (health.state(100.0), health.failures, health.in_flight) == (CLOSED, 0, 0)
    assert (health.blocked(102.9, None), health.blocked(103.1, None)) == ("cooling", None)
    other = Health()
    other.limited(0.0, None, other.begin())
    assert (other.blocked(0.4, None), other.blocked(0.6, None)) == ("cooling", None)


def test_each_opening_in_a_row_lasts_longer_up_to_a_cap() -> None:
    health, now_s = Health(), 0.0
    fail(health, now_s, 3)
    lengths = []
    for _ in range(8):
        lengths.append(health.open_until_s - now_s)
        now_s = health.open_until_s
        fail(health, now_s)
    assert lengths == [10, 20, 40, 80, 160, 300, 300, 300]


def test_a_success_in_between_begins_the_count_anew() -> None:
    health = Health()
    fail(health, 0.0, 2)
    health.begin()
    health.well(0.0, 1.0)
    fail(health, 0.0, 2)
    assert health.state(0.0) == CLOSED


def test_it_is_left_alone_for_as_long_as_it_asks_but_not_for_ever() -> None:
    health = Health()
    health.cool(0.0, 5.0)
    assert health.blocked(4.9, None) == "cooling"
    assert health.blocked(5.1, None) is None
    health.cool(10.0, 1e9)
    assert health.blocked(71.0, None) is None


def test_a_slow_one_is_tried_again_when_its_slowness_is_long_ago() -> None:
    health = Health()
    health.begin()
    health.well(0.0, 4000.0)
    assert health.latency_ms(0.0) == 4000.0
    assert (health.latency_ms(600.0) or 0.0) < 1.0


def test_a_probe_that_fails_counts_like_a_call() -> None:
    health = Health()
    fail(health, 0.0, 2)
    health.probed_ill(0.0, BREAKER)
    assert health.state(0.0) == OPEN
    health.probed_ill(8.0, BREAKER)
    assert (health.state(17.9), health.state(18.0)) == (OPEN, HALF_OPEN)


def test_a_good_probe_while_a_call_tries_does_not_end_the_call() -> None:
    health = Health()
    fail(health, 0.0, 3)
    trial = health.begin()
    health.probed_well(5.0, answered=True)
    assert (health.in_flight, health.state(5.0), health.blocked(5.0, None)) == (1, CLOSED, None)
    health.failed(6.0, BREAKER, trial)
    assert (health.in_flight, health.state(6.0), health.failures) == (0, CLOSED, 1)


class Life(RuleBasedStateMachine):
    """Calls come and go, the oldest not first; the count in flight is right, an open breaker lets nobody through before
    its time, and a half-open one a single call.
    """

    def __init__(self) -> None:
        super().__init__()
        self.health, self.now_s = Health(), 0.0
        self.calls: list[int] = []

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @precondition(lambda self: self.health.blocked(self.now_s, 4) is None)
    @rule()
    def call(self) -> None:
        state = self.health.state(self.now_s)
        assert state != OPEN
        trial = self.health.begin()
        assert (trial > 0) == (state == HALF_OPEN)
        self.calls.append(trial)
        if trial:
            assert self.health.blocked(self.now_s, None) == "breaker_open"

    @precondition(lambda self: self.calls)
    @rule(how=st.sampled_from(["well", "failed", "limited", "left"]), which=st.integers(0, 3))
    def end(self, how: str, which: int) -> None:
        trial = self.calls.pop(which % len(self.calls))
        before = self.health.state(self.now_s)
        if how == "well":
            self.health.well(self.now_s, 10.0, trial)
        elif how == "failed":
            self.health.failed(self.now_s, BREAKER, trial)
        elif how == "limited":
            self.health.limited(self.now_s, 0.1, trial)
        else:
            self.health.left(trial)
        if not trial and before != CLOSED:
            assert self.health.state(self.now_s) == before

    @rule(answered=st.booleans())
    def probed_well(self, answered: bool) -> None:
        self.health.probed_well(self.now_s, answered=answered)
        assert self.health.state(self.now_s) != OPEN

    @rule()
    def probed_ill(self) -> None:
        before = self.health.state(self.now_s)
        self.health.probed_ill(self.now_s, BREAKER)
        assert before == CLOSED or self.health.state(self.now_s) == OPEN

    @invariant()
    def counted(self) -> None:
        assert self.health.in_flight == len(self.calls) <= 4


TestLife = Life.TestCase


def test_retries_are_a_share_of_first_tries() -> None:
    budget = RetryBudget()
    for _ in range(100):
        budget.first()
    assert sum(budget.take(0.0, 0.2) for _ in range(100)) == 23
    assert budget.take(60.0, 0.2)


def test_waits_grow_and_are_drawn() -> None:
    retry = Retry(base_ms=100, max_ms=1000)
    assert [backoff_s(retry, number, 1.0) for number in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert backoff_s(retry, 3, 0.0) == 0.0


def test_retry_after_in_all_its_forms() -> None:
    assert retry_after_s({b"retry-after": b"3"}, 0) == 3.0
    assert retry_after_s({b"retry-after-ms": b"250", b"retry-after": b"9"}, 0) == 0.25
    assert retry_after_s({b"retry-after": b"Thu, 01 Jan 1970 00:01:00 GMT"}, 50) == 10.0
    assert retry_after_s({b"retry-after": b"soon"}, 0) is None
    assert retry_after_s({b"retry-after": b"nan"}, 0) is None
    assert retry_after_s({}, 0) is None


def test_an_outage_without_end_and_a_burst_of_late_failures_stay_bounded() -> None:
    health = Health()
    fail(health, 0.0, 50)  # a burst: all but the third tell nothing new
    assert health.open_until_s == 10.0
    now_s = 0.0
    for _ in range(3000):
        now_s = max(now_s, health.open_until_s)
        fail(health, now_s)
    assert health.open_until_s - now_s == 300.0
