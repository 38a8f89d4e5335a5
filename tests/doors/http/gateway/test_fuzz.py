"""Any bytes at all: the raw door reads requests or refuses, and where the bytes were cut makes no difference."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.gateway import RunningGateway
from tests.support.http1 import Wire, chunked, get, post
from tests.support.scene import CHAT, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tidegate.app.gateway import Request
from tidegate.doors.http.bounds import BODY, HEAD, IDLE, Limits, Refusal
from tidegate.doors.http.gateway.reading import Reader

PATH = "/v1/chat/completions"
MAX_BODY = 300
LIMITS = Limits(head_bytes=400, headers=10, discard_bytes=2000)

GOOD = [
    post(PATH, CHAT),
    post(PATH, b"x" * (MAX_BODY + 1)),
    get("/v1/models/%41?x=1"),
    chunked(PATH, [b"ab", b"c" * 20], trailers=["X: y"], extension=";a=b"),
    chunked(PATH, [b"d" * 200] * 2),
    b"GET / HTTP/1.0\r\n\r\n",
]
SCRAPS = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"0\r\n\r\n", b"HTTP/1.1", b"HTTP/1.0", b"GET ", b"POST ", b"\xff",
    b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Content-Length: 99999\r\n", b"x" * 500,
    b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: x\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", b"ffffffffffffffff",
]  # fmt: skip


class Notes:
    """Takes what is read, as a connection would."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, bytes, dict[bytes, bytes], bool]] = []
        self.leaves = 0
        self.past = 0

    def take(self, request: Request, keep_alive: bool, version: str) -> None:
        body = b"" if request.fault else request.body
        self.taken.append((request.method, request.path, body, request.headers, keep_alive))
        assert len(request.body) <= MAX_BODY
        assert version in ("1.0", "1.1")

    def go_on(self) -> None:
        self.leaves += 1

    def passed(self) -> None:
        self.past += 1


def read(pieces: list[bytes]) -> tuple[Notes, int | None]:
    """Everything that was taken, and the status of the refusal that ended it."""
    notes = Notes()
    reader = Reader(notes, LIMITS, lambda: MAX_BODY)
    for piece in pieces:
        try:
            reader.feed(piece)
        except Refusal as refused:
            return notes, refused.status
        assert reader.phase in (IDLE, HEAD, BODY)
        assert sum(map(len, reader._parts)) + len(reader._merged) <= MAX_BODY
    return notes, None


@st.composite
def conversations(draw: st.DrawFn) -> bytes:
    """Good requests, one after another, cut, doubled and mixed with scraps."""
    data = b"".join(draw(st.lists(st.sampled_from(GOOD), max_size=4)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        to = draw(st.integers(at, len(data)))
        new = draw(st.sampled_from(SCRAPS) | st.binary(max_size=8))
        data = data[:at] + new + data[to if draw(st.booleans()) else at :]
    return data


@settings(max_examples=400)
@given(data=conversations() | st.binary(max_size=300), cuts=st.lists(st.integers(0, 1500), max_size=8))
@example(data=chunked(PATH, [b"d" * 200] * 2), cuts=[])
@example(data=b"GET / HTTP/1.1\r\nHost: a\r\n" * 3, cuts=[1])
def test_where_the_bytes_were_cut_makes_no_difference(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(edges) if a != b]
    whole, refusal = read([data] if data else [])
    cut, cut_refusal = read(pieces)
    assert {refusal, cut_refusal} <= {None, 400, 413, 431, 505}
    assert whole.taken[: len(cut.taken)] == cut.taken[: len(whole.taken)]
    # only the count of bytes that are not handed over yet depends on the pieces, and it only ever refuses sooner
    if cut_refusal != 431:
        assert cut_refusal == refusal
        assert (cut.taken, cut.past, cut.leaves) == (whole.taken, whole.past, whole.leaves)


@settings(max_examples=100)
@given(data=st.lists(st.sampled_from(GOOD[:4]), min_size=1, max_size=5))
def test_single_bytes_are_read_as_the_whole_is(data: list[bytes]) -> None:
    text = b"".join(data)
    whole, refusal = read([text])
    single, _ = read([text[at : at + 1] for at in range(len(text))])
    assert refusal is None
    assert single.taken == whole.taken


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningGateway, ScriptedUpstream]]:
    limits = Limits(head_s=0.02, body_s=0.02, idle_s=0.02, linger_s=0.02, sweep_s=0.01)
    workspace: Path = tmp_path_factory.mktemp("fuzz")
    with ScriptedUpstream() as upstream, RunningGateway(
        snapshot_of(upstream.url), workspace, limits=limits
    ) as gateway:  # fmt: skip
        yield gateway, upstream


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=conversations() | st.binary(max_size=2000))
def test_the_door_survives_any_bytes(pair: tuple[RunningGateway, ScriptedUpstream], data: bytes) -> None:
    gateway, upstream = pair
    with Wire(gateway.port) as wire:
        wire.send_anyway(data)
        answer = wire.rest()
    assert b"HTTP/1.1 500" not in answer
    assert all(json.loads(received.body)["messages"] for received in upstream.received)
    assert gateway.complaints == []
    with Wire(gateway.port) as wire:
        assert wire.ask(get("/healthz")).status == 200
