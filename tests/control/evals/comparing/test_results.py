"""A run is read once, as figures; which of a case's answers count does not lean to either side."""

import numpy as np

from tests.support.evalruns import EXACT, SHAKY, manifest, outcomes
from tidegate.control.evals.comparing.results import figures
from tidegate.control.evals.model import Outcome, Score
from tidegate.control.evals.repeats import Trial, again


def answer(case, repeat, passed, **more):
    return Outcome(
        case_id=case,
        repeat=repeat,
        key="k",
        text="x",
        passed=passed,
        scores={"exact": Score(value=float(passed), passed=passed)},
        **more,
    )


def test_adaptive_repeats_do_not_flatter():
    """Cases that pass 19 times of 20 are asked again when they fail: the mean of their answers would say 98.7%."""
    generator = np.random.default_rng(1)
    lines = []
    for number in range(4_000):
        trials: list[Trial] = []
        while again(trials, 5, "unstable-only"):
            passed = bool(generator.random() < 0.95)
            lines.append(answer(f"c{number}", len(trials), passed))
            trials.append(Trial(passed))
    found = figures(manifest(repeats_max=5), lines)
    rate = float(np.mean(list(found.outcome_of.values())))
    assert abs(rate - 0.95) < 5 * np.sqrt(0.95 * 0.05 / 4_000)
    assert found.unstable > 0


def test_repeats_of_all_cases_are_averaged():
    lines = [answer("a", 0, True), answer("a", 1, False), answer("b", 0, True), answer("b", 1, True)]
    found = figures(manifest(repeats_policy="always", repeats_max=2), lines)
    assert found.outcome_of == {"a": 0.5, "b": 1.0}
    assert found.unstable == 1


def test_an_error_has_no_score_and_is_counted():
    found = figures(manifest(), outcomes([True, None, False]))
    assert found.values["error_rate"] == {"case-0000": 0.0, "case-0001": 1.0, "case-0002": 0.0}
    assert set(found.outcome_of) == {"case-0000", "case-0002"}
    assert (found.errored, found.errors) == (1, {"provider_error": 1})


def test_a_cost_that_is_not_known_is_none():
    known, unknown = answer("a", 0, True, cost_nano_usd=5), answer("b", 0, True)
    assert figures(manifest(), [known]).whole.total == 5
    assert figures(manifest(), [known, unknown]).whole.total is None


def test_scorers_that_may_only_warn_are_told_from_the_others():
    line = answer("a", 0, True)
    line.scores["relevance"] = Score(value=0.2, passed=False)
    found = figures(manifest(scorers=(EXACT, SHAKY)), [line])
    assert (found.weak, found.firm) == ({"relevance"}, True)
    assert found.values["firm_pass_rate"] == {"a": 1.0}
