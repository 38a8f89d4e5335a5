"""A request survives what its upstreams do, through a real gateway and real connections."""

from typing import Any

import msgspec
import openai
import pytest

from tests.support.asking import fetch
from tests.support.pair import HI, Pair, asked
from tests.support.wire import FIN, HANG, RST, answer, chat, chat_events, error, head, stream, usage_of
from tidegate.live.snapshot import Breaker, Choice, LimitRule, Retry


@pytest.mark.parametrize(
    "script",
    [error(500), error(503), error(429), error(529), (FIN,), (RST,), answer(b"<html>", 200), answer(b"", 502)],
    ids=["500", "503", "429", "529", "closed", "reset", "html", "502 empty"],
)
def test_what_one_upstream_fails_another_does(pair: Pair, script: Any) -> None:
    client = pair.client()
    pair.main.say(script)
    assert asked(client)
    record = pair.gateway.wait_record()
    assert (record.ending, record.status, record.deployment, record.attempts) == ("complete", 200, "backup", 2)
    assert str(record.trace).startswith("main:")
    assert str(record.trace).endswith(" > backup:200")


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_what_is_the_clients_own_fault_is_not_tried_again(pair: Pair, status: int) -> None:
    client = pair.client()
    pair.main.say(error(status, "Your fault."))
    with pytest.raises(openai.APIStatusError) as caught:
        asked(client)
    assert caught.value.status_code == status
    assert pair.backup.received == []


def test_a_fallback_route_serves_when_the_first_is_down_and_says_so(pair: Pair) -> None:
    client = pair.client(fallback=True)
    pair.main.say(error(500), error(500), error(500))
    raw = client.chat.completions.with_raw_response.create(model="gpt", messages=HI)
    assert raw.headers["x-tidegate-fallback"] == "backup"
    assert raw.headers["x-tidegate-attempts"] == "4"
    assert pair.gateway.wait_record().trace == "main:500 > main:500 > main:500 > backup:200"


def test_when_all_fail_the_last_upstreams_error_is_told(pair: Pair) -> None:
    client = pair.client(retry=Retry(attempts=2, base_ms=1, max_ms=2))
    pair.main.say(error(500, "First."))
    pair.backup.say(error(503, "Second."))
    with pytest.raises(openai.InternalServerError) as caught:
        asked(client)
    assert caught.value.status_code == 503
    assert "Second." in str(caught.value)


@pytest.mark.parametrize("seen", range(2))
def test_a_stream_that_fails_before_its_first_token_is_served_elsewhere(pair: Pair, seen: int) -> None:
    client = pair.client()
    events = chat_events(("", "Hello"), usage=usage_of())
    pair.main.say(stream(events[:seen], end=RST))
    got = "".join(
        chunk.choices[0].delta.content or ""
        for chunk in client.chat.completions.create(model="gpt", messages=HI, stream=True)
        if chunk.choices
    )
    assert got == "Hello there."
    record = pair.gateway.wait_record()
    assert (record.ending, record.trace) == ("complete", "main:cut > backup:200")


def test_a_stream_that_breaks_after_its_first_token_is_cut_and_never_begun_again(pair: Pair) -> None:
    client = pair.client()
    pair.main.say(stream(chat_events()[:3], end=RST))
    with pytest.raises(openai.APIError):
        for _ in client.chat.completions.create(model="gpt", messages=HI, stream=True):
            pass
    assert pair.gateway.wait_record().ending == "cut"
    assert pair.backup.received == []


def test_a_breaker_opens_and_then_nobody_waits_for_the_ill_one(pair: Pair) -> None:
    client = pair.client(breaker=Breaker(failures=2, open_s=60.0))
    pair.main.say(error(500), error(500))
    for _ in range(5):
        assert asked(client)
    assert len(pair.main.received) == 2
    records = pair.gateway.wait_records(5)
    assert records[-1].trace == "main:breaker_open > backup:200"


def test_one_that_asks_to_wait_is_left_alone(pair: Pair) -> None:
    client = pair.client()
    pair.main.say(error(429, retry_after=30))
    asked(client)
    asked(client)
    assert pair.gateway.wait_records(2)[1].trace == "main:cooling > backup:200"


def test_a_hang_is_served_elsewhere(pair: Pair) -> None:
    world = pair.snapshot()
    slow = msgspec.structs.replace(world.deployments["main"], total_timeout_s=0.3)
    client = pair.client(msgspec.structs.replace(world, deployments={**world.deployments, "main": slow}))
    pair.main.say((HANG,))
    assert asked(client)
    assert pair.gateway.wait_record().trace == "main:timeout > backup:200"


