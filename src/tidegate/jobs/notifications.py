"""Events that people and machines outside are told of, and the Notifier port. They travel through the outbox only."""

import hashlib
from collections.abc import Mapping
from typing import Protocol

import msgspec

__all__ = ["EVENTS", "NOTIFY", "Event", "Notifier", "event_of"]

NOTIFY = "notify"
"""The outbox's kind of errand that carries an event."""

EVENTS = (
    "budget.exhausted",
    "budget.soft",
    "config.applied",
    "experiment.decided",
    "experiment.started",
    "experiment.stopped",
    "key.created",
    "key.revoked",
    "prompt.fault",
    "release.deployed",
    "release.reverted",
    "release.rolled_back",
    "release.withdrawn",
    "rollout.advanced",
    "rollout.awaiting_approval",
    "rollout.inconclusive",
    "rollout.paused",
    "rollout.promoted",
    "rollout.rolled_back",
    "rollout.started",
)
"""What a notifier's `events` list may name. No event ever holds a secret."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. The same event keeps its `event_id` when it is delivered more than once."""

    event_id: str
    event: str
    at_ms: int | None = None
    actor: str | None = None
    subject: str | None = None
    detail: dict[str, object] = {}


class Notifier(Protocol):
    """Tells somebody. One of the four plugin points."""

    async def notify(self, event: Event) -> None:
        """Deliver the event, or raise (Unavailable, ProviderFailed): the outbox tries again later."""
        ...


def event_of(payload: Mapping[str, object]) -> Event:
    """The event of a `notify` errand: its named fields, everything else as detail, an id out of the content."""
    named = {"event", "at_ms", "actor", "subject", "detail"}
    content = msgspec.json.encode(payload, order="deterministic")
    given = payload.get("detail")
    detail = dict(given) if isinstance(given, Mapping) else {}
    detail |= {name: value for name, value in payload.items() if name not in named}
    return msgspec.convert(
        {name: payload[name] for name in named & set(payload)}
        | {"event_id": f"evt_{hashlib.sha256(content).hexdigest()[:32]}", "detail": detail},
        Event,
    )
