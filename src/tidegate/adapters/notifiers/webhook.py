"""Webhook: an event as a signed HTTP POST. Called from the outbox only, so a slow receiver delays nobody."""

import hashlib
import hmac
from collections.abc import Callable

import httpx
import msgspec

from tidegate.jobs.notifications import Event
from tidegate.kernel.clock import Clock
from tidegate.kernel.errors import ProviderFailed, ProviderUnreachable

__all__ = ["SIGNATURE_HEADER", "Webhook", "sign", "webhook_key"]

SIGNATURE_HEADER = "tidegate-signature"
TIMEOUT = httpx.Timeout(10.0, connect=5.0)


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
    """POSTs events to one address of the configuration.

    Redirects are not followed and no proxy of the environment is used: the event goes to the address that an admin
    wrote, or nowhere.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        clock: Clock,
        client: Callable[[], httpx.AsyncClient] | None = None,
    ) -> None:
        self._url = url
        self._key = key
        self._clock = clock
        self._client = client or (lambda: httpx.AsyncClient(timeout=TIMEOUT, trust_env=False))

    async def notify(self, event: Event) -> None:
        """Deliver; raises ProviderUnreachable without an answer and ProviderFailed for any answer but 2xx."""
        body = msgspec.json.encode(event)
        at_s = self._clock.now_ms() // 1000
        headers = {
            "content-type": "application/json",
            "user-agent": "tidegate-webhook",
            "tidegate-event": event.event,
            "tidegate-event-id": event.event_id,
            SIGNATURE_HEADER: sign(self._key, at_s, body),
        }
        try:
            async with self._client() as client:
                request = client.build_request("POST", self._url, content=body, headers=headers)
                answer = await client.send(request, stream=True, follow_redirects=False)
                await answer.aclose()  # the status is all that counts; a huge body is never read
        except httpx.HTTPError as error:
            raise ProviderUnreachable(
                f"The webhook {self._url} gave no answer ({type(error).__name__}).",
                mend="Check the notifier's url in tidegate.yaml; it is tried again.",
                code="webhook_unreachable",
            ) from error
        if not answer.is_success:
            raise ProviderFailed(
                f"The webhook {self._url} answered {answer.status_code}.",
                status=answer.status_code,
                mend="Check the receiver; it is tried again. Redirects are not followed.",
                code="webhook_failed",
            )
