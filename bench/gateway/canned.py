"""What is asked and what the upstream answers: the same bytes for every target."""

import json
from pathlib import Path

MODEL = "gpt-4o-mini"
MARK = "harbour wall"  # every true answer holds these words
EVENTS = 52  # of a stream: one with the role, 48 with words, the end, the usage, [DONE]
TEXT = (
    "A tide gate is a door in a harbour wall that opens and closes with the water. It lets ships through "
    "when the level is right, keeps the basin full while the sea falls away, and holds back a flood. The "
    "keeper reads the gauge and moves the gate before the water does."
)
USAGE = {"prompt_tokens": 74, "completion_tokens": 58, "total_tokens": 132}
_HEAD = {"id": "chatcmpl-canned0000000000000000001", "created": 1767225600, "model": f"{MODEL}-2024-07-18"}


def completion() -> bytes:
    """The answer of a call that is not streamed."""
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}
    return _compact({**answer, "system_fingerprint": "fp_canned"})


def events() -> bytes:
    """The server-sent events of a streamed call, one for each word."""
    words = (TEXT.split() * 2)[:48]
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": f"{word} "} for word in words]
    chunks = [_chunk(choices=[_choice(delta, None)]) for delta in deltas]
    chunks.append(_chunk(choices=[_choice({}, "stop")]))
    chunks.append(_chunk(choices=[], usage=USAGE))
    return b"".join(b"data: " + data + b"\n\n" for data in [*chunks, b"[DONE]"])


def _choice(delta: dict[str, str], finish: str | None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _chunk(**fields: object) -> bytes:
    return _compact({**_HEAD, "object": "chat.completion.chunk", "system_fingerprint": "fp_canned", **fields})


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def request(model: str, *, stream: bool = False, pace_ms: int = 0) -> bytes:
    """The body of one call; `pace_ms` makes the upstream wait that long between two events of a stream."""
    system = "You explain harbours to curious visitors. Answer in at most three sentences and never invent facts."
    question = "What does a tide gate do, and why would a harbour build one in front of its inner basin?"
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": question}],
        "temperature": 0.2,
        "max_tokens": 256,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if pace_ms:
        body["seed"] = pace_ms  # a field that every gateway passes on, as not all do with `user`
    return json.dumps(body).encode()


def write_answers(folder: Path) -> None:
    """Puts the two answers where the upstream reads them."""
    (folder / "completion.json").write_bytes(completion())
    (folder / "events.sse").write_bytes(events())
