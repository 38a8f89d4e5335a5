"""Whole answers, through a running gateway: good ones pass byte for byte, errors keep their words, nonsense is told."""

import contextlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.asking import ask, ask_chat
from tests.support.calls import a_call, an_ask
from tests.support.gateway import RunningGateway
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import Step, answer, chat, error, usage_of
from tidegate.gateway.providers.openai.answers import read_answer
from tidegate.kernel.errors import ProviderFailed


def test_a_good_answer_passes_byte_for_byte(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    body = b'{"choices" : [ ],\n "new_field": {"a": [1, 2.50, "\\u00e9"]} , "usage":null }'
    upstream.say(answer(body, content_type="application/json; charset=utf-8", headers=[("X-Other", "1")]))
    reply = ask_chat(gateway)
    assert reply.body == body
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert "x-other" not in reply.headers


def test_what_was_used_is_noted(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say(answer(chat(usage=usage_of(1000, 50, 400)), headers=[("X-Request-Id", "req_7")]))
    ask_chat(gateway)
    record = gateway.wait_record()
    assert (record.input_tokens, record.output_tokens, record.cached_input_tokens) == (1000, 50, 400)
    assert record.cost_nano_usd == 600 * 1000 + 400 * 500 + 50 * 2000
    assert (record.finish_reason, record.upstream_request_id) == ("stop", "req_7")
    assert (record.ttft_ms, record.tpot_ms) == (None, None)


def test_embeddings_have_a_known_output_of_nothing(gateway: RunningGateway) -> None:
    reply = ask(gateway, "/v1/embeddings", {"model": "embed", "input": "x"})
    assert reply.json["data"][0]["embedding"] == [0.5, -0.25]
    record = gateway.wait_record()
    assert (record.endpoint, record.input_tokens, record.output_tokens) == ("embeddings", 4, 0)
    assert record.cost_nano_usd == 4000


@pytest.mark.parametrize(
    ("usage", "noted"),
    [
        (None, (None, None, None)),
        ({}, (None, None, None)),
        (usage_of(0, 0), (0, 0, None)),
        ({"prompt_tokens": 5}, (5, None, None)),
        ({"prompt_tokens": -5, "completion_tokens": 1}, (None, 1, None)),
        ({"prompt_tokens": 10**40, "completion_tokens": 1}, (None, 1, None)),
        ({"prompt_tokens": "5", "completion_tokens": 1.5}, (None, None, None)),
        ([1, 2], (None, None, None)),
        ("unknown", (None, None, None)),
    ],
)
def test_what_an_answer_does_not_say_stays_unknown(
    gateway: RunningGateway, upstream: ScriptedUpstream, usage: Any, noted: tuple[Any, ...]
) -> None:
    body = {**chat(usage={}), "usage": usage}
    upstream.say(answer(body))
    assert ask_chat(gateway).json == body
    record = gateway.wait_record()
    assert (record.input_tokens, record.output_tokens, record.cached_input_tokens) == noted
    assert (record.cost_nano_usd is None) == (None in noted[:2])
    assert record.finish_reason == "stop"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["usage", "choices", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["usage", "choices", "data", "object"]), JUNK, max_size=4))
def test_any_json_object_is_an_answer(body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    call = a_call()
    reply = read_answer(an_ask(call), 200, {}, data)
    assert reply.body == data
    for count in (call.usage.input_tokens, call.usage.output_tokens) if call.usage else ():
        assert count is None or count >= 0


@given(st.binary(max_size=40), st.sampled_from([200, 201, 204, 302, 400, 401, 404, 429, 500, 503]))
def test_any_bytes_are_an_answer_or_told(body: bytes, status: int) -> None:
    with contextlib.suppress(ProviderFailed):
        reply = read_answer(an_ask(), status, {}, body)
        assert reply.status == status
        json.loads(reply.body)


# What is no answer.

HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (answer(HTML, content_type="text/html"), "text/html, 50 bytes, beginning '<html>"),
        (answer(b'{"choices": [{"index": 0, "mess'), "application/json, 31 bytes"),
        (answer(b""), "application/json, 0 bytes"),
        (answer(b"", content_type=""), "no content type, 0 bytes"),
        (answer(b"[]"), "beginning '[]'"),
        (answer(b"null"), "beginning 'null'"),
        (answer(b'"words"', content_type="text/plain"), "text/plain"),
        (
            answer(b"\x1f\x8b\x08\x00" + b"\x99" * 40, headers=[("Content-Encoding", "gzip")]),
            "application/json in gzip, 44 bytes",
        ),
        (answer(b"\xff\xfe{}"), "application/json, 4 bytes"),
        (answer(b"[" * 100_000), "100000 bytes"),
        (answer(b'data: {"choices": []}\n\n', content_type="text/event-stream"), "text/event-stream"),
    ],
    ids=["HTML", "truncated", "empty", "nothing at all", "array", "null", "text", "gzip", "no UTF-8", "deep", "events"],
)
def test_nonsense_with_200_is_502_and_says_what_it_was(
    gateway: RunningGateway, upstream: ScriptedUpstream, script: Sequence[Step], words: str
) -> None:
    upstream.say(script)
    reply = ask_chat(gateway)
    assert (reply.status, reply.error["code"], reply.error["type"]) == (502, "provider_bad_answer", "upstream_error")
    assert words in reply.error["message"]
    assert "Check that base_url" in reply.error["message"]
    record = gateway.wait_record()
    assert (record.ending, record.status, record.error_code) == ("failed", 502, "provider_bad_answer")


