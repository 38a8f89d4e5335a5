"""Anthropic's messages as a Dialect, and the counting of tokens, which has no words in chat.completions."""

import msgspec

from tidegate.gateway.anthropic_errors import translated
from tidegate.gateway.call import Call, Reply
from tidegate.gateway.dialects.messages.answers import MessageWriter, message_reply
from tidegate.gateway.dialects.messages.requests import chat_fields
from tidegate.gateway.dialects.reading import ToldReader
from tidegate.gateway.providers.base import Reader
from tidegate.kernel.errors import NotFound

__all__ = ["CountTokensDialect", "MessagesDialect"]

OK = 200


class MessagesDialect:
    """Inbound /v1/messages for upstreams that speak chat.completions."""

    def to_chat(self, call: Call) -> dict[str, msgspec.Raw]:
        """See `chat_fields`."""
        return chat_fields(call)

    def reply(self, call: Call, reply: Reply) -> Reply:
        """See `Dialect`."""
        return message_reply(call, reply) if reply.status == OK else translated(reply, call.call_id)

    def reader(self, call: Call, chat: Reader) -> Reader:
        """See `MessageWriter`."""
        return ToldReader(call, chat, MessageWriter(call))


class CountTokensDialect(MessagesDialect):
    """Refuses: only Anthropic's own upstreams count."""

    def to_chat(self, call: Call) -> dict[str, msgspec.Raw]:
        """Raises NotFound."""
        raise NotFound(
            "endpoint",
            f"POST {call.endpoint.path}",
            mend=f"The upstream of {call.route!r} does not count tokens: ask for a model of the provider anthropic.",
            code="unsupported_endpoint",
            param="model",
        )
