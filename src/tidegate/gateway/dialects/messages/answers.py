"""Answers of chat.completions in the words of messages: whole, and event by event.

Events: https://docs.anthropic.com/en/docs/build-with-claude/streaming (read 2026-11). What was used is known at the end
only: message_start says 0, message_delta the truth. Where an upstream does not say it, the counts that clients require
are 0. Thoughts are told to those who asked for `thinking`.
"""

from typing import Any, Final

import msgspec

from tidegate.gateway.call import JSON_HEADER, Call, Reply
from tidegate.gateway.dialects.reading import Choice, Said, ToolCall, answer_of, object_of
from tidegate.gateway.providers.chatanswers import bad_answer

__all__ = ["MessageWriter", "message_reply", "usage_words"]

ENDS: Final = {
    "content_filter": "refusal",
    "function_call": "tool_use",
    "length": "max_tokens",
    "tool_calls": "tool_use",
}
"""Stop reasons by finish_reason; any other one is `end_turn`."""
_THINKING = msgspec.json.Decoder(dict[str, Any] | None)
Object = dict[str, Any]


def message_reply(call: Call, reply: Reply) -> Reply:
    """A whole answer as a message; raises ProviderFailed."""
    answer, choice = answer_of(reply.body)
    said = choice.message or Said()
    content: list[Object] = []
    if said.thoughts and thinks(call):
        content.append({"type": "thinking", "thinking": said.thoughts, "signature": ""})
    content += [{"type": "text", "text": words} for words in (said.content, said.refusal) if words]
    for number, tool in enumerate(said.tool_calls or ()):
        call_id = tool.id or _call_id(call, number)
        content.append({"type": "tool_use", "id": call_id, "name": tool.name, "input": object_of(tool.arguments)})
    message = {
        **_begun(call),
        "content": content,
        **_ended(choice, called=bool(said.tool_calls), refused=bool(said.refusal)),
        "usage": usage_words(call, answer.reasoning_tokens),
    }
    headers = [(name, value) for name, value in reply.headers if name != JSON_HEADER[0]]
    return Reply(200, [JSON_HEADER, *headers], msgspec.json.encode(message))


def usage_words(call: Call, reasoning_tokens: int | None = None) -> Object:
    """`usage`: what was read from and written to a cache stands beside the rest of the input."""
    usage = call.usage
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    read, written = usage.cached_input_tokens, usage.cache_write_tokens
    told: Object = {
        "input_tokens": max(0, (usage.input_tokens or 0) - (read or 0) - (written or 0)),
        "output_tokens": usage.output_tokens or 0,
    }
    if read is not None:
        told["cache_read_input_tokens"] = read
    if written is not None:
        told["cache_creation_input_tokens"] = written
    if reasoning_tokens is not None:
        told["output_tokens_details"] = {"thinking_tokens": reasoning_tokens}
    return told


def thinks(call: Call) -> bool:
    """Whether the client asked for thoughts, and to be shown them."""
    raw = call.payload.get("thinking")
    found = _THINKING.decode(raw) if raw is not None else None
    return found is not None and found.get("type") in ("enabled", "adaptive") and found.get("display") != "omitted"


def _call_id(call: Call, number: int) -> str:
    """An id for a call to which the upstream gave none."""
    return f"toolu_{call.call_id}_{number}"


def _begun(call: Call) -> Object:
    return {
        "id": f"msg_{call.call_id}",
        "type": "message",
        "role": "assistant",
        "model": call.upstream_model or call.model_requested or "",
    }


def _ended(choice: Choice, *, called: bool, refused: bool) -> Object:
    """A call that was asked for by name ends with `stop` in chat, and so does a refusal; here each has its own word."""
    reason = ENDS.get(choice.finish_reason or "", "end_turn")
    if reason == "end_turn" and (called or refused):
        reason = "tool_use" if called else "refusal"
    if reason == "end_turn" and isinstance(choice.stop_reason, str) and choice.stop_reason:
        return {"stop_reason": "stop_sequence", "stop_sequence": choice.stop_reason}
    return {"stop_reason": reason, "stop_sequence": None}


def _event(kind: str, **words: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **words}))


class MessageWriter:
    """Makes blocks of deltas. One block is open at a time."""

    def __init__(self, call: Call) -> None:
        self._last = Choice()
        self._call = call
        self._thinks = thinks(call)
        self._count = 0
        self._open = ""
        self._tools: set[int] = set()
        self._refused = False

    def begin(self) -> bytes:
        """See `Writer`. What the input was is not known yet."""
        message = {**_begun(self._call), "content": [], "stop_reason": None, "stop_sequence": None}
        return _event("message_start", message={**message, "usage": {"input_tokens": 0, "output_tokens": 0}})

    def end(self, reasoning_tokens: int | None) -> bytes:
        """See `Writer`."""
        ended = _ended(self._last, called=bool(self._tools), refused=self._refused)
        usage = usage_words(self._call, reasoning_tokens)
        return self._close() + _event("message_delta", delta=ended, usage=usage) + _event("message_stop")

    def note(self, choice: Choice) -> bytes:
        """See `Writer`."""
        if choice.finish_reason is not None:
            self._last = choice
        said = choice.delta
        if said is None:
            return b""
        told = []
        if said.thoughts and self._thinks:
            told.append(self._in("thinking", {"type": "thinking", "thinking": "", "signature": ""}))
            told.append(self._delta(type="thinking_delta", thinking=said.thoughts))
        self._refused = self._refused or bool(said.refusal)
        for words in (said.content, said.refusal):
            if words:
                told.append(self._in("text", {"type": "text", "text": ""}))
                told.append(self._delta(type="text_delta", text=words))
        told += [self._tool(tool) for tool in said.tool_calls or ()]
        return b"".join(told)

    def _close(self) -> bytes:
        """End the block that is open."""
        if not self._open:
            return b""
        self._open = ""
        return _event("content_block_stop", index=self._count - 1)

    def _tool(self, tool: ToolCall) -> bytes:
        name = f"tool {tool.index}"
        told = b""
        if tool.index not in self._tools:
            self._tools.add(tool.index)
            call_id = tool.id or _call_id(self._call, tool.index)
            told = self._in(name, {"type": "tool_use", "id": call_id, "name": tool.name, "input": {}})
        elif name != self._open:
            raise bad_answer("more of a call after the next one began")
        return told + (self._delta(type="input_json_delta", partial_json=tool.arguments) if tool.arguments else b"")

    def _in(self, name: str, block: Object) -> bytes:
        """Open a block, unless it is the one that is open."""
        if name == self._open:
            return b""
        closed = self._close()
        self._open = name
        self._count += 1
        return closed + _event("content_block_start", index=self._count - 1, content_block=block)

    def _delta(self, **words: Any) -> bytes:
        return _event("content_block_delta", index=self._count - 1, delta=words)
