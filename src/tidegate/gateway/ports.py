"""The gateway's ports: what its stages need of the machinery around them, and what an adapter gets to show of its
meters.
"""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from tidegate.gateway.upstream.target import Target
from tidegate.live.calls import CallRecord

__all__ = ["DURATION_BUCKETS_S", "Exchange", "GatewayState", "Journal", "Meters", "Series", "Totals", "Upstreams"]

DURATION_BUCKETS_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""OpenTelemetry's advice for gen_ai.client.operation.duration (semantic conventions 0.66b2)."""


class Series(msgspec.Struct, frozen=True):
    """The labels of one series: never a key, a unit or anything else without bound."""

    endpoint: str
    model: str
    prompt: str
    version: str
    ending: str
    status: int


class Totals(msgspec.Struct):
    """What one series has counted since the process began. Histograms are counts per bucket, the last one above every
    edge.
    """

    series: Series
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0
    cost_unknown: int = 0
    latency_s: float = 0.0
    latency_buckets: list[int] = []
    ttft_s: float = 0.0
    ttft_count: int = 0
    ttft_buckets: list[int] = []


class GatewayState(msgspec.Struct, kw_only=True):
    """What one gateway process knows of itself; a sum over several belongs to none (pid 0)."""

    gateway_id: str
    pid: int
    generation: int = 0
    in_flight: int = 0
    records_waiting: int = 0
    records_dropped: int = 0
    totals: list[Totals] = []


class Journal(Protocol):
    """Takes the records of finished calls."""

    gateway_id: str

    def next_seq(self) -> int:
        """The number of the next record: 1, 2, 3, ... without a hole."""
        ...

    def put(self, record: CallRecord) -> None:
        """Take a record; returns at once."""
        ...


class Meters(Protocol):
    """Counts calls."""

    in_flight: int

    def count(self, record: CallRecord) -> None:
        """Add one finished call."""
        ...


class Exchange(Protocol):
    """One request to an upstream and its response, of which at least the head is there."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> dict[bytes, bytes]: ...

    async def whole(self) -> bytes:
        """The whole body; raises ProviderFailed."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; raises ProviderFailed."""
        ...

    def release(self) -> None:
        """Give the connection back; called once, however it went."""
        ...


class Upstreams(Protocol):
    """Sends requests to upstreams."""

    async def send(self, target: Target, request: bytes, *, streaming: bool) -> Exchange:
        """Send; returns once the response's head is there, when not streaming the whole. Raises ProviderFailed."""
        ...