def test_thirty_percent_errors_reach_nobody_and_retries_stay_bounded(pair: Pair) -> None:
    client = pair.client()
    scripts = [error(500) if number % 3 == 0 else answer(chat()) for number in range(60)]
    pair.main.say(*scripts)
    for _ in range(60):
        assert asked(client)
    tries = len(pair.main.received) + len(pair.backup.received)
    assert tries <= 60 * 1.5


def test_a_dead_upstream_gets_no_storm_of_retries(pair: Pair) -> None:
    client = pair.client(
        choices=(Choice("main"),),
        retry=Retry(attempts=5, base_ms=0, max_ms=1, budget=0.2),
        breaker=Breaker(failures=10**6),
    )
    pair.main.say(*[error(500)] * 1000)
    for _ in range(50):
        with pytest.raises(openai.InternalServerError):
            asked(client)
    assert len(pair.main.received) <= 50 + 3 + 0.2 * 50 + 1


BUDGET = LimitRule(name="month", unit="nano_usd", cap=250_000, per="month", time_zone="Europe/Berlin")


def test_a_spent_budget_is_told_once_and_the_real_client_does_not_try_again(pair: Pair) -> None:
    client = pair.client(retries=5, limits=(BUDGET,))
    pair.main.say(answer(chat(usage=usage_of(10, 20))))
    raw = client.chat.completions.with_raw_response.create(model="gpt", messages=HI, max_tokens=20)
    assert "x-tidegate-budget" not in raw.headers
    with pytest.raises(openai.RateLimitError) as caught:
        asked(client, max_tokens=100_000)
    assert caught.value.code == "insufficient_quota"
    assert "'month'" in str(caught.value)
    assert len(pair.gateway.wait_records(2)) == 2
    assert len(pair.main.received) == 1
    record = pair.gateway.records.stored[1]
    assert (record.ending, record.status, record.cost_nano_usd) == ("refused", 429, None)


def test_the_answers_length_is_bounded_where_a_budget_counts(pair: Pair) -> None:
    world = pair.snapshot(limits=(msgspec.structs.replace(BUDGET, cap=10**12),))
    client = pair.client(msgspec.structs.replace(world, policy=msgspec.structs.replace(
        world.policy, default_max_output_tokens=77
    )))  # fmt: skip
    asked(client)
    asked(client, max_tokens=5)
    assert [one.json["max_tokens"] for one in pair.main.received] == [77, 5]
    asked(client, n=3)
    record = pair.gateway.wait_records(3)
    assert record[2].bound_nano_usd is not None
    assert record[0].bound_nano_usd is not None
    assert record[2].bound_nano_usd > 2 * record[0].bound_nano_usd


def test_a_rate_is_told_with_when_to_come_back(pair: Pair) -> None:
    rate = LimitRule(name="rate", unit="requests", cap=2, per="minute", each=("key",))
    client = pair.client(limits=(rate,))
    raw = client.chat.completions.with_raw_response.create(model="gpt", messages=HI)
    assert raw.headers["x-ratelimit-limit-requests"] == "2"
    assert raw.headers["x-ratelimit-remaining-requests"] == "1"
    asked(client)
    with pytest.raises(openai.RateLimitError) as caught:
        asked(client)
    assert caught.value.code == "rate_limit_exceeded"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 60


def test_a_retry_after_a_maybe_billed_attempt_needs_room_for_both(pair: Pair) -> None:
    world = pair.snapshot(limits=(msgspec.structs.replace(BUDGET, cap=300_000),))
    slow = msgspec.structs.replace(world.deployments["main"], total_timeout_s=0.3)
    client = pair.client(msgspec.structs.replace(world, deployments={**world.deployments, "main": slow}))
    pair.main.say((head(), HANG))
    with pytest.raises(openai.APIStatusError) as caught:
        asked(client, max_tokens=60)  # its bound is over half of the budget
    assert caught.value.status_code == 504
    assert pair.backup.received == []
    [tally] = pair.gateway.counters.tallies.values()
    assert tally.settled + tally.held(0) <= 300_000


def test_metrics_tell_what_was_refused_and_what_was_tried_again(pair: Pair) -> None:
    rate = LimitRule(name="rate", unit="requests", cap=1, per="minute")
    client = pair.client(limits=(rate,))
    pair.main.say(error(500))
    asked(client)
    with pytest.raises(openai.RateLimitError):
        asked(client)
    told = fetch(pair.gateway, "/metrics").body.decode()
    assert 'tidegate_limit_events_total{limit="rate",outcome="refused"} 1.0' in told
    assert 'tidegate_rerouted_total{alias="gpt",outcome="retry"} 1.0' in told
