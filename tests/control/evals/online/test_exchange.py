"""What was said, read from kept content of every endpoint, streamed or not."""

import json
from typing import Any

import pytest

from tidegate.control.evals.online.exchange import Exchange, exchange_of
from tidegate.live.ports import Content

CHAT = {
    "model": "gpt",
    "temperature": 0.5,
    "stream": True,
    "messages": [
        {"role": "system", "content": "Facts: the parcel left on Monday."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": [{"type": "text", "text": "Where is my parcel?"}]},
    ],
}
WHOLE = {
    "choices": [{"index": 0, "message": {"content": "It left on Monday."}}, {"index": 1, "message": {"content": "No"}}]
}


def kept(request: object, answer: bytes | object, endpoint: str = "chat.completions") -> Content:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return Content(
        call_id="call_1", at_ms=1, expires_at_ms=2, route="r", endpoint=endpoint,
        request=json.dumps(request).encode(), answer=body,
    )  # fmt: skip


def events(*said: Any) -> bytes:
    lines = [f"event: x\ndata: {json.dumps(one)}\n\n" for one in said]
    return "".join([": hello\n\n", *lines, "data: [DONE]\n\n"]).encode()


def test_a_chat_is_its_messages_its_last_question_and_its_first_answer() -> None:
    found = exchange_of(kept(CHAT, WHOLE))
    assert found == Exchange(
        messages=tuple(CHAT["messages"]),  # type: ignore[arg-type]
        question="Where is my parcel?",
        given="Facts: the parcel left on Monday.\n\nHello\n\nWhere is my parcel?",
        answer="It left on Monday.",
        settings={"temperature": 0.5},
    )


@pytest.mark.parametrize(
    ("endpoint", "request_", "answer"),
    [
        ("chat.completions", CHAT, events(*({"choices": [{"delta": {"content": one}}]} for one in ("It ", "left")))),
        ("completions", {"prompt": "Where?"}, {"choices": [{"index": 0, "text": "It left"}]}),
        ("completions", {"prompt": "Where?"}, events({"choices": [{"text": "It "}]}, {"choices": [{"text": "left"}]})),
        ("messages", {"messages": CHAT["messages"]}, {"content": [{"type": "text", "text": "It left"}]}),
        (
            "messages",
            {"system": "Facts.", "messages": [{"role": "user", "content": "Where?"}]},
            events({"type": "message_start", "message": {}}, {"delta": {"text": "It "}}, {"delta": {"text": "left"}}),
        ),
        ("responses", {"input": "Where?"}, {"output": [{"content": [{"type": "output_text", "text": "It left"}]}]}),
        (
            "responses",
            {"instructions": "Be short.", "input": [{"role": "user", "content": "Where?"}]},
            events(
                {"type": "response.output_text.delta", "delta": "It "},
                {"type": "response.output_text.delta", "delta": "left"},
                {"type": "response.completed", "response": {"output": [{"content": [{"text": "It left"}]}]}},
            ),
        ),
    ],
)  # fmt: skip
def test_every_endpoint_speaks(endpoint: str, request_: object, answer: object) -> None:
    found = exchange_of(kept(request_, answer, endpoint))
    assert found is not None
    assert found.answer == "It left"
    assert found.question in ("Where?", "Where is my parcel?")


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (CHAT, b"\xff\x00"),
        (CHAT, {"choices": []}),
        ({"messages": []}, WHOLE),
        ({"input": [1]}, WHOLE),
        (CHAT, b"data: {"),
    ],
)
def test_what_holds_no_words_is_nothing(request_: object, answer: object) -> None:
    assert exchange_of(kept(request_, answer)) is None
