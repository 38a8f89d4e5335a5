"""Requests of messages for an upstream that speaks them: passed on as they came, with the upstream's model.

One thing is taken out: thinking blocks with an empty signature. They were told by a model of another family, on the way
of a fallback, and Anthropic refuses a conversation with them.
"""

import re

import msgspec

from tidegate.gateway.providers.anthropic.words import UNREADABLE
from tidegate.gateway.providers.base import Ask

__all__ = ["native_body"]

_UNSIGNED = re.compile(rb'"signature"\s*:\s*""')


class Kind(msgspec.Struct):
    """What tells an unsigned block."""

    type: str = ""
    signature: str | None = None


_TURNS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_BLOCKS = msgspec.json.Decoder(list[msgspec.Raw])
_KIND = msgspec.json.Decoder(Kind)


def native_body(ask: Ask) -> bytes:
    """The client's own body, asking for the upstream's model."""
    payload = {**ask.payload, "model": msgspec.Raw(msgspec.json.encode(ask.model))}
    turns = payload.get("messages")
    if turns is not None and _UNSIGNED.search(turns) is not None:
        payload["messages"] = _signed(turns)
    return msgspec.json.encode(payload)


def _signed(turns: msgspec.Raw) -> msgspec.Raw:
    """The turns without unsigned thoughts, and without turns that held nothing else; what cannot be read stays."""
    try:
        kept = []
        for turn in _TURNS.decode(turns):
            content = turn.get("content", msgspec.Raw())
            if _UNSIGNED.search(content) is not None:
                blocks = [block for block in _BLOCKS.decode(content) if not _unsigned(_KIND.decode(block))]
                if not blocks:
                    continue
                turn["content"] = msgspec.Raw(msgspec.json.encode(blocks))
            kept.append(turn)
        return msgspec.Raw(msgspec.json.encode(kept))
    except UNREADABLE:
        return turns


def _unsigned(block: Kind) -> bool:
    return block.type == "thinking" and block.signature == ""
