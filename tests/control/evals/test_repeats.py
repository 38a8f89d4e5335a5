"""Which cases are asked again, and how much one flickers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.evals.model import Outcome, Score, ScorerUse
from tidegate.control.evals.repeats import Trial, again, flake, trial_of

PASS, FAIL, NEAR, ERROR = Trial(True), Trial(False), Trial(True, near=True), Trial(None)


@pytest.mark.parametrize(
    ("trials", "more"),
    [
        ([], True),
        ([PASS], False),  # believed
        ([FAIL], True),
        ([NEAR], True),
        ([ERROR], False),  # it was tried again already
        ([FAIL, FAIL], False),  # it fails, and is no flicker
        ([FAIL, PASS], True),
        ([NEAR, PASS], True),
        ([FAIL, ERROR], False),
        ([FAIL, PASS, PASS], True),
        ([FAIL, PASS, PASS, PASS], True),
        ([FAIL, PASS, PASS, PASS, PASS], False),
    ],
)
def test_only_what_is_unstable_is_asked_again(trials: list[Trial], more: bool) -> None:
    assert again(trials, 5, "unstable-only") is more


@given(st.lists(st.sampled_from([PASS, FAIL, NEAR, ERROR]), max_size=8), st.integers(1, 6))
def test_nothing_is_asked_more_often_than_allowed(trials: list[Trial], most: int) -> None:
    assert again(trials, most, "always") is (len(trials) < most)
    if len(trials) >= most:
        assert not again(trials, most, "unstable-only")


def test_nearness_is_of_scorers_with_a_threshold_that_are_no_facts() -> None:
    outcome = Outcome(
        case_id="a", repeat=0, key="", text="x", scores={"s": Score(value=0.54, passed=True)}, passed=True
    )
    judge = ScorerUse(name="s", version="1.0.0", settings={"threshold": 0.5})
    assert trial_of(outcome, [judge]) == Trial(True, near=True)
    assert trial_of(outcome, [ScorerUse(name="s", version="1.0.0", settings={"threshold": 0.6})]).near is False
    assert (
        trial_of(outcome, [ScorerUse(name="s", version="1.0.0", settings={"threshold": 0.5}, exact=True)]).near is False
    )
    assert trial_of(outcome, [ScorerUse(name="other", version="1.0.0", settings={"threshold": 0.5})]).near is False


def test_flake_is_0_when_all_agree_and_1_at_one_half() -> None:
    assert [flake(5, 0), flake(0, 5), flake(2, 2), flake(0, 0)] == [0, 0, 1, None]
    assert flake(4, 1) == pytest.approx(0.4)
