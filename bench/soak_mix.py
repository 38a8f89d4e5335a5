"""The callers of `bench.soak`: so many connections kept open, and a mix of calls whose answers are known beforehand."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping

from bench.calling import Connection, call_bytes
from bench.gateway import canned

__all__ = ["MIX", "Callers"]

MIX = {"whole": 70, "stream": 16, "left": 2, "spent": 4, "limited": 3, "failing": 3, "refused": 2}
"""Of 100 calls. `left`: a stream that its caller leaves after the first event. `refused`: no messages in it."""
EXPECTED = {
    "whole": {200}, "stream": {200}, "left": {200}, "spent": {429}, "limited": {429}, "failing": {500, 502, 503},
    "refused": {400},
}  # fmt: skip
FIRST = {"limited": {200}}
"""The first of these has not used up anything yet."""
CONNECTIONS = 32
PATIENCE_S = 20.0


class Callers:
    """They make calls in a drawn order, and count the answers by kind: `KIND STATUS`, with WRONG when not expected."""

    def __init__(self, port: int, keys: Mapping[str, str]) -> None:
        self.answers: Counter[str] = Counter()
        self._port = port
        self._draw = random.Random(5)
        self._asks = {kind: _request(kind, keys) for kind in MIX}
        self._seen: Counter[str] = Counter()
        self._open: list[Connection] = []
        self._left = 0

    async def make(self, count: int) -> None:
        """So many calls, each one answered or counted as WRONG."""
        if not self._seen:  # what is used up for all others
            for kind in FIRST:
                await self._one(kind)
        self._left = count - (len(FIRST) if self._seen.total() == len(FIRST) else 0)
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._caller())

    def close(self) -> None:
        """Close the connections."""
        for connection in self._open:
            connection.abort()

    async def _caller(self) -> None:
        while self._left > 0:
            self._left -= 1
            await self._one(self._draw.choices(list(MIX), list(MIX.values()))[0])

    async def _one(self, kind: str) -> None:
        connection = self._open.pop() if self._open else await Connection.opened(self._port)
        expected = EXPECTED[kind] if self._seen[kind] else FIRST.get(kind, EXPECTED[kind])
        self._seen[kind] += 1
        answered: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        connection.ask(self._asks[kind], answered.set_result, leaves=kind == "left")
        ended, _ = await asyncio.wait((answered,), timeout=PATIENCE_S)
        status = answered.result() if ended else None
        fine = status in expected and (kind != "stream" or b"[DONE]" in connection.received)
        what = f"{kind} {status or ('closed' if ended else 'hung')}"
        self.answers[what if fine else f"{what} WRONG"] += 1
        if kind == "left" or not fine or not connection.can_go_on:
            connection.abort()
        else:
            self._open.append(connection)


def _request(kind: str, keys: Mapping[str, str]) -> bytes:
    """The bytes of a call."""
    body = canned.request("failing" if kind == "failing" else "chat", stream=kind in ("stream", "left"), pace_ms=0)
    if kind == "refused":
        body = json.dumps({"model": "chat", "messages": "none"}).encode()
    return call_bytes(keys.get(kind, keys["bench"]), body)
