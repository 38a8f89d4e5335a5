"""Connections to upstreams: kept and used again, replaced once when they turn out stale, and given up on in time."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.asking import ask_chat
from tests.support.gateway import RunningGateway, until
from tests.support.http1 import Wire, post
from tests.support.scene import CHAT, Start, changed, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import FIN, HANG, RST, Step, answer, chat, chat_events, events_of, head, stream
from tidegate.app.sockets import free_port
from tidegate.live.snapshot import Deployment

GOOD = answer(chat())


# Keeping.


@pytest.mark.parametrize("wants_stream", [False, True])
def test_a_connection_is_used_again(gateway: RunningGateway, upstream: ScriptedUpstream, wants_stream: bool) -> None:
    for _ in range(5):
        assert ask_chat(gateway, stream=wants_stream).status == 200
    gateway.wait_records(5)
    assert upstream.connections == 1


def test_calls_at_once_have_a_connection_each(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.respond = lambda _: stream(chat_events(), pace_s=0.01)
    wires = [Wire(gateway.port).send(post("/v1/chat/completions", {**CHAT, "stream": True})) for _ in range(10)]
    for wire in wires:
        assert wire.reply().status == 200
        wire.sock.close()
    assert upstream.connections == 10


@pytest.mark.parametrize(
    "script",
    [
        answer(chat(), framing="close"),
        answer(chat(), headers=[("Connection", "close")]),
        answer(chat(), 500),
        (*GOOD, b"HTTP/1.1 200 OK\r\n"),
        (*GOOD, *GOOD),
        (*GOOD, FIN),
    ],
    ids=["unframed", "says close", "500", "more than the answer", "two answers", "closes silently"],
)
def test_only_a_clean_connection_is_used_again(
    gateway: RunningGateway, upstream: ScriptedUpstream, script: Sequence[Step]
) -> None:
    upstream.say(script)
    first = ask_chat(gateway)
    upstream.received[0].over.wait(10)
    until(lambda: gateway.do(lambda: clean(gateway)))
    second = ask_chat(gateway)
    assert second.status == 200
    assert second.json == chat()
    assert upstream.connections == (1 if first.status == 500 else 2)


def clean(gateway: RunningGateway) -> bool:
    """Whether no connection is kept that has more to say or is closed by the other side."""
    kept = [c for idle in gateway.gateway._pool._idle.values() for c in idle]
    return not any(c.closed for c in kept) or not kept


# Stale ones.


@pytest.mark.parametrize("end", [FIN, RST], ids=["closed", "reset"])
@pytest.mark.parametrize("wants_stream", [False, True])
def test_a_stale_connection_is_replaced_once(
    gateway: RunningGateway, upstream: ScriptedUpstream, end: Step, wants_stream: bool
) -> None:
    upstream.say(GOOD, (end,))
    assert ask_chat(gateway).status == 200
    assert ask_chat(gateway, stream=wants_stream).status == 200
    assert [received.connection for received in upstream.received] == [1, 1, 2]
    assert len({received.body for received in upstream.received[1:]}) == 1


def test_a_second_one_that_breaks_is_not_replaced(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say(GOOD, (FIN,), (FIN,))
    ask_chat(gateway)
    reply = ask_chat(gateway)
    assert (reply.status, reply.error["code"]) == (502, "provider_unreachable")
    assert len(upstream.received) == 3


def test_of_several_stale_ones_only_one_is_tried(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.respond = lambda _: stream(chat_events(), pace_s=0.01)
    wires = [Wire(gateway.port).send(post("/v1/chat/completions", {**CHAT, "stream": True})) for _ in range(4)]
    for wire in wires:
        assert wire.reply().status == 200
        wire.sock.close()
    gateway.wait_records(4)
    upstream.say((FIN,), (FIN,))
    assert ask_chat(gateway).status == 502
    assert len(upstream.received) == 6


@pytest.mark.parametrize("first_bytes", [b"H", head(200)], ids=["one byte", "half a head"])
def test_once_a_byte_came_nothing_is_sent_again(
    gateway: RunningGateway, upstream: ScriptedUpstream, first_bytes: bytes
) -> None:
    upstream.say(GOOD, (first_bytes, FIN))
    ask_chat(gateway)
    reply = ask_chat(gateway)
    assert (reply.status, reply.error["code"]) == (502, "provider_unreachable")
    assert "'main' closed the connection before it answered" in reply.error["message"]
    assert len(upstream.received) == 2


def test_a_fresh_connection_that_breaks_is_not_replaced(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say((RST,))
    assert ask_chat(gateway).error["code"] == "provider_unreachable"
    assert len(upstream.received) == 1


# Deadlines.


@pytest.mark.parametrize("script", [(HANG,), (head(200), HANG)], ids=["before the head", "in the head"])
@pytest.mark.parametrize("wants_stream", [False, True])
def test_silence_before_the_answer_is_504(
    start: Start, upstream: ScriptedUpstream, wants_stream: bool, script: Sequence[Step]
) -> None:
    limit = "first_token" if wants_stream else "total"
    gateway = start(**{f"{limit}_timeout_s": 0.2})
    upstream.say(script)
    reply = ask_chat(gateway, stream=wants_stream)
    assert (reply.status, reply.error["code"], reply.error["type"]) == (504, "provider_timeout", "upstream_error")
    words = "begin to answer" if wants_stream else "finish"
    assert f"'main' did not {words} within 0.2 s" in reply.error["message"]
    assert f"timeouts.{limit}_s" in reply.error["message"]
    record = gateway.wait_record()
    assert (record.ending, record.status, record.error_code) == ("timeout", 504, "provider_timeout")
    assert upstream.last.hung_up.wait(10)


@pytest.mark.parametrize(
    ("limit", "events", "pace_s", "words"),
    [
        ("first_token", 0, 0.0, "did not begin to answer within 0.2 s"),
        ("idle", 3, 0.0, "did not go on with its answer within 0.2 s"),
        ("total", 100, 0.01, "did not finish within 0.2 s"),
    ],
)
def test_silence_in_a_stream_is_told_in_the_stream(
    start: Start, upstream: ScriptedUpstream, limit: str, events: int, pace_s: float, words: str
) -> None:
    gateway = start(**{f"{limit}_timeout_s": 0.2})
    upstream.say(stream([chat_events()[1]] * events, pace_s=pace_s, end=HANG))
    reply = ask_chat(gateway, stream=True)
    assert reply.status == 200
    assert words in events_of(reply.body)[-1]
    assert b"[DONE]" not in reply.body
    record = gateway.wait_record()
    assert (record.ending, record.status, record.error_code) == ("timeout", 200, "provider_timeout")
    assert upstream.last.hung_up.wait(10)


def test_a_short_limit_holds_after_a_quiet_time(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(total_timeout_s=0.1)
    assert ask_chat(gateway).status == 200
    upstream.say((HANG,))
    with Wire(gateway.port, timeout_s=0.9) as wire:
        assert wire.ask(post("/v1/chat/completions", CHAT)).status == 504


def test_a_host_that_does_not_take_connections_is_504(start: Start) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        gateway = start(base_url=f"http://127.0.0.1:{full.getsockname()[1]}/v1", connect_timeout_s=0.2)
        reply = ask_chat(gateway)
        for sock in waiting:
            sock.close()
    assert (reply.status, reply.error["code"]) == (504, "provider_timeout")
    assert "'main' did not accept a connection within 0.2 s" in reply.error["message"]
    assert "timeouts.connect_s" in reply.error["message"]


# No connection at all.


def unreachable(gateway: RunningGateway, code: str = "provider_unreachable") -> str:
    reply = ask_chat(gateway)
    assert (reply.status, reply.error["code"]) == (502, code)
    record = gateway.wait_record()
    assert (record.ending, record.status) == ("failed", 502)
    return str(reply.error["message"])


def test_a_port_that_nobody_listens_on(start: Start) -> None:
    gateway = start(base_url=f"http://127.0.0.1:{free_port('127.0.0.1', 0)}/v1")
    assert "'main' cannot be reached: Connection refused. Start it, or check its base_url." in unreachable(gateway)


def test_a_name_that_nobody_has(start: Start) -> None:
    message = unreachable(start(base_url="http://nowhere.invalid/v1"), "upstream_not_resolved")
    assert "'main' cannot be reached: the name nowhere.invalid has no address" in message


def test_tls_where_there_is_none(start: Start) -> None:
    with socket.socket() as plain:
        plain.bind(("127.0.0.1", 0))
        plain.listen()

        def refuse() -> None:
            client, _ = plain.accept()
            client.recv(4096)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            client.close()

        thread = threading.Thread(target=refuse)
        thread.start()
        message = unreachable(start(base_url=f"https://127.0.0.1:{plain.getsockname()[1]}/v1"))
        thread.join()
    assert "'main' cannot be reached" in message


def test_a_certificate_that_nobody_vouches_for(start: Start, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("this machine has no openssl to make a certificate with")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-keyout", "k", "-out", "c"]
    subprocess.run([*command.split(), *names], cwd=tmp_path, capture_output=True, check=True)
    with ScriptedUpstream(certificate=(tmp_path / "c", tmp_path / "k")) as upstream:
        message = unreachable(start(base_url=upstream.url.replace("http:", "https:")))
    assert "certificate" in message
    assert upstream.received == []


def test_one_upstream_away_leaves_the_others_served(start: Start, upstream: ScriptedUpstream) -> None:
    world = snapshot_of(upstream.url)
    dead = Deployment(name="main", provider="openai", base_url="http://127.0.0.1:1/v1", upstream_model="x")
    gateway = start(changed(world, deployments={**world.deployments, "main": dead}))
    assert ask_chat(gateway).status == 502
    assert ask_chat(gateway, model="other").status == 200
