"""What experiments read of the call log: who was exposed to what, how the calls went, and what was said of them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["Exposed", "Exposures", "Past", "Scored"]


class Exposed(NamedTuple):
    """One user's call in an experiment. `unit` is what was assigned; times in ms, money in nano-dollars, None where
    unknown. `ending` is one of `live.calls.ENDINGS`.
    """

    call_id: str
    unit: str
    variant: str
    propensity: float
    started_at_ms: int
    ending: str
    cost_nano_usd: int | None
    latency_ms: float
    ttft_ms: float | None
    tpot_ms: float | None
    input_tokens: int | None
    output_tokens: int | None


class Scored(NamedTuple):
    """One score of one of these calls, and when it came in (Unix ms)."""

    call_id: str
    name: str
    value: float
    at_ms: int


class Past(NamedTuple):
    """Which calls show what was before an experiment: users' calls of a subject (`prompt:NAME` or an alias) in an
    environment that started in [since_ms, before_ms), with all `tags` and, if there are any, by one of the keys (ids).
    `unit` is user, request or `tag:NAME`. The newest `limit`.
    """

    subject: str
    environment: str
    since_ms: int
    before_ms: int
    unit: str = "user"
    tags: Mapping[str, str] = MappingProxyType({})
    key_ids: tuple[str, ...] = ()
    limit: int = 200_000


class Exposures(NamedTuple):
    """Calls in the order of their start, and their scores in the order in which they came in."""

    calls: Sequence[Exposed]
    scores: Sequence[Scored]
