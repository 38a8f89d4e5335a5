"""The stages run in their order, from the outside in."""

import pytest

from tests.support.calls import a_call
from tidegate.gateway.call import Call, Handler, Reply, Stage
from tidegate.gateway.pipeline import fold


def stage(name: str, seen: list[str], answers: bool = False) -> Stage:
    async def run(call: Call, inner: Handler) -> Reply:
        seen.append(name)
        reply = Reply(200, []) if answers else await inner(call)
        seen.append(f"/{name}")
        return reply

    return run


async def test_stages_wrap_each_other() -> None:
    seen: list[str] = []
    reply = await fold((stage("a", seen), stage("b", seen), stage("c", seen, answers=True)))(a_call())
    assert reply.status == 200
    assert seen == ["a", "b", "c", "/c", "/b", "/a"]


async def test_a_pipeline_in_which_nobody_answers_is_a_bug() -> None:
    with pytest.raises(RuntimeError, match="no stage answered call_"):
        await fold((stage("a", []),))(a_call())
