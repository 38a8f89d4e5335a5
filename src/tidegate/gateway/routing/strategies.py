"""Strategies: in which order a step's candidates are asked. Pure: chance comes in as numbers.

weighted         by weight; who names a unit always gets the same, and a growing weight only ever gains units
least_busy       the fewest calls in flight for its weight
latency          the lowest latency to expect, see `Health.latency_ms`; one that never answered is asked when it is
                 idle, and counts like the others' mean for each call that it has under way
prefix_affinity  whoever served this beginning of a conversation before, so that its prefix cache hits; a busy one
                 passes it on (consistent hashing with bounded loads, arXiv:1608.01350)
priority         the lowest number first, by weight among equals
cost             the cheapest for this request; unknown prices last
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence

import msgspec

from tidegate.kernel.money import bound_nano_usd
from tidegate.live.plans import Candidate

__all__ = ["STRATEGIES", "Question", "View", "rank"]

LOAD_FACTOR = 1.25
EXPECTED_OUTPUT_TOKENS = 256


class View(msgspec.Struct, frozen=True):
    """What is known of a candidate at this moment; `latency_ms` None: it never answered yet."""

    in_flight: int = 0
    latency_ms: float | None = None


class Question(msgspec.Struct, frozen=True):
    """What of a call decides. `unit` is who is served, `prefix` the beginning of what is said, `size` its length in
    bytes, `draw` a random number of [0, 2^64).
    """

    draw: int
    unit: str | None = None
    prefix: bytes = b""
    size: int = 0


Key = Callable[[Candidate], tuple[float, ...]]


def rank(
    strategy: str, candidates: Sequence[Candidate], views: Mapping[str, View], question: Question
) -> list[Candidate]:
    """The candidates, best first. An unknown strategy (of a newer control) is taken as `weighted`."""
    make = STRATEGIES.get(strategy, _weighted)
    return sorted(candidates, key=make(candidates, views, question))


def _weighted(candidates: Sequence[Candidate], views: Mapping[str, View], question: Question) -> Key:
    """Weighted rendezvous hashing: the score -ln(u) / weight of a hash u of (unit, name)."""
    unit = (question.unit or f"{question.draw}").encode()
    return lambda one: (_drawn(unit, one),)


def _drawn(unit: bytes, one: Candidate) -> float:
    share = (_hash(unit, one) + 1) / (2**64 + 1)
    return -math.log(share) / max(one.weight, 1e-9)


def _least_busy(candidates: Sequence[Candidate], views: Mapping[str, View], question: Question) -> Key:
    unit = f"{question.draw}".encode()
    return lambda one: (views[one.deployment.name].in_flight / max(one.weight, 1e-9), _drawn(unit, one))


def _latency(candidates: Sequence[Candidate], views: Mapping[str, View], question: Question) -> Key:
    unit = f"{question.draw}".encode()
    seen = [views[one.deployment.name] for one in candidates]
    each_ms = [view.latency_ms / (view.in_flight + 1) for view in seen if view.latency_ms is not None]
    mean_ms = sum(each_ms) / len(each_ms) if each_ms else 1.0

    def key(one: Candidate) -> tuple[float, ...]:
        view = views[one.deployment.name]
        expected_ms = view.latency_ms if view.latency_ms is not None else mean_ms * view.in_flight
        return expected_ms, _drawn(unit, one)

    return key


def _prefix_affinity(candidates: Sequence[Candidate], views: Mapping[str, View], question: Question) -> Key:
    total = sum(views[one.deployment.name].in_flight for one in candidates)
    most = math.ceil(LOAD_FACTOR * (total + 1) / max(len(candidates), 1))
    return lambda one: (
        float(views[one.deployment.name].in_flight >= most),
        _drawn(question.prefix, one),
    )


def _priority(candidates: Sequence[Candidate], views: Mapping[str, View], question: Question) -> Key:
    unit = (question.unit or f"{question.draw}").encode()
    return lambda one: (one.priority, _drawn(unit, one))


def _cost(candidates: Sequence[Candidate], views: Mapping[str, View], question: Question) -> Key:
    def key(one: Candidate) -> tuple[float, ...]:
        price = one.deployment.price
        if price is None:
            return (math.inf, one.priority)
        return (bound_nano_usd(price, question.size // 4, EXPECTED_OUTPUT_TOKENS), one.priority)

    return key


def _hash(unit: bytes, one: Candidate) -> int:
    digest = hashlib.sha256(unit + b"\x1f" + one.deployment.name.encode()).digest()
    return int.from_bytes(digest[:8], "big")


STRATEGIES: Mapping[str, Callable[[Sequence[Candidate], Mapping[str, View], Question], Key]] = {
    "weighted": _weighted,
    "least_busy": _least_busy,
    "latency": _latency,
    "prefix_affinity": _prefix_affinity,
    "priority": _priority,
    "cost": _cost,
}
