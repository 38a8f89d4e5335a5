"""One request to the gateway, which can be broken off from another thread: what a held-open one needs."""

import contextlib
import http.client
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from tidegate.kernel.errors import Invalid, Unavailable

__all__ = ["Answer", "Line"]


class Answer(msgspec.Struct, frozen=True):
    """Status and body."""

    status: int
    body: bytes


class Line:
    """Where the gateway is. `get` and `post` may be called by several threads at once; `cut` ends all that are under
    way.
    """

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid(
                f"{base_url!r} is not an http(s) address.", mend="Write http://HOST:PORT.", code="invalid_base_url"
            )
        self.url = base_url
        self._host, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/").removesuffix("/v1")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._open: set[http.client.HTTPConnection] = set()
        self._cut = False

    def get(self, path: str, headers: Mapping[str, str], timeout_s: float) -> Answer:
        """Ask once over a connection of its own; raises Unavailable."""
        return self._ask("GET", path, headers, timeout_s, None)

    def post(self, path: str, headers: Mapping[str, str], timeout_s: float, body: bytes) -> Answer:
        """Send JSON once over a connection of its own; raises Unavailable."""
        return self._ask("POST", path, {"Content-Type": "application/json", **headers}, timeout_s, body)

    def cut(self) -> None:
        """Break off what is under way and refuse what comes."""
        self._cut = True
        for connection in list(self._open):
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def _ask(self, method: str, path: str, headers: Mapping[str, str], timeout_s: float, body: bytes | None) -> Answer:
        connection = self._connection(timeout_s)
        self._open.add(connection)
        try:
            connection.connect()
            if self._cut:  # asked after the socket is there: `cut` sets its mark before it looks for sockets
                raise OSError("the client is closed")
            connection.request(method, self._base + path, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"The gateway at {self.url} cannot be reached: {str(error) or type(error).__name__}.",
                mend="Start it, or check base_url.",
            ) from error
        finally:
            self._open.discard(connection)
            connection.close()

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
