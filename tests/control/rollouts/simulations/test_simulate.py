"""What is foreseen of a plan: the same as `step` would do, sane for what is good and for what is bad."""

import msgspec
import numpy as np
import pytest

from bench.rollouts import Steps, alone
from tidegate.control.rollouts.defaults import prompt_plan
from tidegate.control.rollouts.measuring import lag_s
from tidegate.control.rollouts.reports.forecasts import forecast_of
from tidegate.control.rollouts.reports.page import html
from tidegate.control.rollouts.simulations.drawing import Drawing, pools_of
from tidegate.control.rollouts.simulations.simulate import simulate
from tidegate.control.rollouts.simulations.walking import Ticking, walked
from tidegate.control.rollouts.simulations.worlds import World, expected_of
from tidegate.kernel.errors import Invalid

WHOLE = prompt_plan(has_staging=False, scored=True)
PLAN = msgspec.structs.replace(WHOLE, stages=tuple(one for one in WHOLE.stages if one.kind == "canary"))


@pytest.fixture(scope="module")
def forecast():
    return simulate(WHOLE, units_per_minute=200, runs=200, seed=3)


@pytest.mark.parametrize("times", [1.0, 1.5, 3.0])
def test_simulated_rollouts_end_as_step_ends_them(times):
    expected = expected_of(PLAN)
    pools = pools_of(expected, np.random.default_rng(1), size=100_000)
    drawing = Drawing(expected, pools, 1000.0, World("errors", "worse", "error_rate", times))
    by_kernel, by_step = (
        walked(PLAN, drawing, Ticking(300), np.random.default_rng(2), (60, decide))
        for decide in (None, Steps(PLAN).decide)
    )
    for one, other in zip(by_kernel, by_step, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_identical_candidate_goes_through_and_a_bad_one_goes_back(forecast):
    by_name = {one.name: one for one in forecast.scenarios}
    assert forecast.false_rollback < 0.1
    assert forecast.promoted_identical > 0.8
    for name in ("error_rate x3", "cost_per_query x1.5", "p95_latency_ms x2", "faithfulness 0.05 lower"):
        assert by_name[name].caught == 1
        assert by_name[name].promoted == 0
    assert by_name["error_rate x20"].caught_min < by_name["error_rate x3"].caught_min < 60
    assert by_name["error_rate x20"].served < by_name["error_rate x3"].served
    assert by_name["error_rate x3"].caught_by["error_rate"] > 0.95
    for one in forecast.scenarios:
        assert one.caught + one.promoted + one.inconclusive + one.paused == pytest.approx(1)
        assert [share for _, share in one.curve] == sorted(share for _, share in one.curve)


def test_the_same_seed_foresees_the_same():
    plan = alone(PLAN, "error_rate")
    first, again, other = (simulate(plan, units_per_minute=200, runs=50, seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert first.scenarios != other.scenarios


def test_times_count_from_the_canary_and_windows_are_known_late():
    found = simulate(alone(PLAN, "error_rate"), units_per_minute=2000, runs=50, tick_s=60)
    worst = next(one for one in found.scenarios if one.name == "error_rate x20")
    assert worst.caught_min == pytest.approx(1 + lag_s(PLAN) / 60)


def test_too_little_traffic_is_paused_and_never_promoted():
    found = simulate(alone(PLAN, "error_rate"), units_per_minute=0.05, runs=50)
    assert found.promoted_identical == 0
    assert found.scenarios[0].paused == 1
    assert "paused for want of data" in forecast_of(found).answer


def test_progress_is_told_to_the_end():
    told: list[float] = []
    simulate(alone(PLAN, "error_rate"), units_per_minute=200, runs=50, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1


@pytest.mark.parametrize(
    ("plan", "how"),
    [
        (PLAN, {"units_per_minute": 0}),
        (PLAN, {"units_per_minute": 5, "runs": 0}),
        (PLAN, {"units_per_minute": 5, "tick_s": 1}),
        (msgspec.structs.replace(PLAN, gates=()), {"units_per_minute": 5}),
        (msgspec.structs.replace(WHOLE, stages=WHOLE.stages[:1]), {"units_per_minute": 5}),
    ],
)
def test_what_cannot_be_simulated_says_so(plan, how):
    with pytest.raises(Invalid) as error:
        simulate(plan, **how)
    assert error.value.mend


def test_the_report_says_plainly_what_would_come_of_it(forecast):
    report = forecast_of(forecast)
    assert report.answer.startswith("An identical candidate is rolled back in ")
    assert "Found in practically every rollout: error_rate x20 after" in report.sections[0].lines[0]
    assert len(report.sections[0].grids[0].rows) == len(forecast.scenarios)


def test_the_page_needs_nothing_else_and_draws_what_it_says(forecast):
    shown = html(forecast)
    assert shown.count("<svg") == 2
    assert "error_rate x20" in shown
    assert "http" not in shown.replace("http-equiv", "")
