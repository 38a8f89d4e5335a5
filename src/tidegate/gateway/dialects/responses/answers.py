"""Answers of chat.completions as responses.

Fields: https://platform.openai.com/docs/api-reference/responses/object (read 2026-11). What was asked stands in it
again, as OpenAI has it. Where an upstream does not say how many tokens were read from a cache or thought, the counts
that clients require are 0.
"""

import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tidegate.gateway.call import JSON_HEADER, Call, Reply
from tidegate.gateway.dialects.reading import Said, ToolCall, answer_of

__all__ = ["Object", "call_item", "ended", "message_item", "named", "reasoning_item", "response_of", "response_reply"]

INCOMPLETE: Final = {"content_filter": "content_filter", "length": "max_output_tokens"}
"""Why a response is incomplete, by finish_reason."""
DEFAULTS: Final[dict[str, object]] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "user": None,
}
"""What is said again of the request, and what stands there when it was not asked."""
Object = dict[str, Any]


def response_reply(call: Call, reply: Reply) -> Reply:
    """A whole answer as a response; raises ProviderFailed."""
    answer, choice = answer_of(reply.body)
    said = choice.message or Said()
    output: list[Object] = []
    if said.thoughts:
        output.append(reasoning_item(call, said.thoughts))
    parts = []
    if said.content or not (said.refusal or said.tool_calls):
        parts.append({"type": "output_text", "text": said.content or "", "annotations": [], "logprobs": []})
    if said.refusal:
        parts.append({"type": "refusal", "refusal": said.refusal})
    if parts:
        output.append(message_item(call, len(output), parts))
    for number, tool in enumerate(said.tool_calls or ()):
        output.append(call_item(call, len(output), named(call, number, tool), tool.arguments))
    output[-1]["status"] = ended(choice.finish_reason)["status"]  # the one that was cut short, if any
    body = response_of(call, output, ended(choice.finish_reason), answer.reasoning_tokens)
    headers = [(name, value) for name, value in reply.headers if name != JSON_HEADER[0]]
    return Reply(200, [JSON_HEADER, *headers], msgspec.json.encode(body))


def ended(finish_reason: str | None) -> Object:
    """The fields of a response that ended for this reason."""
    reason = INCOMPLETE.get(finish_reason or "")
    if reason is None:
        return {"status": "completed", "incomplete_details": None}
    return {"status": "incomplete", "incomplete_details": {"reason": reason}}


def response_of(
    call: Call, output: Sequence[Object], ended: Object | None = None, reasoning_tokens: int | None = None
) -> Object:
    """A response; without `ended` one that has only begun."""
    payload = call.payload
    words: Object = {
        "id": f"resp_{call.call_id}",
        "object": "response",
        "created_at": call.started_at_ms // 1000,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": call.upstream_model or call.model_requested or "",
        "output": output,
        "previous_response_id": None,
        "store": False,
        "truncation": "disabled",
        "usage": None,
        **{name: payload.get(name, default) for name, default in DEFAULTS.items()},
    }
    if ended is not None:
        words |= {**ended, "completed_at": int(time.time()), "usage": _usage(call, reasoning_tokens)}
    return words


def message_item(call: Call, number: int, parts: Sequence[Object], status: str = "completed") -> Object:
    """An item that is a message."""
    item_id = f"msg_{call.call_id}_{number}"
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": parts}


def reasoning_item(call: Call, words: str, number: int = 0, status: str = "completed") -> Object:
    """An item that holds thoughts."""
    content = [{"type": "reasoning_text", "text": words}] if words else []
    item_id = f"rs_{call.call_id}_{number}"
    return {"id": item_id, "type": "reasoning", "status": status, "summary": [], "content": content}


def named(call: Call, number: int, tool: ToolCall) -> Object:
    """A call's id and name; an upstream may give none of the first."""
    return {"call_id": tool.id or f"call_{call.call_id}_{number}", "name": tool.name}


def call_item(call: Call, number: int, named: Object, arguments: str, status: str = "completed") -> Object:
    """An item that is a call; `named` holds its call_id and name."""
    item_id = f"fc_{call.call_id}_{number}"
    return {"id": item_id, "type": "function_call", "status": status, **named, "arguments": arguments}


def _usage(call: Call, reasoning_tokens: int | None) -> Object | None:
    usage = call.usage
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached = {
        "cached_tokens": usage.cached_input_tokens or 0,
        "cache_write_tokens": usage.cache_write_tokens or 0,
    }
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": cached,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens or 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
