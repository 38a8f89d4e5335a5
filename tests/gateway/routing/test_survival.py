"""A request survives what its upstreams do, through a real gateway and real connections."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

from tests.support.asking import fetch
from tests.support.gateway import RunningGateway
from tests.support.scene import snapshot_of
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import FIN, HANG, RST, answer, chat, chat_events, error, head, stream, usage_of
from tidegate.live.snapshot import Breaker, Choice, LimitRule, Retry, Route, Snapshot

QUICK = Retry(attempts=3, base_ms=1, max_ms=5)
HI: Any = [{"role": "user", "content": "Hi"}]

Begin = Callable[..., openai.OpenAI]


class Scene:
    """Two upstreams: `main` and `backup` behind one alias, and a gateway in front of them."""

    def __init__(self, main: ScriptedUpstream, backup: ScriptedUpstream, tmp_path: Path, stack: ExitStack) -> None:
        self.main, self.backup = main, backup
        self._tmp_path = tmp_path
        self._stack = stack
        self.gateway: RunningGateway

    def snapshot(self, *, fallback: bool = False, limits: tuple[LimitRule, ...] = (), **route: Any) -> Snapshot:
        world = snapshot_of(self.main.url)
        one = world.deployments["main"]
        two = msgspec.structs.replace(one, name="backup", base_url=self.backup.url)
        choices = () if fallback else (Choice("main", 1, 0), Choice("backup", 1, 1))
        given = {"strategy": "priority", "choices": choices, "retry": QUICK} | route
        routes = {
            "gpt": Route(alias="gpt", deployment="main", fallbacks=("backup",) if fallback else (), **given),
        }
        return msgspec.structs.replace(world, deployments={"main": one, "backup": two}, routes=routes, limits=limits)

    def client(self, snapshot: Snapshot | None = None, retries: int = 0, **given: Any) -> openai.OpenAI:
        world = snapshot or self.snapshot(**given)
        self.gateway = self._stack.enter_context(RunningGateway(world, self._tmp_path))
        base_url = f"http://127.0.0.1:{self.gateway.port}/v1"
        return self._stack.enter_context(openai.OpenAI(base_url=base_url, api_key="sk-test", max_retries=retries))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        main, backup = stack.enter_context(ScriptedUpstream()), stack.enter_context(ScriptedUpstream())
        yield Scene(main, backup, tmp_path, stack)


def asked(client: openai.OpenAI, **fields: Any) -> str:
    return str(client.chat.completions.create(model="gpt", messages=HI, **fields).choices[0].message.content)


@pytest.mark.parametrize(
    "script",
    [error(500), error(503), error(429), error(529), (FIN,), (RST,), answer(b"<html>", 200), answer(b"", 502)],
    ids=["500", "503", "429", "529", "closed", "reset", "html", "502 empty"],
)
def test_what_one_upstream_fails_another_does(scene: Scene, script: Any) -> None:
    client = scene.client()
    scene.main.say(script)
    assert asked(client)
    record = scene.gateway.wait_record()
    assert (record.ending, record.status, record.deployment, record.attempts) == ("complete", 200, "backup", 2)
    assert str(record.trace).startswith("main:")
    assert str(record.trace).endswith(" > backup:200")


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_what_is_the_clients_own_fault_is_not_tried_again(scene: Scene, status: int) -> None:
    client = scene.client()
    scene.main.say(error(status, "Your fault."))
    with pytest.raises(openai.APIStatusError) as caught:
        asked(client)
    assert caught.value.status_code == status
    assert scene.backup.received == []


def test_a_fallback_route_serves_when_the_first_is_down_and_says_so(scene: Scene) -> None:
    client = scene.client(fallback=True)
    scene.main.say(error(500), error(500), error(500))
    raw = client.chat.completions.with_raw_response.create(model="gpt", messages=HI)
    assert raw.headers["x-tidegate-fallback"] == "backup"
    assert raw.headers["x-tidegate-attempts"] == "4"
    assert scene.gateway.wait_record().trace == "main:500 > main:500 > main:500 > backup:200"


def test_when_all_fail_the_last_upstreams_error_is_told(scene: Scene) -> None:
    client = scene.client(retry=Retry(attempts=2, base_ms=1, max_ms=2))
    scene.main.say(error(500, "First."))
    scene.backup.say(error(503, "Second."))
    with pytest.raises(openai.InternalServerError) as caught:
        asked(client)
    assert caught.value.status_code == 503
    assert "Second." in str(caught.value)


@pytest.mark.parametrize("seen", range(2))
def test_a_stream_that_fails_before_its_first_token_is_served_elsewhere(scene: Scene, seen: int) -> None:
    client = scene.client()
    events = chat_events(("", "Hello"), usage=usage_of())
    scene.main.say(stream(events[:seen], end=RST))
    got = "".join(
        chunk.choices[0].delta.content or ""
        for chunk in client.chat.completions.create(model="gpt", messages=HI, stream=True)
        if chunk.choices
    )
    assert got == "Hello there."
    record = scene.gateway.wait_record()
    assert (record.ending, record.trace) == ("complete", "main:cut > backup:200")


def test_a_stream_that_breaks_after_its_first_token_is_cut_and_never_begun_again(scene: Scene) -> None:
    client = scene.client()
    scene.main.say(stream(chat_events()[:3], end=RST))
    with pytest.raises(openai.APIError):
        for _ in client.chat.completions.create(model="gpt", messages=HI, stream=True):
            pass
    assert scene.gateway.wait_record().ending == "cut"
    assert scene.backup.received == []


def test_a_breaker_opens_and_then_nobody_waits_for_the_ill_one(scene: Scene) -> None:
    client = scene.client(breaker=Breaker(failures=2, open_s=60.0))
    scene.main.say(error(500), error(500))
    for _ in range(5):
        assert asked(client)
    assert len(scene.main.received) == 2
    records = scene.gateway.wait_records(5)
    assert records[-1].trace == "main:breaker_open > backup:200"


def test_one_that_asks_to_wait_is_left_alone(scene: Scene) -> None:
    client = scene.client()
    scene.main.say(error(429, retry_after=30))
    asked(client)
    asked(client)
    assert scene.gateway.wait_records(2)[1].trace == "main:cooling > backup:200"


def test_a_hang_is_served_elsewhere(scene: Scene) -> None:
    world = scene.snapshot()
    slow = msgspec.structs.replace(world.deployments["main"], total_timeout_s=0.3)
    client = scene.client(msgspec.structs.replace(world, deployments={**world.deployments, "main": slow}))
    scene.main.say((HANG,))
    assert asked(client)
    assert scene.gateway.wait_record().trace == "main:timeout > backup:200"


def test_thirty_percent_errors_reach_nobody_and_retries_stay_bounded(scene: Scene) -> None:
    client = scene.client()
    scripts = [error(500) if number % 3 == 0 else answer(chat()) for number in range(60)]
    scene.main.say(*scripts)
    for _ in range(60):
        assert asked(client)
    tries = len(scene.main.received) + len(scene.backup.received)
    assert tries <= 60 * 1.5


def test_a_dead_upstream_gets_no_storm_of_retries(scene: Scene) -> None:
    client = scene.client(
        choices=(Choice("main"),),
        retry=Retry(attempts=5, base_ms=0, max_ms=1, budget=0.2),
        breaker=Breaker(failures=10**6),
    )
    scene.main.say(*[error(500)] * 1000)
    for _ in range(50):
        with pytest.raises(openai.InternalServerError):
            asked(client)
    assert len(scene.main.received) <= 50 + 3 + 0.2 * 50 + 1


BUDGET = LimitRule(name="month", unit="nano_usd", cap=250_000, per="month", time_zone="Europe/Berlin")


def test_a_spent_budget_is_told_once_and_the_real_client_does_not_try_again(scene: Scene) -> None:
    client = scene.client(retries=5, limits=(BUDGET,))
    scene.main.say(answer(chat(usage=usage_of(10, 20))))
    raw = client.chat.completions.with_raw_response.create(model="gpt", messages=HI, max_tokens=20)
    assert "x-tidegate-budget" not in raw.headers
    with pytest.raises(openai.RateLimitError) as caught:
        asked(client, max_tokens=100_000)
    assert caught.value.code == "insufficient_quota"
    assert "'month'" in str(caught.value)
    assert len(scene.gateway.wait_records(2)) == 2
    assert len(scene.main.received) == 1
    record = scene.gateway.records.stored[1]
    assert (record.ending, record.status, record.cost_nano_usd) == ("refused", 429, None)


def test_the_answers_length_is_bounded_where_a_budget_counts(scene: Scene) -> None:
    world = scene.snapshot(limits=(msgspec.structs.replace(BUDGET, cap=10**12),))
    client = scene.client(msgspec.structs.replace(world, policy=msgspec.structs.replace(
        world.policy, default_max_output_tokens=77
    )))  # fmt: skip
    asked(client)
    asked(client, max_tokens=5)
    assert [one.json["max_tokens"] for one in scene.main.received] == [77, 5]
    asked(client, n=3)
    record = scene.gateway.wait_records(3)
    assert record[2].bound_nano_usd is not None
    assert record[0].bound_nano_usd is not None
    assert record[2].bound_nano_usd > 2 * record[0].bound_nano_usd


def test_a_rate_is_told_with_when_to_come_back(scene: Scene) -> None:
    rate = LimitRule(name="rate", unit="requests", cap=2, per="minute", each=("key",))
    client = scene.client(limits=(rate,))
    raw = client.chat.completions.with_raw_response.create(model="gpt", messages=HI)
    assert raw.headers["x-ratelimit-limit-requests"] == "2"
    assert raw.headers["x-ratelimit-remaining-requests"] == "1"
    asked(client)
    with pytest.raises(openai.RateLimitError) as caught:
        asked(client)
    assert caught.value.code == "rate_limit_exceeded"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 60


def test_a_retry_after_a_maybe_billed_attempt_needs_room_for_both(scene: Scene) -> None:
    world = scene.snapshot(limits=(msgspec.structs.replace(BUDGET, cap=300_000),))
    slow = msgspec.structs.replace(world.deployments["main"], total_timeout_s=0.3)
    client = scene.client(msgspec.structs.replace(world, deployments={**world.deployments, "main": slow}))
    scene.main.say((head(), HANG))
    with pytest.raises(openai.APIStatusError) as caught:
        asked(client, max_tokens=60)  # its bound is over half of the budget
    assert caught.value.status_code == 504
    assert scene.backup.received == []
    [tally] = scene.gateway.counters.tallies.values()
    assert tally.settled + tally.held(0) <= 300_000


def test_metrics_tell_what_was_refused_and_what_was_tried_again(scene: Scene) -> None:
    rate = LimitRule(name="rate", unit="requests", cap=1, per="minute")
    client = scene.client(limits=(rate,))
    scene.main.say(error(500))
    asked(client)
    with pytest.raises(openai.RateLimitError):
        asked(client)
    told = fetch(scene.gateway, "/metrics").body.decode()
    assert 'tidegate_limit_events_total{limit="rate",outcome="refused"} 1.0' in told
    assert 'tidegate_rerouted_total{alias="gpt",outcome="retry"} 1.0' in told
