"""Packed bodies are never unpacked: a small one cannot become a large one in memory."""

import gzip
import json

from tests.support.gateway import RunningGateway
from tests.support.http1 import Wire, post
from tests.support.scene import CHAT
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import answer, chat

PATH = "/v1/chat/completions"
BOMB = gzip.compress(json.dumps(CHAT).encode() + b" " * (64 << 20))


def test_a_clients_packed_body_is_no_json(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    for packed in (BOMB, gzip.compress(json.dumps(CHAT).encode())):
        with Wire(gateway.port) as wire:
            reply = wire.ask(post(PATH, packed, headers=["Content-Encoding: gzip"]))
        assert (reply.status, reply.error["code"]) == (400, "invalid_json")
    assert upstream.received == []


def test_an_upstream_that_packs_unasked_is_told_apart(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    packed = gzip.compress(json.dumps(chat()).encode() + b" " * (64 << 20))
    upstream.say(answer(packed, headers=(("Content-Encoding", "gzip"),)))
    with Wire(gateway.port) as wire:
        reply = wire.ask(post(PATH, CHAT))
    assert reply.status == 502
    assert len(reply.body) < 1000
    assert upstream.last.headers["accept-encoding"] == "identity"
