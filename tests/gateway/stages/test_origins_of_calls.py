"""Calls of the platform's own: told by its keys alone, metered, and no user's."""

from typing import Any

import msgspec
import pytest

from tests.gateway.stages.test_experiments import of_models, of_prompts
from tests.gateway.stages.test_rollouts import rolling
from tests.support.asking import ask_chat, fetch
from tests.support.gateway import RunningGateway
from tests.support.http1 import Reply
from tests.support.scene import ONCE, Start, changed, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tidegate.adapters.memory.contents import MemoryContents
from tidegate.app.internal import internal_grants, internal_key
from tidegate.live.assignment import BUCKETS
from tidegate.live.snapshot import LimitRule, Route, Shadow, Snapshot

MASTER = "0123456789abcdef0123456789abcdef"
KEY = internal_key(MASTER, "production")


@pytest.fixture(params=["raw", "asgi"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def world_of(snapshot: Snapshot, **fields: Any) -> Snapshot:
    keys = snapshot.keys | internal_grants(MASTER, ("production", "staging"))
    return changed(snapshot, keys=keys, **fields)


def judge(gateway: RunningGateway, origin: str | None = "judge", key: str = KEY, **fields: Any) -> Reply:
    headers = () if origin is None else (f"x-tidegate-origin: {origin}",)
    return ask_chat(gateway, key, headers=headers, **fields)


@pytest.mark.parametrize("origin", ["judge", "eval", "probe"])
def test_a_key_of_the_platforms_own_says_what_its_call_is_for(
    start: Start, upstream: ScriptedUpstream, origin: str
) -> None:
    gateway = start(world_of(snapshot_of(upstream.url)))
    reply = judge(gateway, origin)
    assert reply.status == 200
    record = gateway.wait_record()
    assert (record.origin, record.key_id, record.environment) == (origin, "key_internal_production", "production")
    assert reply.headers["x-tidegate-cost-nano-usd"] == str(record.cost_nano_usd)


def test_no_users_key_can_claim_an_origin(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(world_of(snapshot_of(upstream.url)))
    reply = judge(gateway, key="sk-test")
    assert (reply.status, reply.json["error"]["code"]) == (403, "origin_not_allowed")
    assert upstream.received == []
    assert gateway.wait_record().origin == "user"
    assert "x-tidegate-cost-nano-usd" not in judge(gateway, None, key="sk-test").headers


@pytest.mark.parametrize("origin", [None, "user", "shadow", ""])
def test_a_call_of_the_platforms_own_is_never_a_users(
    start: Start, upstream: ScriptedUpstream, origin: str | None
) -> None:
    gateway = start(world_of(snapshot_of(upstream.url)))
    reply = judge(gateway, origin)
    assert (reply.status, reply.json["error"]["code"]) == (400, "invalid_origin")
    assert upstream.received == []


def test_it_is_in_no_budget_experiment_rollout_or_shadow_of_users_and_not_kept(
    start: Start, upstream: ScriptedUpstream
) -> None:
    rolled = rolling(upstream.url, BUCKETS, share_bp=BUCKETS)
    route = Route(
        alias="gpt", deployment="main", retry=ONCE, content_bp=BUCKETS,
        shadow=Shadow(share_bp=BUCKETS, deployment="main"),
    )  # fmt: skip
    none = LimitRule(name="nothing", unit="requests", cap=0, per="day")
    experiments = {"production": {"prompt:greeting": (of_prompts(),), "gpt": (of_models(),)}}
    gateway = start(world_of(rolled, routes={**rolled.routes, "gpt": route}, limits=(none,), experiments=experiments))
    assert ask_chat(gateway).status == 429
    assert judge(gateway).status == 200
    asked = judge(gateway, model="prompt:greeting", messages=None, variables={"name": "Ada"}, user="ada")
    assert asked.status == 200
    gateway.stop()
    assert len(upstream.received) == 2
    own = [one for one in gateway.records.stored if one.origin == "judge"]
    assert [(one.experiment_id, one.variant) for one in own] == [(None, None)] * 2
    assert isinstance(gateway.contents, MemoryContents)
    assert gateway.contents.stored == {}


def test_judges_have_a_cap_of_their_own(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(world_of(snapshot_of(upstream.url), policy_judge_cap_nano_usd_per_day=1))
    reply = judge(gateway)
    assert (reply.status, reply.json["error"]["code"]) == (429, "insufficient_quota")
    assert ask_chat(gateway).status == 200
    assert judge(gateway, "eval").status == 200


def test_meters_tell_of_users_alone(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(world_of(snapshot_of(upstream.url)))
    judge(gateway)
    ask_chat(gateway)
    gateway.wait_records(2)
    lines = fetch(gateway, "/metrics").body.decode().splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("tidegate_calls_total{")] == ["1.0"]


def test_keys_differ_by_environment_and_master_key_and_are_told_by_hash() -> None:
    keys = {internal_key(master, place) for master in (MASTER, MASTER[::-1]) for place in ("production", "staging")}
    assert len(keys) == 4
    grants = internal_grants(MASTER, ("production",))
    assert KEY not in str(msgspec.to_builtins(grants))
    assert [one.scopes for one in grants.values()] == [("inference", "internal")]
    assert internal_grants("", ("production",)) == {}
