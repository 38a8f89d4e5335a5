"""The upstream of `bench.faults`: it fails in every way that an upstream can, and adds up what it has billed."""

import asyncio
import contextlib
import json
import random
import socket
import struct
from collections import Counter
from typing import Any

__all__ = ["MOST_TOKENS", "FaultyUpstream"]

MOST_TOKENS = 20
TOKEN_NANO_USD = 1_000_000
EVENTS = 7
"""What a whole stream has: four texts, the finish, the usage and [DONE]."""


class FaultyUpstream:
    """Speaks chat completions, badly; `user` names the team that it bills."""

    def __init__(self) -> None:
        self.billed: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._draw = random.Random(7)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while await self._one(reader, writer):
                await writer.drain()
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        asked = json.loads((await reader.readexactly(length)).decode(errors="replace"))
        chance = self._draw.random()
        if chance < 0.3:
            status = 500 if chance < 0.15 else 503 if chance < 0.25 else 429
            self.faults[str(status)] += 1
            writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\n{}" % status)
            return True
        tokens = self._draw.randint(1, max(1, min(MOST_TOKENS, asked.get("max_tokens") or 1)))
        self.billed[asked.get("user", "?")] += tokens * TOKEN_NANO_USD
        if chance < 0.31:
            self.faults["hang"] += 1
            await asyncio.sleep(1.5)
            return False
        if chance < 0.33:
            self.faults["reset"] += 1
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if asked.get("stream"):
            return await self._stream(writer, tokens, self._draw.randrange(EVENTS) if chance < 0.4 else None)
        usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9}
        choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
        body = json.dumps({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(body)
        return True

    async def _stream(self, writer: asyncio.StreamWriter, tokens: int, cut_at: int | None) -> bool:
        usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": tokens + 9}
        said: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"content": str(n)}}]} for n in range(4)]
        said.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        said.append({"choices": [], "usage": usage})
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for index, chunk in enumerate([*(json.dumps(one) for one in said), "[DONE]"]):
            if index == cut_at:
                self.faults[f"cut at event {index}"] += 1
                return False
            data = b"data: " + chunk.encode() + b"\n\n"
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await asyncio.sleep(0.001)
            if writer.is_closing():
                return False
        writer.write(b"0\r\n\r\n")
        return True
