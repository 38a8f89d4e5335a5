"""Active probes: deployments with `probe_s` are asked from time to time, so that an ill one is found before a call
meets it, and one that is well again is used again.

A probe costs no token: OpenAI and Azure are asked for their models, with the deployment's own headers; of the others it
is only known whether they take a connection. It leaves no call record.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

from tidegate.gateway.ports import Exchange
from tidegate.gateway.providers.azure.provider import models_path
from tidegate.gateway.routing.board import HealthBoard
from tidegate.gateway.routing.retries import RETRYABLE
from tidegate.gateway.upstream.target import Target
from tidegate.gateway.world import World
from tidegate.kernel.errors import ProviderFailed
from tidegate.live.snapshot import Breaker, Deployment

__all__ = ["ILL", "WELL", "Probes", "Reaching"]

log = logging.getLogger(__name__)

WELL, ILL = "well", "ill"
LIMITED = 429
BLAMELESS = ("shutting_down", "upstream_not_allowed")
"""Faults that tell nothing of a deployment's health."""
LONGEST_S = 10.0
JITTER = 0.2


class Reaching(Protocol):
    """What probes need of the connections to the upstreams."""

    async def send(self, target: Target, request: bytes, *, streaming: bool) -> Exchange:
        """See `Upstreams.send`."""
        ...

    async def reach(self, target: Target) -> None:
        """Open a connection and close it again; raises ProviderFailed."""
        ...


class Probes:
    """One task for each deployment that is probed, so that no two probes of it are under way. `totals` counts them by
    deployment and outcome; `changed` says that it did since somebody last looked.
    """

    def __init__(
        self,
        upstreams: Reaching,
        board: HealthBoard,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.totals: dict[str, dict[str, int]] = {}
        self.changed = False
        self._upstreams = upstreams
        self._board = board
        self._sleep = sleep
        self._draw = draw
        self._world: World | None = None
        self._tasks: dict[str, tuple[float, asyncio.Task[None]]] = {}

    def adopt(self, world: World) -> None:
        """Probe what this World wants probed, from now on. Call it on the loop."""
        self._world = world
        wanted = {name: one.probe_s for name, one in world.deployments.items() if one.probe_s > 0}
        for name, (every_s, task) in list(self._tasks.items()):
            if wanted.get(name) != every_s:
                task.cancel()
                del self._tasks[name]
        for name, every_s in wanted.items():
            if name not in self._tasks:
                task = asyncio.create_task(self._again_and_again(name, every_s), name=f"probe {name}")
                self._tasks[name] = every_s, task

    async def stop(self) -> None:
        """Probe no more."""
        tasks = [task for _, task in self._tasks.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _again_and_again(self, name: str, every_s: float) -> None:
        await self._sleep(every_s * self._draw())  # gateways that start together must not probe together
        while True:
            try:
                await self._probe(name)
            except Exception:
                log.exception("the probe of %s failed by itself", name)
            await self._sleep(every_s * (1 - JITTER + 2 * JITTER * self._draw()))

    async def _probe(self, name: str) -> None:
        world = self._world
        assert world is not None
        deployment, target = world.deployments.get(name), world.targets.get(name)
        if deployment is None or target is None or target.fault is not None:
            return  # calls are refused without asking it: there is nothing to learn
        health = self._board.of(name)
        request = _question(deployment, target)
        try:
            async with asyncio.timeout(LONGEST_S):
                well = await self._asked(target, request)
        except TimeoutError:
            well = False
        except ProviderFailed as error:
            if error.code in BLAMELESS:
                return
            well = False
        now_s = self._board.clock()
        if well:
            health.probed_well(now_s, answered=request is not None)
        else:
            health.probed_ill(now_s, _breaker_of(world, name))
        self._count(name, WELL if well else ILL)

    async def _asked(self, target: Target, request: bytes | None) -> bool:
        """Whether it is well, by the rule by which a call's answer is judged; raises ProviderFailed."""
        if request is None:
            await self._upstreams.reach(target)
            return True
        exchange = await self._upstreams.send(target, request, streaming=False)
        try:
            status = exchange.status
            return status == LIMITED or (status not in RETRYABLE and not 300 <= status < 400)
        finally:
            exchange.release()

    def _count(self, name: str, outcome: str) -> None:
        counts = self.totals.setdefault(name, {})
        counts[outcome] = counts.get(outcome, 0) + 1
        self.changed = True


def _question(deployment: Deployment, target: Target) -> bytes | None:
    """The request of a probe; None: a connection is all that is asked for."""
    if deployment.provider == "openai":
        return target.get("/models")
    if deployment.provider == "azure":
        return target.get(models_path(deployment))
    return None


def _breaker_of(world: World, name: str) -> Breaker:
    """The breaker of the first route that leads to the deployment."""
    for route in world.routes.values():
        if route.deployment == name or any(choice.deployment == name for choice in route.choices):
            return route.breaker
    return Breaker()
