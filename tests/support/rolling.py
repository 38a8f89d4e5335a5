"""Rollouts for tests: a short plan, an observer that says what it is told to, and time that passes when it shall."""

from typing import Any

import msgspec
import sqlalchemy as sa

from tidegate.app.control import Control
from tidegate.control.evals.model import Verdict as Evaluated
from tidegate.control.gates.model import Gate, Ratio, Verdict
from tidegate.control.identity.model import SYSTEM, Actor, AuditRow
from tidegate.control.rollouts.model import Evidence, Plan, Rollout, Stage, Wanted
from tidegate.control.rollouts.store import EVENTS, ROLLOUTS
from tidegate.jobs.database import Tx
from tidegate.jobs.notifications import NOTIFY
from tidegate.jobs.outbox import OUTBOX

__all__ = [
    "DEPLOYER",
    "PRODUCTION",
    "REVIEWER",
    "Scripted",
    "audited",
    "canary",
    "evaluated",
    "later",
    "led",
    "news",
    "short_plan",
    "start",
    "ticked",
    "with_plan",
]

DEPLOYER = Actor("user_d", "dora", ("deployer",))
REVIEWER = Actor("user_r", "rita", ("reviewer",))
PRODUCTION = "production"
ERRORS = Gate(metric="error_rate", rule=Ratio(1.5), shape="rate", better="lower", share=1.0)


class Scripted:
    """An observer: what it says can be set for the next looks."""

    def __init__(self, **fields: Any) -> None:
        self.fields: dict[str, Any] = {"holds": ("error_rate",), "units": 1000} | fields
        self.looks = 0

    def says(self, **fields: Any) -> None:
        self.fields |= fields

    async def observe(self, rollout: Rollout, now_ms: int) -> Evidence:
        self.looks += 1
        seen: dict[str, Any] = {"seen_at_ms": now_ms, "stage": rollout.stage} | self.fields
        return Evidence(at_ms=now_ms, **seen)

    async def verdict(self, rollout: Rollout) -> Verdict:
        return Verdict(answer="open", judgements=(), alpha=0.05, why="It is a script.")


def canary(percent: int, **fields: Any) -> Stage:
    return Stage(name=f"{percent}%", kind="canary", share_bp=percent * 100, **({"max_hold_s": 3600} | fields))


def short_plan(*stages: Stage, **fields: Any) -> Plan:
    """Stages without a hold (5, 25 and 100% unless others are given), and one gate."""
    given: dict[str, Any] = {"gates": (ERRORS,), "shadow_gates": (ERRORS,)} | fields
    return Plan(stages=stages or (canary(5), canary(25), canary(100, max_hold_s=None)), **given)


def with_plan(control: Control, plan: Plan, observer: Scripted | None = None) -> Scripted:
    """Let every rollout of this control plane have the plan, and be looked at by the observer."""
    seen = observer or Scripted()
    rollouts = control.rollouts
    rollouts._ticking._observer = seen

    async def planned(*_: object) -> tuple[Plan, tuple[str, ...]]:
        return plan, ()

    async def nothing(guard: object) -> None:
        """The leader's own duty rests: looks come when a test wants them."""

    rollouts._planned = planned  # type: ignore[method-assign,assignment]
    rollouts.tick = nothing  # type: ignore[method-assign]
    return seen


async def start(control: Control, version: str | None = "1.1.0", **fields: Any) -> Rollout:
    wanted = Wanted(**({"prompt": "greeting", "environment": PRODUCTION, "version": version} | fields))
    return (await control.rollouts.start(DEPLOYER, wanted)).rollout


async def led(tx: Tx) -> None:
    """A guard that always leads."""


async def ticked(control: Control, times: int = 1) -> Rollout:
    """So many looks, and how it stands then."""
    for _ in range(times):
        await control.rollouts._ticking.round(led)
    return (await control.rollouts.show("greeting", PRODUCTION)).rollout


async def later(control: Control, seconds: float, prompt: str = "greeting") -> Rollout:
    """The same rollout, as if everything of it had happened so much earlier."""
    by_ms = round(seconds * 1000)
    async with control.db.write() as tx:
        shown = (await control.rollouts.show(prompt, PRODUCTION)).rollout
        times = {
            name: getattr(shown, name) - by_ms
            for name in ("started_at_ms", "entered_at_ms", "paused_at_ms", "ended_at_ms", "resumed_at_ms")
            if getattr(shown, name) is not None
        }
        moved = msgspec.structs.replace(shown, **times)
        columns = {name: times[name] for name in ("started_at_ms", "ended_at_ms") if name in times}
        place = ROLLOUTS.c.rollout_id == shown.rollout_id
        row = columns | {"rollout": msgspec.json.encode(moved).decode()}
        await tx.execute(sa.update(ROLLOUTS).where(place).values(row))
        mine = EVENTS.c.rollout_id == shown.rollout_id
        await tx.execute(sa.update(EVENTS).where(mine).values(at_ms=EVENTS.c.at_ms - by_ms))
    return moved


async def evaluated(control: Control, answer: str = "pass", version: str = "1.1.0", model: str = "") -> None:
    """Hand in what an evaluation found of a version of the greeting."""
    found = await control.prompts.get("greeting", version)
    verdict = Evaluated(
        answer=answer,  # type: ignore[arg-type]
        why="As it was found.",
        prompt="greeting",
        version=version,
        content_hash=found.content_hash,
        baseline_version="1.0.0",
        dataset_sha256="0" * 64,
        findings=(),
        model=model,
    )
    await control.evaluations.record(DEPLOYER, verdict)


async def audited(control: Control) -> list[AuditRow]:
    """The audit rows of rollouts, oldest first."""
    return (await control.identity.list_audit(SYSTEM, limit=50, subject="rollout/"))[::-1]


async def news(control: Control) -> list[dict[str, Any]]:
    """What the notifiers were and will be told."""
    query = sa.select(OUTBOX.c.payload).where(OUTBOX.c.kind == NOTIFY).order_by(OUTBOX.c.id)
    async with control.db.read() as tx:
        return [msgspec.json.decode(row) for row in (await tx.execute(query)).scalars()]
