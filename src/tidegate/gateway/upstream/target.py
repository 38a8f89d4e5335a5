"""A Target: one upstream's address, with the head of each request to it written out once."""

import contextlib
import re
import ssl
from collections.abc import Mapping
from functools import cache
from urllib.parse import SplitResult, urlsplit

from tidegate.kernel.errors import Invalid, TidegateError

__all__ = ["Target", "make_target", "refusing_target"]

PLAIN = re.compile(r"[!-~]+")
FRAMING = ("connection", "content-length", "host", "transfer-encoding")
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Target:
    """Where a deployment's requests go. `key` groups connections: same host, port and security. Times in seconds.

    A target with a `fault` cannot be called: its calls are refused with it.
    """

    __slots__ = (
        "connect_timeout_s",
        "fault",
        "first_token_timeout_s",
        "heads",
        "host",
        "idle_timeout_s",
        "key",
        "name",
        "port",
        "tls",
        "total_timeout_s",
    )

    def __init__(self, name: str, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.tls = tls
        self.key = (host, port, tls is not None)
        self.heads: dict[str, bytes] = {}
        self.fault: TidegateError | None = None
        self.connect_timeout_s = 5.0
        self.first_token_timeout_s = 60.0
        self.idle_timeout_s = 60.0
        self.total_timeout_s = 600.0

    def request(self, endpoint: str, body: bytes) -> bytes:
        """The bytes of one request: the endpoint's head, the body's length, the body."""
        return b"%b%d\r\n\r\n%b" % (self.heads[endpoint], len(body), body)


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
    lines = "".join(f"{header}: {value}\r\n" for header, value in headers.items())
    base = parts.path.rstrip("/")
    for endpoint, path in paths.items():
        head = f"POST {base}{path} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\n{lines}Content-Length: "
        target.heads[endpoint] = head.encode("latin-1")
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
