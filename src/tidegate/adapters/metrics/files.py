"""The gateways' meters as files, one for each process, summed whenever Prometheus asks: any process of the host can
answer for all.

A process that died leaves its file; its counts are folded into `retired.json`, so that no counter ever falls. Whether a
process lives is told by a lock that it holds, not by its pid: in a container the next process has the same one.
"""

import fcntl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from tidegate.gateway.ports import DURATION_BUCKETS_S, GatewayState, Series, Totals

__all__ = ["exposition", "gateway_metrics", "hold_alive", "read_states", "retire_dead", "write_state"]

LABELS = ("endpoint", "model", "prompt", "version", "ending", "status")
COPIED = ("route", "outcome")
PROBED = ("deployment", "outcome")
LIMITED = ("limit", "outcome")
REROUTED = ("alias", "outcome")
ASKED = ("deployment", "outcome")
BREAKER_STATES = ("closed", "half_open", "open")


def hold_alive(folder: Path, gateway_id: str) -> IO[bytes]:
    """Show that the process lives, until the returned file is closed or the process ends, however it ends."""
    with _locked(folder):
        lock = (folder / f"{gateway_id}.alive").open("wb")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def write_state(folder: Path, state: GatewayState) -> None:
    """Replace the process's file in one step."""
    draft = folder / f".{state.gateway_id}.draft"
    draft.write_bytes(msgspec.json.encode(state))
    draft.replace(folder / f"{state.gateway_id}.metrics.json")


def read_states(folder: Path) -> list[GatewayState]:
    """Every state there is, the retired one too; those of dead processes are marked by pid 0. A file that vanishes is
    passed over.
    """
    states = []
    for file in [*folder.glob("*.metrics.json"), folder / "retired.json"]:
        state = _decode(file)
        if state is not None:
            if not _alive(folder, state.gateway_id):
                state.pid = 0
            states.append(state)
    return states


def retire_dead(folder: Path) -> None:
    """Fold the files of dead processes into `retired.json`; safe when several processes do it at once."""
    with _locked(folder):
        for lock in folder.glob("*.alive"):
            if not _alive(folder, lock.stem):
                lock.unlink(missing_ok=True)
        retired = folder / "retired.json"
        states = [(f, _decode(f)) for f in folder.glob("*.metrics.json")]
        dead = [(file, state) for file, state in states if state is None or not _alive(folder, state.gateway_id)]
        if not dead:
            return
        before = _decode(retired)
        merged = _sum([state for state in (before, *(state for _, state in dead)) if state is not None])
        draft = folder / ".retired.draft"
        draft.write_bytes(msgspec.json.encode(merged))
        draft.replace(retired)
        for file, _ in dead:
            file.unlink(missing_ok=True)


def exposition(states: Iterable[GatewayState]) -> bytes:
    """The states' sum in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_States(list(states)))
    return generate_latest(registry)


def gateway_metrics(states: list[GatewayState]) -> Iterator[Metric]:
    """The metric families of the states' sum."""
    living = [state for state in states if state.pid]
    yield _gauge("tidegate_gateways", "Gateway processes that run.", len(living))
    yield _gauge("tidegate_in_flight_calls", "Calls under way.", sum(s.in_flight for s in living))
    yield _gauge("tidegate_records_waiting", "Call records not stored yet.", sum(s.records_waiting for s in living))
    yield _gauge(
        "tidegate_snapshot_generation",
        "The lowest generation that is served.",
        min((s.generation for s in living), default=0),
    )
    dropped = CounterMetricFamily("tidegate_records_dropped", "Call records lost because the store was away too long.")
    dropped.add_metric([], sum(state.records_dropped for state in states))
    yield dropped
    unkept = CounterMetricFamily("tidegate_contents_dropped", "Content that was to be kept and could not be.")
    unkept.add_metric([], sum(state.contents_dropped for state in states))
    yield unkept
    summed = _sum(states)
    yield _outcomes("tidegate_shadow", "Copies for candidates, and what became of them.", COPIED, summed.shadows)
    yield _outcomes("tidegate_probes", "Active probes, and what they found.", PROBED, summed.probes)
    yield _outcomes(
        "tidegate_limit_events", "Calls that a limit refused, or that passed their bound.", LIMITED, summed.limits
    )
    yield _outcomes("tidegate_rerouted", "Attempts beyond the first, by what they were.", REROUTED, summed.rerouted)
    yield _outcomes("tidegate_upstream_requests", "Requests to upstreams, by how they ended.", ASKED, summed.upstreams)
    yield from _upstreams(living)
    yield from _families(summed.totals)


