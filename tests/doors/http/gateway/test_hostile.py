"""What no honest client sends: each is refused or cut off, by both doors alike; nothing of it reaches an upstream, and
the next honest client is served.
"""

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import RunningGateway, until
from tests.support.http1 import Wire, get, post
from tests.support.scene import CHAT, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tidegate.doors.http.bounds import Limits

PATH = "/v1/chat/completions"
BODY = json.dumps(CHAT).encode()
START = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-test\r\n".encode()
HIDDEN = post(PATH, CHAT)
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
ENDS = {400, 401, 404, 405, 408, 411, 413, 414, 417, 421, 426, 431, 501, 505}


@pytest.fixture(scope="module", params=["raw", "asgi"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningGateway, ScriptedUpstream]]:
    limits = Limits(head_s=0.1, body_s=0.06, idle_s=0.06, linger_s=0.06, sweep_s=0.01)
    workspace: Path = tmp_path_factory.mktemp("hostile")
    with (
        ScriptedUpstream() as upstream,
        RunningGateway(snapshot_of(upstream.url), workspace, transport=request.param, limits=limits) as gateway,
    ):
        yield gateway, upstream


def headed(*lines: bytes, body: bytes = BODY) -> bytes:
    """A request whose head has these lines beside the usual ones."""
    return START + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


