"""OpenAI's responses as a Dialect."""

import msgspec

from tidegate.gateway.call import Call, Reply
from tidegate.gateway.dialects.reading import ToldReader
from tidegate.gateway.dialects.responses.answers import response_reply
from tidegate.gateway.dialects.responses.requests import chat_fields
from tidegate.gateway.dialects.responses.streams import ResponseWriter
from tidegate.gateway.providers.base import Reader

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

    def reader(self, call: Call, chat: Reader) -> Reader:
        """See `ResponseWriter`."""
        return ToldReader(call, chat, ResponseWriter(call))
