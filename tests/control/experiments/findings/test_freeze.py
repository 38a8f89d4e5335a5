"""What is fixed before the start: thresholds, baselines and deviations, from the calls before it."""

import msgspec
import numpy as np
import pytest

from tests.support.experiment_logs import COST, HOUR, SCORE, SLOW, People, call, definition, exposures, score
from tidegate.control.experiments.findings.freeze import FEWEST_UNITS, freeze
from tidegate.control.experiments.model import Metric
from tidegate.control.gates.model import Drop, Gate
from tidegate.control.monitoring.exposures import Exposures

P95 = msgspec.structs.replace(SLOW, name="p95_latency_ms", above=None, quantile=0.95)
NOW = call("now", "somebody", at=0)
"""The last call before the start: so long is the history."""


def history(units: int = 200) -> Exposures:
    """Units that called once, a day before, with latencies 1, 2, 3, ... ms and costs of 1, 2, 3, ... dollars."""
    calls = [
        call(f"c{i}", f"u{i}", "", -24 * HOUR + i, latency_ms=float(i + 1), cost_nano_usd=(i + 1) * 10**9)
        for i in range(units)
    ]
    return Exposures([*calls, NOW], [score(f"c{i}", i % 2, -23 * HOUR - 1000) for i in range(units)])


def frozen(*metrics: Metric, units: int = 200, **changes: object) -> tuple[Metric, ...]:
    return freeze(definition(*metrics, **changes), history(units)).metrics


def test_a_quantile_becomes_a_threshold_and_the_share_above_it_the_baseline():
    (found,) = frozen(P95)
    assert (found.above, found.baseline, found.sd) == (190.0, 0.05, None)


def test_a_mean_gets_the_baseline_and_deviation_of_its_units():
    cost, scored = frozen(COST, SCORE)
    dollars = np.arange(1, 201)
    assert cost.baseline == pytest.approx(dollars.mean())
    assert cost.sd == pytest.approx(dollars.std(ddof=1))
    assert scored.baseline == 0.5
    assert scored.sd == pytest.approx(0.5, abs=0.01)


def test_what_the_author_said_stands():
    said = msgspec.structs.replace(COST, baseline=7.0, sd=3.0)
    above = msgspec.structs.replace(P95, above=12.0)
    assert frozen(said, above) == (said, msgspec.structs.replace(above, baseline=188 / 200))


@pytest.mark.parametrize(("units", "known"), [(FEWEST_UNITS - 1, False), (FEWEST_UNITS, True)])
def test_of_too_few_units_nothing_is_taken(units: int, known: bool):
    for metric in frozen(P95, COST, SCORE, units=units):
        assert (metric.baseline is not None) is known
        assert (metric.above is not None) is (known and metric.name == P95.name)


def test_units_are_taken_as_they_will_be_judged():
    before = [call(f"c{i}-{k}", f"u{i}", at=(k - 24) * HOUR, cost_nano_usd=10**9) for i in range(100) for k in range(3)]
    young = [call(f"y{i}", f"young {i}", at=-10_000, cost_nano_usd=50 * 10**9) for i in range(100)]
    log = Exposures([*before, *young, NOW], [])
    for observe_s, calls in ((0, 1), (3600, 2), (7200, 3)):
        found = freeze(definition(COST, observe_s=observe_s), log).metrics[0]
        if observe_s:  # those who came a moment ago have not been observed for long enough
            assert found.baseline == calls
        else:
            assert found.baseline == pytest.approx((100 * 1 + 100 * 50) / 201, rel=0.01)


def test_a_guardrail_takes_the_deviation_of_its_metric():
    gate = Gate(metric="cost", rule=Drop(0.1), shape="mean", better="lower", share=1.0)
    found = freeze(definition(SCORE, COST, guardrails=(gate,)), history())
    assert found.guardrails[0].sd == found.metric("cost").sd
    said = msgspec.structs.replace(gate, sd=9.0)
    assert freeze(definition(SCORE, COST, guardrails=(said,)), history()).guardrails == (said,)


def test_without_a_history_everything_stays_as_it_was():
    of = definition(SCORE, COST, P95)
    assert freeze(of, Exposures([], [])) == of


def test_a_frozen_definition_does_not_change_when_it_is_frozen_again():
    once = freeze(definition(SCORE, COST, P95), history())
    assert freeze(once, exposures(People(users=500), np.random.default_rng(1))) == once


def test_values_that_never_differ_have_no_deviation():
    log = Exposures([call(f"c{i}", f"u{i}", at=-24 * HOUR) for i in range(200)] + [NOW], [])
    (found,) = freeze(definition(COST), log).metrics
    assert (found.baseline, found.sd) == (0.001, None)
