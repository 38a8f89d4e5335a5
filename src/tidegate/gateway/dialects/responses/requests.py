"""Requests of responses in the words of chat.completions.

Nothing is kept here: what would need a store of responses (`store: true`, `previous_response_id`, `conversation`,
`background`) is refused, as are OpenAI's built-in tools. Pictures and files in a function's output follow as the user's
next message, for a tool's message holds text. `developer` is said as `system` to all but OpenAI's own models.
"""

from typing import Any, Final, TypeGuard

import msgspec

from tidegate.gateway.call import Call
from tidegate.gateway.dialects.reading import UNREADABLE, asked_fields, decoded, is_openai, output_field, raws
from tidegate.gateway.dialects.responses.fields import (
    Asked,
    FilePart,
    FunctionCall,
    FunctionOutput,
    ImagePart,
    InputText,
    MessageItem,
    OutputText,
    Part,
    PlainText,
    ReasoningItem,
    RefusalPart,
    Tool,
)
from tidegate.gateway.providers.chatwords import unsupported
from tidegate.kernel.errors import Invalid

__all__ = ["chat_fields"]

LEFT_OUT = frozenset(
    {
        "max_tool_calls",
        "metadata",
        "model",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "stream_options",
    }
)
INCLUDED = ("reasoning.encrypted_content",)
"""What may be asked to be included: where there is none of it, none is told."""
KEPT = ("background", "conversation", "previous_response_id", "store")
"""Fields that need a store of responses."""
_OWN = frozenset(field.name for field in msgspec.structs.fields(Asked))
_ASKED = msgspec.json.Decoder(Asked)
_TYPED = msgspec.json.Decoder(dict[str, Any])
_ITEMS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "message": msgspec.json.Decoder(MessageItem),
    "function_call": msgspec.json.Decoder(FunctionCall),
    "function_call_output": msgspec.json.Decoder(FunctionOutput),
    "reasoning": msgspec.json.Decoder(ReasoningItem),
}
Object = dict[str, Any]


def chat_fields(call: Call) -> dict[str, msgspec.Raw]:
    """The call's payload as fields of chat.completions; raises Invalid."""
    for name in KEPT:
        raw = call.payload.get(name)
        if raw is not None and bytes(raw) not in (b"null", b"false"):
            raise unsupported(
                f"This model's upstream keeps no responses, so that {name} cannot be asked of it",
                name,
                "Send the whole conversation as input, and store: false or nothing.",
            )
    asked: Asked = decoded(_ASKED, asked_fields(call.payload, _OWN, LEFT_OUT, "OpenAI's responses"))
    _refuse(asked)
    theirs = is_openai(call)
    tools = [_tool(tool, f"tools[{number}]") for number, tool in enumerate(asked.tools)]
    words: Object = {
        "messages": _Messages(theirs).of(asked),
        output_field(call): asked.max_output_tokens,
        "tools": tools or None,
        "tool_choice": _choice(asked) if tools else None,
        "parallel_tool_calls": asked.parallel_tool_calls if tools else None,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "user": asked.user,
        "service_tier": asked.service_tier,
        "reasoning_effort": asked.reasoning.effort if asked.reasoning is not None else None,
        "response_format": _format(asked),
        "verbosity": _verbosity(asked, theirs),
        "stream": True if asked.stream else None,
    }
    return raws(words)


def _refuse(asked: Asked) -> None:
    if asked.truncation != "disabled":
        raise unsupported("Nothing is left out of a conversation here", "truncation", "Send disabled or nothing.")
    if asked.top_logprobs:
        raise unsupported("No probabilities are told here", "top_logprobs", "Ask /v1/chat/completions for them.")
    for word in asked.include:
        if word not in INCLUDED:
            raise unsupported(f"{word} cannot be included", "include")


