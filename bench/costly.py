"""What `bench.budgets` puts before and behind a gateway: callers, and an upstream that bills at random and fails.

An answer has at most MOST_TOKENS. The call says so, or the gateway's settings for the model, or nobody: see BOUNDS.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["BOUNDS", "MOST_TOKENS", "TOKEN_USD", "USD_PER_1M", "Bill", "Door", "Said", "upstream"]

MOST_TOKENS = 50
USD_PER_1M = 1000
TOKEN_USD = USD_PER_1M / 1_000_000
BOUNDS = {"call": "costly", "exact": "costly", "model": "costly", "none": "unknown"}
"""Who bounds an answer, and the model that is asked for: the call by `max_tokens`, the gateway's settings for the
model, or nobody. `exact` is the call, and each answer is as long as it may be: its price is known beforehand.
"""
INJECTED = "injected fault"
FAULT = json.dumps({"error": {"message": INJECTED, "type": "server_error", "code": None}}).encode()


@dataclass
class Bill:
    """What the upstream has billed, by run."""

    usd: dict[str, float] = field(default_factory=dict)
    answers: int = 0

    def add(self, run: str, tokens: int) -> None:
        self.usd[run] = self.usd.get(run, 0.0) + tokens * TOKEN_USD
        self.answers += 1


class _Upstream:
    """Speaks chat completions with random costs and faults; the message names the run."""

    def __init__(self, bill: Bill, draw: random.Random) -> None:
        self._bill = bill
        self._draw = draw

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        if not head.startswith("post "):  # a gateway that looks around
            writer.write(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}")
            return True
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        asked = json.loads(await reader.readexactly(length))
        await asyncio.sleep(self._draw.random() * 0.02)
        chance = self._draw.random()
        if chance < 0.1:
            head_of_fault = b"HTTP/1.1 500 No\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            writer.write(head_of_fault % len(FAULT) + FAULT)
            return True
        run = asked["messages"][0]["content"]
        most = min(MOST_TOKENS, asked.get("max_tokens") or MOST_TOKENS)
        tokens = most if "-exact" in run else self._draw.randint(1, most)
        self._bill.add(run, tokens)
        if asked.get("stream"):
            return await self._stream(writer, tokens, cut=chance < 0.25)
        usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9}
        message = {"role": "assistant", "content": "x"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "costly"}
        body = json.dumps({**answer, "choices": [choice], "usage": usage}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(body)
        return True

    async def _stream(self, writer: asyncio.StreamWriter, tokens: int, *, cut: bool) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(4):
            _event(writer, [{"index": 0, "delta": {"content": f"{number}"}, "finish_reason": None}])
            await asyncio.sleep(0.002)
            if cut and number == 2:
                return False
        _event(writer, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9}
        _event(writer, [], usage=usage)
        data = b"data: [DONE]\n\n"
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
        return True


def _event(writer: asyncio.StreamWriter, choices: list[dict[str, Any]], **more: object) -> None:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "costly", "choices": choices, **more}
    data = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


@contextlib.asynccontextmanager
async def upstream(port: int) -> AsyncIterator[Bill]:
    """The upstream, listening."""
    bill = Bill()
    server = await asyncio.start_server(_Upstream(bill, random.Random(7)).serve, "127.0.0.1", port, backlog=4096)
    async with server:
        yield bill


@dataclass(frozen=True)
class Said:
    """What a caller got: an HTTP status, "broken" for a connection that broke, or "left" for one that it left itself.
    `injected` tells that the answer passes on a fault of the upstream.
    """

    status: str
    refused: bool = False
    injected: bool = False


@dataclass(frozen=True)
class Door:
    """Where a gateway listens, the header lines that make a call count against a run's budget, and its refusals."""

    port: int
    lines: Callable[[str], str]
    refusals: frozenset[int] = frozenset({429})

    async def ask(self, run: str, bound: str, draw: random.Random) -> Said:
        """One call."""
        asked = {
            "model": BOUNDS[bound], "messages": [{"role": "user", "content": run}],
            "stream": draw.random() < 0.5, **({"max_tokens": MOST_TOKENS} if bound in ("call", "exact") else {}),
        }  # fmt: skip
        body = json.dumps(asked).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\n{self.lines(run)}"
            f"Connection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            await asyncio.sleep(0.05)
            return Said("broken")
        try:
            writer.write(head.encode() + body)
            line = await reader.readline()
            if not line:
                return Said("broken")
            status = int(line.split()[1])
            if status == 200 and draw.random() < 0.1:
                return Said("left")
            rest = await reader.read()
            return Said(str(status), status in self.refusals, INJECTED.encode() in rest)
        except OSError:
            return Said("broken")
        finally:
            writer.close()
