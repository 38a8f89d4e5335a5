"""What would cost a server its memory or its budget: refused, and a real gateway process stays as small as it was."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.gateway_process import gateway_process
from tests.support.http1 import Wire, post
from tests.support.scene import CHAT, changed, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tidegate.live.snapshot import LimitRule

PATH = "/v1/chat/completions"
START = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-test\r\n".encode()
GROWTH_BYTES = 24 << 20
ROUNDS = 3
DEEP = 200_000
FORM_END = b"\r\n\r\nx\r\n--b--"


def million_headers() -> bytes:
    return START + b"".join(b"x%d: 1\r\n" % number for number in range(1_000_000)) + b"\r\n"


ATTACKS: dict[str, tuple[Callable[[], bytes], set[int]]] = {
    "1,000,000 headers": (million_headers, {431}),
    "a header of 16 MB": (lambda: START + b"x: " + b"y" * (16 << 20), {431}),
    "1 GB announced": (lambda: START + b"Content-Length: 1000000000\r\n\r\n" + b"{" * (4 << 20), {413}),
    "1 GB in chunks": (lambda: START + b"Transfer-Encoding: chunked\r\n\r\n3b9aca00\r\n" + b"{" * (4 << 20), {413}),
    "chunks of one byte": (
        lambda: START + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n{\r\n" * 300_000 + b"0\r\n\r\n",
        {400},
    ),
    "arrays in arrays": (lambda: post(PATH, b'{"model": "gpt", "messages": ' + b"[" * DEEP + b"]" * DEEP), {400}),
    "objects in objects": (lambda: post(PATH, b'{"a":' * (DEEP // 2) + b"1" + b"}" * (DEEP // 2)), {400}),
    "fields without end": (
        lambda: post(PATH, b"{" + b",".join(b'"%d":1' % number for number in range(80_000)) + b"}"),
        {400},
    ),
    "a number of a million digits": (lambda: post(PATH, b'{"model": "gpt", "n": ' + b"9" * 1_000_000 + b"}"), {400}),
    "a form of boundaries": (
        lambda: post("/v1/audio/transcriptions", b"--b\r\n" * 200_000).replace(
            b"application/json", b"multipart/form-data; boundary=b", 1
        ),
        {400},
    ),
    "a disposition that backtracks": (
        lambda: post(
            "/v1/audio/transcriptions", b"--b\r\nContent-Disposition: form-data" + b'; a="\\' * 600 + FORM_END
        ).replace(b"application/json", b"multipart/form-data; boundary=b", 1),
        {400},
    ),
    "1,000,000 answers": (lambda: post(PATH, {**CHAT, "n": 1_000_000}), {429}),
}  # fmt: skip


@pytest.mark.parametrize("transport", ["raw", "asgi"])
def test_memory_stays_bounded(transport: str, tmp_path: Path) -> None:
    budget = LimitRule(name="small", unit="nano_usd", cap=1_000_000_000, per="day")
    with ScriptedUpstream() as upstream:
        world = changed(snapshot_of(upstream.url), limits=(budget,))
        with gateway_process(tmp_path, transport, world) as (running, port):
            process = psutil.Process(running.pid)
            with Wire(port) as wire:
                assert wire.ask(post(PATH, CHAT)).status == 200
            said: dict[str, int] = {}
            sizes: list[int] = []
            for _ in range(ROUNDS):
                for name, (make, _) in ATTACKS.items():
                    with Wire(port, timeout_s=20) as wire:
                        wire.send_anyway(make())
                        said[name] = wire.head().status
                sizes.append(process.memory_info().rss)
            with Wire(port) as wire:
                assert wire.ask(post(PATH, CHAT)).status == 200
        assert len(upstream.received) == 2
    assert {name: status for name, status in said.items() if status not in ATTACKS[name][1]} == {}
    assert sizes[-1] - sizes[0] < GROWTH_BYTES, sizes
    assert "Traceback" not in running.text
