"""The webhook: signed, without redirects, and honest about what went wrong."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tidegate.adapters.notifiers.webhook import SIGNATURE_HEADER, Webhook, sign, webhook_key
from tidegate.jobs.notifications import EVENTS, Event
from tidegate.kernel.errors import ProviderFailed, ProviderUnreachable

MASTER = "m" * 40
EVENT = Event(
    event_id="evt_1", event="release.deployed", at_ms=5, actor="alice", subject="release/production/greeting",
    detail={"after": {"version": "1.1.0"}},
)  # fmt: skip


class Noon:
    """A clock that stands."""

    def now_ms(self) -> int:
        return 1_800_000_000_999


class Receiver:
    """A real HTTP server that gives one answer and keeps what it was sent."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[tuple[dict[str, str], bytes]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append((headers, body))
        writer.write(self.answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def receiving(answer: Callable[[int], bytes]) -> AsyncIterator[tuple[Receiver, str]]:
    receiver = Receiver(b"")
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    receiver.answer = answer(port)
    async with server:
        yield receiver, f"http://127.0.0.1:{port}/hook"


def webhook(url: str) -> Webhook:
    return Webhook(url, webhook_key(MASTER, "ops"), clock=Noon())


async def test_a_receiver_can_prove_who_sent_it() -> None:
    async with receiving(lambda port: b"HTTP/1.1 204 No Content\r\n\r\n") as (receiver, url):
        await webhook(url).notify(EVENT)
    headers, body = receiver.requests[0]
    assert msgspec.json.decode(body, type=Event) == EVENT
    assert headers["content-type"] == "application/json"
    assert headers["tidegate-event"] == "release.deployed"
    assert headers["tidegate-event-id"] == "evt_1"
    stamp, _, given = headers[SIGNATURE_HEADER].partition(",v1=")
    at_s = stamp.removeprefix("t=")
    assert at_s == "1800000000"
    key = hmac.new(MASTER.encode(), b"webhook\x1fops", hashlib.sha256).hexdigest()
    assert given == hmac.new(key.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()


def test_the_signature_covers_time_body_and_receiver() -> None:
    key = webhook_key(MASTER, "ops")
    signs = {sign(key, 1, b"{}"), sign(key, 2, b"{}"), sign(key, 1, b"{ }"), sign(webhook_key(MASTER, "b"), 1, b"{}")}
    assert len(signs) == 4
    assert sign(key, 1, b"{}") == sign(key, 1, b"{}")
    assert MASTER not in key


async def test_a_redirect_is_not_followed() -> None:
    async with receiving(lambda port: b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as (inner, secret):
        moved = f"HTTP/1.1 307 Moved\r\nlocation: {secret}\r\ncontent-length: 0\r\n\r\n".encode()
        async with receiving(lambda port: moved) as (receiver, url):
            with pytest.raises(ProviderFailed, match="answered 307"):
                await webhook(url).notify(EVENT)
    assert len(receiver.requests) == 1
    assert inner.requests == []


async def test_a_refusal_is_an_error_that_tells_the_status() -> None:
    async with receiving(lambda port: b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n") as (_, url):
        with pytest.raises(ProviderFailed) as caught:
            await webhook(url).notify(EVENT)
    assert caught.value.status == 500


async def test_nobody_there_is_unreachable() -> None:
    async with receiving(lambda port: b"") as (_, url):
        pass
    with pytest.raises(ProviderUnreachable, match="gave no answer"):
        await webhook(url).notify(EVENT)


async def test_a_silent_receiver_ends_in_time() -> None:
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    quick = Webhook(url, "k", clock=Noon(), client=lambda: httpx.AsyncClient(timeout=0.1))
    async with server:
        with pytest.raises(ProviderUnreachable, match="ReadTimeout"):
            await quick.notify(EVENT)
        await gone.wait()


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving(lambda port: b"HTTP/1.1 204 No Content\r\n\r\n") as (receiver, url):
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        await webhook(url).notify(EVENT)
    assert len(receiver.requests) == 1


PAGE = Path(__file__).parents[3] / "docs" / "reference" / "webhooks.md"


def test_the_receiver_in_the_docs_knows_us_from_others() -> None:
    text = PAGE.read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(text.partition("```python\n")[2].partition("```")[0], names)  # noqa: S102  # the example is what is tested
    check = names["is_from_tidegate"]
    key, body, now_s = webhook_key(MASTER, "ops"), b'{"event":"key.created"}', int(time.time())
    assert check(key, sign(key, now_s, body), body)
    assert not check(key, sign(key, now_s, body), body + b" ")
    assert not check(webhook_key(MASTER, "other"), sign(key, now_s, body), body)
    assert not check(key, sign(key, now_s - 600, body), body)
    assert all(f"`{event}`" in text for event in EVENTS)
