"""Requests that two servers in a row could read differently: both doors refuse them, and nothing that follows on the
connection becomes a request. What goes on to an upstream is what is on our list, whatever the client sends.

Sources: RFC 9112 (5.1, 6.3, 7.1, 11.2); https://portswigger.net/web-security/request-smuggling (read 2026-11).
"""

import json
import re
from collections.abc import Iterator

import pytest

from tests.support.gateway import RunningGateway, until
from tests.support.http1 import Wire, get, post
from tests.support.scene import CHAT, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import answer
from tidegate.doors.http.bounds import Limits

PATH = "/v1/chat/completions"
BODY = json.dumps(CHAT).encode()
MARK = "smuggled-one"
HIDDEN = post(PATH, {**CHAT, "user": MARK})
START = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-test\r\n".encode()
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
ENDED = b"0\r\n\r\n"
TE = (
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding\t: chunked",
    b" Transfer-Encoding: chunked",
    b"X: y\n Transfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked\x0b",
    b"Transfer-Encoding: chunked\x00",
    b"Transfer-Encoding: \x00chunked",
    b"Transfer-Encoding: \"chunked\"",
    b"Transfer-Encoding: 'chunked'",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked, identity",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    b"Transfer-Encoding: x\r\nTransfer-Encoding: cow",
    b"Transfer-Encoding:\r\n\tchunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding:",
    b"Transfer\xadEncoding: chunked",
    b"Transfer-Encoding\x00: chunked",
    b"Transfer-Encoding: gzip",
)  # fmt: skip
LENGTHS = (
    b"+%d", b"-%d", b"0%d ,", b"%d,%d", b"%d, 0", b"%d;", b"%d.0", b"%de0", b"0x%x", b"%d a", b"\x00%d", b"%d\x00",
    b"\x0b%d", b"%d\x0c", b"'%d'", b"\xb2%d",
)  # fmt: skip


def length(how: bytes) -> bytes:
    return how % ((len(BODY),) * len(re.findall(rb"%[dx]", how)))


CORPUS: dict[str, bytes] = {
    **{
        f"CL.TE {line!r}": START + b"Content-Length: %d\r\n%b\r\n\r\n" % (len(ENDED + HIDDEN), line) + ENDED + HIDDEN
        for line in TE
    },
    **{f"TE alone {line!r}": START + line + b"\r\n\r\n" + ENDED + HIDDEN for line in TE},
    **{f"CL {how!r}": START + b"Content-Length: " + length(how) + b"\r\n\r\n" + BODY + HIDDEN for how in LENGTHS},
    "CL, a space before the colon": START + b"Content-Length : %d\r\n\r\n" % len(BODY) + BODY + HIDDEN,
    "CL of another size, folded in": START + b"X: y\r\n Content-Length: 3\r\n\r\n" + HIDDEN,
    "TE.CL": CHUNKED[:-2] + b"Content-Length: 3\r\n\r\n%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n" + ENDED,
    "chunk size with a sign": CHUNKED + b"+5\r\nhello\r\n" + ENDED + HIDDEN,
    "chunk size with a space before": CHUNKED + b" 5\r\nhello\r\n" + ENDED + HIDDEN,
    "chunk size with an underscore": CHUNKED + b"1_0\r\nhello\r\n" + ENDED + HIDDEN,
    "chunk size that wraps at 64 bits": CHUNKED + b"10000000000000005\r\nhello\r\n" + ENDED + HIDDEN,
    "chunk ended by a bare CR": CHUNKED + b"5\rhello\r\n" + ENDED + HIDDEN,
    "chunk data ended by a bare LF": CHUNKED + b"5\r\nhello\n" + ENDED + HIDDEN,
    "chunk extension with a CR": CHUNKED + b"5;a\rb\r\nhello\r\n" + ENDED + HIDDEN,
    "bare CR behind the request line": HIDDEN.replace(b" HTTP/1.1\r\n", b" HTTP/1.1\r", 1),
    "a tab in the request line": HIDDEN.replace(b"POST /", b"POST\t/", 1),
    "two spaces in the request line": HIDDEN.replace(b" HTTP/1.1", b"  HTTP/1.1 x", 1),
    "a version in lower case": HIDDEN.replace(b"HTTP/1.1", b"http/1.1", 1),
    "a target with a line feed": HIDDEN.replace(b"/completions", b"/completions\n", 1),
    "absolute-form": HIDDEN.replace(b"POST /", b"POST http://127.0.0.1/", 1),
    "NUL in a name": HIDDEN.replace(b"Host:", b"Ho\0st:", 1),
    "CR in a name": HIDDEN.replace(b"Host:", b"Ho\rst:", 1),
    "LF in a value": HIDDEN.replace(b"Host: test", b"Host: te\nst", 1),
}  # fmt: skip


