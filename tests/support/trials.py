"""An experiment's file, and calls in it as a gateway would have written them."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from tests.support.control import newest_snapshot
from tidegate.app.control import Control
from tidegate.app.stores import open_records
from tidegate.control.experiments.model import Experiment
from tidegate.control.experiments.placing import live_experiment
from tidegate.control.experiments.store import EVENTS, EXPERIMENTS
from tidegate.control.identity.model import SYSTEM, Actor, AuditRow
from tidegate.control.monitoring.store import FEEDBACK
from tidegate.kernel.ids import new_id
from tidegate.live.calls import CallRecord
from tidegate.live.experiments import LiveExperiment, Seen, enrol

__all__ = [
    "DEPLOYER",
    "STEADY",
    "ago",
    "audited",
    "better",
    "definition_text",
    "failing",
    "news",
    "start",
    "told",
    "well",
    "write_calls",
]

DEPLOYER = Actor("user_d", "dora", ("deployer",))
STEADY = "  salt: steady\n"
"""The same units in the same variants whenever the tests are run."""


Fields = Callable[[str, int], dict[str, Any]]
"""Of a variant and a unit's number: what its call was like."""

TEXT = """\
experiment:
  name: {name}
  variants:
    control: {{prompt: greeting@1.0.0, traffic: {share}}}
    treatment: {{prompt: greeting@1.1.0, traffic: {share}}}
  metrics: [helpful, error_rate]
  guardrails: {{error_rate: {{ratio: 1.5}}}}
  unit: user
  observe: 1m
  window: 5m
  duration: 2d
  min_samples: 100
"""


def definition_text(name: str = "tone", *, share: float = 50, more: str = "") -> str:
    """Two versions of a prompt, by user, judged by feedback and errors; `more` are further lines of the block."""
    return TEXT.format(name=name, share=share) + more


async def start(control: Control, name: str = "tone", **how: Any) -> Experiment:
    """Start it as somebody who may deploy."""
    return (await control.experiments.start(DEPLOYER, definition_text(name, **how))).experiment


async def told(control: Control) -> tuple[LiveExperiment, ...]:
    """What the gateways are told of the prompt's experiments in production."""
    return (await newest_snapshot(control)).experiments.get("production", {}).get("prompt:greeting", ())


async def audited(control: Control) -> list[AuditRow]:
    """The audit rows of experiments, newest first."""
    return await control.identity.list_audit(SYSTEM, limit=20, subject="experiment/")


async def news(control: Control) -> list[dict[str, Any]]:
    """What waits to be told to the notifiers of experiments."""
    payloads = [one.payload for one in await control.outbox.waiting() if one.kind == "notify"]
    return [one for one in payloads if one["event"].startswith("experiment.")]


def better(variant: str, number: int) -> dict[str, Any]:
    """Scores by which the treatment helps twice as often."""
    return {"helpful": float(number % 10 < (8 if variant == "treatment" else 4))}


def well(variant: str, number: int) -> dict[str, Any]:
    """Calls that all go well."""
    return {}


def failing(variant: str, number: int) -> dict[str, Any]:
    """Every second call of the treatment fails."""
    return {"ending": "failed"} if variant == "treatment" and number % 2 else {}


async def ago(control: Control, experiment: Experiment, hours: float) -> Experiment:
    """The same run, as if it had begun so long ago."""
    began = experiment.started_at_ms - round(hours * 3_600_000)
    place = EXPERIMENTS.c.experiment_id == experiment.experiment_id
    values = {"started_at_ms": began, "looked_at_ms": began, "weighed_at_ms": began}
    async with control.db.write() as tx:
        await tx.execute(sa.update(EXPERIMENTS).where(place).values(values))
        await tx.execute(
            sa.update(EVENTS).values(at_ms=began).where(EVENTS.c.experiment_id == experiment.experiment_id)
        )
    return (await control.experiments.show(experiment.definition.name)).experiment


async def write_calls(
    control: Control, experiment: Experiment, units: int, minutes: float, *, fields: Fields, says: Fields
) -> None:
    """One call of each unit, evenly over the minutes after the start, and what was said of it a second later."""
    live = live_experiment(experiment)
    records: list[CallRecord] = []
    said: list[dict[str, object]] = []
    for number in range(units):
        at_ms = experiment.started_at_ms + round(minutes * 60_000 * number / units)
        unit = f"user-{number}"
        place = enrol(live, Seen("", unit, live.tags, ""))
        if place is None:
            continue
        record = _record(experiment, number, at_ms) | {
            "variant": place.variant.name,
            "experiment_unit": unit,
            "propensity": place.propensity,
        }
        record |= fields(place.variant.name, number)
        records.append(CallRecord(**record))
        said += _rows(record["call_id"], says(place.variant.name, number), at_ms + 1000)
    store = open_records(control.settings)
    await store.append(records)
    await store.close()
    await control.calls.unpack()
    if said:
        async with control.calls._db.write() as tx:
            await tx.execute(sa.insert(FEEDBACK), said)


def _record(experiment: Experiment, number: int, at_ms: int) -> dict[str, Any]:
    return {
        "call_id": new_id("call"),
        "gateway_id": f"gw_{experiment.experiment_id}",
        "seq": number + 1,
        "started_at_ms": at_ms,
        "endpoint": "chat.completions",
        "status": 200,
        "ending": "complete",
        "latency_ms": 20.0,
        "environment": experiment.definition.environment,
        "prompt": "greeting",
        "model_requested": "prompt:greeting",
        "unit": f"user-{number}",
        "experiment_id": experiment.experiment_id,
    }


def _rows(call_id: str, scores: dict[str, Any], at_ms: int) -> Sequence[dict[str, object]]:
    shared = {"call_id": call_id, "at_ms": at_ms, "environment": "production", "key_id": "key_1"}
    return [{"feedback_id": new_id("fb"), "name": name, "value": value} | shared for name, value in scores.items()]