class _Messages:
    """Messages of chat, made from items."""

    def __init__(self, theirs: bool) -> None:
        self._developer = "developer" if theirs else "system"
        self._told: list[Object] = []
        self._later: list[Object] = []

    def of(self, asked: Asked) -> list[Object]:
        """The messages, instructions first."""
        if asked.instructions:
            self._told.append({"role": self._developer, "content": asked.instructions})
        if isinstance(asked.input, str):
            self._told.append({"role": "user", "content": asked.input})
            return self._told
        for number, raw in enumerate(asked.input):
            self._item(raw, f"input[{number}]")
        self._bring()
        return self._told

    def _item(self, raw: msgspec.Raw, where: str) -> None:
        item = _item(raw, where)
        if isinstance(item, FunctionOutput):
            self._output(item, where)
            return
        if isinstance(item, ReasoningItem):
            return
        self._bring()
        if isinstance(item, FunctionCall):
            self._call(item)
        else:
            self._message(item, where)

    def _call(self, item: FunctionCall) -> None:
        """Calls belong to the answer before them, whose message they complete."""
        function = {"name": item.name, "arguments": item.arguments}
        last = self._told[-1] if self._told else {}
        if last.get("role") != "assistant":
            last = {"role": "assistant", "content": None}
            self._told.append(last)
        last.setdefault("tool_calls", []).append({"id": item.call_id, "type": "function", "function": function})

    def _output(self, item: FunctionOutput, where: str) -> None:
        if isinstance(item.output, str):
            text = item.output
        else:
            text = "".join(part.text for part in item.output if _is_text(part))
            self._later += [_part(part, where) for part in item.output if not _is_text(part)]
        self._told.append({"role": "tool", "tool_call_id": item.call_id, "content": text})

    def _bring(self) -> None:
        """The pictures of the outputs before, when all of those are told."""
        if self._later:
            self._told.append({"role": "user", "content": self._later})
            self._later = []

    def _message(self, item: MessageItem, where: str) -> None:
        if item.role not in ("user", "assistant", "system", "developer"):
            raise unsupported(f"There is no role {item.role!r}", f"{where}.role")
        role = self._developer if item.role == "developer" else item.role
        if isinstance(item.content, str):
            content: Any = item.content
        elif all(_is_text(part) for part in item.content):
            texts = [part.text for part in item.content if _is_text(part)]
            content = texts[0] if len(texts) == 1 else [{"type": "text", "text": text} for text in texts]
        else:
            content = [_part(part, f"{where}.content[{number}]") for number, part in enumerate(item.content)]
        if content:
            self._told.append({"role": role, "content": content})


def _item(raw: msgspec.Raw, where: str) -> Any:
    try:
        kind = _TYPED.decode(raw).get("type", "message")
        decoder = _ITEMS.get(kind) if isinstance(kind, str) else None
        if decoder is None:
            raise unsupported(f"An item of the type {str(kind)[:60]!r} cannot be said to this model's upstream", where)
        return decoder.decode(raw)
    except UNREADABLE as error:
        raise Invalid(
            f"An item of the input cannot be said to this model's upstream: {error}.",
            mend="Mend it, or leave it out.",
            code="unsupported_field",
            param=where,
        ) from error


def _is_text(part: Part) -> TypeGuard[InputText | OutputText | PlainText]:
    return not isinstance(part, ImagePart | FilePart | RefusalPart)


def _part(part: Part, where: str) -> Object:
    if isinstance(part, RefusalPart):
        return {"type": "refusal", "refusal": part.refusal}
    if isinstance(part, ImagePart):
        if not part.image_url:
            raise unsupported("A picture by its file's id cannot be shown to this model", where, "Send its address.")
        detail = {"detail": part.detail} if part.detail else {}
        return {"type": "image_url", "image_url": {"url": part.image_url, **detail}}
    if isinstance(part, FilePart):
        if not part.file_data:
            raise unsupported("A file elsewhere cannot be shown to this model", where, "Send it as file_data.")
        named = {"filename": part.filename} if part.filename else {}
        return {"type": "file", "file": {"file_data": part.file_data, **named}}
    return {"type": "text", "text": part.text}


def _tool(tool: Tool, where: str) -> Object:
    if tool.type != "function":
        raise unsupported(
            f"The tool {tool.type!r} is built into OpenAI's responses alone", f"{where}.type", "Send functions only."
        )
    if not tool.name:
        raise unsupported("A function has no name", f"{where}.name", "Name it.")
    words = {"name": tool.name, "description": tool.description, "parameters": tool.parameters, "strict": tool.strict}
    return {"type": "function", "function": {name: value for name, value in words.items() if value is not None}}


def _choice(asked: Asked) -> str | Object | None:
    choice = asked.tool_choice
    if choice is None or choice in ("auto", "none", "required"):
        return choice
    if isinstance(choice, dict) and choice.get("type") == "function" and isinstance(choice.get("name"), str):
        return {"type": "function", "function": {"name": choice["name"]}}
    raise unsupported("This model's upstream cannot be told this choice of tools", "tool_choice")


def _format(asked: Asked) -> Object | None:
    found = asked.text.format if asked.text is not None else None
    if found is None or found.type == "text":
        return None
    if found.type == "json_object":
        return {"type": "json_object"}
    if found.type != "json_schema" or found.schema is None:
        raise unsupported(f"There is no format {found.type!r}, or it has no schema", "text.format")
    words: Object = {"name": found.name or "answer", "schema": found.schema}
    words |= {"strict": found.strict, "description": found.description}
    return {"type": "json_schema", "json_schema": {name: value for name, value in words.items() if value is not None}}


def _verbosity(asked: Asked, theirs: bool) -> str | None:
    verbosity = asked.text.verbosity if asked.text is not None else None
    if verbosity is None or verbosity == "medium":
        return None
    if not theirs:
        raise unsupported("This model's upstream cannot be told how much to say", "text.verbosity")
    return verbosity
