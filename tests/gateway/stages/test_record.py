"""Every call leaves one record, whatever happens to it; errors become replies."""

import asyncio
import dataclasses

import msgspec
import pytest

from tests.support.asking import ask, ask_chat, fetch
from tests.support.calls import a_call, pieces_of
from tests.support.gateway import RunningGateway
from tests.support.http1 import Wire, post
from tests.support.scene import CHAT, changed, snapshot_of
from tests.support.streams import Pieces
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import chat_events, stream, usage_of
from tidegate.gateway.call import Call, Handler, Reply
from tidegate.gateway.events import Events
from tidegate.gateway.meters import Meters
from tidegate.gateway.stages.record import Record
from tidegate.kernel.errors import ProviderTimeout, Refused
from tidegate.live.calls import ENDINGS, CallRecord


class Notebook:
    """A journal that keeps what it is given."""

    gateway_id = "gw_test"

    def __init__(self) -> None:
        self.records: list[CallRecord] = []

    def next_seq(self) -> int:
        return len(self.records) + 1

    def put(self, record: CallRecord) -> None:
        self.records.append(record)


@dataclasses.dataclass
class Desk:
    """The stage with its journal and meters."""

    journal: Notebook = dataclasses.field(default_factory=Notebook)
    meters: Meters = dataclasses.field(default_factory=Meters)

    async def run(self, call: Call, inner: Handler) -> Reply:
        return await Record(self.journal, self.meters)(call, inner)

    @property
    def record(self) -> CallRecord:
        assert self.meters.in_flight == 0
        (only,) = self.journal.records
        assert only.ending in ENDINGS
        return only


class Untold:
    """A Reader that passes on what comes."""

    complete = False
    failure = None

    def feed(self, chunk: bytes) -> bytes:
        return chunk

    def end(self) -> bytes:
        return b""


def streaming(*blocks: bytes, error: Exception | None = None) -> Handler:
    async def handler(call: Call) -> Reply:
        return Reply(200, [], events=Events(Pieces(pieces_of(blocks, error)), Untold()))

    return handler


def raising(error: BaseException) -> Handler:
    async def handler(call: Call) -> Reply:
        raise error

    return handler


async def test_a_refusal_is_a_reply_and_a_record() -> None:
    desk = Desk()
    reply = await desk.run(a_call(), raising(Refused("Too fast.", retry_after_s=1.2)))
    assert reply.status == 429
    assert (b"retry-after", b"2") in reply.headers
    assert (desk.record.ending, desk.record.error_code) == ("refused", "rate_limit_exceeded")


async def test_a_bug_is_a_record_and_goes_on_to_the_door() -> None:
    desk = Desk()
    with pytest.raises(ZeroDivisionError):
        await desk.run(a_call(), raising(ZeroDivisionError()))
    assert (desk.record.ending, desk.record.status, desk.record.error_code) == ("failed", 500, "ZeroDivisionError")


async def test_a_client_that_left_is_a_record() -> None:
    desk = Desk()
    with pytest.raises(asyncio.CancelledError):
        await desk.run(a_call(), raising(asyncio.CancelledError()))
    assert (desk.record.ending, desk.record.status) == ("cancelled", 499)


async def test_a_bug_in_a_stream_is_no_departure() -> None:
    desk = Desk()
    reply = await desk.run(a_call(), streaming(b"a", error=ZeroDivisionError()))
    assert reply.events is not None
    with pytest.raises(ZeroDivisionError):
        async for _ in reply.events:
            pass
    assert (desk.record.ending, desk.record.error_code) == ("failed", "ZeroDivisionError")


async def test_a_stream_that_times_out_ends_with_an_error_event() -> None:
    desk = Desk()
    reply = await desk.run(a_call(), streaming(b"a", error=ProviderTimeout("Slow.")))
    assert reply.events is not None
    blocks = [block async for block in reply.events]
    assert blocks[0] == b"a"
    error = msgspec.json.decode(blocks[1].removeprefix(b"data: "))["error"]
    assert error == {"message": "Slow.", "type": "upstream_error", "param": None, "code": "provider_timeout"}
    assert (desk.record.ending, desk.record.status) == ("timeout", 200)


