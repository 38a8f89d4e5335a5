"""Whether units came in the shares that were meant, by the propensities that were logged."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from tests.support.experiment_logs import HOUR, SCORE, START, People, call, definition, exposures, score
from tidegate.control.experiments.findings.outcomes import Arrivals, Outcomes, outcomes_of
from tidegate.control.experiments.findings.split import BROKEN, meant_shares, split_of
from tidegate.control.experiments.model import Bandit, Definition, Variant
from tidegate.control.monitoring.exposures import Exposed, Exposures

DAY = 24 * HOUR


def outcomes(of: Definition, calls: list[Exposed]) -> Outcomes:
    return outcomes_of(of, Exposures(calls, []), started_at_ms=START, now_ms=START + 2 * DAY)


def drawn(
    rng: np.random.Generator, names: tuple[str, ...], plans: Sequence[tuple[int, ...]], kept: tuple[float, ...]
) -> tuple[list[Exposed], list[tuple[int, tuple[int, ...]]]]:
    """2,000 units an hour for as many hours as there are plans, of which each variant loses 1 - kept on the way; and
    the log of the weights."""
    calls = []
    for hour, weights in enumerate(plans):
        shares = np.asarray(weights) / sum(weights)
        for i, arm in enumerate(rng.choice(len(names), 2000, p=shares)):
            if rng.random() < kept[arm]:
                at = hour * HOUR + i * 1000
                calls.append(call(f"c{hour}-{i}", f"u{hour}-{i}", names[arm], at, propensity=float(shares[arm])))
    return calls, [(START + hour * HOUR, weights) for hour, weights in enumerate(plans)]


TWO = ("control", "treatment")
THREE = ("control", "a", "b")
CHANGING = [(5000, 5000), (3000, 7000), (1000, 9000), (4000, 6000), (4000, 6000)]
OF_THREE = [(4000, 3000, 3000), (2000, 3000, 5000), (1000, 8000, 1000), (1000, 1000, 8000)]


@pytest.mark.parametrize(
    ("names", "plans"), [(TWO, [(5000, 5000)] * 4), (TWO, [(9000, 1000)] * 4), (TWO, CHANGING), (THREE, OF_THREE)]
)
@pytest.mark.parametrize("lost", [0.0, 0.25])
def test_a_split_is_broken_when_one_variant_loses_units_and_not_when_the_weights_change(
    names: tuple[str, ...], plans: list[tuple[int, ...]], lost: float
):
    calls, log = drawn(np.random.default_rng(7), names, plans, (1.0, 1 - lost, 1.0))
    of = definition(
        SCORE,
        variants=tuple(Variant(name=one, weight_bp=weight) for one, weight in zip(names, plans[0], strict=True)),
        bandit=Bandit(algorithm="thompson"),
    )
    found = split_of(of, outcomes(of, calls), log)
    assert found.ok is (lost == 0.0)
    assert (found.p < BROKEN) is not found.ok


def test_of_two_variants_no_log_of_weights_is_needed():
    calls, _ = drawn(np.random.default_rng(8), TWO, CHANGING, (1.0, 1.0))
    assert split_of(definition(SCORE), outcomes(definition(SCORE), calls)).p > 0.01


@pytest.mark.parametrize("late_ms", [-9_000, 0, 9_000])
def test_who_came_while_the_weights_changed_is_no_mismatch(late_ms: int):
    rng, plans = np.random.default_rng(9), [(4000, 1000, 5000), (4000, 5000, 1000)] * 40
    calls, log = [], []
    for k, weights in enumerate(plans):
        shares = np.asarray(weights) / 10_000
        for i, arm in enumerate(rng.choice(3, 120, p=shares)):
            at = k * 60_000 + i * 500
            calls.append(call(f"c{k}-{i}", f"u{k}-{i}", THREE[arm], at, propensity=float(shares[arm])))
        log.append((START + k * 60_000 + late_ms, weights))
    of = definition(SCORE, variants=tuple(Variant(name=one, weight_bp=3333) for one in THREE))
    assert split_of(of, outcomes(of, calls), log[::-1]).p > 0.01


def test_units_whose_shares_cannot_be_told_are_left_out():
    calls = [call(str(i), f"u{i}", "b", i, propensity=0.123) for i in range(500)]
    of = definition(SCORE, variants=tuple(Variant(name=one, weight_bp=3333) for one in THREE))
    assert split_of(of, outcomes(of, calls)).p == 1


def test_looking_at_every_window_calls_a_good_split_broken_no_more_often_than_it_says():
    rng = np.random.default_rng(10)
    broken = 0
    of = definition(SCORE)
    for _ in range(60):
        log = exposures(People(users=200, more_calls=0), rng)
        found = outcomes_of(of, log, started_at_ms=START, now_ms=START + 2 * DAY)
        broken += split_of(of, found).p < 0.05  # never rises: the worst of all looks
    assert broken / 60 <= 0.05 + 5 * np.sqrt(0.05 * 0.95 / 60)


@pytest.mark.parametrize(("answered", "ok"), [((0.5, 0.5), True), ((0.6, 0.35), False)])
def test_those_who_answer_are_checked_too(answered: tuple[float, float], ok: bool):
    log = exposures(People(users=2000, more_calls=0), np.random.default_rng(11))
    rng = np.random.default_rng(12)
    arm = {one.call_id: TWO.index(one.variant) for one in log.calls}
    some = Exposures(log.calls, [one for one in log.scores if rng.random() < answered[arm[one.call_id]]])
    of = definition(SCORE)
    found = split_of(of, outcomes_of(of, some, started_at_ms=START, now_ms=START + 2 * DAY))
    assert found.ok
    assert found.responders_p is not None
    assert (found.responders_p > BROKEN) is ok


def test_those_who_answer_are_held_against_the_weights_that_held_when_they_came():
    calls, log = drawn(np.random.default_rng(14), TWO, CHANGING, (1.0, 1.0))
    rng = np.random.default_rng(15)
    some = Exposures(calls, [score(one.call_id, 1.0, one.started_at_ms - START) for one in calls if rng.random() < 0.7])
    of = definition(SCORE, observe_s=600)
    found = split_of(of, outcomes_of(of, some, started_at_ms=START, now_ms=START + 2 * DAY), log)
    assert found.responders_p is not None
    assert found.responders_p > 0.01


def test_when_every_unit_has_a_value_there_is_nothing_to_check():
    log = exposures(People(users=50), np.random.default_rng(13))
    of = definition(msgspec.structs.replace(SCORE, missing="zero"))
    found = outcomes_of(of, log, started_at_ms=START, now_ms=START + 2 * DAY)
    assert split_of(of, found).responders_p is None


def test_before_anybody_came_nothing_is_broken():
    found = split_of(definition(SCORE), outcomes(definition(SCORE), []))
    assert (found.ok, found.p, found.responders_p) == (True, 1.0, None)


def test_what_was_meant_is_what_the_weights_were_when_the_units_came() -> None:
    arrivals = Arrivals(
        np.zeros(8, np.int64), np.zeros(8, np.int64), np.array([0, 1, 2, 3, 10, 11, 20, 21]), np.ones(8)
    )
    seen = Outcomes(
        variant=arrivals.variant, window=arrivals.window, at_ms=arrivals.at_ms, propensity=arrivals.propensity,
        values={}, covariate=None, windows=1, exposed=(8, 0), excluded={}, arrivals=arrivals,
    )  # fmt: skip
    log = ((0, (5000, 5000)), (10, (9000, 1000)), (20, (1000, 9000)))
    assert meant_shares((1000, 9000), seen, log) == pytest.approx((0.5, 0.5))
    assert meant_shares((1000, 9000), seen, log[:2]) == pytest.approx((0.7, 0.3))
    assert meant_shares((1000, 9000), seen) == (0.1, 0.9)
