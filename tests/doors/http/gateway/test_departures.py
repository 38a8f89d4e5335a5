"""Clients that leave, and clients that read slowly: the upstream's work is stopped, and nothing piles up."""

import json
import time

import pytest

from tests.support.gateway import RunningGateway, until
from tests.support.http1 import Wire, post
from tests.support.scene import CHAT, Start
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import HANG, chat_events, chunk, event, events_of, stream
from tidegate.doors.http.bounds import Limits

PATH = "/v1/chat/completions"
STREAM = {**CHAT, "stream": True}
EVENTS = chat_events(("a", "b", "c"), done=False)
BIG = event(chunk([{"index": 0, "delta": {"content": "x" * 65_000}}]))


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("seen", range(len(EVENTS) + 1))
def test_a_client_that_leaves_stops_the_upstream(
    gateway: RunningGateway, upstream: ScriptedUpstream, seen: int, leave: str
) -> None:
    upstream.say(stream(EVENTS[:seen], end=HANG))
    with Wire(gateway.port) as wire:
        wire.send(post(PATH, STREAM))
        assert wire.head().status == 200
        got = b""
        while got.count(b"\n\n") < seen:
            got += wire.chunk()
        left = time.monotonic()
        if leave == "reset":
            wire.reset()
    assert upstream.last.hung_up.wait(10.0)
    record = gateway.wait_record()
    assert time.monotonic() - left < 10.0
    assert (record.ending, record.status, record.stream) == ("cancelled", 200, True)
    assert (record.ttft_ms is None) == (seen < 2)
    assert gateway.do(lambda: gateway.gateway.meters.in_flight) == 0


@pytest.mark.parametrize("wants_stream", [False, True])
def test_a_client_that_leaves_before_the_answer_stops_the_upstream(
    gateway: RunningGateway, upstream: ScriptedUpstream, wants_stream: bool
) -> None:
    upstream.say((HANG,))
    with Wire(gateway.port) as wire:
        wire.send(post(PATH, {**CHAT, "stream": wants_stream}))
        upstream.wait(1)
    assert upstream.last.hung_up.wait(10.0)
    record = gateway.wait_record()
    assert (record.ending, record.status, record.error_code) == ("cancelled", 499, "CancelledError")


def test_a_client_that_leaves_in_its_body_leaves_no_trace(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    with Wire(gateway.port) as wire:
        wire.send(post(PATH, CHAT)[:-10])
    with Wire(gateway.port) as wire:
        assert wire.ask(post(PATH, CHAT)).status == 200
    assert len(gateway.wait_records(1)) == len(upstream.received) == 1


def test_a_client_that_leaves_a_queue_of_requests_stops_the_one_that_runs(
    gateway: RunningGateway, upstream: ScriptedUpstream
) -> None:
    upstream.respond = lambda _: stream(EVENTS[:2], end=HANG)
    with Wire(gateway.port) as wire:
        wire.send(post(PATH, STREAM) * 3)
        assert wire.head().status == 200
    assert upstream.wait(1).hung_up.wait(10)
    assert gateway.wait_record().ending == "cancelled"
    assert len(upstream.received) == 1


def test_a_client_that_leaves_at_done_had_the_whole_answer(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say(stream(chat_events(), end=HANG))
    with Wire(gateway.port) as wire:
        wire.send(post(PATH, STREAM))
        wire.head()
        until(lambda: b"[DONE]" in wire.chunk())
    assert gateway.wait_record().ending == "complete"


def test_a_slow_reader_slows_the_upstream_down(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    events = [BIG] * 800  # 52 MB
    upstream.say(stream([*events, *chat_events()]))
    with Wire(gateway.port, receive_buffer=64 << 10, timeout_s=20) as wire:
        wire.send(post(PATH, STREAM))
        assert wire.head().status == 200
        seen = -1
        while seen != (seen := upstream.last.steps_played):
            time.sleep(0.15)
        assert seen < 400, "half of the answer piled up between the upstream and a client that does not read"
        assert gateway.do(lambda: held(gateway)) < 4 << 20
        body = b"".join(iter(wire.chunk, b""))
    assert body.count(b"\n\n") == 800 + len(chat_events())
    assert events_of(body[-200:])[-1] == "[DONE]"
    assert gateway.wait_record().ending == "complete"


def held(gateway: RunningGateway) -> int:
    """The bytes that the gateway keeps of answers under way from their upstreams."""
    return sum(exchange.connection._size for exchange in gateway.gateway._pool._busy)


def test_a_client_that_stops_reading_is_parted_from(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(limits=Limits(stall_s=0.3, sweep_s=0.02))
    upstream.say(stream([BIG] * 800))
    with Wire(gateway.port, receive_buffer=64 << 10) as wire:
        wire.send(post(PATH, STREAM))
        assert upstream.wait(1).hung_up.wait(5.0)
        assert gateway.wait_record().ending == "cancelled"


def test_a_long_stream_is_not_taken_for_a_stall(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(limits=Limits(stall_s=0.3, body_s=0.1, head_s=0.1, idle_s=0.1, sweep_s=0.02))
    burst = [BIG] * 100
    upstream.say((*stream([EVENTS[0]] * 10, pace_s=0.06)[:-1], *stream([*burst, *chat_events()])[1:]))
    with Wire(gateway.port, receive_buffer=64 << 10) as wire:
        wire.send(post(PATH, STREAM))
        wire.head()
        time.sleep(0.7)  # the first pause of writing comes when the request is older than stall_s
        assert b"".join(iter(wire.chunk, b"")).endswith(b"[DONE]\n\n")
    assert gateway.wait_record().ending == "complete"


def test_a_whole_answer_to_a_slow_reader_is_whole(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    body = json.dumps({"choices": [], "pad": "x" * (8 << 20)}).encode()
    upstream.say((b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body,))
    with Wire(gateway.port, receive_buffer=64 << 10) as wire:
        wire.send(post(PATH, CHAT))
        time.sleep(0.1)
        assert wire.reply().body == body
