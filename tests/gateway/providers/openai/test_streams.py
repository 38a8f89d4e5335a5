"""A streamed answer passes through whole, is noted right, and never looks whole when it is not: whatever the pieces
in which it comes.
"""

import json
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.calls import a_call, an_ask, pieces_of
from tests.support.scene import CHAT
from tests.support.streams import followed
from tests.support.wire import DONE, chat_events, chunk, event, pieces, usage_of
from tidegate.gateway.call import Call
from tidegate.gateway.providers.openai.streams import ChatReader
from tidegate.kernel.errors import ProviderFailed

STREAM = {**CHAT, "stream": True}
WITH_USAGE = {**STREAM, "stream_options": {"include_usage": True}}
BROKEN = ProviderFailed("broke off", code="provider_cut")
HIDDEN = event(chunk([], usage=usage_of()))


async def heard(call: Call, parts: list[bytes], error: Exception | None = None) -> list[bytes]:
    return [block async for block in followed(ChatReader(an_ask(call)), pieces_of(parts, error))]


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a != b]


ANSWERS = {
    "plain": chat_events(),
    "umlauts": chat_events(("Füße ", "漢字", " 🌊")),
    "three choices": chat_events(n=3),
    "comments": [b": ping\n\n", *chat_events(), b": bye\n\n"],
    "named events": [b"event: x\nid: 4\n" + event(chunk([])), *chat_events()],
    "data in lines": [b'data: {"choices":\ndata: []}\n\n', *chat_events()],
    "no space": [block.replace(b"data: ", b"data:") for block in chat_events()],
    "tool calls": [event(chunk([{"index": 0, "delta": {"tool_calls": [{"index": 0}]}}])), *chat_events()],
}


@pytest.mark.parametrize("kind", ANSWERS)
@given(cuts=st.lists(st.integers(0, 4000), max_size=12))
@settings(max_examples=40)
async def test_the_bytes_pass_as_they_came_however_they_were_cut(kind: str, cuts: list[int]) -> None:
    data = b"".join(ANSWERS[kind])
    call = a_call({**STREAM, "n": 3 if kind == "three choices" else 1})
    blocks = await heard(call, split(data, cuts))
    assert b"".join(blocks) == data
    assert all(block.endswith(b"\n\n") for block in blocks)
    assert (call.finish_reason, call.whole) == ("stop", True)
    assert call.first_token_s is not None
    assert call.last_token_s is not None


@pytest.mark.parametrize("newline", [b"\r\n", b"\r"], ids=["CRLF", "CR"])
@given(cuts=st.lists(st.integers(0, 4000), max_size=12))
@settings(max_examples=40)
async def test_other_line_ends_are_read(newline: bytes, cuts: list[int]) -> None:
    data = b"".join(chat_events(usage=usage_of()))
    call = a_call(STREAM)
    blocks = await heard(call, split(data.replace(b"\n", newline), cuts))
    assert b"".join(blocks) == data.replace(HIDDEN, b"")
    assert call.usage is not None


async def test_single_bytes_are_enough() -> None:
    data = b"".join(chat_events(("🌊",), usage=usage_of()))
    call = a_call(WITH_USAGE)
    assert b"".join(await heard(call, list(pieces(data, 1)))) == data


# The end.


@pytest.mark.parametrize("broken", [None, BROKEN], ids=["ended in order", "broke off"])
@pytest.mark.parametrize("seen", range(len(chat_events()) + 1))
async def test_a_stream_cut_at_any_event_is_told_from_a_whole_one(seen: int, broken: Exception | None) -> None:
    events = chat_events()
    whole = seen == len(events) or (broken is None and seen == len(events) - 1)
    got: list[bytes] = []
    code = await gathered(got, followed(ChatReader(an_ask(a_call(STREAM))), pieces_of(events[:seen], broken)))
    assert code == (None if whole else "provider_cut")
    assert got == events[:seen]


