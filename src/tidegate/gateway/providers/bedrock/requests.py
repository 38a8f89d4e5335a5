"""Requests in Converse's words.

Fields: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (read 2026-11). `top_k` goes
into additionalModelRequestFields, reasoning_effort into outputConfig.effort, a JSON schema into its textFormat.
`cache_control` becomes a cachePoint behind its part. Reasoning blocks come as `extra_content.bedrock.reasoning` of a
message, and are sent back from there, signed as they were. `detail` of an image is left out.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.chatfields import Chat, Message, Part, Tool
from tidegate.gateway.providers.chatturns import Wording, turns_of
from tidegate.gateway.providers.chatwords import (
    chosen_function,
    data_url,
    read_chat,
    schema_of,
    stops,
    text_of,
    unsupported,
)

__all__ = ["converse_body"]

NAME = "Bedrock's Converse API"
NO_WORD = ("frequency_penalty", "logprobs", "n", "presence_penalty", "seed", "top_logprobs")
PASSED: Final = (
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
)
"""Converse's own fields, which may be asked for beside those of chat.completions."""
IMAGES: Final = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
DOCUMENTS: Final = {
    "application/msword": "doc",
    "application/pdf": "pdf",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
}
AUDIO = ("aac", "flac", "m4a", "mp3", "ogg", "opus", "wav", "webm")
EFFORTS = ("low", "medium", "high", "xhigh", "max")
TIERS = ("flex", "priority", "reserved")
_UNNAMED = re.compile(r"[^A-Za-z0-9()\[\]-]+")
Object = dict[str, Any]


def converse_body(ask: Ask) -> bytes:
    """The body of converse and converse-stream; raises Invalid."""
    chat = read_chat(ask.payload, NAME, no=NO_WORD, more=PASSED)
    system, messages = turns_of(chat, _WORDING)
    body: Object = {**chat.more, "messages": messages}
    if system:
        body["system"] = system
    for name, value in (
        ("inferenceConfig", _settings(chat)),
        ("toolConfig", _tools(chat)),
        ("outputConfig", _output(chat)),
    ):
        if value:
            body[name] = value
    if chat.top_k is not None:
        body["additionalModelRequestFields"] = {"top_k": chat.top_k} | _given(chat, "additionalModelRequestFields")
    if chat.service_tier is not None:
        if chat.service_tier not in TIERS:
            raise unsupported(f"{NAME} has no tier {chat.service_tier!r}", "service_tier")
        body["serviceTier"] = {"type": chat.service_tier}
    return msgspec.json.encode(body)


def _given(chat: Chat, name: str) -> Object:
    found = chat.more.get(name, {})
    if not isinstance(found, dict):
        raise unsupported(f"{name} is no object", name, "Send an object.")
    return found


def _call(call_id: str, name: str, arguments: msgspec.Raw) -> Object:
    return {"toolUse": {"toolUseId": call_id, "name": name, "input": arguments}}


def _result(call_id: str, message: Message, where: str) -> Object:
    text = text_of(message, where)
    return {"toolResult": {"toolUseId": call_id, "content": [{"text": text}] if text else []}}


def _blocks(message: Message, where: str) -> Iterator[Object]:
    """The content's blocks. Empty texts are left out: Bedrock refuses them, and they say nothing."""
    if isinstance(message.content, str):
        if message.content:
            yield {"text": message.content}
        return
    for number, part in enumerate(message.content or ()):
        block = _block(part, f"{where}.content[{number}]")
        if block is not None:
            yield block
        if part.cache_control is not None:
            yield _cache_point(part.cache_control)


def _block(part: Part, where: str) -> Object | None:
    if part.type in ("text", "refusal"):
        text = part.text or part.refusal
        return {"text": text} if text else None
    if part.type == "image_url" and part.image_url is not None:
        return {"image": _image(part.image_url.url, where)}
    if part.type == "input_audio" and part.input_audio is not None:
        if part.input_audio.format not in AUDIO:
            raise unsupported(f"{NAME} does not hear {part.input_audio.format}", f"{where}.input_audio.format")
        return {"audio": {"format": part.input_audio.format, "source": {"bytes": part.input_audio.data}}}
    if part.type == "file" and part.file is not None:
        return {"document": _document(part, where)}
    raise unsupported(f"{NAME} has no part of the type {part.type!r}, or it is empty", where)


