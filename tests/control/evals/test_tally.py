"""A run counted in one pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.control.evals.test_engine import plan_of
from tidegate.control.evals.model import Manifest, Outcome, Score
from tidegate.control.evals.tally import tally, wilson_95
from tidegate.stats.proportions import wilson
from tidegate.stats.results import Proportion


def manifest(policy: str = "unstable-only", most: int = 5) -> Manifest:
    return plan_of(["a"], repeats_max=most, repeats_policy=policy).manifest


def one(case: str, repeat: int, passed: bool | None, **more: object) -> Outcome:
    given: dict[str, object] = {"text": "x", "scores": {"s": Score(value=float(passed or 0), passed=passed)}, **more}
    return Outcome(case_id=case, repeat=repeat, key="k", passed=passed, **given)  # type: ignore[arg-type]


RUN = [
    one("good", 0, True),
    one("odd", 0, False),
    one("bad", 0, False),
    one("odd", 1, True),
    one("bad", 1, False),
    one("odd", 2, True),
    one("gone", 0, None, text=None, error="away", error_message="It is away.", scores={}),
]


def test_with_unstable_only_the_first_answers_count_and_repeats_tell_what_flickers() -> None:
    found = tally(manifest(), RUN)
    assert (found.cases, found.passed, found.failed, found.errored) == (4, 1, 2, 1)
    assert (found.scores["s"].n, found.scores["s"].passed, found.scores["s"].judged) == (3, 1, 3)
    assert found.errors == {"away": 1}
    assert found.messages == {"away": "It is away."}
    ((name, flake),) = found.unstable
    assert (name, round(flake, 6)) == ("odd", round(2 / 3, 6))


def test_with_always_half_of_the_answers_must_pass() -> None:
    found = tally(manifest("always"), RUN)
    assert (found.passed, found.failed) == (2, 1)
    assert found.scores["s"].n == 6


def test_costs_are_told_as_paid_and_as_if_nothing_had_been_cached() -> None:
    judged = {"j": Score(value=1.0, passed=True, cost_nano_usd=5)}
    outcomes = [
        one("a", 0, True, cost_nano_usd=10, scores=judged),
        one("b", 0, True, cost_nano_usd=20, cached=True),
    ]
    found = tally(manifest(most=1), outcomes)
    assert (found.now_nano_usd, found.whole_nano_usd, found.cached, found.cost_known) == (15, 35, 1, True)
    assert tally(manifest(most=1), [*outcomes, one("c", 0, True)]).cost_known is False


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_that_of_the_statistics(counts: tuple[int, int]) -> None:
    passed, n = counts
    known = wilson(Proportion(passed, n))
    assert wilson_95(passed, n) == pytest.approx((float(known.low), float(known.high)), abs=1e-9)
