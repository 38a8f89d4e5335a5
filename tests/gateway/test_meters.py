"""Meters add up, series by series."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.calls import a_record
from tidegate.gateway.meters import Meters
from tidegate.gateway.ports import DURATION_BUCKETS_S, Totals


def counted(*fields: dict[str, Any]) -> list[Totals]:
    meters = Meters()
    for number, some in enumerate(fields, 1):
        meters.count(a_record(number, **some))
    return meters.totals()


def test_calls_of_one_series_add_up() -> None:
    (totals,) = counted(
        {"input_tokens": 5, "output_tokens": 2, "cost_nano_usd": 100, "latency_ms": 30.0, "ttft_ms": 10.0},
        {"input_tokens": 7, "output_tokens": None, "cost_nano_usd": 50, "latency_ms": 90_000.0},
    )
    assert (totals.calls, totals.input_tokens, totals.output_tokens, totals.cost_nano_usd) == (2, 12, 2, 150)
    assert totals.latency_s == pytest.approx(90.03)
    assert totals.ttft_count == 1
    assert totals.ttft_s == pytest.approx(0.01)
    assert sum(totals.latency_buckets) == 2
    assert totals.latency_buckets[2] == totals.latency_buckets[-1] == 1


LABELS = {"endpoint": "embeddings", "route": "x", "prompt": "x", "prompt_version": "x", "ending": "cut", "status": 500}


@pytest.mark.parametrize("other", [{name: value} for name, value in LABELS.items()])
def test_what_differs_in_a_label_is_another_series(other: dict[str, Any]) -> None:
    assert len(counted({}, other)) == 2


@pytest.mark.parametrize(
    "same", [{"key_id": "x"}, {"unit": "x"}, {"tags": {"a": "b"}}, {"error_code": "x"}, {"call_id": "x"}]
)
def test_what_has_no_bound_is_no_label(same: dict[str, Any]) -> None:
    assert len(counted({}, same)) == 1


def test_an_unknown_cost_is_counted_and_not_taken_for_nothing() -> None:
    (totals,) = counted({"deployment": "m"}, {"deployment": "m", "cost_nano_usd": 0}, {})
    assert (totals.cost_unknown, totals.cost_nano_usd) == (1, 0)
    (failed,) = counted({"deployment": "m", "status": 502})
    assert failed.cost_unknown == 0


@given(st.lists(st.floats(0, 200_000), max_size=30))
def test_every_duration_falls_into_one_bucket(latencies: list[float]) -> None:
    totals = counted(*({"latency_ms": ms} for ms in latencies))
    buckets = totals[0].latency_buckets if totals else [0]
    assert sum(buckets) == len(latencies)
    under = sum(1 for ms in latencies if ms / 1000 <= DURATION_BUCKETS_S[5])
    assert sum(buckets[:6]) == under
