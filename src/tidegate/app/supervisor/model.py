"""What the supervisor knows: the programs it runs, and when a dead one is started again. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from tidegate.app.supervisor.orders import Orders

__all__ = ["LOOP_DEATHS", "LOOP_S", "Address", "ProcessState", "Program", "State", "Verdict", "judge"]

LOOP_DEATHS = 5
LOOP_S = 30.0
"""So many deaths in so many seconds are a crash loop: it is reported, and tried again only every LOOP_S."""

_DELAYS_S = (0.0, 0.25, 0.5, 1.0)


class Address(NamedTuple):
    """Where a program says over HTTP whether it is ready: status 200."""

    host: str
    port: int
    path: str = "/readyz"
    tls: bool = False


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A process to keep running.

    `stage` orders the stop: 0 first. `essential`: without it the start has failed. `quiet`: its lines go to its file
    only. `patience_s`: how long it may take to stop. `mend`: what to do when it dies again and again.
    """

    name: str
    argv: tuple[str, ...]
    orders: Orders
    ready_at: Address | None = None
    stage: int = 0
    essential: bool = True
    quiet: bool = False
    patience_s: float = 15.0
    mend: str = ""


class State(StrEnum):
    """Where a process is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting to restart"
    LOOPING = "crash loop"
    REFUSED = "refused its settings"
    STOPPING = "stopping"
    STOPPED = "stopped"


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """A process as `.tidegate/run/supervisor.json` shows it. `pid` None: it does not run now."""

    name: str
    pid: int | None
    state: str
    restarts: int = 0


class Verdict(NamedTuple):
    """When to start a dead process again, and whether that is a crash loop."""

    restart_in_s: float
    looping: bool


def judge(deaths_s: Sequence[float], now_s: float) -> Verdict:
    """Decide about a process that died at these times (the last is the one in question). The first death is mended at
    once, the next ones after 0.25, 0.5 and 1 s; the fifth within 30 s is a crash loop.
    """
    recent = sum(1 for death in deaths_s if now_s - death < LOOP_S)
    if recent >= LOOP_DEATHS:
        return Verdict(LOOP_S, True)
    return Verdict(_DELAYS_S[max(recent, 1) - 1], False)