class _States(Collector):
    def __init__(self, states: list[GatewayState]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        return gateway_metrics(self._states)


def _upstreams(living: list[GatewayState]) -> Iterator[Metric]:
    """What each deployment does now, over the gateways that run."""
    under_way = GaugeMetricFamily(
        "tidegate_upstream_in_flight", "Requests to a deployment under way.", labels=ASKED[:1]
    )
    breakers = GaugeMetricFamily(
        "tidegate_upstream_breakers", "Gateway processes by the state of their breaker.", labels=(*ASKED[:1], "state")
    )
    for name in dict.fromkeys(name for state in living for name in state.upstreams_in_flight):
        under_way.add_metric([name], sum(state.upstreams_in_flight.get(name, 0) for state in living))
    for name in dict.fromkeys(name for state in living for name in state.breakers):
        for word in BREAKER_STATES:
            breakers.add_metric([name, word], sum(state.breakers.get(name) == word for state in living))
    return iter((under_way, breakers))


def _families(all_totals: list[Totals]) -> Iterator[Metric]:
    calls = CounterMetricFamily("tidegate_calls", "Finished calls.", labels=LABELS)
    tokens = CounterMetricFamily("tidegate_tokens", "Tokens that upstreams reported.", labels=(*LABELS, "type"))
    cost = CounterMetricFamily("tidegate_cost_usd", "Cost of the calls whose price and usage are known.", labels=LABELS)
    unknown = CounterMetricFamily("tidegate_cost_unknown_calls", "Calls whose cost is unknown.", labels=LABELS)
    latency = HistogramMetricFamily(
        "tidegate_call_duration_seconds", "From the request to the answer's end.", labels=LABELS
    )
    ttft = HistogramMetricFamily(
        "tidegate_time_to_first_token_seconds", "From the request to the first token, streams only.", labels=LABELS
    )
    for totals in all_totals:
        series = totals.series
        labels = [series.endpoint, series.model, series.prompt, series.version, series.ending, str(series.status)]
        calls.add_metric(labels, totals.calls)
        tokens.add_metric([*labels, "input"], totals.input_tokens)
        tokens.add_metric([*labels, "output"], totals.output_tokens)
        cost.add_metric(labels, totals.cost_nano_usd / 1e9)
        unknown.add_metric(labels, totals.cost_unknown)
        latency.add_metric(labels, _cumulative(totals.latency_buckets), totals.latency_s)
        ttft.add_metric(labels, _cumulative(totals.ttft_buckets), totals.ttft_s)
    return iter((calls, tokens, cost, unknown, latency, ttft))


def _cumulative(counts: list[int]) -> list[tuple[str, float]]:
    total, buckets = 0, []
    for edge, count in zip((*map(str, DURATION_BUCKETS_S), "+Inf"), counts, strict=True):
        total += count
        buckets.append((edge, float(total)))
    return buckets


def _outcomes(
    name: str, text: str, labels: tuple[str, str], counts: Mapping[str, Mapping[str, int]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for first, outcomes in counts.items():
        for outcome, count in outcomes.items():
            family.add_metric([first, outcome], count)
    return family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _sum(states: list[GatewayState]) -> GatewayState:
    """Add up the states' counters; the sum belongs to no process (pid 0)."""
    sums: dict[Series, Totals] = {}
    for state in states:
        for totals in state.totals:
            there = sums.get(totals.series)
            sums[totals.series] = _add(there, totals) if there else totals
    dropped = sum(state.records_dropped for state in states)
    return GatewayState(
        gateway_id="retired",
        pid=0,
        records_dropped=dropped,
        contents_dropped=sum(state.contents_dropped for state in states),
        totals=list(sums.values()),
        shadows=_sum_outcomes(state.shadows for state in states),
        probes=_sum_outcomes(state.probes for state in states),
        limits=_sum_outcomes(state.limits for state in states),
        rerouted=_sum_outcomes(state.rerouted for state in states),
        upstreams=_sum_outcomes(state.upstreams for state in states),
    )


def _sum_outcomes(counts: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    summed: dict[str, dict[str, int]] = {}
    for one in counts:
        for first, outcomes in one.items():
            counted = summed.setdefault(first, {})
            for outcome, count in outcomes.items():
                counted[outcome] = counted.get(outcome, 0) + count
    return summed


def _add(one: Totals, other: Totals) -> Totals:
    return Totals(
        one.series,
        calls=one.calls + other.calls,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cost_nano_usd=one.cost_nano_usd + other.cost_nano_usd,
        cost_unknown=one.cost_unknown + other.cost_unknown,
        latency_s=one.latency_s + other.latency_s,
        latency_buckets=[a + b for a, b in zip(one.latency_buckets, other.latency_buckets, strict=True)],
        ttft_s=one.ttft_s + other.ttft_s,
        ttft_count=one.ttft_count + other.ttft_count,
        ttft_buckets=[a + b for a, b in zip(one.ttft_buckets, other.ttft_buckets, strict=True)],
    )


def _decode(file: Path) -> GatewayState | None:
    """What the file says; None when it cannot be read, or counts in other buckets than this version does."""
    try:
        state = msgspec.json.decode(file.read_bytes(), type=GatewayState)
    except (OSError, msgspec.DecodeError):
        return None
    buckets = len(DURATION_BUCKETS_S) + 1
    same = all(len(t.latency_buckets) == len(t.ttft_buckets) == buckets for t in state.totals)
    return state if same else None


def _alive(folder: Path, gateway_id: str) -> bool:
    try:
        with (folder / f"{gateway_id}.alive").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".metrics.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
