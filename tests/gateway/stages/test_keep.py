"""What is said is kept where a route opted in: sampled, whole, with its shadow; and nowhere else."""

from typing import Any

import msgspec
import pytest

from tests.support.asking import ask_chat, fetch
from tests.support.gateway import RunningGateway, until
from tests.support.http1 import Wire, post
from tests.support.scene import CHAT, ONCE, Start, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import FIN, HANG, answer, chat, chat_events, error, stream
from tidegate.adapters.memory.contents import MemoryContents
from tidegate.gateway.stages.keep import MAX_BYTES
from tidegate.live.ports import Content
from tidegate.live.snapshot import Route, Shadow, Snapshot

DAY_MS = 86_400_000


def keeping(url: str, content_bp: int = 10_000, **route: Any) -> Snapshot:
    """The usual world, its route `gpt` keeping this share."""
    snapshot = snapshot_of(url)
    changed = Route(alias="gpt", deployment="main", retry=ONCE, content_bp=content_bp, **route)
    return msgspec.structs.replace(snapshot, routes={**snapshot.routes, "gpt": changed})


def shadowed(url: str, content_bp: int) -> Snapshot:
    """All calls of `gpt` are copied to a deployment `candidate`."""
    world = keeping(url, content_bp, shadow=Shadow(share_bp=10_000, deployment="candidate"))
    candidate = msgspec.structs.replace(world.deployments["main"], name="candidate", upstream_model="new-model")
    return msgspec.structs.replace(world, deployments={**world.deployments, "candidate": candidate})


def kept(running: RunningGateway, count: int) -> list[Content]:
    """Wait until so many are kept, and return all."""
    contents = running.contents
    assert isinstance(contents, MemoryContents)
    until(lambda: len(contents.stored) >= count)
    return list(contents.stored.values())


def kept_at_last(running: RunningGateway) -> list[Content]:
    """What is kept when the gateway has stopped."""
    running.stop()
    return kept(running, 0)


def test_off_by_default(start: Start, upstream: ScriptedUpstream) -> None:
    running = start()
    assert ask_chat(running).status == 200
    assert kept_at_last(running) == []
    assert running.gateway.contents.dropped == 0


def test_a_call_is_kept_with_its_final_request_and_its_answer(start: Start, upstream: ScriptedUpstream) -> None:
    running = start(keeping(upstream.url))
    reply = ask_chat(running, headers=("x-tidegate-unit: ada",), temperature=0.5)
    (one,) = kept(running, 1)
    record = running.wait_record()
    assert one.call_id == record.call_id
    assert msgspec.json.decode(one.request) == {**CHAT, "temperature": 0.5}
    assert one.answer == reply.body
    assert (one.route, one.endpoint, one.subject, one.shadow_of) == ("gpt", "chat.completions", "ada", None)
    assert one.at_ms == record.started_at_ms
    assert one.expires_at_ms - one.at_ms == 30 * DAY_MS


def test_a_prompt_is_kept_as_it_was_rendered(start: Start, upstream: ScriptedUpstream) -> None:
    running = start(keeping(upstream.url))
    assert ask_chat(running, model="prompt:greeting", messages=None, variables={"name": "Ada"}).status == 200
    (one,) = kept(running, 1)
    asked = msgspec.json.decode(one.request)
    assert asked["messages"][-1]["content"] == "Greet Ada warmly"
    assert asked["variables"] == {"name": "Ada"}


def test_days_are_the_policys(start: Start, upstream: ScriptedUpstream) -> None:
    world = keeping(upstream.url)
    policy = msgspec.structs.replace(world.policy, content_retention_days=2)
    running = start(msgspec.structs.replace(world, policy=policy))
    assert ask_chat(running).status == 200
    (one,) = kept(running, 1)
    assert one.expires_at_ms - one.at_ms == 2 * DAY_MS


def test_other_routes_keep_nothing(start: Start, upstream: ScriptedUpstream) -> None:
    running = start(keeping(upstream.url))
    assert ask_chat(running, model="main").status == 200
    assert kept_at_last(running) == []


