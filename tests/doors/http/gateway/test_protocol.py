"""What HTTP/1.1 promises to a client, held by both doors."""

import json

import pytest

from tests.support.gateway import RunningGateway
from tests.support.http1 import Reply, Wire, chunked, get, post
from tests.support.scene import CHAT
from tests.support.upstream import Received, ScriptedUpstream
from tests.support.wire import Step, answer, chat, events_of

PATH = "/v1/chat/completions"


def say(words: str, **more: object) -> bytes:
    return post(PATH, {**CHAT, "messages": [{"role": "user", "content": words}], **more})


def echo(received: Received) -> tuple[Step, ...]:
    return answer(chat(received.json["messages"][-1]["content"]))


def said(reply: Reply) -> str:
    assert reply.status == 200, reply.body
    return str(reply.json["choices"][0]["message"]["content"])


def test_a_connection_is_kept_for_the_next_request(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        for _ in range(3):
            assert wire.ask(say("Hi")).status == 200
        assert wire.ask(get("/v1/models")).status == 200


def test_requests_sent_together_are_answered_in_order(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.respond = echo
    with Wire(gateway.port) as wire:
        wire.send(b"".join(say(str(number)) for number in range(20)))
        assert [said(wire.reply()) for _ in range(20)] == [str(number) for number in range(20)]
        assert said(wire.ask(say("after"))) == "after"


def test_a_stream_among_requests_sent_together_keeps_its_place(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        wire.send(say("one") + say("two", stream=True) + get("/healthz"))
        assert wire.reply().status == 200
        assert events_of(wire.reply().body)[-1] == "[DONE]"
        assert wire.reply().json == {"status": "alive"}


def test_a_request_in_single_bytes_is_one_request(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        for byte in say("slowly"):
            wire.send(bytes([byte]))
        assert wire.reply().status == 200


def test_more_requests_than_may_wait_are_refused_after_those_before_them(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        wire.send(get("/healthz") * 200)
        statuses = [wire.reply().status for _ in range(65)]
    assert statuses[:60] == [200] * 60
    assert set(statuses) <= {200, 429}


@pytest.mark.parametrize("stream", [False, True])
def test_http_1_0_gets_its_answer_and_the_end(gateway: RunningGateway, stream: bool) -> None:
    with Wire(gateway.port) as wire:
        reply = wire.ask(post(PATH, {**CHAT, "stream": stream}, version="1.0"))
        assert reply.status == 200
        assert "transfer-encoding" not in reply.headers or stream is False
        assert wire.is_over()
    assert (events_of(reply.body)[-1] == "[DONE]") if stream else (reply.json["object"] == "chat.completion")


def test_http_1_0_is_not_kept_open(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        wire.send(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert wire.reply().headers["connection"] == "close"
        assert wire.is_over()


def test_http_1_0_without_a_host_is_served(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        assert wire.ask(b"GET /healthz HTTP/1.0\r\n\r\n").json == {"status": "alive"}
        assert wire.is_over()


def test_connection_close_is_honoured(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        reply = wire.ask(post(PATH, CHAT, headers=["Connection: close"]))
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert wire.is_over()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/models", "/v1/models/gpt", "/v1/nothing"])
def test_head_says_what_get_would_without_its_body(gateway: RunningGateway, path: str) -> None:
    with Wire(gateway.port) as wire:
        full = wire.ask(get(path))
        head = wire.ask(get(path, method="HEAD"), bodyless=True)
        assert head.status == full.status
        assert head.headers["content-type"] == full.headers["content-type"]
        assert int(head.headers["content-length"]) > 0
        assert wire.ask(get("/healthz")).status == 200


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_body_in_chunks_is_put_together(gateway: RunningGateway, upstream: ScriptedUpstream, size: int) -> None:
    body = json.dumps({**CHAT, "note": "é" * 300}).encode()
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    with Wire(gateway.port) as wire:
        assert wire.ask(chunked(PATH, parts)).status == 200
        assert wire.ask(get("/healthz")).status == 200
    assert upstream.last.json["note"] == "é" * 300


def test_trailers_are_no_headers(gateway: RunningGateway) -> None:
    body = json.dumps(CHAT).encode()
    with Wire(gateway.port) as wire:
        good = wire.ask(chunked(PATH, [body], trailers=["x-tidegate-unit: smuggled", "Authorization: Bearer other"]))
        assert good.status == 200
    assert gateway.wait_record().unit is None


def test_chunk_extensions_are_skipped(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        assert wire.ask(chunked(PATH, [json.dumps(CHAT).encode()], extension=';a=b;c="d"')).status == 200


def test_expect_gets_leave_before_the_body(gateway: RunningGateway) -> None:
    request = post(PATH, CHAT, headers=["Expect: 100-continue"])
    head, _, body = request.partition(b"\r\n\r\n")
    with Wire(gateway.port) as wire:
        assert wire.ask(head + b"\r\n\r\n").status == 100
        assert wire.ask(body).status == 200
        assert wire.ask(get("/healthz")).status == 200


def test_expect_behind_another_request_gets_leave_after_its_answer(gateway: RunningGateway) -> None:
    head, _, body = post(PATH, CHAT, headers=["Expect: 100-continue"]).partition(b"\r\n\r\n")
    with Wire(gateway.port) as wire:
        wire.send(say("first") + head + b"\r\n\r\n")
        assert wire.reply().status == 200
        assert wire.reply().status == 100
        assert wire.ask(body).status == 200


def test_expect_with_a_body_that_is_too_large_gets_413_instead_of_leave(gateway: RunningGateway) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-test\r\nContent-Length: {2 << 20}\r\n"
    with Wire(gateway.port) as wire:
        assert wire.ask(f"{head}Expect: 100-continue\r\n\r\n".encode()).status == 413


def test_paths_may_be_percent_encoded(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        assert wire.ask(post("/v1/chat%2Fcompletions", CHAT)).status == 200
        assert wire.ask(get("/v1/models/prompt%3Agreeting")).json["id"] == "prompt:greeting"
        assert wire.ask(get("/v1/models/prompt:greeting?x=1")).json["id"] == "prompt:greeting"
        assert wire.ask(get("/v1/models/%ff%00")).error["code"] == "model_not_found"


def test_a_header_that_comes_twice_is_one_list(gateway: RunningGateway) -> None:
    request = post(PATH, CHAT, headers=["x-tidegate-tags: a=1", "X-Tidegate-Tags: b=2"])
    with Wire(gateway.port) as wire:
        assert wire.ask(request).status == 200
    assert gateway.wait_record().tags == {"a": "1", "b": "2", "team": "blue"}


def test_a_reply_says_when_and_which(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        reply = wire.ask(say("Hi"))
    assert reply.headers["date"].endswith("GMT")
    assert reply.headers["x-request-id"].startswith("call_")
    assert gateway.wait_record().call_id == reply.headers["x-request-id"]


def test_not_modified_has_no_body(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        first = wire.ask(get("/v1/prompts"))
        again = wire.ask(get("/v1/prompts", headers=[f"If-None-Match: {first.headers['etag']}"]))
        assert (again.status, again.headers.get("content-length"), again.headers["etag"]) == (
            304, None, first.headers["etag"],
        )  # fmt: skip
        assert wire.ask(get("/healthz")).status == 200


def test_many_clients_at_once(gateway: RunningGateway) -> None:
    wires = [Wire(gateway.port) for _ in range(60)]
    for wire in wires:
        wire.send(say("Hi", stream=True))
    assert {wire.reply().status for wire in wires} == {200}
    for wire in wires:
        wire.sock.close()
    assert len(gateway.wait_records(60)) == 60
