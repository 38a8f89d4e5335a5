"""Requests that a gateway must refuse, for `bench.faults`: two readings of one request, wrong keys, sizes, types.

Sources: RFC 9112 (6.3, 7.1, 11.2) for the framing, RFC 8259 (8.1) for UTF-8.
"""

import json
from typing import Any

__all__ = ["MARK", "hostile", "request"]

MARK = "smuggled"
"""The `user` of every call that is hidden or asked for here: an upstream must never see it."""

CHAT = "/v1/chat/completions"
LINES = (
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x", b"Transfer-Encoding : chunked", b"X: y\n a: b",
    b"Transfer-Encoding: xchunked", b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding: gzip",
)  # fmt: skip
LENGTHS = (b"+%d", b"-%d", b"%d, 0", b"%d.0", b"\x00%d", b"'%d'", b"99999999999999999999%d")
WRONG: dict[str, tuple[dict[str, Any], ...]] = {
    CHAT: (
        {"model": 5}, {"model": None}, {"model": ["chat"]}, {"model": "x" * 10_000}, {"messages": "x"},
        {"messages": {}}, {"stream": "yes"}, {"max_tokens": "many"}, {"max_tokens": -1},
    ),
    "/v1/messages": ({"messages": 1}, {"max_tokens": "x"}, {"model": {}}),
    "/v1/responses": ({"max_output_tokens": "x"}, {"model": []}, {"stream": 5}),
    "/v1/embeddings": ({"model": 7}, {"model": None}),
}  # fmt: skip


def request(key: str, body: bytes, more: bytes = b"", path: str = CHAT) -> bytes:
    """A request of a well-behaved client, and `more` header lines."""
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Content-Type: application/json\r\n" + more + b"\r\n" + body


def hostile(key: str) -> dict[str, bytes]:
    """The requests by name; the key is a good one."""
    fine: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}], "user": MARK}
    body = json.dumps({**fine, "max_tokens": 5}).encode()
    return {**_framed(key, body), **_filled(key, fine, body)}


def _framed(key: str, body: bytes) -> dict[str, bytes]:
    """What two servers in a row could read differently."""
    whole, end = request(key, body), b"0\r\n\r\n"
    start = f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n".encode()
    chunked = start + b"Transfer-Encoding: chunked\r\n\r\n"
    both = start + b"Content-Length: %d\r\n" % (len(end) + len(whole))
    return {
        **{f"CL.TE {line!r}": both + line + b"\r\n\r\n" + end + whole for line in LINES},
        **{f"CL {how!r}": start + b"Content-Length: " + how % len(body) + b"\r\n\r\n" + body for how in LENGTHS},
        "chunk size with a sign": chunked + b"+5\r\nhello\r\n" + end + whole,
        "chunk size that wraps": chunked + b"10000000000000005\r\nhello\r\n" + end + whole,
        "chunk data ended by a bare LF": chunked + b"5\r\nhello\n" + end + whole,
        "bare CR behind the request line": whole.replace(b" HTTP/1.1\r\n", b" HTTP/1.1\r", 1),
        "absolute-form": whole.replace(b"POST /", b"POST http://127.0.0.1/", 1),
        "NUL in a name": whole.replace(b"Host:", b"Ho\0st:", 1),
        "LF in a value": whole.replace(b"Host: a", b"Host: a\nb", 1),
        "1 GB announced": start + b"Content-Length: 1000000000\r\n\r\n" + b"{" * 65_536,
        "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    }


def _filled(key: str, fine: dict[str, Any], body: bytes) -> dict[str, bytes]:
    """What is well framed, and should not be let in."""
    torn = body.replace(b"Hi", b"\xff\xfe")
    return {
        **{
            f"types {path} {json.dumps(one)[:40]}": request(key, json.dumps({**fine, **one}).encode(), path=path)
            for path, several in WRONG.items()
            for one in several
        },
        "a wrong key": request("tg-" + "0" * 40, body),
        "a key of bytes": request("\x7f" * 300, body),
        "no key": request(key, body).replace(b"Authorization", b"X-Nothing", 1),
        "a huge header": request(key, body, b"x: " + b"y" * 262_144 + b"\r\n"),
        "many headers": request(key, body, b"x: 1\r\n" * 20_000),
        "arrays in arrays": request(key, b'{"model": "chat", "messages": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
        "objects in objects": request(key, b'{"a":' * 20_000 + b"1" + b"}" * 20_000),
        "a number of 100,000 digits": request(key, b'{"model": "chat", "n": ' + b"9" * 100_000 + b"}"),
        "not UTF-8": request(key, torn),
        "not UTF-8, for a model of another family": request(key, torn.replace(b'"chat"', b'"claude"')),
    }
