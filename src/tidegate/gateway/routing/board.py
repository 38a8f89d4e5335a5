"""The board of a process's deployments: their health, and the retry budgets of its steps."""

import random
import time
from collections.abc import Callable, Iterable

import msgspec

from tidegate.gateway.call import Call
from tidegate.gateway.routing.health import Health
from tidegate.gateway.routing.retries import RetryBudget
from tidegate.gateway.routing.strategies import Question, View, rank
from tidegate.live.plans import Candidate, Step

__all__ = ["HealthBoard"]

PREFIX_BYTES = 1024
PREFIX_FIELDS = ("system", "instructions", "messages", "input", "prompt")
NO_RAW = msgspec.Raw()


class HealthBoard:
    """Lives as long as the process: a new Snapshot does not make an ill deployment well."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, draw: Callable[[], float] = random.random) -> None:
        self.clock = clock
        self.draw = draw
        self._health: dict[str, Health] = {}
        self._budgets: dict[str, RetryBudget] = {}

    def of(self, deployment: str) -> Health:
        """The health of a deployment."""
        found = self._health.get(deployment)
        if found is None:
            found = self._health[deployment] = Health()
        return found

    def budget(self, alias: str) -> RetryBudget:
        """The retry budget of a step."""
        found = self._budgets.get(alias)
        if found is None:
            found = self._budgets[alias] = RetryBudget()
        return found

    def forget(self, alive: Iterable[str]) -> None:
        """Keep only these deployments."""
        kept = frozenset(alive)
        self._health = {name: one for name, one in self._health.items() if name in kept or one.in_flight}

    def states(self) -> dict[str, str]:
        """The state of each breaker: closed, open or half_open."""
        now_s = self.clock()
        return {name: one.state(now_s) for name, one in self._health.items()}

    def ordered(self, call: Call, step: Step) -> list[Candidate]:
        """The step's candidates in the order of its strategy, for this call."""
        now_s = self.clock()
        views = {}
        for one in step.candidates:
            health = self.of(one.deployment.name)
            views[one.deployment.name] = View(health.in_flight, health.latency_ms(now_s))
        question = Question(int(self.draw() * 2**64), call.unit, b"", 0)
        if step.strategy == "prefix_affinity":
            question = msgspec.structs.replace(question, prefix=_prefix(call))
        elif step.strategy == "cost":
            question = msgspec.structs.replace(question, size=sum(len(bytes(raw)) for raw in call.payload.values()))
        return rank(step.strategy, step.candidates, views, question)


def _prefix(call: Call) -> bytes:
    """How the conversation begins: what a server's prefix cache goes by."""
    found = b"\x1f".join(bytes(call.payload.get(field, NO_RAW))[:PREFIX_BYTES] for field in PREFIX_FIELDS)
    return found[: 2 * PREFIX_BYTES]