@pytest.mark.parametrize("error", [{"message": "no capacity"}, "no capacity"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings"])
def test_an_error_with_200_is_an_error(
    gateway: RunningGateway, upstream: ScriptedUpstream, error: object, path: str
) -> None:
    upstream.say(answer({"error": error}))
    reply = ask(gateway, path, {"model": "gpt", "messages": [], "input": "x"})
    assert (reply.status, reply.error["code"]) == (502, "provider_error")
    assert "answered 200 with an error: no capacity" in reply.error["message"]


def test_error_null_beside_an_answer_is_none(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say(answer(chat(error=None)), answer(chat(error={"message": "a warning"})))
    assert [ask_chat(gateway).status for _ in range(2)] == [200, 200]


def test_a_compressed_stream_is_told(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say(answer(b"\x1f\x8b", content_type="text/event-stream", headers=[("Content-Encoding", "gzip")]))
    reply = ask_chat(gateway, stream=True)
    assert (reply.status, reply.error["code"]) == (502, "provider_bad_answer")
    assert "answered with text/event-stream in gzip" in reply.error["message"]


@pytest.mark.parametrize("content_type", ["application/json", "", "text/html"])
def test_an_answer_in_one_piece_is_no_stream(
    gateway: RunningGateway, upstream: ScriptedUpstream, content_type: str
) -> None:
    upstream.say(answer(chat(), content_type=content_type))
    reply = ask_chat(gateway, stream=True)
    assert (reply.status, reply.error["code"]) == (502, "provider_bad_answer")
    assert f"answered with {content_type or 'no content type'}" in reply.error["message"]


def test_an_embedding_asked_for_as_a_stream_is_an_embedding(
    gateway: RunningGateway, upstream: ScriptedUpstream
) -> None:
    assert ask(gateway, "/v1/embeddings", {"model": "embed", "input": "x", "stream": True}).status == 200
    assert upstream.last.json == {"model": "up-model", "input": "x", "stream": True}
    assert gateway.wait_record().stream is False


# Errors.


@pytest.mark.parametrize("wants_stream", [False, True])
@pytest.mark.parametrize("status", [400, 404, 408, 409, 413, 422, 429, 500, 502, 503, 529])
def test_an_error_keeps_its_status_and_words(
    gateway: RunningGateway, upstream: ScriptedUpstream, status: int, wants_stream: bool
) -> None:
    upstream.say(
        error(status, "Not today.", code="some_code", retry_after=7, x_should_retry="false", x_ratelimit_limit=3)
    )
    reply = ask_chat(gateway, stream=wants_stream)
    assert (reply.status, reply.error) == (
        status, {"message": "Not today.", "type": "t", "param": None, "code": "some_code"},
    )  # fmt: skip
    assert reply.headers["retry-after"] == "7"
    assert (reply.headers["x-should-retry"], reply.headers["x-ratelimit-limit"]) == ("false", "3")
    record = gateway.wait_record()
    assert (record.ending, record.status, record.error_code) == ("failed", status, "some_code")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, HTML, "The upstream answered 500: text/html, 50 bytes"),
        (503, b"", "The upstream answered 503: text/html, 0 bytes"),
        (429, b"slow down", "The upstream answered 429: text/html, 9 bytes"),
        (400, b'{"object":"error","message":"too long","code":400}', "The upstream answered 400: too long"),
        (422, b'{"detail":[{"msg":"field required"}]}', "field required"),
        (500, b'{"error":"bare words"}', "The upstream answered 500: bare words"),
        (500, b'{"error":{}}', "The upstream answered 500: text/html"),
        (500, b'{"error":null}', "The upstream answered 500: text/html"),
        (500, b"\xff" * 10, "The upstream answered 500"),
    ],
)
def test_an_error_in_other_words_gets_our_shape(
    gateway: RunningGateway, upstream: ScriptedUpstream, status: int, body: bytes, message: str
) -> None:
    upstream.say(answer(body, status, content_type="text/html", headers=[("Retry-After", "3")]))
    reply = ask_chat(gateway)
    assert reply.status == status
    assert message in reply.error["message"]
    assert set(reply.error) == {"message", "type", "param", "code"}
    assert reply.headers["retry-after"] == "3"
    assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        (error(401, "Bad key sk-1."), "provider_auth", "api_key_env"),
        (error(403, "Not yours."), "provider_auth", "api_key_env"),
        (answer(HTML, 404, content_type="text/html"), "provider_error", "base_url"),
        (answer(HTML, 405, content_type="text/html"), "provider_error", "base_url"),
        (answer(b"", 302, headers=[("Location", "http://evil.example/")]), "provider_error", "base_url"),
        (answer(b"", 204), "provider_error", "base_url"),
        (answer(chat(), 201), "provider_error", "base_url"),
    ],
)
def test_what_the_operator_must_mend_is_502(
    gateway: RunningGateway, upstream: ScriptedUpstream, script: Sequence[Step], code: str, words: str
) -> None:
    upstream.say(script)
    reply = ask_chat(gateway)
    assert (reply.status, reply.error["code"]) == (502, code)
    assert words in reply.error["message"]
    assert "location" not in reply.headers
    assert len(upstream.received) == 1


def test_an_endless_message_is_cut(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say(answer({"error": "x" * 100_000, "code": "y" * 1000}, 500))
    assert len(ask_chat(gateway).body) < 3000
    assert len(gateway.wait_record().error_code or "") <= 64
