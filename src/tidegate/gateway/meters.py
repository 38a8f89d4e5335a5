"""The meters: what Prometheus will read, kept as plain numbers so that counting one call costs about a microsecond.

Names follow Prometheus' rules (base units, `_total`) and the OpenTelemetry GenAI conventions where one exists.
"""

from bisect import bisect_left

from tidegate.gateway.ports import DURATION_BUCKETS_S, Series, Totals
from tidegate.live.calls import CallRecord

__all__ = ["Meters"]

OK = 200


class Meters:
    """Counts calls. `in_flight` and `records_dropped` are set by those who know."""

    def __init__(self) -> None:
        self._totals: dict[tuple[object, ...], Totals] = {}
        self.in_flight = 0
        self.changed = False

    def count(self, record: CallRecord) -> None:
        """Add one call."""
        self.changed = True
        key = (record.endpoint, record.route, record.prompt, record.prompt_version, record.ending, record.status)
        totals = self._totals.get(key)
        if totals is None:
            totals = self._open(key, record)
        totals.calls += 1
        totals.input_tokens += record.input_tokens or 0
        totals.output_tokens += record.output_tokens or 0
        if record.cost_nano_usd is not None:
            totals.cost_nano_usd += record.cost_nano_usd
        elif record.deployment is not None and record.status == OK:
            totals.cost_unknown += 1
        seconds = record.latency_ms / 1000
        totals.latency_s += seconds
        totals.latency_buckets[bisect_left(DURATION_BUCKETS_S, seconds)] += 1
        if record.ttft_ms is not None:
            seconds = record.ttft_ms / 1000
            totals.ttft_s += seconds
            totals.ttft_count += 1
            totals.ttft_buckets[bisect_left(DURATION_BUCKETS_S, seconds)] += 1

    def totals(self) -> list[Totals]:
        """All series."""
        return list(self._totals.values())

    def _open(self, key: tuple[object, ...], record: CallRecord) -> Totals:
        series = Series(
            endpoint=record.endpoint, model=record.route or "", prompt=record.prompt or "",
            version=record.prompt_version or "", ending=record.ending, status=record.status,
        )  # fmt: skip
        empty = [0] * (len(DURATION_BUCKETS_S) + 1)
        totals = Totals(series, latency_buckets=list(empty), ttft_buckets=list(empty))
        self._totals[key] = totals
        return totals
