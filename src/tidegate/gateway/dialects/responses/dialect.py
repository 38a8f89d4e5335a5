"""OpenAI's responses as a Dialect."""

from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from tidegate.gateway.call import Call, Reply
from tidegate.gateway.dialects.responses.answers import response_reply
from tidegate.gateway.dialects.responses.requests import chat_fields
from tidegate.gateway.dialects.responses.streams import response_events

__all__ = ["ResponsesDialect"]

OK = 200


class ResponsesDialect:
    """Inbound /v1/responses for upstreams that speak chat.completions."""

    def to_chat(self, call: Call) -> dict[str, msgspec.Raw]:
        """See `chat_fields`."""
        return chat_fields(call)

    def reply(self, call: Call, reply: Reply) -> Reply:
        """See `Dialect`; errors have the same shape in both."""
        return response_reply(call, reply) if reply.status == OK else reply

    def events(self, call: Call, blocks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """See `response_events`."""
        return response_events(call, blocks)
