"""Replies as bytes: heads, whole bodies, and the few answers that are made without the gateway because the request
was no request.
"""

from functools import lru_cache
from http import HTTPStatus

import msgspec

from tidegate.app.gateway import Reply
from tidegate.kernel.errors import TooLarge

__all__ = ["CONTINUE", "LAST_CHUNK", "head_bytes", "internal_error", "refusal", "too_large", "whole_bytes"]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
JSON = (b"content-type", b"application/json")


@lru_cache(256)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


def head_bytes(reply: Reply, date: bytes, keep_alive: bool, chunked: bool) -> bytes:
    """The head of a streamed reply."""
    lines = b"".join([b"%b: %b\r\n" % pair for pair in reply.headers])
    framing = b"transfer-encoding: chunked\r\n" if chunked else b""
    return b"%bdate: %b\r\n%b%b%b\r\n" % (_status_line(reply.status), date, lines, framing, _closing(keep_alive))


def whole_bytes(reply: Reply, date: bytes, keep_alive: bool, head_only: bool) -> bytes:
    """A whole reply, head and body in one piece. 304 has no body and no length (RFC 9110, 15.4.5)."""
    lines = b"".join([b"%b: %b\r\n" % pair for pair in reply.headers])
    length = b"" if reply.status == HTTPStatus.NOT_MODIFIED else b"content-length: %d\r\n" % len(reply.body)
    body = b"" if head_only else reply.body
    return b"%bdate: %b\r\n%b%b%b\r\n%b" % (_status_line(reply.status), date, lines, length, _closing(keep_alive), body)


def _closing(keep_alive: bool) -> bytes:
    return b"" if keep_alive else b"connection: close\r\n"


def refusal(status: int, why: str, date: bytes) -> bytes:
    """The answer to something that is not a request; the connection closes after it."""
    body = {"error": {"message": why, "type": "invalid_request_error", "param": None, "code": "bad_http"}}
    return whole_bytes(Reply(status, [JSON], msgspec.json.encode(body)), date, False, False)


def internal_error() -> Reply:
    """The answer when we have a bug; the log has the traceback."""
    body = {
        "error": {
            "message": "The gateway failed; its log says why.",
            "type": "server_error",
            "param": None,
            "code": "internal_error",
        }
    }
    return Reply(500, [JSON], msgspec.json.encode(body))


def too_large(limit: int) -> TooLarge:
    """The fault of a body over the limit."""
    return TooLarge(
        f"The body is over {limit:,} bytes.", mend="Send less, or raise policies.max_body_bytes in tidegate.yaml."
    )
