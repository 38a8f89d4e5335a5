"""What is answered from the Snapshot alone: models, prompts, and news of them."""

import threading
import time

import msgspec
import pytest

from tests.support.asking import fetch
from tests.support.gateway import RunningGateway, until
from tests.support.http1 import Wire, get
from tests.support.scene import KEYS, changed, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tidegate.live.prompts import LivePrompts
from tidegate.live.snapshot import Snapshot, secret_hash


def names(gateway: RunningGateway, key: str) -> list[str]:
    reply = fetch(gateway, "/v1/models", key=key)
    assert (reply.status, reply.json["object"]) == (200, "list")
    return [model["id"] for model in reply.json["data"]]


def test_a_key_sees_what_it_may_call(gateway: RunningGateway) -> None:
    assert names(gateway, "sk-test") == ["gpt", "embed", "main", "other", "prompt:greeting", "prompt:line"]
    assert names(gateway, "sk-narrow") == ["gpt", "prompt:greeting"]
    assert names(gateway, "sk-staging") == ["gpt", "embed", "main", "other", "prompt:greeting"]


def test_one_model_is_told_alone(gateway: RunningGateway) -> None:
    reply = fetch(gateway, "/v1/models/gpt")
    assert reply.json == {"id": "gpt", "object": "model", "created": 1_700_000_000, "owned_by": "tidegate"}


@pytest.mark.parametrize(("key", "name"), [("sk-test", "gptt"), ("sk-narrow", "embed"), ("sk-staging", "prompt:line")])
def test_a_model_that_is_not_there_for_a_key_is_404(gateway: RunningGateway, key: str, name: str) -> None:
    reply = fetch(gateway, f"/v1/models/{name}", key=key)
    assert (reply.status, reply.error["code"]) == (404, "model_not_found")


def test_names_are_decoded_once(gateway: RunningGateway) -> None:
    assert fetch(gateway, "/v1/models/g%70t").status == 200
    assert fetch(gateway, "/v1/models/g%2570t").status == 404


def test_listings_leave_no_records(gateway: RunningGateway) -> None:
    fetch(gateway, "/v1/models")
    fetch(gateway, "/v1/prompts")
    assert gateway.do(lambda: (gateway.gateway.journal.waiting, gateway.gateway.meters.in_flight)) == (0, 0)
    assert gateway.records.stored == []


# Prompts.


def prompts(gateway: RunningGateway, query: str = "", key: str = "sk-test") -> LivePrompts:
    reply = fetch(gateway, f"/v1/prompts{query}", key=key)
    assert reply.status == 200
    return msgspec.json.decode(reply.body, type=LivePrompts)


def test_a_client_gets_all_that_it_needs_to_render(gateway: RunningGateway) -> None:
    found = prompts(gateway)
    assert (found.generation, found.environment, set(found.prompts)) == (11, "production", {"greeting", "line"})
    greeting = found.prompts["greeting"]
    assert greeting.release.arms[0].version == "2.0.0"
    assert greeting.versions["2.0.0"].messages[1].content == "Greet {{ name }} warmly"
    assert set(greeting.versions) == {"2.0.0"}


def test_prompts_may_be_chosen_by_name(gateway: RunningGateway) -> None:
    assert set(prompts(gateway, "?name=line").prompts) == {"line"}
    assert set(prompts(gateway, "?name=line&name=greeting&name=nothing").prompts) == {"line", "greeting"}


def test_what_did_not_change_is_304(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    etag = fetch(gateway, "/v1/prompts").headers["etag"]
    assert fetch(gateway, "/v1/prompts", headers=(f"If-None-Match: {etag}",)).status == 304
    gateway.push(changed(snapshot_of(upstream.url), generation=12))
    fresh = fetch(gateway, "/v1/prompts", headers=(f"If-None-Match: {etag}",))
    assert (fresh.status, fresh.headers["etag"]) == (200, '"12"')


# News.


def waited(gateway: RunningGateway, snapshot: Snapshot, wait_s: int = 30) -> tuple[int, dict[str, str], float]:
    """Wait for news, while the snapshot is published: the status, the headers, and how long it took."""
    with Wire(gateway.port) as wire:
        etag = wire.ask(get("/v1/prompts")).headers["etag"]
        wire.send(get("/v1/prompts", headers=[f"If-None-Match: {etag}", f"Prefer: wait={wait_s}"]))
        until(gateway.has_waiters)
        begun = time.monotonic()
        thread = threading.Thread(target=gateway.push, args=(snapshot,))
        thread.start()
        reply = wire.reply()
        thread.join()
        return reply.status, reply.headers, time.monotonic() - begun


def test_news_come_at_once(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    status, headers, took_s = waited(gateway, changed(snapshot_of(upstream.url), generation=12))
    assert (status, headers["etag"]) == (200, '"12"')
    assert took_s < 10


def test_no_news_are_304_when_the_time_is_up(gateway: RunningGateway) -> None:
    etag = fetch(gateway, "/v1/prompts").headers["etag"]
    begun = time.monotonic()
    assert fetch(gateway, "/v1/prompts", headers=(f"If-None-Match: {etag}", "Prefer: wait=1")).status == 304
    assert 0.9 < time.monotonic() - begun < 10


def test_who_knows_nothing_yet_does_not_wait(gateway: RunningGateway) -> None:
    begun = time.monotonic()
    assert fetch(gateway, "/v1/prompts", headers=("Prefer: wait=30",)).status == 200
    assert fetch(gateway, "/v1/prompts", headers=("Prefer: wait=30", 'If-None-Match: "9"')).status == 200
    assert time.monotonic() - begun < 10


def test_a_key_that_ends_while_it_waits_learns_nothing(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    world = snapshot_of(upstream.url)
    revoked = msgspec.structs.replace(KEYS["sk-test"], revoked_at_ms=1)
    keys = {**world.keys, secret_hash("sk-test"): revoked}
    status, _, _ = waited(gateway, changed(world, generation=12, keys=keys))
    assert status == 304
    assert fetch(gateway, "/v1/prompts").error["code"] == "key_revoked"
