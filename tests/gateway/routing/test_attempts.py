"""How often, for how long and where a call is tried, through a real gateway and real connections."""

import asyncio
from typing import Any

import msgspec
import openai
import pytest

from tests.support.asking import fetch
from tests.support.calls import a_call
from tests.support.gateway import until
from tests.support.pair import HI, QUICK, Pair, asked
from tests.support.scene import snapshot_of
from tests.support.wire import HANG, RST, Pause, answer, chat_events, error, stream, usage_of
from tidegate.gateway.pipeline import fold
from tidegate.gateway.providers.openai.provider import OpenAIProvider
from tidegate.gateway.stages.send import Send
from tidegate.gateway.upstream.pool import Pool
from tidegate.kernel.errors import ProviderTimeout
from tidegate.live.snapshot import Breaker, Choice, Deployment, Retry, Snapshot

ALONE: dict[str, Any] = {"choices": (Choice("main"),)}


def with_main(world: Snapshot, **fields: Any) -> Snapshot:
    """The world with another `main`."""
    main: Deployment = msgspec.structs.replace(world.deployments["main"], **fields)
    return msgspec.structs.replace(world, deployments={**world.deployments, "main": main})


def busy(status: int, wait_ms: int) -> Any:
    """An answer that asks to wait."""
    return answer({"error": {"message": "Busy."}}, status, headers=[("Retry-After-Ms", str(wait_ms))])


