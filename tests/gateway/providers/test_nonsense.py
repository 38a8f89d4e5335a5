"""Whatever an upstream answers, the client gets an answer or a typed error: nothing else is ever raised."""

import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.anthropic_fake import message as anthropic_message
from tests.support.anthropic_fake import message_events, text, thinking, tool_use
from tests.support.bedrock_fake import event_frame, frame
from tests.support.bedrock_fake import message as converse_message
from tests.support.calls import a_call, an_ask, pieces_of
from tests.support.gemini_fake import candidate, generated
from tests.support.scene import CHAT
from tests.support.streams import followed
from tests.support.wire import DONE, event
from tidegate.gateway.call import Reply
from tidegate.gateway.providers.anthropic.answers import read_anthropic
from tidegate.gateway.providers.anthropic.streams import AsChatReader
from tidegate.gateway.providers.base import Ask, Reader
from tidegate.gateway.providers.bedrock.answers import read_converse
from tidegate.gateway.providers.bedrock.streams import ConverseReader
from tidegate.gateway.providers.gemini.answers import read_gemini
from tidegate.gateway.providers.gemini.streams import GeminiReader
from tidegate.kernel.errors import ProviderFailed

Read = Callable[[Ask, int, Mapping[bytes, bytes], bytes], Reply]
Reading = Callable[[Ask], Reader]

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)
TOLD = message_events(thinking("a"), text("b"), tool_use("f", {"c": 1}))
GOOD = (
    *(json.loads(one.partition(b"data: ")[2]) for one in TOLD),
    anthropic_message(thinking("a"), text("b"), tool_use("f", {"c": 1})),
    {"type": "error", "error": {"type": "overloaded_error", "message": "m"}, "request_id": "r"},
    generated(candidate({"text": "a", "thoughtSignature": "b"}, {"functionCall": {"name": "f", "args": {}}})),
    {"promptFeedback": {"blockReason": "SAFETY"}},
    {"error": {"code": 429, "message": "m", "status": "S", "details": [{"@type": "x/google.rpc.RetryInfo"}]}},
    {"embeddings": [{"values": [0.5]}]},
    {"predictions": [{"embeddings": {"values": [0.5], "statistics": {"token_count": 4}}}]},
    converse_message({"text": "a"}, {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}),
    converse_message({"reasoningContent": {"reasoningText": {"text": "a", "signature": "b"}}}),
    {"message": "m", "__type": "x#ThrottlingException"},
    {
        "contentBlockIndex": 1,
        "delta": {"toolUse": {"input": "{"}},
        "start": {"toolUse": {"toolUseId": "t", "name": "f"}},
    },
)
EVENTS = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata")


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    """A good body in which something else stands somewhere."""
    body = json.loads(json.dumps(draw(st.sampled_from(GOOD))))
    at: Any = body
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return body
        key = draw(st.sampled_from(keys))
        if not isinstance(at[key], dict | list) or draw(st.integers(0, 3)) == 0:
            at[key] = draw(VALUES)
            return body
        at = at[key]


@pytest.mark.parametrize("read", [read_anthropic, read_gemini, read_converse])
@pytest.mark.parametrize("endpoint", ["chat.completions", "embeddings"])
@given(body=spoiled().map(json.dumps).map(str.encode) | st.binary(max_size=40), status=st.sampled_from([200, 400, 429]))
@settings(max_examples=200)
def test_whole_answers(read: Read, endpoint: str, body: bytes, status: int) -> None:
    ask = an_ask(a_call())
    ask.endpoint = endpoint
    with contextlib.suppress(ProviderFailed):
        reply = read(ask, status, {}, body)
        assert reply.status == status
        assert ("error" in json.loads(reply.body)) == (status != 200)


async def end_of(reader: Reading, parts: list[bytes]) -> None:
    call = a_call({**CHAT, "stream": True})
    blocks = []
    with contextlib.suppress(ProviderFailed):
        async for block in followed(reader(an_ask(call)), pieces_of(parts)):
            assert block.endswith(b"\n\n")
            blocks.append(block)
    assert call.whole == (bool(blocks) and blocks[-1].endswith(DONE))


@pytest.mark.parametrize("reader", [GeminiReader, AsChatReader])
@given(bodies=st.lists(spoiled() | st.sampled_from(GOOD), max_size=4))
@settings(max_examples=200)
async def test_streams_of_events(reader: Reading, bodies: list[Any]) -> None:
    await end_of(reader, [event(body) for body in bodies])


@given(made=st.lists(st.tuples(st.sampled_from(EVENTS), spoiled() | st.sampled_from(GOOD)), max_size=5))
@settings(max_examples=200)
async def test_converses_streams(made: list[tuple[str, Any]]) -> None:
    await end_of(ConverseReader, [event_frame(kind, body) for kind, body in made])


@given(headers=st.dictionaries(st.sampled_from([":message-type", ":event-type", "x"]), st.text(max_size=9)))
async def test_converses_frames(headers: dict[str, str]) -> None:
    await end_of(ConverseReader, [frame(headers, b"{}")])
