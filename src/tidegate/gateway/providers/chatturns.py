"""A conversation as turns that alternate, for upstreams that keep system text apart and take nothing else."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from tidegate.gateway.providers.chatfields import Chat, Message
from tidegate.gateway.providers.chatwords import arguments_of, text_of, unsupported

__all__ = ["Wording", "turns_of"]

Object = dict[str, Any]


class Wording(msgspec.Struct, frozen=True, kw_only=True):
    """How an upstream says what turns are made of. `where` is a message's place in the request, for errors."""

    upstream: str
    """Its name."""
    call_id: re.Pattern[str]
    """The ids of calls that it takes."""
    blocks: Callable[[Message, str], Iterable[Object]]
    """A message's content (message, where)."""
    thoughts: tuple[str, str]
    """Where a message's `extra_content` holds the signed thoughts that it wants to see again."""
    thought: Callable[[Any], Any]
    """One of those."""
    call: Callable[[str, str, msgspec.Raw], Object]
    """A call (id, name, arguments)."""
    result: Callable[[str, Message, str], Object]
    """What became of a call (its id, message, where)."""


def turns_of(chat: Chat, wording: Wording) -> tuple[list[Object], list[Object]]:
    """System blocks, and the turns: neighbours of one role are one, for the results of calls must stand together.
    Raises Invalid.
    """
    system: list[Object] = []
    messages: list[Object] = []
    for number, message in enumerate(chat.messages):
        where = f"messages[{number}]"
        if message.role in ("system", "developer"):
            text_of(message, where)  # text alone
            system.extend(wording.blocks(message, where))
            continue
        role, said = _turn(message, where, wording)
        if not said:
            continue
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"].extend(said)
        else:
            messages.append({"role": role, "content": said})
    return system, messages


def _turn(message: Message, where: str, wording: Wording) -> tuple[str, list[Object]]:
    if message.role == "user":
        return "user", list(wording.blocks(message, where))
    if message.role == "assistant":
        thoughts = _thoughts(message, where, wording)
        return "assistant", [*thoughts, *wording.blocks(message, where), *_calls(message, where, wording)]
    if message.role == "tool":
        if not message.tool_call_id:
            raise unsupported("A tool's message names no call", f"{where}.tool_call_id", "Send the call's id.")
        return "user", [wording.result(_wire_id(message.tool_call_id, wording), message, where)]
    raise unsupported(f"{wording.upstream} has no role {message.role!r}", f"{where}.role")


def _thoughts(message: Message, where: str, wording: Wording) -> list[Any]:
    provider, field = wording.thoughts
    own = (message.extra_content or {}).get(provider)
    found = own.get(field, []) if isinstance(own, dict) else []
    if not isinstance(found, list):
        raise unsupported(
            "It is no array", f"{where}.extra_content.{provider}.{field}", "Send the message back as it came."
        )
    return [wording.thought(one) for one in found]


def _calls(message: Message, where: str, wording: Wording) -> Iterator[Object]:
    for number, call in enumerate(message.tool_calls or ()):
        arguments = arguments_of(call, f"{where}.tool_calls[{number}]")
        yield wording.call(_wire_id(call.id, wording), call.function.name, arguments)


def _wire_id(call_id: str, wording: Wording) -> str:
    """An id of another provider's may hold signs that are refused: then its hash stands for it, always the same."""
    if wording.call_id.fullmatch(call_id):
        return call_id
    return hashlib.sha256(call_id.encode(errors="replace")).hexdigest()
