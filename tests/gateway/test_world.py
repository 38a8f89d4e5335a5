"""The World: what a Snapshot says, made ready."""

import asyncio

import msgspec
import pytest

from tests.support.scene import LINE, changed, greeting, snapshot_of
from tidegate.gateway.world import World
from tidegate.kernel.errors import Invalid, NotFound

SNAPSHOT = snapshot_of("http://127.0.0.1:1/v1")


async def test_what_did_not_change_is_taken_over() -> None:
    old = World(SNAPSHOT, {})
    three = greeting("3.0.0", "New {{ name }}")
    prompts = {**SNAPSHOT.prompts, "greeting": {"1.0.0": SNAPSHOT.prompts["greeting"]["1.0.0"], "3.0.0": three}}
    new = World(changed(SNAPSHOT, prompts=prompts), {}, old)
    assert new.prompt("greeting", "1.0.0")[1] is old.prompt("greeting", "1.0.0")[1]
    assert new.prompt("greeting", "3.0.0")[1].render({"name": "Ada"}).messages == [
        {"role": "system", "content": "You greet."}, {"role": "user", "content": "New Ada"},
    ]  # fmt: skip
    with pytest.raises(NotFound):
        new.prompt("greeting", "2.0.0")
    assert old.prompt("greeting", "2.0.0")[0].version == "2.0.0"


async def test_a_version_that_cannot_be_compiled_refuses_only_its_own_calls() -> None:
    broken = msgspec.structs.replace(LINE, content_hash="x", template_format="martian")
    world = World(changed(SNAPSHOT, prompts={**SNAPSHOT.prompts, "line": {"1.0.0": broken}}), {})
    for _ in range(3):
        with pytest.raises(Invalid, match=r"line 1\.0\.0 cannot be compiled") as caught:
            world.prompt("line", "1.0.0")
        assert len(frames(caught.value)) < 5, "the error gathers the frames of every call"
    assert world.prompt("greeting", "1.0.0")


def frames(error: BaseException) -> list[object]:
    found: list[object] = []
    trace = error.__traceback__
    while trace is not None:
        found.append(trace.tb_frame)
        trace = trace.tb_next
    return found


async def test_an_unknown_prompt_offers_the_nearest_names() -> None:
    world = World(SNAPSHOT, {})
    with pytest.raises(NotFound) as caught:
        world.release("production", "greetings")
    assert caught.value.nearest == ("greeting",)
    with pytest.raises(NotFound, match="live in production, not in staging"):
        world.release("staging", "line")
    with pytest.raises(NotFound, match="tidegate release deploy NAME@VERSION --env dev"):
        world.release("dev", "nothing")


async def test_who_waits_is_told_of_the_successor() -> None:
    old, new = World(SNAPSHOT, {}), World(changed(SNAPSHOT), {})
    waiting = asyncio.create_task(old.superseded.wait())
    old.supersede(new)
    await asyncio.wait_for(waiting, 1)
    assert old.successor is new
    assert not new.superseded.is_set()
