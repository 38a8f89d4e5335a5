"""What was said in a call, read from its kept content: the messages, the last question, and the answer. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from tidegate.live.ports import Content

__all__ = ["Exchange", "exchange_of"]


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One call in words. `messages` as they were sent, in OpenAI's roles; `question` is the last of the user; `given`
    is everything that the model was given to go by: all messages but its own. `settings` are the request's other
    fields.
    """

    messages: tuple[dict[str, Any], ...]
    question: str
    given: str
    answer: str
    settings: dict[str, Any] = {}


def exchange_of(content: Content) -> Exchange | None:
    """None for what holds no words that can be read: another endpoint, or bytes that are no answer."""
    try:
        request = msgspec.json.decode(content.request, type=dict[str, Any])
        said = _said(content.answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    messages = tuple(_messages(content.endpoint, request))
    answer = "".join(_answer(content.endpoint, said))
    if not messages or not answer:
        return None
    asked = [words_of(one.get("content")) for one in messages if one.get("role") == "user"]
    given = [words_of(one.get("content")) for one in messages if one.get("role") != "assistant"]
    left = ("messages", "prompt", "input", "model", "stream", "stream_options", "user", "system", "instructions")
    return Exchange(
        messages=messages,
        question=asked[-1] if asked else given[-1] if given else "",
        given="\n\n".join(filter(None, given)),
        answer=answer,
        settings={name: value for name, value in request.items() if name not in left},
    )


def words_of(content: object) -> str:
    """The words of a message's content: text, or the text of its parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return ""


def _said(answer: bytes) -> list[dict[str, Any]]:
    """The answer's JSON, or that of each of its events."""
    if answer.lstrip()[:1] == b"{":
        return [msgspec.json.decode(answer, type=dict[str, Any])]
    lines = (line[5:].strip() for line in answer.splitlines() if line.startswith(b"data:"))
    return [msgspec.json.decode(line, type=dict[str, Any]) for line in lines if line and line != b"[DONE]"]


def _messages(endpoint: str, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if endpoint == "completions":
        if isinstance(request.get("prompt"), str):
            yield {"role": "user", "content": request["prompt"]}
        return
    system = request.get("system" if endpoint == "messages" else "instructions")
    if system:
        yield {"role": "system", "content": words_of(system)}
    field = "input" if endpoint == "responses" else "messages"
    found = request.get(field)
    if isinstance(found, str):
        yield {"role": "user", "content": found}
    elif isinstance(found, list):
        yield from (one for one in found if isinstance(one, dict) and "role" in one)


def _answer(endpoint: str, said: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The pieces of the answer's first choice."""
    for one in said:
        if endpoint == "messages":
            yield words_of(one.get("content"))
            delta = one.get("delta")
            yield str(delta.get("text") or "") if isinstance(delta, Mapping) else ""
        elif endpoint == "responses":
            yield from _of_response(one)
        else:
            for choice in one.get("choices") or ():
                if not choice.get("index"):
                    spoken = choice.get("message") or choice.get("delta") or {}
                    yield choice.get("text") or words_of(spoken.get("content"))


def _of_response(one: Mapping[str, Any]) -> Iterator[str]:
    if one.get("type") == "response.output_text.delta":
        yield str(one.get("delta") or "")
    for item in one.get("output") or ():
        if isinstance(item, Mapping):
            yield words_of(item.get("content"))