def _image(url: str, where: str) -> Object:
    inline = data_url(url)
    if inline is not None and inline[0] in IMAGES:
        return {"format": IMAGES[inline[0]], "source": {"bytes": inline[1]}}
    ending = url.rpartition(".")[2].lower().replace("jpg", "jpeg")
    if url.startswith("s3://") and ending in IMAGES.values():
        return {"format": ending, "source": {"s3Location": {"uri": url}}}
    raise unsupported(
        f"{NAME} takes no image by this address or of this kind",
        f"{where}.image_url.url",
        "Send a data URL of a PNG, JPEG, GIF or WebP, or an s3:// address with such an ending.",
    )


def _document(part: Part, where: str) -> Object:
    assert part.file is not None
    inline = data_url(part.file.file_data or "")
    if inline is None or inline[0] not in DOCUMENTS:
        raise unsupported(f"{NAME} takes no file by its id or of this kind", f"{where}.file", "Send its data URL.")
    name = _UNNAMED.sub(" ", part.file.filename or "").strip()[:200] or "document"
    return {"format": DOCUMENTS[inline[0]], "name": name, "source": {"bytes": inline[1]}}


def _cache_point(control: Object) -> Object:
    lasting = {"ttl": control["ttl"]} if "ttl" in control else {}
    return {"cachePoint": {"type": "default", **lasting}}


def _settings(chat: Chat) -> Object:
    """`inferenceConfig`."""
    words = {
        "maxTokens": chat.output_tokens,
        "temperature": chat.temperature,
        "topP": chat.top_p,
        "stopSequences": stops(chat) or None,
    }
    return {name: value for name, value in words.items() if value is not None}


def _tools(chat: Chat) -> Object:
    """`toolConfig`. Converse cannot be told `none`: then the tools are not told, which it takes as long as no message
    holds a call.
    """
    if chat.parallel_tool_calls is False:
        raise unsupported(f"{NAME} cannot be kept from calling several tools at once", "parallel_tool_calls")
    if chat.tool_choice == "none":
        if any(message.tool_calls or message.role == "tool" for message in chat.messages):
            raise unsupported(f"{NAME} cannot keep a model from its tools once one was called", "tool_choice")
        return {}
    config: Object = {"tools": [one for tool in chat.tools for one in _tool(tool)]} if chat.tools else {}
    if chat.tool_choice is not None:
        config["toolChoice"] = _choice(chat)
    return config


def _tool(tool: Tool) -> Iterator[Object]:
    assert tool.function is not None
    function = tool.function
    spec: Object = {
        "name": function.name,
        "inputSchema": {"json": function.parameters or {"type": "object", "properties": {}}},
    }
    if function.description:
        spec["description"] = function.description
    if function.strict is not None:
        spec["strict"] = function.strict
    yield {"toolSpec": spec}
    if tool.cache_control is not None:
        yield _cache_point(tool.cache_control)


def _choice(chat: Chat) -> Object:
    if chat.tool_choice == "auto":
        return {"auto": {}}
    if chat.tool_choice == "required":
        return {"any": {}}
    name = chosen_function(chat)
    if name is not None:
        return {"tool": {"name": name}}
    raise unsupported(f"{NAME} cannot be told this choice of tools", "tool_choice")


def _output(chat: Chat) -> Object:
    """`outputConfig`."""
    output: Object = {}
    if chat.reasoning_effort is not None:
        if chat.reasoning_effort not in EFFORTS:
            raise unsupported(f"{NAME} has no effort {chat.reasoning_effort!r}", "reasoning_effort")
        output["effort"] = chat.reasoning_effort
    found = schema_of(chat, NAME)
    if found is None:
        return output
    schema, rules = found
    words = {"schema": msgspec.json.encode(rules).decode(), "name": schema.name}
    if schema.description:
        words["description"] = schema.description
    output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": words}}
    return output


_WORDING = Wording(
    upstream=NAME,
    call_id=re.compile(r"[a-zA-Z0-9_.:-]{1,64}"),
    blocks=_blocks,
    thoughts=("bedrock", "reasoning"),
    thought=lambda block: {"reasoningContent": block},
    call=_call,
    result=_result,
)
