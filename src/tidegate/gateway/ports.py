"""The gateway's ports: what its stages need of the machinery around them, and what an adapter gets to show of its
meters.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from tidegate.gateway.call import Call
from tidegate.gateway.upstream.target import Target
from tidegate.live.calls import CallRecord
from tidegate.live.feedback import Feedback
from tidegate.live.ports import Content
from tidegate.live.snapshot import LimitRule

__all__ = [
    "DURATION_BUCKETS_S",
    "ContentLog",
    "Counting",
    "Exchange",
    "FeedbackLog",
    "GatewayState",
    "Hold",
    "Journal",
    "Ledger",
    "Meters",
    "Series",
    "Shadows",
    "Totals",
    "Upstreams",
]

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
    """What one gateway process knows of itself; a sum over several belongs to none (pid 0). `breakers` tells the state
    of each deployment that was called: closed, open or half_open. `shadows` counts copies by route and outcome,
    `probes` active probes by deployment and outcome; `contents_dropped` counts what was to be kept and could not be.
    `limits` counts by rule what was refused and what used more than its bound, `rerouted` by alias retries and
    fallbacks, `upstreams` by deployment how the requests to it ended; `upstreams_in_flight` are those under way.
    """

    gateway_id: str
    pid: int
    generation: int = 0
    in_flight: int = 0
    records_waiting: int = 0
    records_dropped: int = 0
    totals: list[Totals] = []
    breakers: dict[str, str] = {}
    shadows: dict[str, dict[str, int]] = {}
    contents_dropped: int = 0
    probes: dict[str, dict[str, int]] = {}
    limits: dict[str, dict[str, int]] = {}
    rerouted: dict[str, dict[str, int]] = {}
    upstreams: dict[str, dict[str, int]] = {}
    upstreams_in_flight: dict[str, int] = {}


class Journal(Protocol):
    """Takes the records of finished calls."""

    gateway_id: str

    def next_seq(self) -> int:
        """The number of the next record: 1, 2, 3, ... without a hole."""
        ...

    def put(self, record: CallRecord) -> None:
        """Take a record; returns at once."""
        ...


class ContentLog(Protocol):
    """Takes what was said in the calls that are kept."""

    def put(self, content: Content) -> None:
        """Take one call's content; returns at once."""
        ...

    def drop(self) -> None:
        """Count one that is not kept because it is too long."""
        ...


class FeedbackLog(Protocol):
    """Takes feedback."""

    async def put(self, scores: Sequence[Feedback]) -> None:
        """Return once the scores are committed. Raises Unavailable: the store is away, or too many wait for it."""
        ...


class Meters(Protocol):
    """Counts calls."""

    in_flight: int

    def count(self, record: CallRecord) -> None:
        """Add one finished call."""
        ...


class Hold(Protocol):
    """What one call holds of its limits and budgets. Settled exactly once takes effect; again does nothing."""

    def extend(self, nano_usd: int) -> bool:
        """Hold so much more, in memory only; False when it does not fit. Asked before a try again when the last one
        may have been billed.
        """
        ...

    def settle(self, nano_usd: int | None, tokens: int | None) -> None:
        """End the hold: what the call has cost and used; None (unknown) settles at what is held. A request counts as
        one, a parallel slot is given back.
        """
        ...


class Counting(Protocol):
    """The limits and budgets that count a call, each with its counter. `bounded`: something counts money or tokens, so
    that the call needs a bound; `clamped`: and blocks, so that its answer's length must have one.
    """

    @property
    def rules(self) -> Sequence[tuple[LimitRule, str]]: ...

    @property
    def bounded(self) -> bool: ...

    @property
    def clamped(self) -> bool: ...


class Ledger(Protocol):
    """This process's slices of all limits and budgets."""

    def counts(self, call: Call) -> "Counting":
        """What counts this call; no rules for most."""
        ...

    async def hold(self, call: Call, nano_usd: int | None, tokens: int) -> Hold:
        """Hold one request, a parallel slot, at most so many tokens and so much money in every counter that counts this
        call, all or nothing; adds x-ratelimit-* and x-tidegate-budget to `call.reply_headers`. Returns without a round
        trip while the slices suffice. Raises Refused (rate_limit_exceeded with Retry-After; insufficient_quota without;
        price_unknown when a hard budget counts a call whose cost cannot be bounded) or Unavailable (a store that is
        away when a new slice is needed: fail closed).
        """
        ...


class Shadows(Protocol):
    """Copies calls for candidates."""

    def copy(self, call: Call) -> Callable[[bool], None] | None:
        """What begins the copy of this call, to be called once the user's answer is over, with whether it came whole
        (else the upstream failed); it returns at once and never raises. None when the call is not to be copied.
        """
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

    async def piece(self) -> bytes:
        """See `gateway.events.Source`."""
        ...

    async def pour(self, take: Callable[[bytes], bool]) -> None:
        """See `gateway.events.Source`."""
        ...

    def go_on(self) -> None:
        """See `gateway.events.Source`."""
        ...

    def release(self) -> None:
        """Give the connection back; called once, however it went."""
        ...


class Upstreams(Protocol):
    """Sends requests to upstreams."""

    async def send(
        self,
        target: Target,
        request: bytes | Sequence[bytes | memoryview],
        *,
        streaming: bool,
        within_s: float | None = None,
    ) -> Exchange:
        """Send; returns once the response's head is there, when not streaming the whole. Raises ProviderFailed.

        Within so many seconds, where that is less than the target's own limits, it must be there, whole or, when
        streaming, begun.
        """
        ...
