"""The words of chat.completions, read once for the providers that have words of their own.

Fields: https://platform.openai.com/docs/api-reference/chat/create (read 2026-11). Nothing that was asked is dropped
silently: a field that an upstream cannot be told is refused by name. `HARMLESS` alone is left out: words that name the
caller or hint at costs and never change what the answer says.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from tidegate.gateway.providers.chatfields import Chat, Embed, JsonSchema, Message, ToolCall
from tidegate.kernel.errors import Invalid

__all__ = [
    "HARMLESS",
    "arguments_of",
    "chosen_function",
    "data_url",
    "read_chat",
    "read_embed",
    "schema_of",
    "stops",
    "text_of",
    "unsupported",
]

HARMLESS = frozenset(
    {
        "metadata",
        "model",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "stream",
        "stream_options",
        "user",
    }
)
"""Fields of a request that are left out where an upstream has no such word."""

EMPTY = (b"null", b"[]", b"{}")
ZERO = (b"0", b"0.0")
DEFAULTS = MappingProxyType(
    {
        "frequency_penalty": ZERO,
        "logprobs": (b"false",),
        "modalities": (b'["text"]',),
        "n": (b"1",),
        "parallel_tool_calls": (b"true",),
        "presence_penalty": ZERO,
        "service_tier": (b'"auto"', b'"default"'),
        "top_logprobs": ZERO,
        "verbosity": (b'"medium"',),
    }
)
"""What a field says that asks for nothing."""
Object = dict[str, Any]
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[\w.+-]+)*;base64,([A-Za-z0-9+/]*={0,2})")
_AT = re.compile(r"\$\.([\w.\[\]]+)")


_CHAT = msgspec.json.Decoder(Chat)
_EMBED = msgspec.json.Decoder(Embed)
_OWN = frozenset(field.name for field in msgspec.structs.fields(Chat)) - {"more"}
_EMBED_OWN = frozenset(field.name for field in msgspec.structs.fields(Embed))


def unsupported(what: str, param: str, mend: str = "Leave it out, or ask for a model that takes it.") -> Invalid:
    """What an upstream cannot be asked, named."""
    return Invalid(f"{what}.", mend=mend, code="unsupported_field", param=param)


def read_chat(
    payload: Mapping[str, msgspec.Raw], upstream: str, no: Iterable[str] = (), more: Iterable[str] = ()
) -> Chat:
    """Read a request. `no` are fields that the upstream has no words for, `more` those that go into `Chat.more`; raises
    Invalid naming the field. A field that is null, or an empty list or object, was not asked.
    """
    own, extra = _asked(payload, upstream, _OWN - set(no), more)
    chat: Chat = _decoded(_CHAT, own)
    chat.more = {name: _plain(name, raw) for name, raw in extra.items()}
    for number, tool in enumerate(chat.tools):
        if tool.type != "function" or tool.function is None:
            raise unsupported(f"{upstream} knows tools of the type function only", f"tools[{number}]")
    return chat


def read_embed(payload: Mapping[str, msgspec.Raw], upstream: str) -> Embed:
    """Read a request of embeddings; raises Invalid naming the field."""
    own, _ = _asked(payload, upstream, _EMBED_OWN, ())
    embed: Embed = _decoded(_EMBED, own)
    if embed.encoding_format not in (None, "float", "base64"):
        raise unsupported(
            f"There is no encoding {embed.encoding_format!r}", "encoding_format", "Ask for float or base64."
        )
    return embed


def stops(chat: Chat) -> list[str]:
    """The words that end an answer."""
    return [chat.stop] if isinstance(chat.stop, str) else list(chat.stop or ())


def chosen_function(chat: Chat) -> str | None:
    """The function that `tool_choice` names; None for any other choice."""
    function = chat.tool_choice.get("function") if isinstance(chat.tool_choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None


def schema_of(chat: Chat, upstream: str) -> tuple[JsonSchema, Object] | None:
    """The format that is asked for and the schema in it, None where it is text; raises Invalid for JSON without one."""
    asked = chat.response_format
    if asked is None or asked.type == "text":
        return None
    if asked.type != "json_schema" or asked.json_schema is None or asked.json_schema.schema is None:
        raise unsupported(f"{upstream} makes JSON by a schema only", "response_format", "Send a json_schema.")
    return asked.json_schema, asked.json_schema.schema


def text_of(message: Message, where: str) -> str:
    """The text of a message that can hold nothing else; raises Invalid."""
    if not isinstance(message.content, list):
        return message.content or ""
    for number, part in enumerate(message.content):
        if part.text is None or part.type != "text":
            raise unsupported(f"A message of the role {message.role} holds text only", f"{where}.content[{number}]")
    return "".join(part.text or "" for part in message.content)


def arguments_of(call: ToolCall, where: str) -> msgspec.Raw:
    """A call's arguments as the JSON object that they are; raises Invalid."""
    words = call.function.arguments.strip() or "{}"
    try:
        if isinstance(msgspec.json.decode(words), dict):
            return msgspec.Raw(words.encode())
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        pass
    raise unsupported(
        "The arguments of a tool call are no JSON object",
        f"{where}.function.arguments",
        "Send the call back as the model made it.",
    )


def data_url(url: str) -> tuple[str, str] | None:
    """The media type and the Base64 of a data URL; None for any other address."""
    found = _DATA_URL.fullmatch(url)
    return (found[1] or "text/plain", found[2]) if found else None


def _asked(
    payload: Mapping[str, msgspec.Raw], upstream: str, own: frozenset[str], more: Iterable[str]
) -> tuple[dict[str, msgspec.Raw], dict[str, msgspec.Raw]]:
    mine: dict[str, msgspec.Raw] = {}
    extra: dict[str, msgspec.Raw] = {}
    for name, raw in payload.items():
        if bytes(raw) in DEFAULTS.get(name, ()) or (bytes(raw) in EMPTY and name not in ("messages", "input")):
            continue
        if name in own:
            mine[name] = raw
        elif name in more:
            extra[name] = raw
        elif name not in HARMLESS:
            raise unsupported(f"{upstream} has no word for the field {name!r}", name)
    return mine, extra


def _decoded(decoder: msgspec.json.Decoder[Any], fields: dict[str, msgspec.Raw]) -> Any:
    try:
        return decoder.decode(msgspec.json.encode(fields))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        found = _AT.search(str(error))
        raise Invalid(
            f"The request cannot be read: {error}.",
            mend="Mend the field.",
            code="invalid_field",
            param=found[1] if found else None,
        ) from error


def _plain(name: str, raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(
            f"The field {name!r} cannot be read: {error}.", mend="Mend it.", code="invalid_field", param=name
        ) from error
