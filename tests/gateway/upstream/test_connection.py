"""What an upstream says, read strictly: half, strange and endless answers are told apart from good ones."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.asking import ask_chat
from tests.support.gateway import RunningGateway
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import (
    FIN,
    RST,
    End,
    Pause,
    Step,
    answer,
    chat,
    chat_events,
    events_of,
    head,
    pieces,
    stream,
    usage_of,
)
from tidegate.gateway.upstream import connection

BODY = json.dumps(chat("x" * 3000)).encode()
FRAMED = head(200) + b"Content-Length: %d\r\n\r\n" % len(BODY)


def refused(gateway: RunningGateway, **fields: Any) -> str:
    """The code of a 502; the call must be noted with it."""
    reply = ask_chat(gateway, **fields)
    assert reply.status == 502, reply.body[:300]
    assert gateway.wait_record().error_code == reply.error["code"]
    return str(reply.error["code"])


# Good ones.


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("wants_stream", [False, True])
def test_every_framing_is_read(
    gateway: RunningGateway, upstream: ScriptedUpstream, framing: str, wants_stream: bool
) -> None:
    if wants_stream:
        upstream.say(stream(chat_events(), framing=framing if framing != "length" else "close"))
        assert events_of(ask_chat(gateway, stream=True).body)[-1] == "[DONE]"
    else:
        upstream.say(answer(chat("Grüße"), framing=framing))
        assert ask_chat(gateway).json == chat("Grüße")
    assert gateway.wait_record().ending == "complete"


def test_an_answer_in_single_bytes_is_whole(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    text = b"".join(step for step in answer(chat("🌊"), framing="chunked") if isinstance(step, bytes))
    upstream.say(tuple(step for piece in pieces(text, 1) for step in (piece, Pause(0))))
    assert ask_chat(gateway).json == chat("🌊")


@pytest.mark.parametrize("split", [1, 2, 3])
def test_a_stream_in_single_bytes_is_whole(gateway: RunningGateway, upstream: ScriptedUpstream, split: int) -> None:
    events = chat_events(("Füße", "🌊"), usage=usage_of())
    upstream.say(stream(events, split=split))
    reply = ask_chat(gateway, stream=True, stream_options={"include_usage": True})
    assert reply.body == b"".join(events)


@pytest.mark.parametrize("newline", [b"\r\n", b"\r"], ids=["CRLF", "CR"])
@pytest.mark.parametrize("split", [1, None])
def test_a_stream_with_other_line_ends_is_read(
    gateway: RunningGateway, upstream: ScriptedUpstream, newline: bytes, split: int | None
) -> None:
    upstream.say(stream(chat_events(("Füße",), usage=usage_of()), newline=newline, split=split))
    assert ask_chat(gateway, stream=True).body == b"".join(chat_events(("Füße",)))
    assert gateway.wait_record().output_tokens == 3


def test_interim_answers_are_skipped(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Type: x/y\r\n\r\n"
    for script in (answer(chat()), stream(chat_events())):
        upstream.say((interim, *script))
        reply = ask_chat(gateway, stream=len(script) > 1)
        assert reply.status == 200
        assert "link" not in reply.headers
    assert upstream.connections == 1


def test_trailers_change_nothing(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    body = b"%x\r\n%b\r\n0\r\nContent-Type: text/evil\r\nX-Request-Id: evil\r\n\r\n" % (len(BODY), BODY)
    upstream.say((head(200, [("X-Request-Id", "req_1"), ("Transfer-Encoding", "chunked")]) + b"\r\n" + body,))
    assert ask_chat(gateway).headers["content-type"] == "application/json"
    assert gateway.wait_record().upstream_request_id == "req_1"


# Half ones.


@pytest.mark.parametrize("how", [FIN, RST], ids=["closed", "reset"])
@pytest.mark.parametrize("sent", [0, 1, len(BODY) // 2, len(BODY) - 1])
def test_a_whole_answer_that_breaks_off_is_a_cut(
    gateway: RunningGateway, upstream: ScriptedUpstream, sent: int, how: Step
) -> None:
    upstream.say((FRAMED + BODY[:sent], how))
    reply = ask_chat(gateway)
    assert (reply.status, reply.error["code"]) == (502, "provider_cut")
    assert "'main' broke off in the middle of its answer" in reply.error["message"]
    record = gateway.wait_record()
    assert (record.ending, record.error_code, record.output_tokens) == ("cut", "provider_cut", None)


@pytest.mark.parametrize("how", [FIN, RST], ids=["closed", "reset"])
def test_half_an_unframed_answer_is_none(gateway: RunningGateway, upstream: ScriptedUpstream, how: Step) -> None:
    upstream.say((head(200) + b"\r\n" + BODY[:1000], how))
    assert refused(gateway) == ("provider_bad_answer" if how is FIN else "provider_cut")


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("how", [FIN, RST], ids=["closed", "reset"])
@pytest.mark.parametrize("seen", range(len(chat_events()) + 1))
def test_a_stream_cut_at_any_event_is_told(
    gateway: RunningGateway, upstream: ScriptedUpstream, seen: int, how: End, framing: str
) -> None:
    events = chat_events(usage=usage_of())[: seen + 1]
    whole = events[-1] == b"data: [DONE]\n\n" or (framing == "close" and how is FIN and b'"stop"' in b"".join(events))
    upstream.say(stream(events, framing=framing, end=how))
    reply = ask_chat(gateway, stream=True)
    record = gateway.wait_record()
    assert (record.ending, record.status, record.stream) == ("complete" if whole else "cut", 200, True)
    last = events_of(reply.body)[-1]
    if whole:
        assert '"error"' not in last
        assert record.error_code is None
    else:
        assert json.loads(last)["error"] == {
            "message": json.loads(last)["error"]["message"],
            "type": "upstream_error",
            "param": None,
            "code": "provider_cut",
        }
        assert record.error_code == "provider_cut"
        assert b"[DONE]" not in reply.body


@pytest.mark.parametrize("at", [10, 60, 150])
def test_a_stream_cut_in_an_event_shows_whole_events_only(
    gateway: RunningGateway, upstream: ScriptedUpstream, at: int
) -> None:
    events = chat_events()
    upstream.say(stream([*events[:2], events[2][:at]], end=RST))
    reply = ask_chat(gateway, stream=True)
    shown = reply.body.split(b"\n\n")
    assert shown[0] + b"\n\n" + shown[1] + b"\n\n" == b"".join(events[:2])
    assert json.loads(shown[2][6:])["error"]["code"] == "provider_cut"
    assert shown[3:] == [b""]


# Strange ones.

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
STRANGE = {
    "garbage": b"\x16\x03\x01\x02\x00" * 10,
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + CHUNKED,
    "a folded header": b"HTTP/1.1 200 OK\r\nContent-Type: a\r\n X-Injected: b\r\nContent-Length: 2\r\n\r\n{}",
    "a NUL in a header": b"HTTP/1.1 200 OK\r\nContent-Type: a\0b\r\nContent-Length: 2\r\n\r\n{}",
    "another protocol asked for": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nfoo",
    "a status of 999": b"HTTP/1.1 999 What\r\nContent-Length: 2\r\n\r\n{}",
    "a status of 099": b"HTTP/1.1 099 What\r\nContent-Length: 2\r\n\r\n{}",
    "a bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000,
}


@pytest.mark.parametrize("wants_stream", [False, True])
@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_not_http_is_told(
    gateway: RunningGateway, upstream: ScriptedUpstream, kind: str, wants_stream: bool
) -> None:
    upstream.say((STRANGE[kind], Pause(2)))
    assert refused(gateway, stream=wants_stream) == "provider_not_http"
    assert ask_chat(gateway).status == 200


@pytest.mark.parametrize("wants_stream", [False, True])
def test_an_answer_without_end_is_not_kept(
    gateway: RunningGateway, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch, wants_stream: bool
) -> None:
    monkeypatch.setattr(connection, "MAX_WHOLE_BYTES", 2 << 20)
    upstream.say(answer(b" " * (5 << 20), 500))
    assert refused(gateway, stream=wants_stream) == "provider_too_large"


@pytest.mark.parametrize("size", [1 << 20, 4 << 20])
def test_a_large_error_to_a_stream_is_read_to_its_end(
    gateway: RunningGateway, upstream: ScriptedUpstream, size: int
) -> None:
    upstream.say(answer({"error": {"message": "x" * size, "code": "big"}}, 500))
    reply = ask_chat(gateway, stream=True)
    assert (reply.status, reply.error["code"]) == (500, "big")


def test_what_an_upstream_says_unasked_belongs_to_nobody(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say((*answer(chat("mine")), Pause(0.05), *answer(chat("stray"))))
    assert ask_chat(gateway).json == chat("mine")
    upstream.received[0].over.wait(10)
    assert ask_chat(gateway).json == chat()


def many(count: int) -> Sequence[Step]:
    return stream([b": ping\n\n"] * count + chat_events())


def test_keep_alive_comments_pass(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say(many(5))
    assert ask_chat(gateway, stream=True).body.startswith(b": ping\n\n" * 5)


class Line(asyncio.Transport):
    """The transport of a connection that a test feeds by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def write(self, data: object) -> None:
        """What is sent does not matter here."""

    def pause_reading(self) -> None:
        self.told.append("pause")

    def resume_reading(self) -> None:
        self.told.append("resume")


async def test_a_whole_answer_that_came_faster_than_it_was_asked_for_is_read_on() -> None:
    line, upstream = Line(), connection.Connection(asyncio.get_running_loop())
    upstream.connection_made(line)
    upstream.send(b"", "main")
    upstream.data_received(head(500) + b"Content-Length: 3000000\r\n\r\n" + b"x" * 2_000_000)
    assert line.told == ["pause"]  # as for a client that reads a stream slowly
    whole = asyncio.create_task(upstream.whole())
    await asyncio.sleep(0)
    assert line.told == ["pause", "resume"]
    upstream.data_received(b"x" * 1_000_000)
    assert len(await whole) == 3_000_000
