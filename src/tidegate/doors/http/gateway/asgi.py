"""The gateway behind any ASGI server: the portable door. The raw door beside it is faster and passes the same suite."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any

from tidegate.app.gateway import Gateway, Reply, Request
from tidegate.doors.http.gateway.replies import internal_error, too_large
from tidegate.kernel.errors import TidegateError

__all__ = ["BREAK_OFF", "GatewayApp", "merged"]

log = logging.getLogger(__name__)

BREAK_OFF = "tidegate.break_off"
"""The ASGI extension by which our own server lets an answer break off in its middle: it has a function `call`."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def merged(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers by name; one that came more than once is one list (RFC 9110, 5.3)."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found[name] = value if name not in found else found[name] + b", " + value
    return found


class GatewayApp:
    """An ASGI 3 application over one Gateway. A client that goes away cancels its call, which closes the upstream."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        query = scope["query_string"].decode("latin-1")
        request = Request(scope["method"], scope["path"], merged(scope["headers"]), query=query)
        if not await self._read_body(request, receive):
            return
        break_off = (scope.get("extensions") or {}).get(BREAK_OFF, {}).get("call")
        answer = asyncio.create_task(self._answer(request, send, break_off))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()
            gone.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)
        if not answer.cancelled():
            answer.result()

    async def _read_body(self, request: Request, receive: Receive) -> bool:
        """Read the body up to the limit; False when the client left."""
        limit = self._gateway.policy.max_body_bytes
        length = request.headers.get(b"content-length", b"0").strip()
        if length.isdigit() and int(length) > limit:
            request.fault = too_large(limit)
            return True
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > limit:
                request.fault = too_large(limit)
                return True
        request.body = bytes(body)
        return True

    async def _answer(self, request: Request, send: Send, break_off: Callable[[], None] | None) -> None:
        try:
            reply = await self._gateway.handle(request)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            reply = internal_error()
        headers = list(reply.headers)
        if reply.events is None and reply.status != HTTPStatus.NOT_MODIFIED:
            headers.append((b"content-length", b"%d" % len(reply.body)))
        if reply.events is None:
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            await send({"type": "http.response.body", "body": reply.body})
            return
        try:
            await _stream(reply, send)
        except TidegateError:  # it is in the record; bytes that are no events can only break off
            if break_off is None:
                raise
            break_off()
            await asyncio.Event().wait()  # until the connection is seen to be gone, which cancels this


async def _stream(reply: Reply, send: Send) -> None:
    assert reply.events is not None
    async with contextlib.aclosing(reply.events) as events:
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        async for block in events:
            await send({"type": "http.response.body", "body": block, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
