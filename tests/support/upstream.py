"""A scripted upstream: a real HTTP/1.1 server in a thread of its own that says what a test tells it to say, byte by
byte, and notes what it was sent.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.support.wire import End, Pause, Step, answer, chat, chat_events, stream, usage_of

__all__ = ["Received", "ScriptedUpstream", "usual"]

RESET = struct.pack("ii", 1, 0)
LIMIT = 64 << 20


@dataclass
class Received:
    """One request. `hung_up` is set when the client ends the connection before the script is over."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    at_s: float = field(default_factory=time.monotonic)
    hung_up: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    steps_played: int = 0

    @property
    def json(self) -> dict[str, Any]:
        """The body, decoded."""
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded


def usual(received: Received) -> Sequence[Step]:
    """What a good server answers."""
    asked = received.json
    if received.path.endswith("/embeddings"):
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}]
        return answer({"object": "list", "data": data, "model": "up-model", "usage": usage_of(4, None)})
    n = asked.get("n") or 1
    if asked.get("stream"):
        wanted = (asked.get("stream_options") or {}).get("include_usage")
        return stream(chat_events(n=n, usage=usage_of() if wanted else None))
    if received.path.endswith("/chat/completions"):
        return answer(chat(n=n))
    choices = [{"index": i, "text": "Hello there.", "finish_reason": "stop", "logprobs": None} for i in range(n)]
    body = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "up-model", "choices": choices}
    return answer({**body, "usage": usage_of()})


class ScriptedUpstream:
    """`say(script, ...)` is for the next requests, one script each; without one `respond` answers."""

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.respond: Callable[[Received], Sequence[Step]] = usual
        self.received: list[Received] = []
        self.connections = 0
        self.port = 0
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if certificate else None
        if self._tls and certificate:
            self._tls.load_cert_chain(*certificate)
        self._scripts: deque[Sequence[Step]] = deque()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="upstream", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
        assert not self._thread.is_alive()

    @property
    def url(self) -> str:
        """The base URL that a deployment names."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def last(self) -> Received:
        """The newest request."""
        return self.received[-1]

    def say(self, *scripts: Sequence[Step]) -> None:
        """Answer the next requests so."""
        self._scripts.extend(scripts)

    def wait(self, count: int, timeout_s: float = 5.0) -> Received:
        """Wait until `count` requests came in all; return the newest."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.received) >= count, timeout_s), f"{len(self.received)} came"
        return self.received[-1]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._client, "127.0.0.1", 0, limit=LIMIT, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        requests: asyncio.Queue[Received | None] = asyncio.Queue()
        gone = asyncio.Event()
        listening = asyncio.create_task(self._listen(reader, number, requests, gone))
        try:
            while (received := await requests.get()) is not None:
                script = self._scripts.popleft() if self._scripts else self.respond(received)
                if await self._play(received, script, writer, gone):
                    break
        finally:
            listening.cancel()
            writer.close()

    async def _listen(
        self, reader: asyncio.StreamReader, number: int, requests: asyncio.Queue[Received | None], gone: asyncio.Event
    ) -> None:
        received = None
        try:
            while True:
                received = await self._request(reader, number)
                with self._news:
                    self.received.append(received)
                    self._news.notify_all()
                requests.put_nowait(received)
        except (asyncio.IncompleteReadError, ConnectionError):
            gone.set()
            if received is not None and not received.over.is_set():
                received.hung_up.set()
            requests.put_nowait(None)

    async def _request(self, reader: asyncio.StreamReader, number: int) -> Received:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        pairs = (line.partition(":") for line in lines[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Received(method, path, headers, body, number)

    async def _play(
        self, received: Received, script: Sequence[Step], writer: asyncio.StreamWriter, gone: asyncio.Event
    ) -> bool:
        """Play the script; True when the connection is over."""
        try:
            return await self._steps(received, script, writer, gone)
        except (ConnectionError, TimeoutError):
            received.hung_up.set()
            return True
        finally:
            received.over.set()

    async def _steps(
        self, received: Received, script: Sequence[Step], writer: asyncio.StreamWriter, gone: asyncio.Event
    ) -> bool:
        for step in script:
            if isinstance(step, Pause):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(step.seconds):
                        await gone.wait()
                if gone.is_set():
                    return True
            elif isinstance(step, End):
                if step.how == "rst":
                    sock: socket.socket = writer.get_extra_info("socket")
                    await asyncio.sleep(0.02)  # let the other side read what was sent: a reset would destroy it
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    writer.transport.abort()
                return True
            else:
                writer.write(step)
                await writer.drain()
            received.steps_played += 1
        return False
