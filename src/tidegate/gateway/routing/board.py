"""The board of a process's deployments: their health, and the retry budgets of its steps."""

import random
import time
from collections.abc import Callable

import msgspec

from tidegate.gateway.call import Call, Reply
from tidegate.gateway.routing.health import Health
from tidegate.gateway.routing.retries import RetryBudget, retry_after_s
from tidegate.gateway.routing.strategies import Question, View, rank
from tidegate.kernel.errors import TidegateError
from tidegate.live.plans import Candidate, Step
from tidegate.live.snapshot import Breaker

__all__ = ["HealthBoard"]

PREFIX_BYTES = 1024
PREFIX_FIELDS = ("system", "instructions", "messages", "input", "prompt")
NO_RAW = msgspec.Raw()
LIMITED = 429
BUSY = (503, 529)


class HealthBoard:
    """Lives as long as the process: a new Snapshot does not make an ill deployment well."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, draw: Callable[[], float] = random.random) -> None:
        self.rerouted: dict[str, dict[str, int]] = {}
        """By alias: how many attempts were a `retry`, and how many calls a `fallback` served."""
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

    def states(self) -> dict[str, str]:
        """The state of each breaker: closed, open or half_open."""
        now_s = self.clock()
        return {name: one.state(now_s) for name, one in self._health.items()}

    def totals(self) -> dict[str, dict[str, int]]:
        """How the requests to each deployment ended since the process began."""
        return {
            name: {
                "answered": one.answered_total,
                "failed": one.failed_total,
                "limited": one.limited_total,
                "left": one.left_total,
            }
            for name, one in self._health.items()
        }

    def in_flight(self) -> dict[str, int]:
        """How many requests to each deployment are under way."""
        return {name: one.in_flight for name, one in self._health.items()}

    def count(self, alias: str, what: str) -> None:
        """Count a `retry` or a `fallback`."""
        counted = self.rerouted.setdefault(alias, {})
        counted[what] = counted.get(what, 0) + 1

    def refused(self, health: Health, reply: Reply, breaker: Breaker, trial: int) -> None:
        """Note an answer with an error that another attempt may mend. 429 is no failure: whoever says it lives."""
        now_s = self.clock()
        if reply.status == LIMITED:
            health.limited(now_s, retry_after_s(dict(reply.headers), time.time()), trial)
            return
        health.failed(now_s, breaker, trial)
        if reply.status in BUSY:
            asked_s = retry_after_s(dict(reply.headers), time.time())
            if asked_s is not None:
                health.cool(now_s, asked_s)

    def broken(self, health: Health, error: TidegateError, breaker: Breaker, trial: int) -> None:
        """Note an attempt without an answer."""
        if error.code == "shutting_down":
            health.left(trial)
        elif error.code == "upstream_not_allowed":
            health.unasked(trial)
        else:
            health.failed(self.clock(), breaker, trial)

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
