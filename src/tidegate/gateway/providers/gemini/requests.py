"""Requests in Gemini's words: contents and parts, made of messages.

Fields: https://ai.google.dev/api/generate-content, .../api/caching (Content, Part, Tool), .../api/embeddings, and
https://ai.google.dev/gemini-api/docs/openai for how Google itself maps reasoning_effort, extra_body and thought
signatures (read 2026-11). A thought signature comes as `extra_content.google.thought_signature` of a tool call, or of
the message, and is sent back from there. `strict` of a tool, `detail` of an image and `cache_control` are left out.
"""

import mimetypes
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from tidegate.gateway.providers.base import Ask
from tidegate.gateway.providers.chatfields import Chat, Message, Part
from tidegate.gateway.providers.chatwords import (
    arguments_of,
    data_url,
    read_chat,
    read_embed,
    stops,
    text_of,
    unsupported,
)

__all__ = ["EMBED_NAME", "embed_body", "generate_body", "predict_body"]

NAME = "Gemini"
EMBED_NAME = "models/"
MORE = ("extra_body", "safety_settings", "safetySettings", "cached_content", "cachedContent", "labels")
SAID_TWICE: Final = {"safety_settings": "safetySettings", "cached_content": "cachedContent"}
GOOGLE: Final = {"thinking_config": "thinkingConfig", "cached_content": "cachedContent"}
BUDGETS: Final = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
LEVELS: Final = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH"}
MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
NO_SIGNATURE = "skip_thought_signature_validator"
"""What Google says to send with a call that another model made: https://ai.google.dev/gemini-api/docs/thought-signatures"""
_GENERATION = re.compile(r"gemini-(\d+)")
_CAMEL = re.compile(r"_([a-z])")
Object = dict[str, Any]


def generate_body(ask: Ask) -> bytes:
    """The body of generateContent and streamGenerateContent; raises Invalid."""
    chat = read_chat(ask.payload, NAME, no=("service_tier",), more=MORE)
    system, contents = _contents(chat, _generation(ask.model))
    body: Object = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": [{"text": text} for text in system]}
    if chat.tools:
        body["tools"] = [{"functionDeclarations": [_declaration(tool.function) for tool in chat.tools]}]
    mode = _tool_mode(chat)
    if mode:
        body["toolConfig"] = {"functionCallingConfig": mode}
    settings = _settings(chat, ask.model)
    _add_more(chat.more, body, settings)
    if settings:
        body["generationConfig"] = settings
    return msgspec.json.encode(body)


def embed_body(ask: Ask) -> bytes:
    """The body of batchEmbedContents; raises Invalid."""
    embed = read_embed(ask.payload, NAME)
    texts = [embed.input] if isinstance(embed.input, str) else embed.input
    size = {} if embed.dimensions is None else {"outputDimensionality": embed.dimensions}
    model = EMBED_NAME + ask.model.removeprefix(EMBED_NAME)
    return msgspec.json.encode(
        {"requests": [{"model": model, "content": {"parts": [{"text": text}]}, **size} for text in texts]}
    )


def predict_body(ask: Ask) -> bytes:
    """The body of Vertex's predict for a text embedding model; raises Invalid."""
    embed = read_embed(ask.payload, "Vertex AI")
    texts = [embed.input] if isinstance(embed.input, str) else embed.input
    size = {} if embed.dimensions is None else {"parameters": {"outputDimensionality": embed.dimensions}}
    return msgspec.json.encode({"instances": [{"content": text} for text in texts], **size})


def _contents(chat: Chat, generation: int) -> tuple[list[str], list[Object]]:
    """System texts, and the turns: neighbours of one role are one turn."""
    system: list[str] = []
    contents: list[Object] = []
    names: dict[str, str] = {}
    for number, message in enumerate(chat.messages):
        where = f"messages[{number}]"
        if message.role in ("system", "developer"):
            system.append(text_of(message, where))
            continue
        role, parts = _turn(message, where, names, generation)
        if not parts:
            continue
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"].extend(parts)
        else:
            contents.append({"role": role, "parts": parts})
    return [text for text in system if text], contents


