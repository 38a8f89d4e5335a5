"""What a dialect is: an endpoint that can be said in chat.completions, and its answers said back."""

from typing import Protocol

import msgspec

from tidegate.gateway.call import Call, Reply
from tidegate.gateway.providers.base import Reader

__all__ = ["Dialect"]


class Dialect(Protocol):
    """One endpoint's words."""

    def to_chat(self, call: Call) -> dict[str, msgspec.Raw]:
        """The call's payload as fields of chat.completions; raises Invalid, naming the field, for what cannot be said
        there. Nothing is left out silently.
        """
        ...

    def reply(self, call: Call, reply: Reply) -> Reply:
        """A whole reply of chat.completions (an answer, or an error with its status) in this endpoint's words."""
        ...

    def reader(self, call: Call, chat: Reader) -> Reader:
        """What reads a stream of chat.completions (usage chunk included) by way of `chat` and tells it in this
        endpoint's events.
        """
        ...
