"""Two upstreams behind one alias, and a gateway in front of them: for the tests of what happens when one is ill.

Use it by importing the fixture into a conftest.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

from tests.support.gateway import RunningGateway
from tests.support.scene import snapshot_of
from tests.support.upstream import ScriptedUpstream
from tidegate.live.snapshot import Choice, LimitRule, Retry, Route, Snapshot

__all__ = ["HI", "QUICK", "Pair", "asked", "pair"]

QUICK = Retry(attempts=3, base_ms=1, max_ms=5)
HI: Any = [{"role": "user", "content": "Hi"}]


class Pair:
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
def pair(tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        main, backup = stack.enter_context(ScriptedUpstream()), stack.enter_context(ScriptedUpstream())
        yield Pair(main, backup, tmp_path, stack)


def asked(client: openai.OpenAI, **fields: Any) -> str:
    """Ask for the alias; return what was said."""
    return str(client.chat.completions.create(model="gpt", messages=HI, **fields).choices[0].message.content)
