"""How a gateway ends: streams under way end whole, nobody new is let in, records are stored, the exit code is 0."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.support.gateway import RunningGateway, until
from tests.support.gateway_process import gateway_process, stored_calls
from tests.support.http1 import Wire, get, post
from tests.support.scene import CHAT, Start, changed, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import HANG, answer, chat, chat_events, events_of, stream
from tidegate.doors.http.bounds import Limits

PATH = "/v1/chat/completions"
STREAM = {**CHAT, "stream": True}


def is_refused(port: int) -> bool:
    try:
        Wire(port, timeout_s=1).sock.close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False  # it was just being closed: look again
    return False


def test_what_is_under_way_ends_and_nobody_new_is_let_in(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say(stream(chat_events(("a", "b", "c")), pace_s=0.05))
    with Wire(gateway.port) as wire, Wire(gateway.port) as idle:
        assert idle.ask(get("/healthz")).status == 200
        wire.send(post(PATH, STREAM))
        wire.head()
        gateway.told()
        until(lambda: is_refused(gateway.port))
        assert idle.is_over()
        assert b"".join(iter(wire.chunk, b"")).endswith(b"data: [DONE]\n\n")
        assert wire.is_over()
    gateway.stop()
    assert [record.ending for record in gateway.records.stored] == ["complete"]
    assert gateway.records.closed


def test_a_request_that_was_half_sent_is_answered(gateway: RunningGateway) -> None:
    request = post(PATH, CHAT)
    with Wire(gateway.port) as wire:
        wire.send(request[:-20])
        gateway.do(lambda: None)
        gateway.told()
        until(lambda: is_refused(gateway.port))
        reply = wire.ask(request[-20:])
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert wire.is_over()


def test_who_waits_for_news_is_answered(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        etag = wire.ask(get("/v1/prompts")).headers["etag"]
        wire.send(get("/v1/prompts", headers=[f"If-None-Match: {etag}", "Prefer: wait=60"]))
        until(gateway.has_waiters)
        begun = time.monotonic()
        gateway.told()
        assert wire.reply().status == 304
    gateway.stop()
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("wants_stream", [False, True])
def test_what_takes_too_long_is_broken_off_and_told(
    start: Start, upstream: ScriptedUpstream, wants_stream: bool
) -> None:
    gateway = start(policy_drain_timeout_s=0.2)
    upstream.say(stream(chat_events()[:2], end=HANG) if wants_stream else (HANG,))
    with Wire(gateway.port) as wire:
        wire.send(post(PATH, {**CHAT, "stream": wants_stream}))
        upstream.wait(1)
        begun = time.monotonic()
        gateway.stop()
        assert 0.15 < time.monotonic() - begun < 10
        reply = wire.reply()
    if wants_stream:
        assert "shutting down" in events_of(reply.body)[-1]
        assert b"[DONE]" not in reply.body
    else:
        assert (reply.status, reply.error["code"]) == (502, "shutting_down")
    assert upstream.last.hung_up.wait(10)
    assert [(r.ending, r.error_code) for r in gateway.records.stored] == [
        ("cut" if wants_stream else "failed", "shutting_down")
    ]


def test_a_client_that_does_not_read_cannot_hold_the_end_up(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(policy_drain_timeout_s=0.2, limits=Limits(farewell_s=0.1))
    upstream.say(answer(chat("x" * (20 << 20))))
    with Wire(gateway.port, receive_buffer=64 << 10) as wire:
        wire.send(post(PATH, CHAT))
        gateway.wait_record()
        begun = time.monotonic()
        gateway.stop()
        assert time.monotonic() - begun < 10


# The process itself.


def test_sigterm_lets_streams_end_stores_all_and_exits_0(
    tmp_path: Path, transport: str, upstream: ScriptedUpstream
) -> None:
    world = changed(snapshot_of(upstream.url), policy_record_flush_ms=60_000)
    upstream.say(stream(chat_events(("a", "b", "c"), usage={"prompt_tokens": 7, "completion_tokens": 3}), pace_s=0.05))
    with gateway_process(tmp_path, transport, world) as (running, port), Wire(port) as wire:
        wire.send(post(PATH, STREAM))
        wire.head()
        with Wire(port) as other:
            for _ in range(50):
                assert other.ask(post(PATH, CHAT)).status == 200
        os.kill(running.pid, signal.SIGTERM)
        until(lambda: is_refused(port))
        assert b"".join(iter(wire.chunk, b"")).endswith(b"[DONE]\n\n")
        assert running.ends(5) == 0, running.text
        assert "Traceback" not in running.text
    rows = stored_calls(tmp_path)
    assert [row[0] for row in rows] == list(range(1, 52))
    assert sorted({row[1:] for row in rows}) == [("complete", 200, 7), ("complete", 200, 9)]


@pytest.mark.parametrize("transport", ["raw"])
def test_sigterm_breaks_off_what_takes_too_long_and_exits_0(
    tmp_path: Path, transport: str, upstream: ScriptedUpstream
) -> None:
    world = changed(snapshot_of(upstream.url), policy_drain_timeout_s=0.2)
    upstream.say(stream(chat_events()[:2], end=HANG))
    with gateway_process(tmp_path, transport, world) as (running, port), Wire(port) as wire:
        wire.send(post(PATH, STREAM))
        wire.head()
        os.kill(running.pid, signal.SIGTERM)
        assert b"[DONE]" not in b"".join(iter(wire.chunk, b""))
        assert running.ends(5) == 0, running.text
    assert [row[1] for row in stored_calls(tmp_path)] == ["cut"]


@pytest.mark.parametrize("transport", ["raw"])
def test_kill_loses_at_most_one_flush_interval(tmp_path: Path, transport: str, upstream: ScriptedUpstream) -> None:
    world = changed(snapshot_of(upstream.url), policy_record_flush_ms=50)
    with gateway_process(tmp_path, transport, world) as (running, port):
        answered: list[float] = []

        def load() -> None:
            with Wire(port) as wire, contextlib.suppress(OSError):
                while True:
                    wire.ask(post(PATH, CHAT))
                    answered.append(time.monotonic())

        thread = threading.Thread(target=load)
        thread.start()
        time.sleep(0.4)
        killed = time.monotonic()
        os.kill(running.pid, signal.SIGKILL)
        thread.join()
        running.ends()
    kept = [row[0] for row in stored_calls(tmp_path)]
    assert kept == list(range(1, len(kept) + 1))
    assert len(kept) >= sum(1 for at in answered if at < killed - 0.15)
