"""Slack-compatible incoming webhooks (Slack, Mattermost, Rocket.Chat, Discord's /slack): an event as one message.

The address is the only secret, and no signature is asked for. Body and escapes as in
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks (read 2026).
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from tidegate.adapters.notifiers.posting import Client, new_client, post
from tidegate.jobs.notifications import Event

__all__ = ["Slack", "message_of"]

LONGEST = 3000
"""Letters of a message; Slack cuts off what is longer than 40,000."""

SHOWN: Final = ("candidate", "stable", "stage", "percent", "version", "after", "answer", "reason", "message")
EMERGENCY = "emergency"


class Slack:
    """Posts events to one channel's address."""

    def __init__(self, url: str, name: str, *, client: Client | None = None) -> None:
        self._url = url
        self._name = name
        self._client = client or new_client

    async def notify(self, event: Event) -> None:
        """Deliver; raises as `posting.post`."""
        body = msgspec.json.encode({"text": message_of(event)})
        headers = {"content-type": "application/json", "user-agent": "tidegate-slack"}
        await post(self._client, self._url, body, headers, shown=f"The notifier {self._name} (Slack)")


def message_of(event: Event) -> str:
    """The event in Slack's markup: what happened to what and why, in a few lines."""
    what, detail = event.event.partition(".")[2].replace("_", " "), event.detail
    lines = [f"*{_escaped(_place(event))}*: {_escaped(what)}"]
    if detail.get(EMERGENCY):
        lines[0] += " as an *emergency*"
    why = detail.get("why")
    if why:
        lines.append(_escaped(str(why)))
    told = [f"{name}: {_escaped(_plain(detail[name]))}" for name in SHOWN if detail.get(name) not in (None, "")]
    if told:
        lines.append(" · ".join(told))
    if event.actor:
        lines.append(f"by {_escaped(event.actor)}")
    return "\n".join(lines)[:LONGEST]


def _place(event: Event) -> str:
    """`rollout/production/greeting` as `greeting in production`; what is no place stays as it is."""
    kind, _, rest = (event.subject or event.event.partition(".")[0]).partition("/")
    environment, _, name = rest.partition("/")
    if kind in ("release", "rollout", "experiment") and name:
        return f"{kind} of {name} in {environment}"
    return event.subject or kind


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _escaped(text: str) -> str:
    """No text of ours becomes a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
