"""Requests of messages in the words of chat.completions.

A tool's result is text in chat: pictures and documents in it follow as the user's next message, and a result that is an
error begins with `Error: `. `output_config.effort` becomes reasoning_effort (max: xhigh), a thinking budget of up to
2,048 tokens low, of up to 16,384 medium, else high; `disabled` and `adaptive` ask for nothing. A schema binds there, so
that it is asked for as `strict` here.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from tidegate.gateway.call import Call
from tidegate.gateway.dialects.messages.fields import (
    Asked,
    Base64Source,
    Block,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    TextSource,
    ToolResult,
    ToolUse,
    Turn,
)
from tidegate.gateway.dialects.reading import asked_fields, decoded, is_openai, output_field, raws
from tidegate.gateway.providers.chatwords import unsupported

__all__ = ["chat_fields"]

LEFT_OUT = frozenset({"model", "cache_control", "diagnostics"})
MARKED = ("anthropic", "bedrock")
"""Providers that take `cache_control` in chat."""
EFFORTS: Final = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "xhigh"}
BUDGETS = ((2048, "low"), (16384, "medium"))
TIERS: Final = {"auto": None, "standard_only": "default"}
CLEARED = "clear_thinking_"
"""The edit of a conversation that asks for nothing here: thinking blocks are left out of it."""
_OWN = frozenset(field.name for field in msgspec.structs.fields(Asked))
_ASKED = msgspec.json.Decoder(Asked)
Object = dict[str, Any]


def chat_fields(call: Call) -> dict[str, msgspec.Raw]:
    """The call's payload as fields of chat.completions; raises Invalid."""
    fields = asked_fields(call.payload, _OWN, LEFT_OUT, "Anthropic's messages")
    asked: Asked = decoded(_ASKED, fields)
    if asked.top_k is not None and is_openai(call):
        raise unsupported("OpenAI's models have no top_k", "top_k")
    if asked.service_tier is not None and asked.service_tier not in TIERS:
        raise unsupported(f"There is no tier {asked.service_tier!r}", "service_tier")
    if asked.speed not in (None, "standard"):
        raise unsupported(f"There is no speed {asked.speed!r} here", "speed")
    for edit in asked.context_management.edits if asked.context_management is not None else ():
        if not edit.type.startswith(CLEARED):
            raise unsupported(f"Nothing shortens a conversation here as {edit.type} does", "context_management.edits")
    marked = call.deployment is not None and call.deployment.provider in MARKED
    tools = [_tool(one, marked, f"tools[{number}]") for number, one in enumerate(asked.tools)]
    alone = asked.tool_choice is not None and asked.tool_choice.disable_parallel_tool_use
    words: Object = {
        "messages": _Turns(marked).of(asked),
        output_field(call): asked.max_tokens,
        "tools": tools or None,
        "tool_choice": _choice(asked),
        "parallel_tool_calls": False if alone and tools else None,
        "stop": asked.stop_sequences or None,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "top_k": asked.top_k,
        "user": asked.metadata.user_id if asked.metadata is not None else None,
        "reasoning_effort": _effort(asked),
        "response_format": _format(asked),
        "service_tier": TIERS[asked.service_tier] if asked.service_tier is not None else None,
        "stream": True if asked.stream else None,
    }
    return raws(words)


