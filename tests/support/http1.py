"""HTTP/1.1 over a plain socket: sends exactly the bytes that a test says, and reads replies one at a time."""

import contextlib
import json
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

__all__ = ["Reply", "Wire", "chunked", "get", "post"]

RESET = struct.pack("ii", 1, 0)


@dataclass
class Reply:
    """One reply; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error of a body in OpenAI's shape."""
        found: dict[str, Any] = self.json["error"]
        return found


def post(
    path: str, body: object, *, key: str | None = "sk-test", headers: Sequence[str] = (), version: str = "1.1"
) -> bytes:
    """A POST with a JSON body (or bytes as they are)."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/{version}", "Host: test", "Content-Type: application/json"]
    lines += [f"Authorization: Bearer {key}"] if key else []
    return "\r\n".join([*lines, f"Content-Length: {len(data)}", *headers, "", ""]).encode("latin-1") + data


def get(path: str, *, key: str | None = "sk-test", headers: Sequence[str] = (), method: str = "GET") -> bytes:
    """A request without a body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test", *([f"Authorization: Bearer {key}"] if key else []), *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunked(path: str, parts: Sequence[bytes], *, trailers: Sequence[str] = (), extension: str = "") -> bytes:
    """A POST whose body comes in chunks."""
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer sk-test\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension.encode(), part) for part in parts)
    return head.encode() + body + b"0\r\n" + "".join(f"{line}\r\n" for line in trailers).encode() + b"\r\n"


class Wire:
    """A client's connection to a port of this machine."""

    def __init__(self, port: int, *, timeout_s: float = 5.0, receive_buffer: int | None = None) -> None:
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout_s)
        try:
            self.sock.connect(("127.0.0.1", port))
        except OSError:
            self.sock.close()
            raise
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> Self:
        """Send all of it."""
        self.sock.sendall(data)
        return self

    def send_anyway(self, data: bytes) -> bool:
        """Send, though the other side may have closed; False when it had."""
        try:
            self.sock.sendall(data)
        except OSError:
            return False
        return True

    def ask(self, data: bytes, **how: bool) -> Reply:
        """Send, and read one reply."""
        return self.send(data).reply(**how)

    def reset(self) -> None:
        """Break the connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()

    def head(self) -> Reply:
        """Read a reply's head."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        start, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = start.decode("latin-1").split("\r\n")
        pairs = [line.partition(":") for line in lines]
        return Reply(int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs})

    def reply(self, *, bodyless: bool = False) -> Reply:
        """Read one reply with its body."""
        reply = self.head()
        if bodyless or reply.status in (100, 204, 304):
            return reply
        if reply.headers.get("transfer-encoding") == "chunked":
            reply.body = b"".join(iter(self.chunk, b""))
        elif "content-length" in reply.headers:
            reply.body = self.exactly(int(reply.headers["content-length"]))
        else:
            reply.body = self.rest()
        return reply

    def chunk(self) -> bytes:
        """Read one chunk of a chunked body; empty at its end."""
        while b"\r\n" not in self._rest:
            self._more()
        size, _, self._rest = self._rest.partition(b"\r\n")
        return self.exactly(int(size, 16) + 2)[:-2]

    def exactly(self, size: int) -> bytes:
        """Read `size` bytes."""
        while len(self._rest) < size:
            self._more()
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def rest(self) -> bytes:
        """Read until the other side ends the connection, in order or not."""
        with contextlib.suppress(ConnectionError):
            while True:
                self._more()
        data, self._rest = self._rest, b""
        return data

    def is_over(self) -> bool:
        """Wait until the other side ends the connection; False when it says something instead."""
        return self.rest() == b""

    def _more(self) -> None:
        data = self.sock.recv(1 << 16)
        if not data:
            raise ConnectionResetError("the connection is over")
        self._rest += data