async def gathered(got: list[bytes], blocks: AsyncIterator[bytes]) -> str | None:
    """Put the blocks into `got`; return the code of the error that ended them."""
    try:
        async for block in blocks:
            got.append(block)
    except ProviderFailed as error:
        return error.code
    return None


@given(at=st.integers(0, 10_000))
@settings(max_examples=100)
async def test_a_stream_cut_at_any_byte_is_told_from_a_whole_one(at: int) -> None:
    data = b"".join(chat_events())
    at %= len(data)
    blocks: list[bytes] = []
    code = await gathered(blocks, followed(ChatReader(an_ask(a_call(STREAM))), pieces_of([data[:at]])))
    got = b"".join(blocks)
    assert got == b"" or got.endswith(b"\n\n")
    assert data.startswith(got) or got == data
    assert (code is None) == (b'"finish_reason": "stop"' in got)


async def test_a_choice_that_did_not_finish_is_a_cut() -> None:
    events = chat_events(n=3, done=False)
    with pytest.raises(ProviderFailed, match="before its answer was complete"):
        await heard(a_call({**STREAM, "n": 3}), events[:-1])
    await heard(a_call({**STREAM, "n": 3}), events)


@pytest.mark.parametrize("last", [b"data: [DONE]", b"data: [DONE]\n", b"data:[DONE]\r\n"])
async def test_done_without_its_blank_line_is_done(last: bytes) -> None:
    blocks = await heard(a_call(STREAM), [*chat_events(done=False)[:2], last])
    assert blocks[-1] == DONE


async def test_what_breaks_after_done_is_nobodys_loss() -> None:
    assert (await heard(a_call(STREAM), chat_events(), BROKEN))[-1] == DONE


# Errors in the stream.


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"error": {"message": "out of memory", "type": "server_error"}}, "out of memory"),
        ({"error": "bare words"}, "bare words"),
        ({"error": {"code": 7}}, "{'code': 7}"),
        ({"choices": [], "error": {"message": "late"}}, "late"),
    ],
)
@pytest.mark.parametrize("at", [0, 2])
async def test_an_error_event_ends_the_stream_with_its_words(data: object, words: str, at: int) -> None:
    events = chat_events()
    with pytest.raises(ProviderFailed) as caught:
        await heard(a_call(STREAM), [*events[:at], event(data), *events[at:]])
    assert words in str(caught.value)
    assert caught.value.code == "provider_error"


async def test_error_null_is_none() -> None:
    await heard(a_call(STREAM), [event(chunk([], error=None)), *chat_events()])


@pytest.mark.parametrize("bad", [b"{", b"hello", b"[]", b'"x"', b"\xff", b'{"choices": [}', b"[" * 5000])
async def test_an_event_that_is_no_json_object_ends_the_stream(bad: bytes) -> None:
    with pytest.raises(ProviderFailed) as caught:
        await heard(a_call(STREAM), [b"data: " + bad + b"\n\n", *chat_events()])
    assert caught.value.code == "provider_bad_answer"


async def test_an_event_without_end_is_not_kept_for_ever() -> None:
    with pytest.raises(ProviderFailed, match="without an end"):
        await heard(a_call(STREAM), [b"data: " + b"x" * (1 << 20)] * 9)


@pytest.mark.parametrize(
    "strange",
    [
        {"choices": None},
        {"choices": "x"},
        {"choices": [{"index": "one"}]},
        {"choices": [{"delta": {"content": [{"type": "thinking"}]}}]},
        {"choices": [{"delta": None, "finish_reason": 3}]},
        {"usage": "some", "choices": []},
        {"usage": {"prompt_tokens": "many"}, "choices": []},
        {"object": "ping"},
    ],
)
async def test_a_dialect_that_says_it_otherwise_passes(strange: dict[str, object]) -> None:
    events = [event(strange), *chat_events()]
    assert b"".join(await heard(a_call(STREAM), events)) == b"".join(events)


# Usage.


