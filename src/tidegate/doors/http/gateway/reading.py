"""Reading requests out of one client's bytes, for the raw door: httptools (Node's llhttp), strict and bounded."""

from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import unquote

import httptools

from tidegate.app.gateway import Request
from tidegate.doors.http.bounds import HTTP_1_0, IDLE, Bounds, Limits, Refusal
from tidegate.doors.http.gateway.replies import too_large

__all__ = ["Reader", "Taker"]

FRAGMENTS = 256


class Taker(Protocol):
    """Who takes the requests."""

    def take(self, request: Request, keep_alive: bool, version: str) -> None:
        """A request is whole, or (with a `fault`) its body is over the limit and is being read past."""
        ...

    def go_on(self) -> None:
        """The client waits for leave to send its body (`Expect: 100-continue`)."""
        ...

    def passed(self) -> None:
        """A body that was over the limit has been read past."""
        ...


class Reader(Bounds):
    """One client's requests, one after another.

    `discarding`: a body over the limit is being read past. `began`: when the head that is being read began, by the
    clock of `now`, which its owner sets before feeding.
    """

    def __init__(self, taker: Taker, limits: Limits, max_body: Callable[[], int]) -> None:
        self.limits = limits
        self.now = 0.0
        self.began = 0.0
        self.discarding = False
        self._taker = taker
        self._max_body = max_body
        self._parser: Any = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._request: Request | None = None
        self._version = ""
        self._parts: list[bytes] = []
        self._merged = bytearray()
        self._body_size = 0

    def feed(self, data: bytes) -> None:
        """Parse what came in; raises Refusal for what is no request."""
        before = self._body_size
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            raise cause if isinstance(cause, Refusal) else error from None
        except httptools.HttpParserUpgrade:
            raise Refusal(400, "This server neither tunnels nor changes protocols.") from None
        except httptools.HttpParserError as error:
            raise Refusal(400, f"This is not a well-formed HTTP/1.1 request: {error}.") from None
        if self.phase is not IDLE:
            self.fed(len(data), self._body_size != before)

    # What the parser calls.

    def on_message_begin(self) -> None:
        self.message_begins()
        self.began = self.now
        self._url = b""
        self._headers = {}

    def on_url(self, url: bytes) -> None:
        self._url += url
        self.count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        headers = self._headers
        headers[name] = value if name not in headers else headers[name] + b", " + value
        self.count_header(len(name) + len(value))

    def on_headers_complete(self) -> None:
        headers = self._headers
        self._version = self.check_head(self._parser, self._url, headers)
        self._request = self._made()
        self._headers = {}  # trailers go nowhere: no proxy before us has seen them
        self._body_size = 0
        length = headers.get(b"content-length")
        if length is not None and int(length) > self._max_body():
            self._overflow(self._request)
        elif b"expect" in headers and headers[b"expect"].lower() == b"100-continue" and self._version != HTTP_1_0:
            self._taker.go_on()

    def on_body(self, body: bytes) -> None:
        self._body_size += len(body)
        if self.discarding:
            if self._body_size > self.limits.discard_bytes:
                raise Refusal(413, "The body does not end.")
        elif self._body_size > self._max_body():
            assert self._request is not None
            self._overflow(self._request)
        else:
            self._parts.append(body)
            if len(self._parts) > FRAGMENTS:
                self._merge()

    def on_message_complete(self) -> None:
        self.phase = IDLE
        request, self._request = self._request, None
        if self.discarding:
            self.discarding = False
            self._taker.passed()
        elif request is not None:
            request.body = self._body()
            keep_alive = self._version != HTTP_1_0 and self._parser.should_keep_alive()
            self._taker.take(request, keep_alive, self._version)

    def _made(self) -> Request:
        path, _, query = self._url.partition(b"?")
        text = path.decode("latin-1")
        if "%" in text:
            text = unquote(text)
        method = self._parser.get_method().decode("latin-1")
        return Request(method, text, self._headers, query=query.decode("latin-1"))

    def _body(self) -> bytes:
        if self._merged:
            self._merge()
            body = bytes(self._merged)
            self._merged = bytearray()
        else:
            body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        return body

    def _merge(self) -> None:
        """A body in very many pieces would weigh many times its size."""
        self._merged += b"".join(self._parts)
        self._parts = []

    def _overflow(self, request: Request) -> None:
        """Have 413 answered at once and read the rest without keeping it, so that the client gets to see the answer."""
        self.discarding = True
        self._parts = []
        self._merged = bytearray()
        request.fault = too_large(self._max_body())
        self._taker.take(request, False, self._version)