class _Turns:
    """Messages of chat, made from turns."""

    def __init__(self, marked: bool) -> None:
        self._marked = marked
        self._told: list[Object] = []

    def of(self, asked: Asked) -> list[Object]:
        """The messages, system first."""
        if asked.system:
            self._say("system", _listed(asked.system), "system")
        for number, turn in enumerate(asked.messages):
            where = f"messages[{number}]"
            if turn.role == "assistant":
                self._answer(turn, where)
            elif turn.role in ("user", "system"):
                self._ask(turn, where)
            else:
                raise unsupported(f"There is no role {turn.role!r}", f"{where}.role")
        return self._told

    def _ask(self, turn: Turn, where: str) -> None:
        """A user's turn: results of calls first, each a message of its own, then whatever else there is."""
        rest: list[Block] = []
        later: list[Block] = []
        for number, block in enumerate(_listed(turn.content)):
            if isinstance(block, ToolResult):
                later.extend(self._result(block))
            elif isinstance(block, TextBlock | ImageBlock | DocumentBlock):
                rest.append(block)
            else:
                raise unsupported("A user's message cannot hold it", f"{where}.content[{number}]")
        self._say(turn.role, [*later, *rest], where)

    def _result(self, block: ToolResult) -> list[Block]:
        """Tell the result's text; return its pictures and documents."""
        content = _listed(block.content or [])
        text = "".join(one.text for one in content if isinstance(one, TextBlock))
        if block.is_error:
            text = f"Error: {text}"
        self._told.append({"role": "tool", "tool_call_id": block.tool_use_id, "content": text})
        return [one for one in content if not isinstance(one, TextBlock)]

    def _answer(self, turn: Turn, where: str) -> None:
        message: Object = {"role": "assistant", "content": None}
        text: list[Block] = []
        calls = []
        for number, block in enumerate(_listed(turn.content)):
            if isinstance(block, TextBlock):
                text.append(block)
            elif isinstance(block, ToolUse):
                function = {"name": block.name, "arguments": bytes(block.input).decode()}
                calls.append({"id": block.id, "type": "function", "function": function})
            elif isinstance(block, ToolResult | ImageBlock | DocumentBlock):
                raise unsupported("An assistant's message cannot hold it", f"{where}.content[{number}]")
        if text:
            message["content"] = self._parts(text, where)
        if calls:
            message["tool_calls"] = calls
        if text or calls:
            self._told.append(message)

    def _say(self, role: str, blocks: list[Block], where: str) -> None:
        if blocks:
            self._told.append({"role": role, "content": self._parts(blocks, where)})

    def _parts(self, blocks: Iterable[Block], where: str) -> str | list[Object]:
        """One text alone is a string, which every server takes."""
        parts = [self._part(block, where) for block in blocks]
        if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
            return str(parts[0]["text"])
        return parts

    def _part(self, block: Block, where: str) -> Object:
        if isinstance(block, TextBlock):
            part: Object = {"type": "text", "text": block.text}
        elif isinstance(block, ImageBlock):
            part = {"type": "image_url", "image_url": {"url": _address(block)}}
        elif isinstance(block, DocumentBlock):
            part = _document(block)
        else:
            raise unsupported("It cannot stand here", where)
        if self._marked and block.cache_control is not None:
            part["cache_control"] = block.cache_control
        return part


def _listed(content: str | Iterable[Any]) -> list[Any]:
    if isinstance(content, str):
        return [TextBlock(content)] if content else []
    return list(content)


def _address(block: ImageBlock) -> str:
    source = block.source
    return f"data:{source.media_type};base64,{source.data}" if isinstance(source, Base64Source) else source.url


def _document(block: DocumentBlock) -> Object:
    source = block.source
    if isinstance(source, TextSource):
        return {"type": "text", "text": f"{block.title}\n\n{source.data}" if block.title else source.data}
    data = f"data:{source.media_type};base64,{source.data}"
    return {"type": "file", "file": {"file_data": data, "filename": block.title or "document.pdf"}}


def _tool(tool: Any, marked: bool, where: str) -> Object:
    if tool.type not in (None, "custom"):
        raise unsupported(f"Tools of the type {tool.type!r} run at Anthropic alone", f"{where}.type")
    function = {"name": tool.name, "description": tool.description, "parameters": tool.input_schema}
    function["strict"] = tool.strict
    told: Object = {"type": "function", "function": {n: value for n, value in function.items() if value is not None}}
    if marked and tool.cache_control is not None:
        told["cache_control"] = tool.cache_control
    return told


def _choice(asked: Asked) -> str | Object | None:
    choice = asked.tool_choice
    if choice is None or (choice.type == "auto" and not asked.tools):
        return None
    if choice.type in ("auto", "none"):
        return choice.type if asked.tools else None
    if choice.type == "any":
        return "required"
    if choice.type == "tool" and choice.name:
        return {"type": "function", "function": {"name": choice.name}}
    raise unsupported(f"There is no choice of tools {choice.type!r}", "tool_choice")


def _effort(asked: Asked) -> str | None:
    effort = asked.output_config.effort if asked.output_config is not None else None
    if effort is not None:
        if effort not in EFFORTS:
            raise unsupported(f"There is no effort {effort!r}", "output_config.effort")
        return EFFORTS[effort]
    if asked.thinking is None or asked.thinking.type in ("disabled", "adaptive"):
        return None
    if asked.thinking.type != "enabled":
        raise unsupported(f"Thinking cannot be {asked.thinking.type!r} here", "thinking.type")
    budget = asked.thinking.budget_tokens
    return next((word for most, word in BUDGETS if budget <= most), "high")


def _format(asked: Asked) -> Object | None:
    found = asked.output_config.format if asked.output_config is not None else None
    if found is None:
        return None
    if found.type != "json_schema":
        raise unsupported(f"There is no format {found.type!r}", "output_config.format")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": found.schema, "strict": True}}
