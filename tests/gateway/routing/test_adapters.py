"""LoRA adapters: who may ask for them, where they are listed, and what an invented one is told."""

from typing import Any

import msgspec
import pytest

from tests.support.asking import ask_chat, fetch
from tests.support.gateway import RunningGateway
from tests.support.scene import KEYS, Start, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tidegate.live.snapshot import KeyGrant, secret_hash

ONE = KeyGrant(key_id="key_one", name="one", models=("gpt:legal",))


@pytest.fixture
def adapted(upstream: ScriptedUpstream, start: Start) -> RunningGateway:
    world = snapshot_of(upstream.url)
    main = msgspec.structs.replace(world.deployments["main"], adapters={"legal": "lora-9", "shop": "lora-10"})
    return start(
        msgspec.structs.replace(
            world,
            deployments={**world.deployments, "main": main},
            keys={**world.keys, secret_hash("sk-one"): ONE},
        )
    )


def asked(gateway: RunningGateway, model: str, key: str) -> Any:
    return ask_chat(gateway, key=key, model=model)


def listed(gateway: RunningGateway, key: str) -> list[str]:
    models = fetch(gateway, "/v1/models", key=key).json["data"]
    return [one["id"] for one in models if not one["id"].startswith("prompt:")]


def test_whoever_may_use_the_alias_may_use_its_adapters(adapted: RunningGateway, upstream: ScriptedUpstream) -> None:
    assert KEYS["sk-narrow"].models == ("gpt",)
    assert asked(adapted, "gpt:legal", "sk-narrow").status == 200
    assert upstream.received[0].json["model"] == "lora-9"


def test_whoever_may_use_one_adapter_may_use_nothing_else(adapted: RunningGateway) -> None:
    found = {name: asked(adapted, name, "sk-one").status for name in ("gpt:legal", "gpt:shop", "gpt")}
    assert found == {"gpt:legal": 200, "gpt:shop": 403, "gpt": 403}


def test_they_are_listed_where_they_may_be_asked_for(adapted: RunningGateway) -> None:
    assert listed(adapted, "sk-narrow") == ["gpt", "gpt:legal", "gpt:shop"]
    assert listed(adapted, "sk-one") == ["gpt:legal"]
    assert listed(adapted, "sk-staging")[0:2] == ["gpt", "embed"]  # there `gpt` is a model without adapters
    assert fetch(adapted, "/v1/models/gpt:legal", key="sk-narrow").json["id"] == "gpt:legal"


@pytest.mark.parametrize("key", ["sk-test", "sk-narrow"])
def test_an_invented_one_is_not_found_and_fills_no_memory(adapted: RunningGateway, key: str) -> None:
    world = adapted.gateway._world
    assert world is not None
    before = len(world._plans)
    for number in range(20):
        reply = asked(adapted, f"gpt:lega{number}", key)
        assert (reply.status, reply.error["code"]) == (404, "model_not_found")
        assert "gpt:legal" in reply.error["message"]
    assert len(world._plans) == before
