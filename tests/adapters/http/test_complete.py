"""Models asked through a running gateway, with a key of the platform's own."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway.stages.test_origins_of_calls import KEY, world_of
from tests.support.gateway import RunningGateway
from tests.support.scene import Start, snapshot_of
from tests.support.scene import start as start
from tests.support.scene import upstream as upstream
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import Pause, answer
from tidegate.adapters.http.complete import HttpComplete
from tidegate.kernel.complete import Ask, Said
from tidegate.kernel.errors import (
    Forbidden,
    Invalid,
    ProviderFailed,
    ProviderTimeout,
    Refused,
    TidegateError,
    Unauthenticated,
    Unavailable,
)

ASK = Ask(model="gpt", messages=({"role": "user", "content": "Hi"},), settings={"temperature": 0}, origin="judge")


@pytest.fixture
def transport() -> str:
    return "raw"


def asked(gateway: RunningGateway, ask: Ask = ASK, key: str = KEY) -> Said:
    async def once() -> Said:
        complete = HttpComplete(f"http://127.0.0.1:{gateway.port}", key)
        try:
            return await complete.complete(ask)
        finally:
            await complete.close()

    return asyncio.run(once())


def changed_ask(**fields: Any) -> Ask:
    given = {name: getattr(ASK, name) for name in Ask.__struct_fields__}
    return Ask(**(given | fields))


def test_what_was_said_comes_back_with_what_it_has_cost(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(world_of(snapshot_of(upstream.url)))
    said = asked(gateway)
    record = gateway.wait_record()
    assert (record.origin, record.call_id) == ("judge", said.call_id)
    assert said.cost_nano_usd == record.cost_nano_usd is not None
    assert (said.input_tokens, said.output_tokens) == (record.input_tokens, record.output_tokens)
    assert said.text
    assert said.finish_reason == "stop"
    assert upstream.last.json["temperature"] == 0


def test_a_text_is_completed(start: Start, upstream: ScriptedUpstream) -> None:
    upstream.say(answer({"choices": [{"index": 0, "text": "four", "finish_reason": "stop"}]}))
    gateway = start(world_of(snapshot_of(upstream.url)))
    assert asked(gateway, changed_ask(messages=(), text="2 + 2 =")).text == "four"
    assert upstream.last.path.endswith("/completions")


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda gateway, _: asked(gateway, key="sk-nobody"), Unauthenticated),
        (lambda gateway, _: asked(gateway, key="sk-test"), Forbidden),
        (lambda gateway, _: asked(gateway, changed_ask(model="gtp")), Invalid),
        (lambda gateway, _: asked(gateway, changed_ask(origin="nothing")), Invalid),
    ],
)
def test_the_gateways_refusals_are_the_errors_that_they_were(
    start: Start, upstream: ScriptedUpstream, make: Callable[..., Said], kind: type[TidegateError]
) -> None:
    gateway = start(world_of(snapshot_of(upstream.url)))
    with pytest.raises(kind):
        make(gateway, upstream)
    assert upstream.received == []


def test_what_upstreams_do_is_told(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(world_of(snapshot_of(upstream.url)))
    upstream.say(answer({"error": {"message": "No."}}, status=500), answer({"choices": []}))
    with pytest.raises(ProviderFailed):
        asked(gateway)
    with pytest.raises(ProviderFailed):
        asked(gateway)
    upstream.say((Pause(5.0), *answer({})))
    with pytest.raises(ProviderTimeout):
        asked(gateway, changed_ask(timeout_s=0.3))


def test_a_spent_cap_is_a_refusal_that_waiting_does_not_mend(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(world_of(snapshot_of(upstream.url), policy_judge_cap_nano_usd_per_day=1))
    with pytest.raises(Refused) as refused:
        asked(gateway)
    assert (refused.value.code, refused.value.retry_after_s) == ("insufficient_quota", None)


def test_a_gateway_that_is_not_there_is_told(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(world_of(snapshot_of(upstream.url)))
    gateway.stop()
    with pytest.raises(Unavailable):
        asked(gateway)