def test_a_lora_adapter_is_its_route_s_and_a_model_with_a_colon_is_none(
    start: Start, upstream: ScriptedUpstream
) -> None:
    world = keeping(upstream.url)
    main = msgspec.structs.replace(world.deployments["main"], adapters={"legal": "lora-9"})
    colon = msgspec.structs.replace(main, name="gpt:large", adapters={})
    running = start(msgspec.structs.replace(world, deployments={"main": main, "gpt:large": colon}))
    assert ask_chat(running, model="gpt:large").status == 200
    assert ask_chat(running, model="gpt:legal").status == 200
    assert [one.route for one in kept_at_last(running)] == ["gpt:legal"]


def test_a_share_is_a_share(start: Start, upstream: ScriptedUpstream) -> None:
    running = start(keeping(upstream.url, 3000))
    with Wire(running.port) as wire:
        for _ in range(300):
            assert wire.ask(post("/v1/chat/completions", CHAT)).status == 200
    assert 50 <= len(kept_at_last(running)) <= 135  # 90 expected, 5 standard deviations


def test_a_stream_is_kept_as_its_events(start: Start, upstream: ScriptedUpstream) -> None:
    running = start(keeping(upstream.url))
    reply = ask_chat(running, stream=True)
    (one,) = kept(running, 1)
    assert one.answer == reply.body
    assert one.answer.endswith(b"data: [DONE]\n\n")


def test_a_cut_stream_is_not_kept(start: Start, upstream: ScriptedUpstream) -> None:
    whole = stream(chat_events())
    upstream.say((*whole[:2], FIN))
    running = start(keeping(upstream.url))
    assert b"error" in ask_chat(running, stream=True).body
    assert running.wait_record().ending == "cut"
    assert kept_at_last(running) == []


def test_a_stream_that_its_client_leaves_is_not_kept(start: Start, upstream: ScriptedUpstream) -> None:
    upstream.say((*stream(chat_events())[:2], HANG))
    running = start(keeping(upstream.url))
    with Wire(running.port) as wire:
        wire.send(post("/v1/chat/completions", {**CHAT, "stream": True}))
        upstream.wait(1)
        until(lambda: running.gateway.meters.in_flight == 1)
    assert running.wait_record().ending == "cancelled"
    assert kept_at_last(running) == []


@pytest.mark.parametrize("status", [400, 500])
def test_a_failed_answer_is_not_kept(start: Start, upstream: ScriptedUpstream, status: int) -> None:
    upstream.say(error(status))
    running = start(keeping(upstream.url))
    assert ask_chat(running).status == status
    assert kept_at_last(running) == []


@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_too_long_is_counted_and_not_kept(start: Start, upstream: ScriptedUpstream, streamed: bool) -> None:
    text = "x" * (MAX_BYTES // 2 + 10)
    upstream.say(stream(chat_events((text, text))) if streamed else answer(chat(text + text)))
    running = start(keeping(upstream.url))
    assert len(ask_chat(running, stream=streamed).body) > MAX_BYTES
    until(lambda: running.gateway.contents.dropped == 1)
    assert "tidegate_contents_dropped_total 1.0" in fetch(running, "/metrics").body.decode()
    assert kept_at_last(running) == []


def test_a_shadowed_call_and_its_shadow_are_kept_whatever_the_share(start: Start, upstream: ScriptedUpstream) -> None:
    running = start(shadowed(upstream.url, 1))
    for streamed in (False, True):
        assert ask_chat(running, stream=streamed, headers=("x-tidegate-unit: ada",)).status == 200
    found = kept(running, 4)
    users = {one.call_id: one for one in found if one.shadow_of is None}
    copies = {one.shadow_of: one for one in found if one.shadow_of is not None}
    assert len(users) == 2
    assert users.keys() == copies.keys()
    for call_id, copy in copies.items():
        asked, copied = (msgspec.json.decode(one.request) for one in (users[call_id], copy))
        assert copied | {"max_tokens": None} == asked | {"max_tokens": None}  # a copy is bounded by the policy
        assert (copy.subject, copy.route) == ("ada", "gpt")


def test_a_shadow_on_a_route_that_keeps_nothing_is_not_kept(start: Start, upstream: ScriptedUpstream) -> None:
    running = start(shadowed(upstream.url, 0))
    assert ask_chat(running).status == 200
    running.wait_records(2)
    assert kept_at_last(running) == []
