"""What a dialect is: an endpoint that can be said in chat.completions, and its answers said back."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

import msgspec

from tidegate.gateway.call import Call, Reply

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

    def events(self, call: Call, blocks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """A stream of chat.completions (blocks of whole server-sent events, usage chunk included) in this endpoint's
        events.
        """
        ...