@pytest.fixture(scope="module", params=["raw", "asgi"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningGateway, ScriptedUpstream]]:
    limits = Limits(head_s=0.1, body_s=0.06, idle_s=0.06, linger_s=0.06, sweep_s=0.01)
    with (
        ScriptedUpstream() as upstream,
        RunningGateway(
            snapshot_of(upstream.url), tmp_path_factory.mktemp("smuggling"), transport=request.param, limits=limits
        ) as gateway,
    ):
        yield gateway, upstream


@pytest.mark.parametrize("attack", CORPUS)
def test_it_is_refused_with_all_that_follows(pair: tuple[RunningGateway, ScriptedUpstream], attack: str) -> None:
    gateway, upstream = pair
    reached = len(upstream.received)
    with Wire(gateway.port) as wire:
        wire.send_anyway(CORPUS[attack] + get("/v1/models"))
        said = wire.rest()
    statuses = [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", said)]
    assert len(statuses) <= 1, said
    assert all(400 <= status < 500 or status in (501, 505) for status in statuses), said
    assert len(upstream.received) == reached
    assert gateway.complaints == []


INNOCENT = [
    "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: a", "X-Forwarded-Proto: https", "Forwarded: for=127.0.0.1",
    "X-Real-IP: 127.0.0.1", "X-Team-Id: root", "X-Internal-Admin: 1", "X-Tidegate-Debug: 1", "Cookie: a=b",
    "Connection: keep-alive, X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Authorization: Basic YTpi",
    "Proxy-Connection: keep-alive", "TE: trailers", "Trailer: X-Hop", "Via: 1.1 a", "Expect: 100-continue",
    "X-HTTP-Method-Override: DELETE", "OpenAI-Organization: org", "Referer: http://a", "Origin: http://a",
    "api-key: sk-mine", "x-api-key: sk-mine", "Accept-Encoding: gzip", "X-Amz-Date: 1",
]  # fmt: skip
ALLOWED = {"host", "content-type", "accept-encoding", "user-agent", "content-length"}


@pytest.mark.parametrize("path", [PATH, "/v1/images/generations"])
def test_only_what_is_listed_goes_on(pair: tuple[RunningGateway, ScriptedUpstream], path: str) -> None:
    gateway, upstream = pair
    upstream.say(answer({"choices": []}))
    with Wire(gateway.port) as wire:
        wire.send(post(path, {**CHAT, "prompt": "x"}, headers=[line for line in INNOCENT if "Expect" not in line]))
        assert wire.reply().status == 200
    sent = upstream.last.headers
    assert set(sent) == ALLOWED
    assert sent["accept-encoding"] == "identity"
    assert "sk-" not in str(sent)
    assert sent["host"] == f"127.0.0.1:{upstream.port}"


def test_a_forwarded_address_is_no_key(pair: tuple[RunningGateway, ScriptedUpstream]) -> None:
    gateway, upstream = pair
    reached = len(upstream.received)
    with Wire(gateway.port) as wire:
        for line in ("X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-Real-IP: ::1"):
            assert wire.ask(post(PATH, CHAT, key=None, headers=[line])).status == 401
    assert len(upstream.received) == reached
    until(lambda: [one for one in gateway.records.stored if one.error_code == "missing_api_key"])
