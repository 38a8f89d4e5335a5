"""Shadow copies: the same inputs for a candidate, and nothing of it for the user."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.asking import ask, ask_chat, fetch
from tests.support.gateway import RunningGateway, until
from tests.support.scene import CHAT, ONCE, Start, snapshot_of
from tests.support.upstream import Received, ScriptedUpstream, usual
from tests.support.wire import Pause, Step, answer
from tidegate.live.calls import CallRecord
from tidegate.live.plans import make_plan, make_shadow_plan
from tidegate.live.snapshot import Deployment, LimitRule, Route, Shadow, Snapshot, secret_hash

REGIONS = ("", "eu", "us", "ap")


def mirrored(url: str, *, grant: dict[str, Any] | None = None, **shadow: Any) -> Snapshot:
    """The usual world, its route `gpt` copied whole to a deployment `candidate`."""
    snapshot = snapshot_of(url)
    main = snapshot.deployments["main"]
    fields: dict[str, Any] = {"share_bp": 10_000, "deployment": "candidate"} | shadow
    rule = Shadow(**fields)
    candidate = msgspec.structs.replace(main, name="candidate", upstream_model="new-model")
    keys = dict(snapshot.keys)
    if grant:
        keys[secret_hash("sk-test")] = msgspec.structs.replace(keys[secret_hash("sk-test")], **grant)
    return msgspec.structs.replace(
        snapshot,
        keys=keys,
        deployments={**snapshot.deployments, "candidate": candidate},
        routes={**snapshot.routes, "gpt": Route(alias="gpt", deployment="main", retry=ONCE, shadow=rule)},
    )


def told(running: RunningGateway, outcome: str, count: int = 1) -> None:
    """Wait until so many copies ended so."""
    until(lambda: running.gateway.shadows.totals.get("gpt", {}).get(outcome, 0) >= count)


def of(records: Sequence[CallRecord], origin: str) -> list[CallRecord]:
    return [record for record in records if record.origin == origin]


@pytest.mark.parametrize("stream", [False, True])
def test_the_candidate_is_asked_the_same_after_the_user(start: Start, upstream: ScriptedUpstream, stream: bool) -> None:
    running = start(mirrored(upstream.url))
    asked = {**CHAT, "stream": stream, "temperature": 0.25, "max_tokens": 64}
    assert ask(running, "/v1/chat/completions", asked).status == 200
    told(running, "sent")
    first, second = upstream.received
    assert (first.json.pop("model"), second.json.pop("model")) == ("up-model", "new-model")
    assert {**first.json, "model": ""} == {**second.json, "model": ""}
    records = running.wait_records(2)
    (user,), (copy,) = of(records, "user"), of(records, "shadow")
    assert copy.shadow_of == user.call_id != copy.call_id
    assert (copy.route, copy.deployment, copy.tags, copy.key_id) == ("gpt", "candidate", user.tags, user.key_id)
    assert copy.cost_nano_usd == user.cost_nano_usd is not None
    assert user.shadow_of is None
    metrics = fetch(running, "/metrics").body.decode()
    assert 'tidegate_shadow_total{outcome="sent",route="gpt"} 1.0' in metrics
    (line,) = [line for line in metrics.splitlines() if line.startswith("tidegate_calls_total")]
    assert line.endswith(" 1.0")


def test_a_version_candidate_is_rendered_with_the_users_variables(start: Start, upstream: ScriptedUpstream) -> None:
    running = start(mirrored(upstream.url, deployment=None, version="1.0.0"))
    asked = {"model": "prompt:greeting", "variables": {"name": "Ada"}}
    reply = ask(running, "/v1/chat/completions", asked)
    assert reply.headers["x-tidegate-version"] == "greeting@2.0.0"
    told(running, "sent")
    users, copies = upstream.received
    assert users.json["messages"][-1]["content"] == "Greet Ada warmly"
    assert copies.json["messages"][-1]["content"] == "Greet Ada"
    assert "variables" not in copies.json
    (copy,) = of(running.wait_records(2), "shadow")
    assert (copy.prompt_version, copy.release_id, copy.deployment) == ("1.0.0", None, "main")


def test_the_user_never_waits_for_a_slow_candidate_and_it_ends_in_time(
    start: Start, upstream: ScriptedUpstream
) -> None:
    upstream.respond = only_candidate((Pause(30.0), *answer({})))
    running = start(mirrored(upstream.url, timeout_s=2.0, max_parallel=1))
    began_s = time.monotonic()
    for _ in range(3):
        assert ask_chat(running).status == 200
    assert time.monotonic() - began_s < 1.8
    told(running, "timeout")
    assert running.gateway.shadows.totals["gpt"]["skipped_parallel"] == 2
    until(lambda: len(of(running.records.stored, "shadow")) == 1)
    upstream.respond = usual
    assert ask_chat(running).status == 200
    told(running, "sent")


def test_a_failing_candidate_is_counted_and_harms_nobody(start: Start, upstream: ScriptedUpstream) -> None:
    upstream.respond = only_candidate(answer({"error": {"message": "No."}}, status=500))
    running = start(mirrored(upstream.url))
    for _ in range(8):
        assert ask_chat(running).status == 200
    until(lambda: sum(running.gateway.shadows.totals["gpt"].values()) == 8)
    assert running.gateway.shadows.totals["gpt"]["sent"] == 0
    assert running.gateway.shadows.totals["gpt"]["failed"] > 0
    assert running.gateway._send.board.states().get("candidate", "closed") == "closed"


def test_a_spent_cap_stops_the_copies_and_not_the_users(start: Start, upstream: ScriptedUpstream) -> None:
    running = start(mirrored(upstream.url, cap_nano_usd_per_day=1))
    for _ in range(3):
        assert ask_chat(running).status == 200
    told(running, "skipped_budget", 3)
    assert len(upstream.received) == 3
    records = running.wait_records(3)
    assert [record.origin for record in records] == ["user"] * 3


def test_copies_are_not_counted_in_the_users_limits(start: Start, upstream: ScriptedUpstream) -> None:
    rule = LimitRule(name="two", unit="requests", cap=2, per="hour")
    running = start(msgspec.structs.replace(mirrored(upstream.url), limits=(rule,)))
    assert [ask_chat(running).status for _ in range(3)] == [200, 200, 429]
    told(running, "sent", 2)


def test_a_failed_answer_is_not_copied(start: Start, upstream: ScriptedUpstream) -> None:
    upstream.say(answer({"error": {"message": "No."}}, status=400))
    running = start(mirrored(upstream.url))
    assert ask_chat(running).status == 400
    assert ask_chat(running).status == 200
    told(running, "sent")
    assert len(upstream.received) == 3


def test_a_share_of_nothing_copies_nothing(start: Start, upstream: ScriptedUpstream) -> None:
    running = start(mirrored(upstream.url, share_bp=0))
    for _ in range(5):
        assert ask_chat(running).status == 200
    running.stop()
    assert len(upstream.received) == 5


def test_a_gateway_that_stops_ends_its_copies(start: Start, upstream: ScriptedUpstream) -> None:
    upstream.respond = only_candidate((Pause(30.0), *answer({})))
    running = start(mirrored(upstream.url))
    assert ask_chat(running).status == 200
    upstream.wait(2)
    running.stop(3.0)
    (copy,) = of(running.records.stored, "shadow")
    assert copy.ending == "cancelled"


def test_a_key_bound_to_a_region_is_not_copied_to_another(start: Start, upstream: ScriptedUpstream) -> None:
    snapshot = mirrored(upstream.url, grant={"regions": ("eu",)})
    main = msgspec.structs.replace(snapshot.deployments["main"], region="eu")
    candidate = msgspec.structs.replace(snapshot.deployments["candidate"], region="us")
    deployments = {**snapshot.deployments, "main": main, "candidate": candidate}
    running = start(msgspec.structs.replace(snapshot, deployments=deployments))
    assert ask_chat(running).status == 200
    told(running, "failed")
    assert len(upstream.received) == 1


@given(
    st.lists(st.sampled_from(REGIONS), min_size=1, max_size=4),
    st.sets(st.sampled_from(REGIONS[1:])),
    st.sets(st.sampled_from(REGIONS[1:])),
    st.booleans(),
)
def test_no_shadow_leaves_the_regions(where: list[str], keys: set[str], routes: set[str], version: bool) -> None:
    snapshot = Snapshot(
        deployments={
            f"d{i}": Deployment(name=f"d{i}", provider="openai", base_url="http://x", upstream_model="m", region=region)
            for i, region in enumerate(where)
        },
        routes={
            "alias": Route(
                alias="alias",
                deployment="d0",
                regions=tuple(sorted(routes)),
                shadow=Shadow(share_bp=1, deployment=None if version else f"d{len(where) - 1}", version="1.0.0"),
            ),
            "free": Route(alias="free", deployment="d0", fallbacks=tuple(f"d{i}" for i in range(len(where)))),
        },
    )
    rendered = make_plan(snapshot, "free", "production") if version else None
    plan = make_shadow_plan(snapshot, "alias", tuple(sorted(keys)), rendered)
    for one in plan.candidates:
        assert not keys or one.deployment.region in keys
        assert not routes or one.deployment.region in routes
    assert len(list(plan.candidates)) <= 1
    assert bool(plan.steps) or plan.excluded


def only_candidate(steps: Sequence[Step]) -> Any:
    """The candidate answers so, the others as usual."""

    def respond(received: Received) -> Sequence[Step]:
        return steps if received.json["model"] == "new-model" else usual(received)

    return respond