@pytest.mark.parametrize(("seen", "whole", "ending"), [(1, False, "cancelled"), (2, True, "complete")])
async def test_a_stream_that_is_left_is_settled_once(seen: int, whole: bool, ending: str) -> None:
    desk = Desk()
    call = a_call()
    reply = await desk.run(call, streaming(b"a", b"b", b"c"))
    assert reply.events is not None
    blocks = aiter(reply.events)
    for _ in range(seen):
        await anext(blocks)
    call.whole = whole
    await reply.events.aclose()
    await reply.events.aclose()
    assert desk.record.ending == ending
    with pytest.raises(StopAsyncIteration):
        await anext(blocks)


# Through a gateway.


def test_a_record_says_all_that_is_known(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say(stream(chat_events(usage=usage_of(11, 3)), pace_s=0.005, headers=[("X-Request-Id", "req_9")]))
    reply = ask_chat(
        gateway, model="prompt:greeting", messages=None, variables={"name": "A"}, stream=True, user="ada",
        headers=("x-tidegate-tags: step=1",),
    )  # fmt: skip
    record = gateway.wait_record()
    known = msgspec.structs.asdict(record)
    times = {name: known.pop(name) for name in ("started_at_ms", "latency_ms", "ttft_ms", "tpot_ms")}
    assert known == {
        "call_id": reply.headers["x-request-id"],
        "gateway_id": gateway.gateway.gateway_id,
        "seq": 1,
        "endpoint": "chat.completions",
        "status": 200,
        "ending": "complete",
        "origin": "user",
        "stream": True,
        "environment": "production",
        "key_id": "key_test",
        "tags": {"team": "blue", "step": "1"},
        "unit": "ada",
        "model_requested": "prompt:greeting",
        "prompt": "greeting",
        "prompt_version": "2.0.0",
        "release_id": "rel_greeting_production",
        "route": "gpt",
        "deployment": "main",
        "upstream_model": "up-model",
        "upstream_request_id": "req_9",
        "input_tokens": 11,
        "output_tokens": 3,
        "cached_input_tokens": None,
        "cost_nano_usd": 11 * 1000 + 3 * 2000,
        "finish_reason": "stop",
        "error_code": None,
        "generation": 11,
        "cache_write_tokens": None,
        "bound_nano_usd": None,
        "attempts": 1,
        "trace": "main:200",
        "region": None,
        "shadow_of": None,
        "experiment_id": None,
        "variant": None,
        "experiment_unit": None,
        "propensity": None,
    }
    assert 0 < times["ttft_ms"] < times["latency_ms"] < 5000
    assert 0 < times["tpot_ms"] < times["latency_ms"]


def test_every_call_has_its_number(gateway: RunningGateway) -> None:
    for key in ("sk-test", "sk-wrong", None, "sk-test"):
        ask_chat(gateway, key)
    ask(gateway, "/v1/chat/completions", b"nonsense")
    fetch(gateway, "/v1/nothing")
    records = gateway.wait_records(5)
    assert [record.seq for record in records] == [1, 2, 3, 4, 5]
    assert [record.status for record in records] == [200, 401, 401, 200, 400]
    assert len({record.call_id for record in records}) == 5


def test_a_call_keeps_the_world_that_it_began_with(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.respond = lambda _: stream(chat_events(), pace_s=0.02)
    with Wire(gateway.port) as wire:
        wire.send(post("/v1/chat/completions", {**CHAT, "stream": True}))
        wire.head()
        gateway.push(changed(snapshot_of(upstream.url), generation=12, keys={}, deployments={}, routes={}))
        assert b"".join(iter(wire.chunk, b"")).endswith(b"[DONE]\n\n")
    record = gateway.wait_record()
    assert (record.ending, record.generation) == ("complete", 11)
