"""What is not believed: broken splits, and everything about the units that a reader should know."""

import msgspec
import numpy as np

from tests.support.experiment_logs import (
    COST,
    DAY,
    ERRORS,
    GUARDED,
    HOUR,
    SCORE,
    SLOW,
    People,
    analysed,
    call,
    contrast,
    definition,
    exposures,
    of_people,
)
from tidegate.control.experiments.model import Definition
from tidegate.control.monitoring.exposures import Exposures


def test_a_broken_split_decides_nothing_whatever_the_rule_says():
    log = exposures(People(users=1500, gain=0.2), np.random.default_rng(7))
    lost = {f"u{i}" for i in range(0, 1500, 3)}
    thinned = Exposures([one for one in log.calls if one.variant == "control" or one.unit not in lost], log.scores)
    assert analysed(GUARDED, log).decision.answer == "ship"
    found = analysed(GUARDED, thinned)
    assert not found.split.ok
    assert (found.decision.answer, found.decision.variant) == ("inconclusive", None)
    assert found.decision.why.startswith("The units did not come in the shares that were meant")
    assert any(one.startswith("The split is broken") for one in found.warnings)


def test_nothing_is_shipped_on_those_who_answer_when_the_variants_differ_in_who_does():
    log = exposures(People(users=3000, more_calls=0, gain=0.2), np.random.default_rng(8))
    arm = {one.call_id: one.variant for one in log.calls}
    rng = np.random.default_rng(9)
    some = [one for one in log.scores if rng.random() < {"control": 0.9, "treatment": 0.5}[arm[one.call_id]]]
    found = analysed(GUARDED, Exposures(log.calls, some))
    assert contrast(found, "score").state == "wins"
    assert found.split.ok
    assert found.decision.answer == "inconclusive"
    assert found.decision.why.startswith("The variants differ in how many units have a value of score")


def test_what_is_odd_about_the_units_is_said():
    calls = [
        call("a", "ann"),
        call("b", "ann", "treatment", 5),
        call("c", "cy"),
        call("d", "cy", "treatment", 5 * HOUR),
        call("e", ""),
        call("f", "di", latency_ms=500_000.0),
    ]
    found = analysed(GUARDED, Exposures(calls, []))
    for start in (
        "1 units were seen in two variants before",
        "1 units were seen in another variant after",
        "1 calls had no unit",
        "1 calls took longer than 120 s",
        "Only 0 of 1 units have a value of score",
    ):
        assert any(one.startswith(start) for one in found.warnings), start
    assert found.excluded == {"mixed": 1, "no_unit": 1, "unfinished": 1}


def test_windows_that_are_too_small_are_said():
    calls = [call(f"c{i}", f"u{i}", ("control", "treatment")[i % 2], i * HOUR // 2) for i in range(80)]
    found = analysed(definition(COST), Exposures(calls, []), now=3 * DAY)
    assert any("lie in windows with fewer than 2" in one for one in found.warnings)


def test_rare_events_that_are_taken_as_means_are_said():
    def of(method: str) -> Definition:
        return definition(SCORE, msgspec.structs.replace(ERRORS, method=method))

    for method, said in (("difference", True), ("ratio", False)):
        warnings = of_people(10, of(method), errors=(0.005, 0.005)).warnings
        assert any("`method: ratio` is exact" in one for one in warnings) is said


def test_a_metric_whose_threshold_was_never_found_is_said():
    of = definition(SCORE, msgspec.structs.replace(SLOW, above=None, quantile=0.95))
    found = of_people(11, of)
    assert any(one.startswith("slow has no threshold") for one in found.warnings)
    assert contrast(found, "slow").estimate is None


def test_in_the_first_window_it_is_said_that_nothing_is_judged_yet():
    found = analysed(GUARDED, exposures(People(), np.random.default_rng(12)), now=HOUR)
    assert any(one.startswith("Nothing is judged before the first window") for one in found.warnings)
    assert (found.units, found.decision.answer) == (0, "inconclusive")
    assert sum(arm.exposed for arm in found.arms) > 0


def test_a_quiet_experiment_has_no_warnings():
    assert of_people(13).warnings == ()
