"""What both doors refuse for its size or its slowness."""

import json
import time

import pytest

from tests.support.gateway import RunningGateway, until
from tests.support.http1 import Wire, chunked, get, post
from tests.support.scene import CHAT, Start
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import HANG
from tidegate.doors.http.bounds import Limits

PATH = "/v1/chat/completions"
HASTY = Limits(head_s=0.2, body_s=0.2, idle_s=0.2, stall_s=0.3, linger_s=0.2, sweep_s=0.02)
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-test\r\n"


def still_serves(gateway: RunningGateway) -> bool:
    with Wire(gateway.port) as wire:
        return wire.ask(post(PATH, CHAT)).status == 200


# Size.


def test_a_body_over_the_limit_is_413_by_its_length(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    with Wire(gateway.port) as wire:
        reply = wire.ask(f"{HEAD}Content-Length: {2 << 20}\r\n\r\n".encode())
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")
    assert "1,048,576 bytes" in reply.error["message"]
    assert gateway.wait_record().ending == "refused"
    assert upstream.received == []


def test_a_body_over_the_limit_is_413_by_its_growth(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    with Wire(gateway.port) as wire:
        wire.send(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(17):
            wire.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        assert wire.reply().status == 413
    assert upstream.received == []
    assert still_serves(gateway)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_client_that_sends_it_all_first_sees_the_413(gateway: RunningGateway, framing: str) -> None:
    size = 20 << 20
    with Wire(gateway.port) as wire:
        if framing == "length":
            wire.send(f"{HEAD}Content-Length: {size}\r\n\r\n".encode() + b"x" * size)
        else:
            wire.send(chunked(PATH, [b"x" * (1 << 20)] * 20))
        assert wire.reply().status == 413
        wire.send_anyway(get("/healthz", headers=["Connection: close"]))  # one door closes, the other goes on
        assert wire.rest()[:12] in (b"", b"HTTP/1.1 200")
    assert still_serves(gateway)


def test_a_body_of_just_the_limit_is_read(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    body = json.dumps({**CHAT, "pad": ""}).encode()
    full = body.replace(b'"pad": ""', b'"pad": "%b"' % (b"x" * ((1 << 20) - len(body))))
    assert len(full) == 1 << 20
    with Wire(gateway.port) as wire:
        assert wire.ask(post(PATH, full)).status == 200
    assert len(upstream.last.json["pad"]) == (1 << 20) - len(body)


def test_a_413_without_a_key_is_401(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        assert wire.ask(f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {2 << 20}\r\n\r\n".encode()).status == 401


def test_a_body_that_is_read_past_has_an_end(start: Start) -> None:
    gateway = start(limits=Limits(discard_bytes=4 << 20, linger_s=0.1, sweep_s=0.02))
    with Wire(gateway.port) as wire:
        wire.send(f"{HEAD}Content-Length: {1 << 40}\r\n\r\n".encode())
        assert wire.reply().status == 413
        until(lambda: not wire.send_anyway(b"x" * (1 << 20)))
    assert still_serves(gateway)


@pytest.mark.parametrize(
    "head",
    [
        f"X-Long: {'x' * 70_000}\r\n",
        "".join(f"X-{number}: 1\r\n" for number in range(200)),
        f"X-Endless: {'x' * 1_000_000}",
        "".join(f"X-{number}: 1\r\n" for number in range(10_000)),
        "x" * 1_000_000,
    ],
    ids=["one long header", "many headers", "a header without end", "10,000 headers", "a name without end"],
)
def test_a_head_over_the_limit_is_431(gateway: RunningGateway, upstream: ScriptedUpstream, head: str) -> None:
    with Wire(gateway.port) as wire:
        wire.send_anyway(f"{HEAD}{head}".encode() + b"\r\n" * head.endswith("\r\n"))
        assert wire.reply().status == 431
    assert upstream.received == []
    assert still_serves(gateway)


def test_a_target_over_the_limit_is_431(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        wire.send_anyway(b"GET /" + b"x" * 1_000_000)
        assert wire.reply().status == 431
    assert still_serves(gateway)


def test_trailers_and_chunk_sizes_without_end_are_refused(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    for endless in (b"0\r\nX-Trailer: " + b"x" * 1_000_000, b"5;" + b"x" * 1_000_000):
        with Wire(gateway.port) as wire:
            wire.send(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".encode())
            wire.send_anyway(endless)
            assert 400 <= wire.reply().status < 500
    assert upstream.received == []
    assert still_serves(gateway)


def test_a_body_in_very_many_pieces_is_whole(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    body = json.dumps({**CHAT, "pad": "xyz" * 20_000}).encode()
    with Wire(gateway.port) as wire:
        assert wire.ask(chunked(PATH, [body[at : at + 2] for at in range(0, len(body), 2)])).status == 200
    assert upstream.last.json["pad"] == "xyz" * 20_000


# Slowness.


def test_a_head_that_drips_in_is_ended(start: Start) -> None:
    gateway = start(limits=HASTY)
    with Wire(gateway.port) as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\n")
        begun = time.monotonic()
        while time.monotonic() - begun < 10 and wire.send_anyway(b"X: y\r\n"):
            time.sleep(0.02)
        assert time.monotonic() - begun < 8
        assert wire.rest().startswith(b"HTTP/1.1 408")


def test_a_body_that_stalls_is_ended(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(limits=HASTY)
    with Wire(gateway.port) as wire:
        reply = wire.ask(f"{HEAD}Content-Length: 100\r\n\r\nhalf".encode())
        assert reply.status == 408
        assert wire.is_over()
    assert upstream.received == []


def test_a_body_that_comes_slowly_but_steadily_is_read(start: Start) -> None:
    gateway = start(limits=HASTY)
    request = post(PATH, CHAT)
    with Wire(gateway.port) as wire:
        wire.send(request[:-60])
        for byte in request[-60:]:
            wire.send(bytes([byte]))
            time.sleep(0.005)
        assert wire.reply().status == 200


def test_a_body_that_stalls_after_413_gets_no_second_answer(start: Start) -> None:
    gateway = start(limits=HASTY)
    with Wire(gateway.port) as wire:
        assert wire.ask(f"{HEAD}Content-Length: {2 << 20}\r\n\r\nhalf".encode()).status == 413
        assert wire.is_over()


@pytest.mark.parametrize("before", [b"", get("/healthz")], ids=["never spoke", "spoke once"])
def test_an_idle_connection_is_closed(start: Start, before: bytes) -> None:
    gateway = start(limits=HASTY)
    with Wire(gateway.port, timeout_s=2) as wire:
        if before:
            assert wire.ask(before).status == 200
        assert wire.is_over()


def test_a_connection_is_not_idle_while_it_waits_for_its_answer(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(limits=HASTY)
    upstream.say((HANG,))
    with Wire(gateway.port, timeout_s=0.6) as wire:
        wire.send(post(PATH, CHAT))
        with pytest.raises(TimeoutError):
            wire.reply()


def test_after_a_refusal_what_still_comes_is_read_past_for_a_while(start: Start) -> None:
    gateway = start(limits=HASTY)
    with Wire(gateway.port) as wire:
        wire.send(b"nonsense\r\n\r\n")
        wire.send(b"x" * 100_000)
        assert wire.reply().status == 400
        until(lambda: not wire.send_anyway(b"x" * 10_000))