@pytest.mark.parametrize("wanted", [False, True])
async def test_usage_is_noted_and_shown_only_to_who_asked(wanted: bool) -> None:
    call = a_call(WITH_USAGE if wanted else STREAM)
    events = chat_events(usage=usage_of(12, 34, 5))
    blocks = b"".join(await heard(call, events))
    assert (b'"usage"' in blocks) == wanted
    assert call.usage is not None
    assert (call.usage.input_tokens, call.usage.output_tokens, call.usage.cached_input_tokens) == (12, 34, 5)


async def test_usage_beside_choices_is_noted_and_passes() -> None:
    call = a_call(STREAM)
    events = chat_events(usage=usage_of(1, 2), usage_with_choices=True)
    assert b"".join(await heard(call, events)) == b"".join(events)
    assert call.usage is not None
    assert call.usage.output_tokens == 2


@pytest.mark.parametrize(
    ("usage", "noted"),
    [
        (usage_of(0, 0), (0, 0, None)),
        ({"prompt_tokens": 3}, (3, None, None)),
        ({}, (None, None, None)),
        ({"prompt_tokens": -1, "completion_tokens": 2}, (None, 2, None)),
        ({"prompt_tokens": 10**30, "completion_tokens": 2}, (None, 2, None)),
        ({"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": None}, (1, 2, None)),
        ({"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": "x"}, (1, 2, None)),
    ],
)
async def test_what_usage_does_not_say_stays_unknown(usage: dict[str, object], noted: tuple[object, ...]) -> None:
    call = a_call(WITH_USAGE)
    await heard(call, [*chat_events(done=False), event(chunk([], usage=usage)), DONE])
    assert call.usage is not None
    assert (call.usage.input_tokens, call.usage.output_tokens, call.usage.cached_input_tokens) == noted


async def test_what_was_written_to_a_cache_is_noted() -> None:
    call = a_call(STREAM)
    usage = {**usage_of(12, 3), "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 7}}
    await heard(call, [*chat_events(done=False), event(chunk([], usage=usage)), DONE])
    assert call.usage is not None
    assert (call.usage.cached_input_tokens, call.usage.cache_write_tokens) == (2, 7)


async def test_thoughts_are_tokens_too() -> None:
    call = a_call(STREAM)
    await heard(call, [event(chunk([{"index": 0, "delta": {"reasoning": "Hm."}}])), *chat_events(("",))])
    assert call.first_token_s is not None


async def test_the_last_usage_counts() -> None:
    call = a_call(STREAM)
    parts = [event(chunk([{"index": 0, "delta": {"content": "a"}}], usage=usage_of(5, n))) for n in (1, 2, 3)]
    await heard(call, [*parts, *chat_events()])
    assert call.usage is not None
    assert call.usage.output_tokens == 3


async def test_usage_null_is_no_usage() -> None:
    call = a_call(STREAM)
    await heard(call, [event({**chunk([]), "usage": None}), *chat_events()])
    assert call.usage is None


async def test_the_first_token_is_the_first_that_says_something() -> None:
    call = a_call(STREAM)
    events = followed(ChatReader(an_ask(call)), pieces_of(chat_events(("", "Hi"))))
    await anext(events)
    await anext(events)
    assert call.first_token_s is None
    await anext(events)
    assert call.first_token_s is not None


async def test_completions_speak_in_text() -> None:
    call = a_call({"model": "gpt", "prompt": "x", "stream": True}, path="/v1/completions")
    events = [event({"choices": [{"index": 0, "text": "Hi", "finish_reason": None}]})]
    events += [event({"choices": [{"index": 0, "text": "", "finish_reason": "length"}]}), DONE]
    assert b"".join(await heard(call, events)) == b"".join(events)
    assert call.finish_reason == "length"
    assert call.first_token_s is not None


def test_the_events_of_these_tests_are_json() -> None:
    assert all(json.loads(block[5:]) for block in chat_events(done=False))
