"""The walk over a plan: whatever deployments answer, it ends, asks nobody too often, and counts everybody out again."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.calls import a_call
from tidegate.gateway.call import Reply
from tidegate.gateway.routing.board import HealthBoard
from tidegate.gateway.routing.walk import WAIT_MAX_S, Walk
from tidegate.gateway.upstream.target import Target, refusing_target
from tidegate.kernel.errors import Invalid, ProviderFailed, ProviderTimeout, ProviderUnreachable
from tidegate.live.plans import Candidate, Plan, Step
from tidegate.live.snapshot import Breaker, Deployment, Retry

OK = (200, None, None)
OUTCOMES = st.sampled_from([
    OK,
    (400, None, None),
    (409, b"true", None),
    (429, None, None),
    (429, None, b"2"),
    (429, b"false", b"2"),
    (500, None, None),
    (503, None, b"900"),
    "timeout",
    "unreachable",
    "bad answer",
    "cannot be asked",
    "no key",
])  # fmt: skip
FAULT = ProviderFailed("There is no key.", code="api_key_env_missing")
RAISED: dict[str, ProviderFailed | Invalid] = {
    "timeout": ProviderTimeout("Late."),
    "unreachable": ProviderUnreachable("Away."),
    "bad answer": ProviderFailed("Nonsense.", code="provider_bad_answer"),
    "cannot be asked": Invalid("It takes no such field."),
    "no key": FAULT,
}


class Stroll:
    """A walk on a clock of its own, past deployments that answer what they are told to."""

    def __init__(self, steps: list[tuple[int, int]], total_s: float = 1000.0) -> None:
        self.now_s = 0.0
        self.board = HealthBoard(clock=lambda: self.now_s, draw=lambda: 0.5)
        self.call = a_call()
        targets: dict[str, Target] = {}
        made = []
        for place, (candidates, attempts) in enumerate(steps):
            names = [f"d{place}{number}" for number in range(candidates)]
            targets |= {name: refusing_target(name, FAULT) for name in names}
            made.append(
                Step(
                    alias=f"s{place}",
                    strategy="priority",
                    candidates=tuple(a_candidate(name, number) for number, name in enumerate(names)),
                    retry=Retry(attempts=attempts, budget=1.0),
                    breaker=Breaker(failures=3),
                )
            )
        self.call.world.targets = targets
        self.plan = Plan(alias="s0", known=True, steps=tuple(made), total_timeout_s=total_s)
        self.asked: list[str] = []
        self.waits: list[float] = []

    def go(self, outcomes: list[Any]) -> Walk:
        """Walk; when the outcomes are used up, everybody answers well."""
        told = iter(outcomes)
        walk = Walk(self.board, self.call, self.plan)
        while (candidate := walk.next()) is not None:
            self.waits.append(walk.wait_s)
            self.now_s += walk.wait_s
            walk.begin(candidate)
            outcome = next(told, OK)
            if isinstance(outcome, str):
                walk.failed(RAISED[outcome])
                self.asked += [] if outcome in ("cannot be asked", "no key") else [candidate.deployment.name]
                continue
            self.asked.append(candidate.deployment.name)
            status, said, wait = outcome
            if walk.answered(Reply(status, [(b"retry-after", wait)] if wait else []), said):
                break
        return walk


def a_candidate(name: str, priority: int) -> Candidate:
    one = Deployment(name=name, provider="openai", base_url="http://h/v1", upstream_model="m")
    return Candidate(one, "m", 1, priority)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=3), st.lists(OUTCOMES))
def test_it_ends_and_asks_nobody_too_often(steps: list[tuple[int, int]], outcomes: list[Any]) -> None:
    stroll = Stroll(steps)
    walk = stroll.go(outcomes)
    for place, (_, attempts) in enumerate(steps):
        assert sum(name.startswith(f"d{place}") for name in stroll.asked) <= attempts
    places = [int(name[1]) for name in stroll.asked]
    assert places == sorted(places)
    assert all(wait_s <= WAIT_MAX_S + 2.0 for wait_s in stroll.waits)
    assert walk.last is not None
    assert set(stroll.board.in_flight().values()) <= {0}
    counted = sum(sum(one.values()) for one in stroll.board.totals().values())
    assert counted == len(stroll.asked)


@given(st.integers(1, 3), st.integers(1, 4), st.lists(OUTCOMES))
def test_only_an_answer_keeps_the_fallback_from_being_asked(
    candidates: int, attempts: int, outcomes: list[Any]
) -> None:
    stroll = Stroll([(candidates, attempts), (1, 1)])
    walk = stroll.go([one for one in outcomes if one != OK])
    answered = isinstance(walk.last, Reply) and walk.last.status in (200, 400)
    assert answered or walk.place == 1


def test_a_wait_is_the_time_asked_for_and_a_little_more() -> None:
    stroll = Stroll([(1, 2)])
    stroll.go([(429, None, b"3")])
    assert stroll.asked == ["d00", "d00"]
    assert 3.0 <= stroll.waits[1] <= 3.1


def test_another_one_is_asked_at_once_rather_than_waited_for() -> None:
    stroll = Stroll([(2, 3)])
    stroll.go([(429, None, b"3")])
    assert (stroll.asked, stroll.waits) == (["d00", "d01"], [0.0, 0.0])


def test_of_two_that_ask_to_wait_the_one_that_is_ready_first_is_waited_for() -> None:
    stroll = Stroll([(2, 3)])
    stroll.go([(429, None, b"6"), (429, None, b"1")])
    assert stroll.asked == ["d00", "d01", "d01"]
    assert 1.0 <= stroll.waits[2] < 2.0


def test_nobody_waits_beyond_the_calls_time() -> None:
    stroll = Stroll([(1, 2)], total_s=2.0)
    walk = stroll.go([(429, None, b"3")])
    assert stroll.asked == ["d00"]
    assert isinstance(walk.last, Reply)
