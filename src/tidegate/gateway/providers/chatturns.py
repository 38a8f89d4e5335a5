"""A conversation as turns that alternate, for upstreams that keep system text apart and take nothing else."""

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any

from tidegate.gateway.providers.chatfields import Chat, Message
from tidegate.gateway.providers.chatwords import text_of

__all__ = ["turns_of", "wire_call_id"]

Object = dict[str, Any]


def turns_of(
    chat: Chat,
    blocks: Callable[[Message, str], Iterable[Object]],
    turn: Callable[[Message, str], tuple[str, list[Object]]],
) -> tuple[list[Object], list[Object]]:
    """System blocks, and the turns: neighbours of one role are one, for the results of calls must stand together.
    `blocks` and `turn` say a message, and where it stands, in the upstream's words.
    """
    system: list[Object] = []
    messages: list[Object] = []
    for number, message in enumerate(chat.messages):
        where = f"messages[{number}]"
        if message.role in ("system", "developer"):
            text_of(message, where)  # text alone
            system.extend(blocks(message, where))
            continue
        role, said = turn(message, where)
        if not said:
            continue
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"].extend(said)
        else:
            messages.append({"role": role, "content": said})
    return system, messages


def wire_call_id(call_id: str, allowed: re.Pattern[str]) -> str:
    """An id of another provider's may hold signs that are refused: then its hash stands for it, always the same."""
    return call_id if allowed.fullmatch(call_id) else hashlib.sha256(call_id.encode(errors="replace")).hexdigest()
