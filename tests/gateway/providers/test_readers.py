"""What breaks an answer off amid a chunk: nothing that came before it is lost, and what nobody has seen can be
asked elsewhere.
"""

import re
from collections.abc import Callable

import pytest

from tests.support.anthropic_fake import message_events, text
from tests.support.bedrock_fake import converse_events, frame
from tests.support.calls import a_call, an_ask, pieces_of
from tests.support.scene import CHAT
from tests.support.streams import followed
from tests.support.wire import chat_events, event
from tidegate.gateway.call import Call
from tidegate.gateway.providers.anthropic.streams import AsChatReader, MessagesReader
from tidegate.gateway.providers.base import Ask, Reader
from tidegate.gateway.providers.bedrock.streams import ConverseReader
from tidegate.gateway.providers.gemini.streams import GeminiReader
from tidegate.gateway.providers.openai.responses import ResponseReader
from tidegate.gateway.providers.openai.streams import ChatReader
from tidegate.kernel.errors import ProviderFailed

Case = tuple[Callable[[Ask], Reader], list[bytes], bytes]
DELTA = b'data: {"type":"response.output_text.delta","delta":"Hi"}\n\n'
SAYS = b'data: {"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}\n\n'
ENDS = b'data: {"candidates":[{"content":{"parts":[{"text":"!"}]},"finishReason":"STOP"}]}\n\n'
DONE = b'data: {"type":"response.completed","response":{"status":"completed"}}\n\n'
ANTHROPIC = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Full."}}\n\n'
AWS = frame({":message-type": "exception", ":exception-type": "throttlingException"}, b'{"message":"Full."}')
CASES: dict[str, Case] = {
    "chat": (ChatReader, chat_events(("", "Hi", "!")), event({"error": {"message": "Full."}})),
    "responses": (ResponseReader, [DELTA, DELTA, DONE], b'data: {"type":"error","message":"Full."}\n\n'),
    "messages": (MessagesReader, message_events(text("Hi!")), ANTHROPIC),
    "messages as chat": (AsChatReader, message_events(text("Hi!")), ANTHROPIC),
    "gemini": (GeminiReader, [SAYS, ENDS], b'data: {"error":{"code":503,"message":"Full."}}\n\n'),
    "converse": (ConverseReader, converse_events([{"text": "Hi"}, {"text": "!"}]), AWS),
}
EACH = pytest.mark.parametrize("kind", CASES)


def asking() -> Call:
    return a_call({**CHAT, "stream": True})


async def read(reader: Reader, parts: list[bytes], got: list[bytes]) -> None:
    async for block in followed(reader, pieces_of(parts)):
        got.append(block)


def first_token_at(make: Callable[[Ask], Reader], events: list[bytes]) -> int:
    """How many events it takes."""
    call = asking()
    reader = make(an_ask(call))
    for number, one in enumerate(events):
        reader.feed(one)
        if call.first_token_s is not None:
            return number + 1
    raise AssertionError("no token came")


@EACH
async def test_what_came_before_an_error_in_the_same_chunk_is_told(kind: str) -> None:
    make, events, error = CASES[kind]
    begun = first_token_at(make, events)
    got: list[bytes] = []
    with pytest.raises(ProviderFailed, match=r"Full\."):
        await read(make(an_ask(asking())), [*events[:begun], b"".join([*events[begun:-1], error])], got)
    apart: list[bytes] = []
    with pytest.raises(ProviderFailed, match=r"Full\."):
        await read(make(an_ask(asking())), [*events[:-1], error], apart)
    plain = [_timeless(b"".join(blocks)) for blocks in (got, apart)]
    assert plain[0] == plain[1] != b""


@EACH
async def test_an_error_in_the_chunk_of_the_first_token_comes_before_it(kind: str) -> None:
    make, events, error = CASES[kind]
    begun = first_token_at(make, events)
    got: list[bytes] = []
    with pytest.raises(ProviderFailed, match=r"Full\."):
        await read(make(an_ask(asking())), [b"".join([*events[:begun], error])], got)
    assert got == []


@EACH
@pytest.mark.parametrize("apart", [True, False])
async def test_an_error_after_the_end_takes_nothing_away(kind: str, apart: bool) -> None:
    make, events, error = CASES[kind]
    call = asking()
    got: list[bytes] = []
    whole = b"".join(events)
    await read(make(an_ask(call)), [whole, error] if apart else [whole + error], got)
    assert call.whole
    assert got


def _timeless(told: bytes) -> bytes:
    """Without the call's own id, and the second of its making."""
    return re.sub(rb'"(id|created)":("[^"]*"|\d+)', b"", told)