def _turn(message: Message, where: str, names: dict[str, str], generation: int) -> tuple[str, list[Object]]:
    if message.role == "user":
        return "user", list(_parts(message, where))
    if message.role == "assistant":
        return "model", [*_said(message, where), *_calls(message, where, names, generation)]
    if message.role == "tool":
        name = names.get(message.tool_call_id or "")
        if name is None:
            raise unsupported(
                "It answers no tool call of a message before it", f"{where}.tool_call_id", "Send the calls too."
            )
        return "user", [{"functionResponse": {"name": name, "response": _response(text_of(message, where))}}]
    raise unsupported(f"{NAME} has no role {message.role!r}", f"{where}.role")


def _said(message: Message, where: str) -> Iterator[Object]:
    signature = _signature(message.extra_content)
    parts = list(_parts(message, where))
    if signature and not parts and not message.tool_calls:
        parts.append({"text": ""})
    if signature and parts:
        parts[-1]["thoughtSignature"] = signature
    return iter(parts)


def _calls(message: Message, where: str, names: dict[str, str], generation: int) -> Iterator[Object]:
    first = True
    for number, call in enumerate(message.tool_calls or ()):
        names[call.id] = call.function.name
        arguments = arguments_of(call, f"{where}.tool_calls[{number}]")
        part: Object = {"functionCall": {"name": call.function.name, "args": arguments}}
        signature = _signature(call.extra_content) or (NO_SIGNATURE if first and generation >= 3 else None)
        if signature:
            part["thoughtSignature"] = signature
        first = False
        yield part


def _signature(extra: Object | None) -> str | None:
    google = (extra or {}).get("google")
    found = google.get("thought_signature") if isinstance(google, dict) else None
    return found if isinstance(found, str) else None


def _parts(message: Message, where: str) -> Iterator[Object]:
    if isinstance(message.content, str):
        if message.content:
            yield {"text": message.content}
        return
    for number, part in enumerate(message.content or ()):
        yield _part(part, f"{where}.content[{number}]")


def _part(part: Part, where: str) -> Object:
    if part.type in ("text", "refusal"):
        return {"text": part.text or part.refusal or ""}
    if part.type == "image_url" and part.image_url is not None:
        return _media(part.image_url.url)
    if part.type == "input_audio" and part.input_audio is not None:
        return {"inlineData": {"mimeType": f"audio/{part.input_audio.format}", "data": part.input_audio.data}}
    if part.type == "file" and part.file is not None:
        if part.file.file_data is not None:
            return _media(part.file.file_data)
        if part.file.file_id is not None:
            return _media(part.file.file_id)
    raise unsupported(f"{NAME} has no part of the type {part.type!r}, or it is empty", where)


def _media(url: str) -> Object:
    """Data inline, anything else by its address (gs://, https://, an uploaded file)."""
    inline = data_url(url)
    if inline is not None:
        return {"inlineData": {"mimeType": inline[0], "data": inline[1]}}
    kind = mimetypes.guess_type(url.partition("?")[0])[0]
    return {"fileData": {**({"mimeType": kind} if kind else {}), "fileUri": url}}


def _response(text: str) -> object:
    """A function's result must be an object: any other is put into one, as Google's own clients do."""
    try:
        if isinstance(msgspec.json.decode(text), dict):
            return msgspec.Raw(text.encode())
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        pass
    return {"output": text}


def _declaration(function: Any) -> Object:
    words = {
        "name": function.name,
        "description": function.description,
        "parametersJsonSchema": function.parameters,
    }
    return {name: value for name, value in words.items() if value is not None}


