"""One control replica, as far as rollouts go: lease, leader, look, store, Snapshot are the real ones; evidence is a
script. It runs in a process of its own until it is killed.
"""

import asyncio
import logging
import time
from multiprocessing.connection import Connection
from typing import NamedTuple

from bench.crashes.faults import FaultyDatabase
from tidegate.adapters.postgres.database import PostgresDatabase
from tidegate.app.leader import Duty, Leader
from tidegate.app.snapshots import make_publish
from tidegate.control.gates.model import Verdict
from tidegate.control.rollouts.model import Evidence, Rollout
from tidegate.control.rollouts.ticking import Ticking
from tidegate.jobs.lease import Lease

__all__ = ["Orders", "Script", "Word", "run"]

TICK_S = 0.05
LOOK_S = 0.005
BREACH = "-breach-"


class Orders(NamedTuple):
    """Who it is, where it works, and at which of its points it dies (0: at none)."""

    name: str
    url: str
    ttl_ms: int
    dies_at: int


class Word(NamedTuple):
    """What a replica tells: that it `leads` (with the epoch), or is `dying` (at which point). Unix time in seconds."""

    name: str
    what: str
    detail: str
    at_s: float


class Script:
    """All is well; but a prompt named NAME-breach-N harms in the stage N."""

    async def observe(self, rollout: Rollout, now_ms: int) -> Evidence:
        """What the script says."""
        _, _, stage = rollout.prompt.partition(BREACH)
        harms = bool(stage) and rollout.stage >= int(stage)
        metrics = tuple(gate.metric for gate in rollout.plan.gates)
        return Evidence(
            at_ms=now_ms,
            breached=metrics if harms else (),
            holds=() if harms else metrics,
            units=1000,
            seen_at_ms=now_ms,
            stage=rollout.stage,
        )

    async def verdict(self, rollout: Rollout) -> Verdict:
        """The script has no gates."""
        return Verdict(answer="open", judgements=(), alpha=rollout.plan.alpha, why="It is a script.")


def run(orders: Orders, tell: Connection) -> None:
    """Be a replica until the process is killed."""
    logging.disable()  # that others lead, and die, is what it is all about
    asyncio.run(_live(orders, tell))


async def _live(orders: Orders, tell: Connection) -> None:
    database = PostgresDatabase(orders.url)
    faulty = FaultyDatabase(
        database, orders.dies_at, lambda point: tell.send(Word(orders.name, "dying", point, time.time()))
    )
    ticking = Ticking(faulty, make_publish(faulty), Script())
    lease = Lease(database, "leader", orders.name, orders.ttl_ms)
    ready: list[Leader] = []
    leader = Leader(lease, orders.ttl_ms / 1000, (Duty("rollouts", TICK_S, lambda: ticking.round(ready[0].guard)),))
    ready.append(leader)
    leader.start()
    led = False
    while True:
        if leader.leads != led:
            led = leader.leads
            if led:
                tell.send(Word(orders.name, "leads", "", time.time()))
        await asyncio.sleep(LOOK_S)
