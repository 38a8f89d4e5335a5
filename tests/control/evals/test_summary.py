"""A run in figures."""

import math

import pytest

from tests.support.evalruns import manifest, outcomes
from tidegate.control.evals.summary import summary_of


def test_a_run_is_summed_up():
    found = summary_of(manifest(cases=10), outcomes([True] * 7 + [False] * 2 + [None]))
    assert (found.cases, found.passed, found.failed, found.errored) == (10, 7, 2, 1)
    assert (found.paid, found.cached, found.errors) == (9, 0, {"provider_error": 1})
    assert found.duration_s == 42.0
    metrics = {one.metric: one for one in found.metrics}
    passes = metrics["pass_rate"]
    assert (passes.n, passes.unknown) == (9, 1)
    assert passes.mean == pytest.approx(7 / 9)
    assert passes.low is not None
    assert passes.low < 7 / 9
    assert (metrics["latency_ms"].unit, metrics["cost_usd"].unit) == ("ms", "usd")
    assert metrics["latency_ms"].p99 == max(one.latency_ms or 0 for one in outcomes([True] * 7 + [False] * 2))
    assert [one.metric for one in found.metrics][:2] == ["pass_rate", "error_rate"]


def test_a_run_under_way_has_no_duration():
    assert math.isnan(summary_of(manifest(ended_at_ms=None, state="running"), []).duration_s)


def test_no_case_at_all_is_no_figure():
    found = summary_of(manifest(cases=0), [])
    assert (found.cases, found.metrics) == (0, ())