SMUGGLED = {
    "CL.TE": headed(b"Content-Length: 6", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + HIDDEN),
    "TE.CL": headed(b"Transfer-Encoding: chunked", b"Content-Length: 4", body=b"%x\r\n" % len(HIDDEN) + HIDDEN),
    "TE, twice": headed(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=b"0\r\n\r\n" + HIDDEN),
    "TE not last": headed(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n" + HIDDEN),
    "TE unknown": headed(b"Transfer-Encoding: xchunked", LENGTH[:-2], body=BODY + HIDDEN),
    "TE with a space": headed(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n" + HIDDEN),
    "TE with a tab": headed(b"Transfer-Encoding:\x0bchunked", body=b"0\r\n\r\n" + HIDDEN),
    "TE folded": headed(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n" + HIDDEN),
    "TE of HTTP/1.0": CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0", 1) + b"0\r\n\r\n" + HIDDEN,
    "CL, twice the same": headed(LENGTH[:-2], LENGTH[:-2], body=BODY + HIDDEN),
    "CL, twice different": headed(b"Content-Length: 0", LENGTH[:-2], body=BODY + HIDDEN),
    "CL, a list": headed(b"Content-Length: 0, %d" % len(BODY), body=BODY + HIDDEN),
    "CL negative": headed(b"Content-Length: -1", body=HIDDEN),
    "CL with a sign": headed(b"Content-Length: +%d" % len(BODY)),
    "CL hex": headed(b"Content-Length: 0x%x" % len(BODY)),
    "CL with an underscore": headed(b"Content-Length: 1_0"),
    "CL empty": headed(b"Content-Length:", body=HIDDEN),
    "CL beyond 64 bits": headed(b"Content-Length: 99999999999999999999999999"),
    "CL over the limit": headed(b"Content-Length: 99999999999"),
    "CL folded": headed(b"Content-Length: 1\r\n 0", body=BODY),
    "chunk size negative": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n" + HIDDEN,
    "chunk size 0x": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n" + HIDDEN,
    "chunk size beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\n\r\n" + HIDDEN,
    "chunk size empty": CHUNKED + b"\r\n\r\n" + HIDDEN,
    "chunk without its end": CHUNKED + b"5\r\nhelloXX0\r\n\r\n" + HIDDEN,
    "chunk with bare LF": CHUNKED + b"5\nhello\n0\n\n" + HIDDEN,
    "chunk extension with bare LF": CHUNKED + b"5;a\nhello\r\n0\r\n\r\n" + HIDDEN,
    "chunk extension with NUL": CHUNKED + b"5;a=\0\r\nhello\r\n0\r\n\r\n" + HIDDEN,
    "chunk extension without end": CHUNKED + b"5;" + b"a" * 1_000_000,
    "chunk over the limit": CHUNKED + b"ffffffff\r\n" + b"x" * 2_000_000,
    "trailer with a length": CHUNKED + b"2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n" + HIDDEN,
    "upgrade with a body": headed(b"Connection: Upgrade", b"Upgrade: h2c", LENGTH[:-2], body=HIDDEN),
}  # fmt: skip

MALFORMED = {
    "obs-fold": headed(b"X-A: 1\r\n 2", LENGTH[:-2]),
    "bare LF": headed(LENGTH[:-2]).replace(b"\r\n", b"\n"),
    "bare LF in a header": headed(b"X-A: 1\nX-B: 2", LENGTH[:-2]),
    "bare CR in a header": headed(b"X-A: 1\rX-B: 2", LENGTH[:-2]),
    "NUL in a value": headed(b"X-A: 1\0002", LENGTH[:-2]),
    "NUL in a name": headed(b"X-\0A: 1", LENGTH[:-2]),
    "control characters": headed(b"X-A: \x01\x7f", LENGTH[:-2]),
    "a name with a space": headed(b"X A: 1", LENGTH[:-2]),
    "a name with a letter outside of ASCII": headed(b"X-\xe9: 1", LENGTH[:-2]),
    "a header without a colon": headed(b"nonsense", LENGTH[:-2]),
    "a header without a name": headed(b": 1", LENGTH[:-2]),
    "a space before the first header": f"POST {PATH} HTTP/1.1\r\n Host: a\r\n\r\n".encode(),
    "a line break in the target": b"GET /v1/models\r\nX: /y HTTP/1.1\r\nHost: a\r\n\r\n",
    "an encoded line break in the target": get("/v1/models/%0d%0aX-Injected:%201"),
    "a NUL in the target": b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a letter outside of ASCII in the target": b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    "an absolute target": HIDDEN.replace(b"POST /v1", b"POST http://evil.example/v1", 1),
    "an authority target": b"GET evil.example:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "an asterisk target": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "no Host": HIDDEN.replace(b"Host: test\r\n", b"", 1),
    "two Hosts": HIDDEN.replace(b"Host: test\r\n", b"Host: test\r\nHost: evil\r\n", 1),
    "HTTP/2.0": HIDDEN.replace(b"HTTP/1.1", b"HTTP/2.0", 1),
    "HTTP/0.9": b"GET /v1/models\r\n\r\n",
    "HTTP/1.2": HIDDEN.replace(b"HTTP/1.1", b"HTTP/1.2", 1),
    "HTTP/11": HIDDEN.replace(b"HTTP/1.1", b"HTTP/11", 1),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 50,
    "a TLS hello": bytes.fromhex("16030100f1010000ed0303") + b"\x8f" * 230,
    "garbage": bytes(range(256)) * 20,
    "zeros": b"\0" * 10_000,
    "a lower-case method": HIDDEN.replace(b"POST", b"post", 1),
    "an unknown method": HIDDEN.replace(b"POST", b"BREW", 1),
    "a method of 100 kB": b"P" * 100_000,
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "CONNECT": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n" + HIDDEN,
    "TRACE": get(PATH, method="TRACE"),
    "Upgrade": get("/v1/models", headers=["Connection: Upgrade", "Upgrade: websocket"]) + HIDDEN,
    "DELETE": get(PATH, method="DELETE"),
    "Authorization, twice": HIDDEN.replace(b"Host: test\r\n", b"Host: test\r\nAuthorization: Bearer sk-test\r\n", 1),
    "10,000 headers": headed(*[b"X-%d: 1" % number for number in range(10_000)], LENGTH[:-2]),
    "a header of 1 MB": headed(b"X-A: " + b"x" * 1_000_000, LENGTH[:-2]),
    "a name of 1 MB": headed(b"x" * 1_000_000 + b": 1", LENGTH[:-2]),
    "a target of 1 MB": b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "path tricks": get("/v1/../healthz/..%2f..%2fetc") + get("//v1/models") + get("/v1/models/..%2f..%2fmetrics"),
    "a body that is not UTF-8": post(PATH, b'{"model": "\xff\xfe"}'),
    "a body of nulls": post(PATH, b"\0" * 1000),
}  # fmt: skip


def statuses(raw: bytes) -> set[int]:
    return {int(found) for found in re.findall(rb"(?:^|[}\n])HTTP/1\.1 (\d{3})", raw)}


@pytest.mark.parametrize("whole", [True, False], ids=["at once", "in pieces"])
@pytest.mark.parametrize("attack", [*SMUGGLED, *MALFORMED])
def test_it_is_refused_and_goes_nowhere(
    pair: tuple[RunningGateway, ScriptedUpstream], attack: str, whole: bool
) -> None:
    gateway, upstream = pair
    data = (SMUGGLED | MALFORMED)[attack]
    reached = len(upstream.received)
    with Wire(gateway.port) as wire:
        if whole:
            wire.send_anyway(data)
        else:
            wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            step = max(1, len(data) // 40)
            all(wire.send_anyway(data[at : at + step]) for at in range(0, len(data), step))
        answer = wire.rest()
    assert statuses(answer) <= ENDS, answer[:500]
    assert b"500 Internal" not in answer
    assert len(upstream.received) == reached, "it reached the upstream"
    with Wire(gateway.port) as wire:
        assert wire.ask(post(PATH, CHAT)).status == 200
    assert len(upstream.received) == reached + 1
    assert gateway.complaints == []


def test_a_good_request_before_a_bad_one_is_answered(pair: tuple[RunningGateway, ScriptedUpstream]) -> None:
    gateway, _ = pair
    for bad in (b"nonsense\r\n\r\n", SMUGGLED["CL.TE"], MALFORMED["CONNECT"], MALFORMED["obs-fold"]):
        for stream in (False, True):
            with Wire(gateway.port) as wire:
                wire.send(post(PATH, {**CHAT, "stream": stream}) + bad)
                first, second = wire.reply(), wire.reply()
                assert (first.status, second.status) == (200, 400)
                assert (b"[DONE]" in first.body) == stream
                assert wire.is_over()


def test_what_comes_after_connection_close_is_not_served(pair: tuple[RunningGateway, ScriptedUpstream]) -> None:
    gateway, upstream = pair
    reached = len(upstream.received)
    with Wire(gateway.port) as wire:
        wire.send(post(PATH, CHAT, headers=["Connection: close"]) + HIDDEN)
        assert wire.reply().status == 200
        assert wire.is_over()
    assert len(upstream.received) == reached + 1


def test_our_own_headers_go_nowhere(pair: tuple[RunningGateway, ScriptedUpstream]) -> None:
    gateway, upstream = pair
    ours = [
        "x-tidegate-unit: u1",
        "x-tidegate-tags: team=red, a=b",
        "x-tidegate-version: greeting@9",
        "x-request-id: mine",
    ]
    hop = ["Connection: x-secret, keep-alive", "X-Secret: 1", "TE: trailers", "Cookie: a=b", "X-Forwarded-For: 1.2.3.4"]
    with Wire(gateway.port) as wire:
        reply = wire.ask(post(PATH, CHAT, headers=[*ours, *hop]))
    assert reply.status == 200
    assert "x-tidegate-version" not in reply.headers
    assert reply.headers["x-request-id"].startswith("call_")
    sent = upstream.last.headers
    assert set(sent) == {"host", "content-type", "accept-encoding", "user-agent", "content-length"}
    record = until(lambda: [r for r in gateway.records.stored if r.call_id == reply.headers["x-request-id"]])[0]
    assert record.tags == {"team": "blue", "a": "b"}
    assert record.unit == "u1"


def test_a_client_that_only_connects_and_leaves_costs_nothing(pair: tuple[RunningGateway, ScriptedUpstream]) -> None:
    gateway, _ = pair
    for _ in range(50):
        with contextlib.suppress(OSError), Wire(gateway.port) as wire:
            wire.reset()
    with Wire(gateway.port) as wire:
        assert wire.ask(post(PATH, CHAT)).status == 200
