"""Requests of chat.completions in Anthropic's words.

Fields: https://docs.anthropic.com/en/api/messages (read 2026-11). `user` becomes metadata.user_id, reasoning_effort
output_config.effort (`none`: thinking disabled), a JSON schema output_config.format; its name and `strict` are left
out, for the format always binds. Thinking blocks come as `extra_content.anthropic.thinking` of a message, and are sent
back from there, signed as they were. Temperatures end at 1 here; a higher one is refused, for no other one means the
same.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.chatfields import Chat, Message, Part
from tidegate.gateway.providers.chatturns import Wording, turns_of
from tidegate.gateway.providers.chatwords import chosen_function, data_url, read_chat, schema_of, stops, unsupported

__all__ = ["DEFAULT_OUTPUT_TOKENS", "messages_body"]

NAME = "Anthropic's Messages API"
DEFAULT_OUTPUT_TOKENS = 4096
"""max_tokens is required there: this, where neither the request nor the deployment says one."""
NO_WORD = ("frequency_penalty", "logprobs", "n", "presence_penalty", "seed", "top_logprobs")
PASSED: Final = (
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "output_config",
    "speed",
    "thinking",
)
"""Anthropic's own fields, which may be asked for beside those of chat.completions."""
IMAGES = ("image/gif", "image/jpeg", "image/png", "image/webp")
EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
TIERS = ("standard_only",)
Object = dict[str, Any]


def messages_body(ask: Ask) -> bytes:
    """The body of a request of messages; raises Invalid."""
    chat = read_chat(ask.payload, NAME, no=NO_WORD, more=(*PASSED, "user"))
    user = chat.more.pop("user", None)
    system, messages = turns_of(chat, _WORDING)
    if not messages:
        raise unsupported(f"{NAME} needs a message of the user's", "messages", "Add one.")
    words: Object = {
        "system": system or None,
        "max_tokens": chat.output_tokens or ask.deployment.max_output_tokens or DEFAULT_OUTPUT_TOKENS,
        "temperature": _temperature(chat),
        "top_p": chat.top_p,
        "top_k": chat.top_k,
        "stop_sequences": stops(chat) or None,
        "tools": _tools(chat) or None,
        "tool_choice": _choice(chat),
        "metadata": {"user_id": user} if user is not None else None,
        "service_tier": _tier(chat),
        "stream": True if ask.stream else None,
    }
    body: Object = {**chat.more, "model": ask.model, "messages": messages}
    body |= {name: value for name, value in words.items() if value is not None}
    _output(chat, body)
    return msgspec.json.encode(body)


def _call(call_id: str, name: str, arguments: msgspec.Raw) -> Object:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def _result(call_id: str, message: Message, where: str) -> Object:
    result: Object = {"type": "tool_result", "tool_use_id": call_id}
    content = list(_blocks(message, where))
    return {**result, "content": content} if content else result


def _blocks(message: Message, where: str) -> Iterator[Object]:
    """The content's blocks. Empty texts are left out: Anthropic refuses them, and they say nothing."""
    if isinstance(message.content, str):
        if message.content:
            yield {"type": "text", "text": message.content}
        return
    for number, part in enumerate(message.content or ()):
        block = _block(part, f"{where}.content[{number}]")
        if block is not None:
            yield block if part.cache_control is None else {**block, "cache_control": part.cache_control}


def _block(part: Part, where: str) -> Object | None:
    if part.type in ("text", "refusal"):
        text = part.text or part.refusal
        return {"type": "text", "text": text} if text else None
    if part.type == "image_url" and part.image_url is not None:
        return {"type": "image", "source": _image(part.image_url.url, f"{where}.image_url.url")}
    if part.type == "file" and part.file is not None:
        return _document(part, f"{where}.file")
    raise unsupported(f"{NAME} has no part of the type {part.type!r}, or it is empty", where)


def _image(url: str, where: str) -> Object:
    inline = data_url(url)
    if inline is not None and inline[0] in IMAGES:
        return {"type": "base64", "media_type": inline[0], "data": inline[1]}
    if inline is None and url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    raise unsupported(
        f"{NAME} takes no image by this address or of this kind",
        where,
        "Send a data URL of a PNG, JPEG, GIF or WebP, or an https address.",
    )


def _document(part: Part, where: str) -> Object:
    assert part.file is not None
    inline = data_url(part.file.file_data or "")
    if inline is None or inline[0] != "application/pdf":
        raise unsupported(f"{NAME} takes no file by its id or of this kind", where, "Send the data URL of a PDF.")
    named = {"title": part.file.filename} if part.file.filename else {}
    return {"type": "document", "source": {"type": "base64", "media_type": inline[0], "data": inline[1]}, **named}


def _temperature(chat: Chat) -> float | None:
    if chat.temperature is not None and chat.temperature > 1:
        raise unsupported(f"{NAME} knows temperatures from 0 to 1", "temperature", "Ask for 1 at most.")
    return chat.temperature


def _tier(chat: Chat) -> str | None:
    if chat.service_tier is not None and chat.service_tier not in TIERS:
        raise unsupported(f"{NAME} has no tier {chat.service_tier!r}", "service_tier")
    return chat.service_tier


def _tools(chat: Chat) -> list[Object]:
    tools = []
    for tool in chat.tools:
        function = tool.function
        assert function is not None
        words: Object = {
            "name": function.name,
            "description": function.description,
            "input_schema": function.parameters or {"type": "object", "properties": {}},
            "strict": function.strict,
            "cache_control": tool.cache_control,
        }
        tools.append({name: value for name, value in words.items() if value is not None})
    return tools


def _choice(chat: Chat) -> Object | None:
    """`tool_choice`, which says too whether several tools may be called at once."""
    choice, alone = chat.tool_choice, chat.parallel_tool_calls is False and bool(chat.tools)
    single = {"disable_parallel_tool_use": True} if alone else {}
    if choice is None:
        return {"type": "auto", **single} if single else None
    if choice == "none":
        return {"type": "none"}
    if choice == "auto":
        return {"type": "auto", **single}
    if choice == "required":
        return {"type": "any", **single}
    name = chosen_function(chat)
    if name is not None:
        return {"type": "tool", "name": name, **single}
    raise unsupported(f"{NAME} cannot be told this choice of tools", "tool_choice")


def _output(chat: Chat, body: Object) -> None:
    """`output_config` and `thinking`; Anthropic's own words in the request are the stronger ones."""
    output: Object = {}
    if chat.reasoning_effort == "none":
        body.setdefault("thinking", {"type": "disabled"})
    elif chat.reasoning_effort is not None:
        if chat.reasoning_effort not in EFFORTS:
            raise unsupported(f"{NAME} has no effort {chat.reasoning_effort!r}", "reasoning_effort")
        output["effort"] = EFFORTS[chat.reasoning_effort]
    found = schema_of(chat, NAME)
    if found is not None:
        output["format"] = {"type": "json_schema", "schema": found[1]}
    given = body.get("output_config", {})
    if not isinstance(given, dict):
        raise unsupported("output_config is no object", "output_config", "Send an object.")
    if output or given:
        body["output_config"] = output | given


_WORDING = Wording(
    upstream=NAME,
    call_id=re.compile(r"[a-zA-Z0-9_-]{1,64}"),
    blocks=_blocks,
    thoughts=("anthropic", "thinking"),
    thought=lambda block: block,
    call=_call,
    result=_result,
)
