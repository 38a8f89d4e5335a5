"""Webhook: an event as a signed HTTP POST. Called from the outbox only, so a slow receiver delays nobody."""

import hashlib
import hmac

import msgspec

from tidegate.adapters.notifiers.posting import Client, new_client, post
from tidegate.jobs.notifications import Event
from tidegate.kernel.clock import Clock

__all__ = ["SIGNATURE_HEADER", "Webhook", "sign", "webhook_key"]

SIGNATURE_HEADER = "tidegate-signature"


def webhook_key(master_key: str, name: str) -> str:
    """The hex key that signs for the notifier `name`: HMAC-SHA256 of the master key, a different one for each."""
    return hmac.new(master_key.encode(), f"webhook\x1f{name}".encode(), hashlib.sha256).hexdigest()


def sign(key: str, at_s: int, body: bytes) -> str:
    """The header's value, `t=SECONDS,v1=HEX`: HMAC-SHA256 with `key` over `SECONDS.BODY`.

    A receiver computes the same over the raw body, compares in constant time, and refuses a `t` that is minutes old.
    """
    digest = hmac.new(key.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


class Webhook:
    """POSTs events to one address of the configuration."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        clock: Clock,
        client: Client | None = None,
    ) -> None:
        self._url = url
        self._key = key
        self._clock = clock
        self._client = client or new_client

    async def notify(self, event: Event) -> None:
        """Deliver; raises as `posting.post`."""
        body = msgspec.json.encode(event)
        at_s = self._clock.now_ms() // 1000
        headers = {
            "content-type": "application/json",
            "user-agent": "tidegate-webhook",
            "tidegate-event": event.event,
            "tidegate-event-id": event.event_id,
            SIGNATURE_HEADER: sign(self._key, at_s, body),
        }
        await post(self._client, self._url, body, headers, shown=f"The webhook {self._url}")
