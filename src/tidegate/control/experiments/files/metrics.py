"""Metrics by name: the ones that every call has, and what any other name means."""

from collections.abc import Mapping
from types import MappingProxyType

from tidegate.control.experiments.model import CALL_FIELDS, Metric

__all__ = ["EVENT_FIELDS", "FIGURES", "KNOWN", "is_score", "metric_named"]

EVENT_FIELDS = ("error", "refused")
"""Those of them that are events: 1 or 0."""

SKEWED_BURN_IN = 200
"""Units an arm before costs, times and lengths are judged: a few large ones must not decide alone."""


def _figure(name: str, field: str, unit: str) -> Metric:
    return Metric(
        name=name, source="call", field=field, shape="mean", better="lower", burn_in=SKEWED_BURN_IN, unit=unit
    )


def _tail(name: str, field: str, quantile: float) -> Metric:
    return Metric(
        name=name,
        source="call",
        field=field,
        shape="rate",
        better="lower",
        per_unit="any",
        quantile=quantile,
        method="ratio",
    )


def _event(name: str, field: str, *, call: bool = False) -> Metric:
    return Metric(
        name=name,
        source="call" if call else "feedback",
        field=field,
        shape="rate",
        better="lower",
        per_unit="any",
        method="ratio",
    )


KNOWN: Mapping[str, Metric] = MappingProxyType(
    {
        one.name: one
        for one in (
            _event("error_rate", "error", call=True),
            _figure("cost_per_query", "cost_usd", "usd"),
            _figure("cost_usd", "cost_usd", "usd"),
            _figure("latency_ms", "latency_ms", "ms"),
            _tail("p95_latency_ms", "latency_ms", 0.95),
            _tail("p99_latency_ms", "latency_ms", 0.99),
            _figure("ttft_ms", "ttft_ms", "ms"),
            _tail("p95_ttft_ms", "ttft_ms", 0.95),
            _figure("tpot_ms", "tpot_ms", "ms"),
            _figure("input_tokens", "input_tokens", "tokens"),
            _figure("output_tokens", "output_tokens", "tokens"),
            _event("hallucination_rate", "hallucination"),
            _event("refusal_rate", "refusal"),
        )
    }
)
"""Metrics that need no definition."""

FIGURES: Mapping[str, Metric] = MappingProxyType(
    {
        "error": KNOWN["error_rate"],
        "refused": _event("refused", "refused", call=True),
        **{name: one for name, one in KNOWN.items() if name in CALL_FIELDS},
    }
)
"""What a metric of a call's field is like, whatever its name."""


def metric_named(name: str) -> Metric:
    """The metric that a name alone stands for: a known one, else feedback under this name, higher is better."""
    known = KNOWN.get(name)
    return known or Metric(name=name, source="feedback", field=name, shape="mean", better="higher")


def is_score(metric: Metric) -> bool:
    """Whether values lie between 0 and 1, as feedback does unless an `sd` says otherwise."""
    return metric.source == "feedback" and metric.shape == "mean" and metric.sd is None and metric.per_unit != "sum"
