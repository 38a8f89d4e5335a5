"""What a client sees of a fault of ours: that there was one, never its inside, and never an answer that looks whole."""

from typing import Any

import pytest

from tests.support.gateway import RunningGateway
from tests.support.http1 import Wire, get, post
from tests.support.scene import CHAT
from tidegate.app.gateway import Gateway
from tidegate.doors.http.gateway.asgi import GatewayApp, merged
from tidegate.gateway.providers.openai.streams import ChatReader

PATH = "/v1/chat/completions"


def broken(*_: Any) -> Any:
    raise ZeroDivisionError("the inside")


def test_a_fault_is_500_and_the_connection_goes_on(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    with Wire(gateway.port) as wire:
        with monkeypatch.context() as patch:
            patch.setattr("tidegate.gateway.providers.openai.provider.read_answer", broken)
            reply = wire.ask(post(PATH, CHAT))
        assert (reply.status, reply.error["code"], reply.error["type"]) == (500, "internal_error", "server_error")
        assert b"inside" not in reply.body
        assert wire.ask(post(PATH, CHAT)).status == 200
    first, second = gateway.wait_records(2)
    assert (first.ending, first.status, first.error_code) == ("failed", 500, "ZeroDivisionError")
    assert second.ending == "complete"
    assert "POST /v1/chat/completions failed" in gateway.complaints.pop()


def test_a_fault_in_a_stream_cuts_it(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChatReader, "end", broken)
    with Wire(gateway.port) as wire:
        wire.send(post(PATH, {**CHAT, "stream": True}))
        assert wire.head().status == 200
        with pytest.raises(ConnectionError):
            b"".join(iter(wire.chunk, b""))
    record = gateway.wait_record()
    assert (record.ending, record.error_code) == ("failed", "ZeroDivisionError")
    assert any("ZeroDivisionError" in complaint for complaint in gateway.complaints)
    gateway.complaints.clear()


def test_a_fault_in_reading_is_400(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.doors.http.bounds.Bounds.check_head", broken)
    with Wire(gateway.port) as wire:
        assert wire.ask(get("/healthz")).status == 400
        assert wire.is_over()
    gateway.complaints.clear()


# The portable door under any server.


class Server:
    """A server that says what a test tells it to say, and notes what it is told."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = list(messages)
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        return self.messages.pop(0) if self.messages else {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)


def scope(**fields: Any) -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": []} | fields


async def test_other_kinds_of_connections_are_left_alone(gateway: RunningGateway) -> None:
    server = Server()
    await GatewayApp(gateway.gateway)({"type": "lifespan"}, server.receive, server.send)
    assert server.sent == []


async def test_a_client_that_leaves_in_its_body_is_not_answered(gateway: RunningGateway) -> None:
    server = Server({"type": "http.request", "body": b"{", "more_body": True})
    await GatewayApp(gateway.gateway)(scope(), server.receive, server.send)
    assert server.sent == []


class Unreachable(Gateway):
    """A gateway that does not get to answer."""

    def __init__(self) -> None:
        self._world = None

    async def handle(self, request: Any) -> Any:
        raise ZeroDivisionError


async def test_a_fault_is_an_answer_of_ours() -> None:
    server = Server({"type": "http.request", "body": b"{}"}, {"type": "http.request", "body": b""})
    server.messages.extend({"type": "http.request", "body": b""} for _ in range(50))
    await GatewayApp(Unreachable())(scope(), server.receive, server.send)
    assert server.sent[0]["status"] == 500
    assert b"internal_error" in server.sent[1]["body"]


def test_headers_that_come_twice_are_one_list() -> None:
    assert merged([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]) == {b"a": b"1, 3", b"b": b"2"}
