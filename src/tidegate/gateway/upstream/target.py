"""A Target: one upstream's address, with the head of each request to it written out once."""

import contextlib
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Protocol
from urllib.parse import SplitResult, urlsplit

from tidegate.kernel.errors import Invalid, TidegateError

if TYPE_CHECKING:
    from tidegate.gateway.ports import Upstreams

__all__ = ["Signer", "Target", "make_target", "refusing_target"]

PLAIN = re.compile(r"[!-~]+")
FRAMING = ("connection", "content-length", "host", "transfer-encoding")
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Signer(Protocol):
    """Says who asks, anew for each request: a signature over it, or a token that changes."""

    def lines(self, target: "Target", path: str, body: bytes) -> str:
        """The header lines for one POST to this path (as it stands on the wire), each ended by CRLF."""
        ...


class Target:
    """Where a deployment's requests go. `key` groups connections: same host, port and security. Times in seconds.

    A target with a `fault` cannot be called: its calls are refused with it. One that has `prepare` is made ready with
    it before each request (a token is fetched); it returns at once when there is nothing to do.
    """

    __slots__ = (
        "authority",
        "base_path",
        "connect_timeout_s",
        "fault",
        "first_token_timeout_s",
        "heads",
        "host",
        "idle_timeout_s",
        "key",
        "lines",
        "name",
        "port",
        "prepare",
        "signer",
        "tls",
        "total_timeout_s",
    )

    def __init__(self, name: str, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.tls = tls
        self.key = (host, port, tls is not None)
        self.authority = host
        self.base_path = ""
        self.lines = ""
        self.heads: dict[str, bytes] = {}
        self.prepare: Callable[[Upstreams], Awaitable[None]] | None = None
        self.signer: Signer | None = None
        self.fault: TidegateError | None = None
        self.connect_timeout_s = 5.0
        self.first_token_timeout_s = 60.0
        self.idle_timeout_s = 60.0
        self.total_timeout_s = 600.0

    def request(self, endpoint: str, body: bytes) -> bytes:
        """The bytes of one request: the endpoint's head, the body's length, the body."""
        return b"%b%d\r\n\r\n%b" % (self.heads[endpoint], len(body), body)

    def post(self, path: str, body: bytes) -> bytes:
        """The bytes of one request to a path of its own under the base URL, query and all, signed if need be."""
        path = self.base_path + path
        signed = self.signer.lines(self, path, body) if self.signer is not None else ""
        lines = f"Host: {self.authority}\r\n{self.lines}{signed}Content-Length: {len(body)}"
        return f"POST {path} HTTP/1.1\r\n{lines}\r\n\r\n".encode("latin-1") + body

    def head(self, method: str, path: str, content_type: str, length: int | None) -> bytes:
        """The head of a request that is passed on: the target's own headers, with the client's Content-Type (none when
        empty); `length` is the body's, None for no body. Never signed.
        """
        own = "".join(line for line in self.lines.splitlines(True) if not line.lower().startswith("content-type:"))
        kind = f"Content-Type: {content_type}\r\n" if content_type else ""
        size = "" if length is None else f"Content-Length: {length}\r\n"
        start = f"{method} {self.base_path}{path} HTTP/1.1\r\nHost: {self.authority}\r\n"
        return f"{start}{own}{kind}{size}\r\n".encode("latin-1")

    def get(self, path: str) -> bytes:
        """The bytes of a GET of a path under the base URL, with the target's own headers; never signed."""
        return f"GET {self.base_path}{path} HTTP/1.1\r\nHost: {self.authority}\r\n{self.lines}\r\n".encode("latin-1")


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def make_target(name: str, base_url: str, paths: Mapping[str, str], headers: Mapping[str, str]) -> Target:
    """Prepare a target; `paths` maps endpoint name to the path under the base URL. Raises Invalid for what is not an
    http(s) address without a query, and for headers that HTTP cannot carry.
    """
    parts, port = _address(name, base_url)
    tls = _tls() if parts.scheme == "https" else None
    target = Target(name, parts.hostname or "", port or (443 if tls else 80), tls)
    for header, value in headers.items():
        good = HEADER_NAME.fullmatch(header) and HEADER_VALUE.fullmatch(value)
        if not good or header.lower() in FRAMING:
            raise Invalid(
                f"The header {header!r} of {name!r} holds a sign that HTTP cannot carry, or frames the request.",
                mend="Mend it: model.headers in tidegate.yaml, or the variable that api_key_env names.",
                code="invalid_header",
            )
    target.lines = "".join(f"{header}: {value}\r\n" for header, value in headers.items())
    target.base_path = parts.path.rstrip("/")
    target.authority = parts.netloc.rpartition("@")[2]
    for endpoint, path in paths.items():
        start = f"POST {target.base_path}{path} HTTP/1.1\r\nHost: {target.authority}\r\n"
        target.heads[endpoint] = f"{start}{target.lines}Content-Length: ".encode("latin-1")
    return target


def refusing_target(name: str, fault: TidegateError) -> Target:
    """A target that cannot be called, for this reason."""
    target = Target(name, "", 0, None)
    target.fault = fault
    return target


def _address(name: str, base_url: str) -> tuple[SplitResult, int | None]:
    with contextlib.suppress(ValueError):  # a port that is none: told below
        parts = urlsplit(base_url)
        port = parts.port
        plain = parts.hostname and PLAIN.fullmatch(base_url) and not (parts.query or parts.fragment)
        if plain and parts.scheme in ("http", "https"):
            return parts, port
    raise Invalid(
        f"The base_url of {name!r} is not an http(s) address: {base_url!r}.",
        mend="Write http://HOST[:PORT]/v1.",
        code="invalid_base_url",
    )