def _tool_mode(chat: Chat) -> Object | None:
    """`functionCallingConfig`; None when nothing was said."""
    if chat.parallel_tool_calls is False:
        raise unsupported(f"{NAME} cannot be kept from calling several tools at once", "parallel_tool_calls")
    choice = chat.tool_choice
    if choice is None:
        return None
    if isinstance(choice, str) and choice in MODES:
        return {"mode": MODES[choice]}
    if isinstance(choice, dict):
        names = _chosen(choice)
        if names:
            return {"mode": "ANY", "allowedFunctionNames": names}
    raise unsupported(f"{NAME} cannot be told this choice of tools", "tool_choice")


def _chosen(choice: Object) -> list[str]:
    """The functions one of which must be called; empty for any other choice."""
    allowed = choice.get("allowed_tools")
    if choice.get("type") == "function":
        tools: list[Any] = [choice]
    elif choice.get("type") == "allowed_tools" and isinstance(allowed, dict) and allowed.get("mode") == "required":
        tools = allowed.get("tools") or []
    else:
        return []
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)]
    names = [one.get("name") for one in functions if isinstance(one, dict)]
    return [name for name in names if isinstance(name, str)]


def _settings(chat: Chat, model: str) -> Object:
    """`generationConfig`."""
    if chat.top_logprobs is not None and not chat.logprobs:
        raise unsupported("top_logprobs needs logprobs", "top_logprobs", "Set logprobs to true.")
    words: Object = {
        "temperature": chat.temperature,
        "topP": chat.top_p,
        "topK": chat.top_k,
        "candidateCount": chat.n if chat.n > 1 else None,
        "maxOutputTokens": chat.output_tokens,
        "stopSequences": stops(chat) or None,
        "presencePenalty": chat.presence_penalty,
        "frequencyPenalty": chat.frequency_penalty,
        "seed": chat.seed,
        "responseLogprobs": chat.logprobs or None,
        "logprobs": chat.top_logprobs,
        "thinkingConfig": _thinking(chat.reasoning_effort, model),
    }
    _add_format(chat, words)
    return {name: value for name, value in words.items() if value is not None}


def _add_format(chat: Chat, words: Object) -> None:
    asked = chat.response_format
    if asked is None or asked.type == "text":
        return
    if asked.type not in ("json_object", "json_schema"):
        raise unsupported(f"{NAME} has no format {asked.type!r}", "response_format.type")
    words["responseMimeType"] = "application/json"
    if asked.json_schema is not None:
        words["responseJsonSchema"] = asked.json_schema.schema


def _thinking(effort: str | None, model: str) -> Object | None:
    if effort is None:
        return None
    if _generation(model) >= 3 and effort in LEVELS:
        return {"thinkingLevel": LEVELS[effort]}
    if _generation(model) < 3 and effort in BUDGETS:
        return {"thinkingBudget": BUDGETS[effort]}
    raise unsupported(f"{model} has no effort {effort!r}", "reasoning_effort")


def _generation(model: str) -> int:
    found = _GENERATION.search(model)
    return int(found[1]) if found else 0


def _add_more(more: Mapping[str, Any], body: Object, settings: Object) -> None:
    """Gemini's own words, at the top or (as Google's OpenAI-compatible API takes them) in `extra_body.google`."""
    for name, value in more.items():
        if name != "extra_body":
            body[SAID_TWICE.get(name, name)] = value
            continue
        google = value.get("google") if isinstance(value, dict) and len(value) == 1 else None
        if not isinstance(google, dict):
            raise unsupported("It can hold `google` only", "extra_body")
        for inner, one in google.items():
            if inner not in GOOGLE:
                raise unsupported(f"{NAME} has no word for it", f"extra_body.google.{inner}")
            if inner == "thinking_config":
                settings["thinkingConfig"] = _camel(one)
            else:
                body[GOOGLE[inner]] = one


def _camel(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {_CAMEL.sub(lambda found: found[1].upper(), str(name)): _camel(one) for name, one in value.items()}
