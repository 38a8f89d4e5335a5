"""What no honest client sends to control: refused, in bounded memory and time; the next honest client is served."""

import asyncio
import gzip
import json
import select
import threading
from collections.abc import Iterator

import pytest

from tests.support.control import ADMIN_TOKEN, make_workspace, running_control, settings_for
from tests.support.http1 import Wire, get, post
from tidegate.app.sockets import bind
from tidegate.doors.http.bounds import Limits
from tidegate.doors.http.control.connection import ControlConnection
from tidegate.doors.http.control.routes import BASE
from tidegate.doors.http.control.serve import make_server

GOOD = get(f"{BASE}/whoami", key=ADMIN_TOKEN)
START = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
KEYS = f"POST {BASE}/keys HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n".encode()


class Impatient(ControlConnection):
    limits = Limits(head_s=0.3, body_s=0.3, idle_s=0.3, linger_s=0.3)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    workspace = make_workspace(tmp_path_factory.mktemp("control") / "home")
    ready, stopping = threading.Event(), threading.Event()
    with bind("127.0.0.1", 0) as sock:

        async def serve() -> None:
            async with running_control(settings_for(workspace)) as control:
                server = make_server(control, connection=Impatient)
                server.config.load()
                serving = asyncio.create_task(server._serve([sock]))
                ready.set()
                await asyncio.to_thread(stopping.wait)
                server.should_exit = True
                await serving

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        assert ready.wait(30)
        yield int(sock.getsockname()[1])
        stopping.set()
        thread.join(30)


HEADS = {
    "a header of 16 MB": (START + b"x: " + b"y" * (16 << 20), 431),
    "100,000 headers": (START + b"".join(b"x%d: 1\r\n" % number for number in range(100_000)), 431),
    "a target of 1 MB": (b"GET /" + b"y" * (1 << 20) + b" HTTP/1.1\r\n", 431),
    "trailers without end": (
        KEYS + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + b"x: y\r\n" * 100_000,
        431,
    ),
    "another protocol": (START + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 400),
    "CL.TE": (KEYS + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GOOD, 400),
    "TE.CL": (KEYS + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n" + GOOD, 400),
    "two lengths": (KEYS + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + GOOD, 400),
    "two hosts": (START + b"Host: b\r\n\r\n" + GOOD, 400),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n" + GOOD, 400),
    "another's address": (b"GET http://127.0.0.1/healthz HTTP/1.1\r\nHost: a\r\n\r\n" + GOOD, 400),
    "no HTTP at all": (b"\x16\x03\x01\x00\xa5\x01\x00" * 20, 400),
}


@pytest.mark.parametrize("attack", HEADS)
def test_it_is_refused_with_all_that_follows(port: int, attack: str) -> None:
    sent, status = HEADS[attack]
    with Wire(port) as wire:
        wire.send_anyway(sent)
        reply = wire.reply()
        assert reply.status == status
        assert reply.error["mend"]
        assert wire.is_over()
    with Wire(port) as wire:
        assert wire.ask(GOOD).status == 200


@pytest.mark.parametrize(
    "begun", [START, START + b"X: y\r\n", KEYS + b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"]
)
def test_who_does_not_go_on_is_told_and_parted_from(port: int, begun: bytes) -> None:
    with Wire(port) as wire:
        assert wire.ask(begun).status == 408
        assert wire.is_over()


def test_a_head_that_drips_in_is_ended(port: int) -> None:
    with Wire(port) as wire:
        wire.send(START)
        for _ in range(100):
            wire.send_anyway(b"x: y\r\n")
            if select.select([wire.sock], [], [], 0.02)[0]:
                break
        assert wire.reply().status == 408


def test_who_says_nothing_is_parted_from(port: int) -> None:
    with Wire(port) as wire:
        assert wire.is_over()


def test_an_honest_client_keeps_its_connection(port: int) -> None:
    with Wire(port) as wire:
        for _ in range(3):
            assert wire.ask(GOOD).json["name"] == "admin"
        reply = wire.ask(post(f"{BASE}/keys", {"name": "one", "pad": "x" * 200_000}, key=ADMIN_TOKEN))
        assert reply.status == 400
        assert wire.ask(GOOD).status == 200


def test_a_packed_body_is_not_unpacked(port: int) -> None:
    packed = gzip.compress(json.dumps({"name": "packed"}).encode() + b" " * 50_000_000)
    with Wire(port) as wire:
        reply = wire.ask(post(f"{BASE}/keys", packed, key=ADMIN_TOKEN, headers=["Content-Encoding: gzip"]))
    assert reply.status == 400
