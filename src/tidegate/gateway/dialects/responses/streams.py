"""A stream of chat.completions as events of responses, each with its number.

Events: https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11).
"""

from typing import Any, Final

import msgspec

from tidegate.gateway.call import Call
from tidegate.gateway.dialects.reading import Choice, ToolCall
from tidegate.gateway.dialects.responses.answers import (
    Object,
    call_item,
    ended,
    message_item,
    named,
    reasoning_item,
    response_of,
)
from tidegate.gateway.providers.chatanswers import bad_answer

__all__ = ["ResponseWriter"]

KINDS: Final = {
    "output_text": "response.output_text",
    "refusal": "response.refusal",
    "reasoning_text": "response.reasoning_text",
}


class ResponseWriter:
    """Makes items of deltas. One item is open at a time, and one part in it."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._number = 0
        self._output: list[Object] = []
        self._finish: str | None = None
        self._item = ""
        self._named: Object = {}
        self._part = ""
        self._parts: list[Object] = []
        self._text: list[str] = []
        self._tools: set[int] = set()

    def begin(self) -> bytes:
        """See `Writer`."""
        begun = response_of(self._call, [])
        return self._event("response.created", response=begun) + self._event("response.in_progress", response=begun)

    def note(self, choice: Choice) -> bytes:
        """See `Writer`."""
        self._finish = choice.finish_reason or self._finish
        said = choice.delta
        if said is None:
            return b""
        told = []
        if said.thoughts:
            told.append(self._say("reasoning", "reasoning_text", said.thoughts))
        if said.content:
            told.append(self._say("message", "output_text", said.content))
        if said.refusal:
            told.append(self._say("message", "refusal", said.refusal))
        told += [self._call_on(tool) for tool in said.tool_calls or ()]
        return b"".join(told)

    def end(self, reasoning_tokens: int | None) -> bytes:
        """See `Writer`. A response that said nothing holds an empty message."""
        over = ended(self._finish)
        told = b""
        if not self._item and not self._output:
            told = self._open_part("message", "output_text")
        told += self._close(over["status"])
        response = response_of(self._call, self._output, over, reasoning_tokens)
        return told + self._event(f"response.{over['status']}", response=response)

    def _say(self, item: str, part: str, words: str) -> bytes:
        told = self._open_part(item, part)
        self._text.append(words)
        more: Object = {"logprobs": []} if part == "output_text" else {}
        return told + self._event(f"{KINDS[part]}.delta", **self._at(), delta=words, **more)

    def _call_on(self, tool: ToolCall) -> bytes:
        item, told = f"call {tool.index}", b""
        if tool.index not in self._tools:
            self._tools.add(tool.index)
            told = self._close()
            self._item, self._named = item, named(self._call, tool.index, tool)
            told += self._added()
        elif item != self._item:
            raise bad_answer("more of a call after the next one began")
        if not tool.arguments:
            return told
        self._text.append(tool.arguments)
        where = {"item_id": self._made()["id"], "output_index": len(self._output)}
        return told + self._event("response.function_call_arguments.delta", **where, delta=tool.arguments)

    def _open_part(self, item: str, part: str) -> bytes:
        """Open the item and the part in it, unless they are the ones that are open."""
        told = b""
        if item != self._item:
            told = self._close()
            self._item = item
            told += self._added()
        if part != self._part:
            told += self._close_part()
            self._part = part
            told += self._event("response.content_part.added", **self._at(), part=_part(part, ""))
        return told

    def _close_part(self) -> bytes:
        if not self._part:
            return b""
        part, words = self._part, "".join(self._text)
        field = "refusal" if part == "refusal" else "text"
        more: Object = {"logprobs": []} if part == "output_text" else {}
        told = self._event(f"{KINDS[part]}.done", **self._at(), **{field: words}, **more)
        told += self._event("response.content_part.done", **self._at(), part=_part(part, words))
        self._parts.append(_part(part, words))
        self._part, self._text = "", []
        return told

    def _close(self, status: str = "completed") -> bytes:
        """End the item that is open."""
        if not self._item:
            return b""
        told = self._close_part()
        item = self._made(status)
        if item["type"] == "function_call":
            where = {"item_id": item["id"], "output_index": len(self._output)}
            more = {"arguments": item["arguments"], "name": item["name"]}
            told += self._event("response.function_call_arguments.done", **where, **more)
        told += self._event("response.output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)
        self._item, self._parts, self._text = "", [], []
        return told

    def _added(self) -> bytes:
        return self._event("response.output_item.added", output_index=len(self._output), item=self._made("in_progress"))

    def _made(self, status: str = "completed") -> Object:
        """The open item as it is now."""
        number = len(self._output)
        if self._item == "message":
            return message_item(self._call, number, self._parts, status)
        if self._item == "reasoning":
            return reasoning_item(self._call, "".join(part["text"] for part in self._parts), number, status)
        return call_item(self._call, number, self._named, "".join(self._text), status)

    def _at(self) -> Object:
        return {
            "item_id": self._made()["id"],
            "output_index": len(self._output),
            "content_index": len(self._parts),
        }

    def _event(self, kind: str, **words: Any) -> bytes:
        data = msgspec.json.encode({"type": kind, "sequence_number": self._number, **words})
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def _part(part: str, words: str) -> Object:
    if part == "refusal":
        return {"type": "refusal", "refusal": words}
    if part == "reasoning_text":
        return {"type": "reasoning_text", "text": words}
    return {"type": "output_text", "text": words, "annotations": [], "logprobs": []}