def streamed(client: openai.OpenAI) -> str:
    """The words of a streamed answer."""
    chunks = client.chat.completions.create(model="gpt", messages=HI, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


class TestWaiting:
    @pytest.mark.parametrize("status", [429, 503, 529])
    def test_a_lone_upstream_is_waited_for_as_long_as_it_asks(self, pair: Pair, status: int) -> None:
        client = pair.client(**ALONE)
        pair.main.say(busy(status, 300))
        assert asked(client)
        record = pair.gateway.wait_record()
        assert record.trace == f"main:{status} > main:200"
        assert record.latency_ms >= 300

    def test_nobody_waits_long_or_beyond_the_calls_time(self, pair: Pair) -> None:
        client = pair.client(with_main(pair.snapshot(**ALONE), total_timeout_s=5.0))
        for wait_ms in (30_000, 6_000):
            pair.main.say(busy(429, wait_ms))
            with pytest.raises(openai.RateLimitError):
                asked(client)
        assert [record.trace for record in pair.gateway.wait_records(2)] == ["main:429", "main:cooling > main:429"]

    def test_a_fallback_is_asked_rather_than_waited_for(self, pair: Pair) -> None:
        client = pair.client(fallback=True)
        pair.main.say(busy(429, 2_000))
        assert asked(client)
        assert pair.gateway.wait_record().trace == "main:429 > backup:200"

    def test_waiting_costs_the_retry_budget(self, pair: Pair) -> None:
        client = pair.client(**ALONE, retry=Retry(attempts=2, budget=0.0))
        pair.main.say(*[busy(429, 1)] * 20)
        for _ in range(5):
            with pytest.raises(openai.RateLimitError):
                asked(client)
        assert len(pair.main.received) == 5 + 3  # a few are always free
        assert str(pair.gateway.wait_records(5)[-1].trace).endswith("retry_budget")


class TestTotalTime:
    def test_cuts_the_attempt_that_is_under_way(self, pair: Pair) -> None:
        client = pair.client(with_main(pair.snapshot(**ALONE), total_timeout_s=1.0))
        pair.main.say((Pause(0.8), *error(500)), (HANG,))
        with pytest.raises(openai.APIStatusError) as caught:
            asked(client)
        assert caught.value.status_code == 504
        assert caught.value.response.headers["x-tidegate-attempts"] == "2"
        assert pair.gateway.wait_record().latency_ms < 1700
        assert pair.gateway.gateway._send.board.of("main").failures == 1  # the second had no fair time

    def test_cuts_a_stream_that_has_not_begun(self, pair: Pair) -> None:
        client = pair.client(with_main(pair.snapshot(**ALONE), total_timeout_s=1.0))
        pair.main.say((Pause(0.8), *error(500)), stream([], end=HANG))
        with pytest.raises(openai.APIStatusError) as caught:
            streamed(client)
        assert caught.value.status_code == 504
        assert pair.gateway.wait_record().latency_ms < 1700

    def test_lets_a_stream_run_that_began_in_time(self, pair: Pair) -> None:
        client = pair.client(with_main(pair.snapshot(**ALONE), total_timeout_s=1.0))
        pair.main.say((Pause(0.6), *error(500)), stream(chat_events(usage=usage_of()), pace_s=0.1))
        assert streamed(client) == "Hello there."
        record = pair.gateway.wait_record()
        assert (record.ending, record.trace) == ("complete", "main:500 > main:200")
        assert record.latency_ms > 1000


class TestALoneStream:
    def test_that_is_cut_before_its_first_event_is_tried_again(self, pair: Pair) -> None:
        client = pair.client(**ALONE)
        pair.main.say(stream([], end=RST), stream(chat_events()))
        assert streamed(client) == "Hello there."
        assert pair.gateway.wait_record().trace == "main:cut > main:200"

    def test_is_handed_on_with_its_first_event(self, pair: Pair) -> None:
        client = pair.client(**ALONE)
        pair.main.say(stream(chat_events()[:1], end=HANG))
        chunks = client.chat.completions.create(model="gpt", messages=HI, stream=True)
        assert next(chunks).choices[0].delta.content == ""
        chunks.close()
        assert pair.gateway.wait_record().ending == "cancelled"


class TestHealth:
    def test_a_limit_opens_no_breaker(self, pair: Pair) -> None:
        client = pair.client(breaker=Breaker(failures=2, open_s=60.0))
        pair.main.say(*[busy(429, 0)] * 4)
        for _ in range(4):
            assert asked(client)
        assert len(pair.main.received) == 4
        assert pair.gateway.gateway._send.board.states()["main"] == "closed"

    @pytest.mark.parametrize(
        "fault",
        [{"api_key_env": "NOT_SET"}, {"base_url": "http://169.254.169.254/v1"}, {"provider": "unheard-of"}],
        ids=["no key", "refused address", "no such provider"],
    )
    def test_a_fault_of_the_configuration_is_neither_an_attempt_nor_illness(
        self, pair: Pair, fault: dict[str, str]
    ) -> None:
        world = pair.snapshot(retry=Retry(attempts=1), breaker=Breaker(failures=2))
        client = pair.client(with_main(world, **fault))
        for _ in range(4):
            assert asked(client)
        board = pair.gateway.gateway._send.board
        assert (board.of("main").failures, board.of("main").in_flight, board.states()["main"]) == (0, 0, "closed")
        assert all("breaker" not in str(one.trace) for one in pair.gateway.wait_records(4))

    @pytest.mark.parametrize("stream_", [False, True])
    def test_a_fallbacks_latency_is_its_own(self, pair: Pair, stream_: bool) -> None:
        client = pair.client()
        pair.main.say((Pause(0.5), *error(500)))
        assert streamed(client) if stream_ else asked(client)
        pair.gateway.wait_record()
        took_ms = pair.gateway.gateway._send.board.of("backup").ewma_ms
        assert took_ms is not None
        assert took_ms < 450


class TestWhatTheUpstreamSaysOfRetries:
    def test_no_is_heeded_where_it_is_said(self, pair: Pair) -> None:
        client = pair.client(**ALONE)
        pair.main.say(error(500, x_should_retry="false"))
        with pytest.raises(openai.InternalServerError):
            asked(client)
        assert len(pair.main.received) == 1

    def test_no_speaks_for_one_upstream_only(self, pair: Pair) -> None:
        client = pair.client(fallback=True)
        pair.main.say(error(429, x_should_retry="false"))
        assert asked(client)
        assert pair.gateway.wait_record().trace == "main:429 > backup:200"

    @pytest.mark.parametrize("status", [400, 409])
    def test_yes_is_heeded_whatever_the_status(self, pair: Pair, status: int) -> None:
        client = pair.client(**ALONE)
        pair.main.say(error(status, x_should_retry="true"))
        assert asked(client)
        assert pair.gateway.wait_record().trace == f"main:{status} > main:200"
        assert pair.gateway.gateway._send.board.of("main").failures == 0


def test_an_error_tells_how_many_attempts_it_took(pair: Pair) -> None:
    client = pair.client(retry=Retry(attempts=2, base_ms=1, max_ms=2))
    pair.main.say((RST,))
    pair.backup.say((RST,))
    with pytest.raises(openai.APIStatusError) as caught:
        asked(client)
    assert caught.value.status_code == 502
    assert caught.value.response.headers["x-tidegate-attempts"] == "2"


def test_metrics_tell_of_each_upstream(pair: Pair) -> None:
    client = pair.client(retry=QUICK, breaker=Breaker(failures=2, open_s=60.0))
    pair.main.say(error(500), busy(429, 0), error(500))
    for _ in range(3):
        assert asked(client)
    pair.backup.say((HANG,))
    wire = client.with_options(timeout=0.2)
    with pytest.raises(openai.APITimeoutError):
        asked(wire)
    pair.gateway.wait_records(4)
    told = fetch(pair.gateway, "/metrics").body.decode()
    for line in (
        'upstream_requests_total{deployment="main",outcome="failed"} 2.0',
        'upstream_requests_total{deployment="main",outcome="limited"} 1.0',
        'upstream_requests_total{deployment="backup",outcome="answered"} 3.0',
        'upstream_requests_total{deployment="backup",outcome="left"} 1.0',
        'upstream_in_flight{deployment="backup"} 0.0',
        'upstream_breakers{deployment="main",state="open"} 1.0',
        'upstream_breakers{deployment="main",state="closed"} 0.0',
        'upstream_breakers{deployment="backup",state="closed"} 1.0',
    ):
        assert f"tidegate_{line}\n" in told


def test_metrics_tell_what_is_under_way(pair: Pair) -> None:
    client = pair.client(**ALONE)
    pair.main.say(stream(chat_events()[:2], end=HANG))
    chunks = client.chat.completions.create(model="gpt", messages=HI, stream=True)
    next(chunks)
    line = b'tidegate_upstream_in_flight{deployment="main"} %d.0\n'
    assert line % 1 in fetch(pair.gateway, "/metrics").body
    chunks.close()
    until(lambda: line % 0 in fetch(pair.gateway, "/metrics").body)


async def test_what_makes_an_upstream_ready_gets_no_more_than_the_calls_time() -> None:
    call = a_call(snapshot=snapshot_of("http://127.0.0.1:1/v1", total_timeout_s=0.1))
    provider, pool = OpenAIProvider(), Pool(asyncio.get_running_loop())
    target = provider.target(call.world.deployments["main"], {})
    target.prepare = lambda _: asyncio.sleep(30)
    call.world.targets = {"main": target}
    call.plan = call.world.plan("gpt", "production", ())
    send = Send({"openai": provider}, {}, pool)
    with pytest.raises(ProviderTimeout, match="not ready"):
        await send(call, fold(()))
    assert send.board.in_flight() == {"main": 0}
