"""OpenAI's wire format as bytes: answers, events, and the steps by which a scripted upstream sends them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "DONE", "FIN", "HANG", "RST", "End", "Pause", "Step", "answer", "chat", "chat_events", "chunk", "error", "event",
    "events_of", "head", "pieces", "stream", "usage_of",
]  # fmt: skip

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Pause:
    """Say nothing for a while; ends early when the client hangs up."""

    seconds: float


@dataclass(frozen=True)
class End:
    """End the connection: `fin` closes it in order, `rst` breaks it."""

    how: str


Step = bytes | Pause | End
HANG, FIN, RST = Pause(30.0), End("fin"), End("rst")


def head(status: int = 200, headers: Sequence[tuple[str, str]] = (), content_type: str = "application/json") -> bytes:
    """A response's head, without its last blank line."""
    kind = [("Content-Type", content_type)] if content_type else []
    lines = [f"{name}: {value}\r\n" for name, value in (*kind, *headers)]
    return f"HTTP/1.1 {status} Scripted\r\n{''.join(lines)}".encode()


def answer(
    body: object,
    status: int = 200,
    *,
    content_type: str = "application/json",
    framing: str = "length",
    headers: Sequence[tuple[str, str]] = (),
) -> tuple[Step, ...]:
    """A whole answer. `framing`: `length`, `chunked`, or `close` (the end of the connection ends the body)."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    start = head(status, headers, content_type)
    if framing == "length":
        return (start + b"Content-Length: %d\r\n\r\n" % len(data) + data,)
    if framing == "chunked":
        return (start + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(data), data),)
    return (start + b"Connection: close\r\n\r\n" + data, FIN)


def error(status: int, message: str = "No.", **fields: object) -> tuple[Step, ...]:
    """An error in OpenAI's shape."""
    headers = [(name.replace("_", "-"), str(value)) for name, value in fields.items() if name.startswith("x_")]
    headers += [("Retry-After", str(fields["retry_after"]))] if "retry_after" in fields else []
    code = fields.get("code")
    return answer({"error": {"message": message, "type": "t", "param": None, "code": code}}, status, headers=headers)


def usage_of(prompt: int | None = 9, completion: int | None = 3, cached: int | None = None) -> dict[str, Any]:
    """`usage`, with those fields that are not None."""
    found: dict[str, Any] = {}
    if prompt is not None:
        found["prompt_tokens"] = prompt
    if completion is not None:
        found["completion_tokens"] = completion
    if cached is not None:
        found["prompt_tokens_details"] = {"cached_tokens": cached}
    if prompt is not None and completion is not None:
        found["total_tokens"] = prompt + completion
    return found


def chat(
    text: str = "Hello there.", *, n: int = 1, usage: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A whole chat answer; `usage={}` leaves usage out."""
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} for i in range(n)
    ]
    body: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "up-model"}
    told = usage_of() if usage is None else dict(usage)
    return {**body, "choices": choices, **({"usage": told} if told else {}), **more}


def chunk(choices: Sequence[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """One chunk of a streamed chat answer."""
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "up-model"}
    return {**base, "choices": list(choices), **more}


def event(data: object) -> bytes:
    """One server-sent event."""
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data, ensure_ascii=False).encode()) + b"\n\n"


def chat_events(
    words: Sequence[str] = ("Hello", " there", "."),
    *,
    n: int = 1,
    usage: Mapping[str, Any] | None = None,
    usage_with_choices: bool = False,
    done: bool = True,
) -> list[bytes]:
    """A streamed chat answer: a role, the words, the finish of each choice, then usage (if given), then [DONE]."""
    events = [event(chunk([{"index": i, "delta": {"role": "assistant", "content": ""}} for i in range(n)]))]
    for word in words:
        events += [event(chunk([{"index": i, "delta": {"content": word}, "finish_reason": None}])) for i in range(n)]
    for i in range(n):
        last = {"usage": dict(usage)} if usage and usage_with_choices and i == n - 1 else {}
        events.append(event(chunk([{"index": i, "delta": {}, "finish_reason": "stop"}], **last)))
    if usage and not usage_with_choices:
        events.append(event(chunk([], usage=dict(usage))))
    return [*events, DONE] if done else events


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """The data in pieces of `size` bytes."""
    return (data[at : at + size] for at in range(0, len(data), size))


def stream(
    events: Sequence[bytes],
    *,
    framing: str = "chunked",
    newline: bytes = b"\n",
    split: int | None = None,
    pace_s: float = 0.0,
    end: End | Pause | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> tuple[Step, ...]:
    """A streamed answer. `split`: bytes that are written at once; `end`: how it breaks off before its proper end."""
    framed = framing == "chunked"
    fields = [*headers, ("Transfer-Encoding", "chunked") if framed else ("Connection", "close")]
    steps: list[Step] = [head(200, fields, "text/event-stream") + b"\r\n"]
    for data in (data.replace(b"\n", newline) for data in events):
        for piece in pieces(data, split) if split else (data,):
            steps.append(b"%x\r\n%b\r\n" % (len(piece), piece) if framed else piece)
            if split:
                steps.append(Pause(0.0))
        if pace_s:
            steps.append(Pause(pace_s))
    if end is not None:
        return (*steps, end)
    return (*steps, b"0\r\n\r\n") if framed else (*steps, FIN)


def events_of(body: bytes) -> list[str]:
    """The data of the events in a streamed body."""
    found = []
    for block in body.decode().split("\n\n"):
        if block.startswith("data:"):
            found.append(block[5:].strip())
    return found
